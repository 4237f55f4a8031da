// A program that embeds Fermata: a plan whose agent is its own, run to its end.
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/memory_store.hpp>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

using namespace std::chrono_literals;

namespace {

/// What the worker is told, read as Fermata reads its own.
struct order {
  std::string what;
  int copies = 1;

  order() = default;
  static constexpr auto fields() {
    return fermata::field_list{fermata::field("what", &order::what),
                               fermata::optional_field("copies", &order::copies)};
  }
};

fermata::coro::task<fermata::step> worker(fermata::step_context& ctx) {
  const auto told = fermata::from_json<order>(ctx.subtask.parameters);
  if (!told)
    co_return fermata::step::fail(fermata::message_of(told.error()));
  const auto recorded = fermata::from_record<order>(fermata::to_record(*told));
  co_return recorded && recorded->what == "a box" && recorded->copies == 1
      ? fermata::step::finish(fermata::to_json(*recorded))
      : fermata::step::fail("a record is not what it was made of");
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
      R"({"goal": "Be packaged", "subtasks": [{"id": "one", "description": "work", "agent": "worker",
          "parameters": {"what": "a box"}}]})");
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
