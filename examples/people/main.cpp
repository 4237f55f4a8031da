// People: they answer questions, decide on calls, do a tool's work themselves, cancel and suspend.
#include "../narrator.hpp"

#include <fermata/storage/memory_store.hpp>

using namespace fermata;
using namespace fermata::example;

namespace {

constexpr auto plan_text = R"({"goal": "Set up servers",
  "tools": {"order": {"kind": "client"}, "install": {"kind": "client"},
            "celebrate": {"kind": "client"}},
  "subtasks": [
  {"id": "region", "steps": [{"tool": "ask_human", "arguments":
    {"question": "Which region?", "schema": {"type": "string", "enum": ["eu", "us"]}}}]},
  {"id": "order", "depends_on": ["region"], "steps": [{"tool": "order", "arguments":
    {"region": {"$ref": "/results/region"}}}]},
  {"id": "install", "depends_on": ["order"], "steps": [{"tool": "install", "arguments":
    {"version": 1}, "on_error": "continue"}], "result": "as far as it went"},
  {"id": "party", "depends_on": ["install"], "steps": [{"tool": "celebrate", "arguments": {}}]}]})";

template <class Command>
Command by(std::string who, Command said) {
  said.by = std::move(who);
  return said;
}

} // namespace

int main() try {
  runtime_options options; // its policy asks for every plan, and for every call but those that read
  options.store = std::make_shared<memory_store>();
  runtime rt{options};
  rt.start();
  const auto session = rt.session(must(session_id::parse("servers")));
  const auto say = [&](command said) { return must(session.send(std::move(said)).get()); };
  const auto call = [&](std::uint64_t number) { return call_id{session.id(), number}; };
  narrator story{session};

  say(propose_plan{must(parse_plan(plan_text))});
  say(by("ann", decide_plan{1, plan_verdict::approve}));
  story.tell();

  heading("bob answers what does not fit the question's schema");
  const auto refused = session.send(by("bob", answer_question{call(1), "mars"})).get();
  expect(!refused && is(refused.error(), errc::invalid_answer), "the answer is refused");
  std::cout << "   " << message_of(refused.error()) << '\n';

  heading("ann suspends the session; bob's answer is taken, but nothing starts");
  say(by("ann", suspend_session{"the budget is frozen"}));
  say(by("bob", answer_question{call(1), "eu"}));
  expect(story.tell().state == session_state::suspended, "the session is suspended");
  say(resume_session{"ann"});
  story.tell();

  heading("bob has ordered by hand: his response is the call's result, the tool does not run");
  decide_call response{call(2), call_verdict::respond};
  response.content = {{"ordered", 1}};
  say(by("bob", response));
  story.tell();

  heading("ann approves another version than the agent asked for");
  decide_call edit{call(3), call_verdict::edit};
  edit.arguments = {{"version", 2}};
  say(by("ann", edit));
  story.tell();

  heading("it takes too long, ann cancels the call; what its host posts then is late");
  say(by("ann", cancel_call{call(3), "the installer hangs"}));
  expect(say(tool_result{call(3), "installed"}).kind == receipt_kind::late, "the result is late");
  story.tell();

  heading("the last subtask is cancelled, and then the plan");
  say(by("ann", cancel_subtask{must(subtask_id::parse("party")), "no time"}));
  expect(story.tell().state == session_state::needs_attention, "somebody has to say how to go on");
  say(by("ann", cancel_plan{"it will do as it is"}));
  expect(story.tell().state == session_state::cancelled, "the plan is cancelled");
} catch (const std::exception& failure) {
  std::cerr << failure.what() << '\n';
  return 1;
}
