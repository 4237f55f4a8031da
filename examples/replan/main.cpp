// Replanning: a plan is revised while it is in progress, and what need not be done again is kept.
#include "../narrator.hpp"

#include <fermata/storage/memory_store.hpp>

using namespace fermata;
using namespace fermata::example;

namespace {

// A subtask for the host: a call of the client tool `work`.
json subtask(const char* id, const char* what, json depends_on = json::array()) {
  return {{"id", id},
          {"depends_on", std::move(depends_on)},
          {"steps", json::array({{{"tool", "work"}, {"arguments", {{"what", what}}}}})}};
}

plan_spec plan_of(json subtasks) {
  json plan = {{"goal", "A travel guide"},
               {"tools", {{"work", {{"kind", "client"}}}}},
               {"subtasks", std::move(subtasks)}};
  return must(parse_plan(plan.dump()));
}

class guide {
public:
  explicit guide(runtime& rt)
      : rt_{rt}, session_{rt.session(must(session_id::parse("guide")))}, story_{session_} {}

  void propose(const plan_spec& plan) {
    must(session_.send(propose_plan{plan}).get());
    approve();
  }

  // Shows what a revision changes to who decides, who approves it.
  void revise(const plan_spec& plan) {
    must(session_.send(revise_plan{plan}).get());
    story_.tell();
    for (const auto& change : must(query_plan_diff(rt_.store(), session_.id())).subtasks)
      std::cout << "   | " << change.subtask.str() << " is " << enum_name(change.fate) << ": "
                << change.because << '\n';
    approve();
  }

  // The host does so much of what waits for it.
  session_status work(int calls = 1) {
    for (; calls > 0; --calls) {
      const auto waiting = must(query_pending(rt_.store(), session_.id())).at(0);
      must(session_.send(tool_result{must(call_id::parse(waiting.id)), "done"}).get());
    }
    return story_.tell();
  }

private:
  void approve() {
    const auto revision = must(session_.status()).plan->revision;
    must(session_.send(decide_plan{revision, plan_verdict::approve}).get());
    story_.tell();
  }

  runtime& rt_;
  session_handle session_;
  narrator story_;
};

} // namespace

int main() try {
  runtime_options options;
  options.store = std::make_shared<memory_store>();
  options.policy = approval_policy::ask_for_plans();
  runtime rt{options};
  rt.start();
  guide guide{rt};

  heading("a plan, of which two subtasks are done and a third is under way");
  guide.propose(plan_of({subtask("sights", "collect sights"), subtask("prices", "collect prices"),
                         subtask("text", "write", {"sights", "prices"}),
                         subtask("print", "print", {"text"})}));
  guide.work(2);

  heading("somebody should read it before it is printed");
  guide.revise(
      plan_of({subtask("sights", "collect sights"), subtask("prices", "collect prices"),
               subtask("text", "write", {"sights", "prices"}), subtask("review", "read", {"text"}),
               subtask("print", "print", {"review"})}));
  guide.work();

  heading("prices have changed, and it shall not be printed after all");
  guide.revise(
      plan_of({subtask("sights", "collect sights"), subtask("prices", "collect new prices"),
               subtask("text", "write", {"sights", "prices"}), subtask("review", "read", {"text"}),
               subtask("website", "publish", {"review"})}));
  expect(guide.work(4).state == session_state::completed, "the guide is complete");
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
