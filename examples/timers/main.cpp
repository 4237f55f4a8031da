// Time: sleeps, backoffs, expiries and deadlines of days, on a calendar that the program turns
// itself.
#include "../narrator.hpp"

#include <fermata/storage/memory_store.hpp>

#include <atomic>

using namespace fermata;
using namespace fermata::example;
using namespace std::chrono_literals;
using std::chrono::days;

namespace {

constexpr auto plan_text = R"({"goal": "A subscription", "tools": {"collect": {"kind": "client"}},
  "subtasks": [
  {"id": "trial", "agent": "trial"},
  {"id": "mail", "agent": "mailer", "depends_on": ["trial"],
   "retry": {"max_attempts": 2, "initial_backoff_ms": 3600000, "max_backoff_ms": 86400000}},
  {"id": "ask", "agent": "asker", "depends_on": ["mail"]},
  {"id": "survey", "depends_on": ["ask"], "steps": [{"tool": "collect", "arguments": {}}]},
  {"id": "end", "depends_on": ["survey"], "agent": "trial"}]})";

class calendar final : public wall_clock {
public:
  timestamp now() override { return timestamp{passed_.load()}; }
  void turn(std::chrono::milliseconds by) { passed_ = passed_.load() + by; }

private:
  std::atomic<std::chrono::milliseconds> passed_{
      std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}.time_since_epoch()};
};

// Sleeps for two weeks; meanwhile there is nothing of it but a timer in the store.
coro::task<step> trial(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::sleep(days{14});
  co_return step::finish("two weeks are over");
}

// Fails in a way that may pass by itself.
coro::task<step> mailer(step_context& ctx) {
  if (ctx.attempt == 1)
    co_return step::fail_retryable("the mail server is down");
  co_return step::finish("mailed");
}

// Asks a person, who has three days to answer.
coro::task<step> asker(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::ask("Shall it go on?", {{"type", "boolean"}}, days{3});
  const auto outcome = ctx.tool_results()[0].answer.outcome;
  co_return step::finish(outcome == call_outcome::expired ? "nobody answered" : "answered");
}

runtime_options options_for(std::shared_ptr<store> kept, std::shared_ptr<calendar> calendar) {
  runtime_options options;
  options.store = std::move(kept);
  options.clock = std::move(calendar);
  options.clock_check_interval = 5ms; // how soon a turn of the calendar is noticed
  options.policy = approval_policy::allow_everything();
  return options;
}

void add_agents(agent_registry& agents) {
  must(agents.add("trial", trial));
  must(agents.add("mailer", mailer));
  must(agents.add("asker", asker));
}

} // namespace

int main() try {
  const auto kept = std::make_shared<memory_store>();
  const auto today = std::make_shared<calendar>();
  const auto id = must(session_id::parse("subscription"));
  {
    runtime rt{options_for(kept, today)};
    add_agents(rt.agents());
    rt.start();
    must(rt.session(id).send(propose_plan{must(parse_plan(plan_text))}).get());
    narrator{rt.session(id), 1, true}.tell();
  }
  heading("two weeks pass, in which nothing runs; then a runtime starts");
  today->turn(days{14});
  runtime rt{options_for(kept, today)};
  add_agents(rt.agents());
  const auto session = rt.session(id);
  narrator story{session, must(session.status()).events + 1, true};
  rt.start();
  story.tell_until<subtask_woke>();

  heading("a day passes");
  today->turn(days{1});
  story.tell_until<subtask_retried>();

  heading("three days pass, and nobody answers");
  today->turn(days{3});
  story.tell_until<call_answered>();

  heading("the host sets a deadline");
  const auto survey = must(subtask_id::parse("survey"));
  must(session.send(set_deadline{today->now() + days{30}, survey}).get());
  story.tell();

  heading("a month passes");
  today->turn(days{30});
  expect(story.tell_until<subtask_failed>().state == session_state::needs_attention,
         "somebody has to say how to go on");
  skip_subtask skip{survey};
  skip.by = "ann";
  must(session.send(skip).get());
  story.tell();
  today->turn(days{14});
  expect(story.tell_until<subtask_woke>().state == session_state::completed, "it is complete");
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
