// What CAF actors see of sessions: commands, status and chunks as messages.

#include "support.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

using namespace fermata;
using namespace fermata::test;

namespace {

/// What a host actor has heard; outlives the actor.
struct host_log {
  std::vector<std::uint64_t> numbers;
  std::vector<chunk_kind> kinds;
  std::vector<std::string> errors;
  int receipts = 0;
};

class host : public caf::event_based_actor {
public:
  host(caf::actor_config& config, caf::actor directory, host_log& log)
      : caf::event_based_actor{config}, directory_{std::move(directory)}, log_{log} {}

  caf::behavior make_behavior() override {
    follow(1);
    request(directory_, caf::infinite, session_command{sid(), propose_plan{seed_plan()}})
        .then([this](const receipt&) { ++log_.receipts; });
    return {[](int) {}};
  }

private:
  void follow(std::uint64_t first) {
    request(directory_, caf::infinite, follow_chunks{sid(), first})
        .then(
            [this](const chunk_batch& batch) {
              for (const auto& one : batch.chunks) {
                log_.numbers.push_back(one.number);
                log_.kinds.push_back(one.kind);
                answer(one);
              }
              follow(batch.chunks.back().number + 1);
            },
            [this, first](const caf::error& error) {
              log_.errors.emplace_back(name_of(code_of(error)));
              if (is(error, errc::unknown_session))
                follow(first); // the proposal is on its way
            });
  }

  /// A host that approves everything and runs the client tool.
  void answer(const chunk& one) {
    command reply;
    if (std::holds_alternative<plan_proposed>(one.body))
      reply = approve_plan(std::get<plan_proposed>(one.body).revision);
    else if (const auto* call = std::get_if<call_proposed>(&one.body))
      reply = approve(call->call);
    else if (const auto* decided = std::get_if<call_decided>(&one.body))
      reply = tool_result{cid(decided->call), "tea"};
    else
      return;
    request(directory_, caf::infinite, session_command{sid(), std::move(reply)})
        .then([this](const receipt&) { ++log_.receipts; });
  }

  caf::actor directory_;
  host_log& log_;
};

} // namespace

TEST_CASE("a host that is an actor drives a session by messages alone, and sees every chunk once") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    CAPTURE(seed);
    host_log log;
    sim::world world{seed, {}};
    world.system().spawn<host>(world.directory(), log);
    world.run();
    CHECK(state_of(world) == "completed");
    CHECK(log.receipts == 4);
    const auto events = world.events(sid());
    REQUIRE(log.numbers.size() == events.size());
    for (std::size_t i = 0; i < events.size(); ++i)
      CHECK(log.numbers[i] == i + 1);
    CHECK(std::count(log.kinds.begin(), log.kinds.end(), chunk_kind::approval) == 3);
    // The follower that still waits is told when the runtime stops.
    world.restart();
    CHECK(log.errors.back() == "shutting_down");
  }
}

TEST_CASE("an actor that asks for the status of a session gets it, or the error's name") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  std::optional<session_state> state;
  std::optional<errc> error;
  world.system().spawn(
      [&](caf::event_based_actor* self, const caf::actor& directory) {
        self->request(directory, caf::infinite, status_query{sid()})
            .then([&](const session_status& status) { state = status.state; });
        self->request(directory, caf::infinite, status_query{sid("nobody")})
            .then([](const session_status&) {},
                  [&](const caf::error& why) { error = code_of(why); });
      },
      world.directory());
  world.run();
  CHECK(state == session_state::awaiting_plan_decision);
  CHECK(error == errc::unknown_session);
}

TEST_CASE("P6: work whose commit failed with nobody to tell is taken up again by itself") {
  int runs = 0;
  sim::world_options options;
  options.policy = approval_policy::ask_for_plans();
  options.setup = [&runs](agent_registry&, tool_registry& tools) {
    tool count;
    count.name = tid("count");
    count.run =
        blocking_tool{[&runs](const tool_context&) -> result<json> { return json(++runs); }};
    CHECK_FALSE(tools.add(std::move(count)));
  };
  sim::world world{1, options};
  accept(world, propose_plan{plan(
                    R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{"tool": "count"}]}]})")});
  // The decision's own commit claims the call; the next one, of the tool's outcome, fails.
  const auto outcome = world.store().writes() + 2;
  world.store().on_write([=](std::uint64_t write) {
    return write == outcome ? memory_fault::disk_full : memory_fault::none;
  });
  accept(world, approve_plan());
  CHECK(state_of(world) == "running");
  world.advance(std::chrono::seconds{2});
  CHECK(state_of(world) == "completed");
  CHECK(runs == 1);
}
