// A program that embeds Fermata: a plan whose agent is its own, run to its end.
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/memory_store.hpp>

#include <cstdlib>
#include <iostream>
#include <memory>

using namespace std::chrono_literals;

namespace {

fermata::coro::task<fermata::step> worker(fermata::step_context& ctx) {
  co_return fermata::step::finish(ctx.subtask.description);
}

} // namespace

int main() {
  fermata::runtime_options options;
  options.store = std::make_shared<fermata::memory_store>();
  fermata::runtime runtime{options};
  if (runtime.agents().add("worker", worker))
    return EXIT_FAILURE;
  runtime.start();

  const auto plan = fermata::parse_plan(
      R"({"goal": "Be packaged", "subtasks": [{"id": "one", "description": "work", "agent": "worker"}]})");
  const auto session = runtime.session(runtime.generate_id());
  if (!plan || !session.send(fermata::propose_plan{*plan}).get()
      || !session.send(fermata::decide_plan{1, fermata::plan_verdict::approve}).get()
      || !session.wait_until_paused(10s))
    return EXIT_FAILURE;

  const auto status = session.status();
  if (!status)
    return EXIT_FAILURE;
  std::cout << fermata::to_json(*status).dump() << '\n';
  return status->state == fermata::session_state::completed ? EXIT_SUCCESS : EXIT_FAILURE;
}
