// A runtime in a program of one's own: an agent, a tool that the program itself answers, a session.
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <iostream>
#include <stdexcept>

using namespace fermata;

// What was refused is thrown, saying why.
template <class T>
T must(result<T> outcome) {
  return outcome ? std::move(*outcome) : throw std::runtime_error{message_of(outcome.error())};
}

// An agent: given what is recorded, it says what happens next. It is called anew for each step.
coro::task<step> greeter(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("ask_name", {{"question", "Who is there?"}});
  co_return step::finish("Hello, " + ctx.tool_results()[0].answer.content.get<std::string>());
}

int main(int count, char** values) {
  runtime_options options;
  options.store = must(lmdb_store::open(count > 1 ? values[1] : "greetings"));
  options.policy = approval_policy::ask_for_plans(); // No tool call needs a decision.
  runtime rt{options};
  if (auto error = rt.agents().add("greeter", greeter))
    throw std::runtime_error{message_of(error)};
  rt.start();

  auto session = rt.session(rt.generate_id());
  auto plan = must(parse_plan(R"({"goal": "Greet", "tools": {"ask_name": {"kind": "client"}},
                                  "subtasks": [{"id": "hello", "agent": "greeter"}]})"));
  must(session.send(propose_plan{plan}).get());
  must(session.send(decide_plan{1, plan_verdict::approve}).get());
  must(session.wait_until_paused(std::chrono::seconds{10}));

  // Nothing runs or waits for the answer now: it may come hours later, and in another process.
  must(session.send(tool_result{call_id{session.id(), 1}, "world"}).get());
  must(session.wait_until_paused(std::chrono::seconds{10}));
  std::cout << to_json(must(session.status())).dump(2) << '\n';
}
