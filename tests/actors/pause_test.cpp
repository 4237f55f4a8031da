// The seed case, promise by promise: a plan stops at a tool call, and goes on when the answer
// comes.

#include "support.hpp"

namespace pause_test {

using namespace fermata;
using namespace fermata::test;

TEST_CASE(
    "P3: a subtask that called a tool ends, and the next runs, only when the result has come") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  CHECK(state_of(world) == "awaiting_plan_decision");
  accept(world, approve_plan());
  CHECK(state_of(world) == "waiting");
  CHECK(status_of(world).subtasks[0].status == subtask_status::running);
  CHECK(status_of(world).subtasks[1].status == subtask_status::pending);
  accept(world, approve(1));
  CHECK(state_of(world) == "waiting");
  CHECK(status_of(world).subtasks[0].status == subtask_status::running);
  accept(world, tool_result{cid(1), json{{"price", 7}}});
  CHECK(state_of(world) == "completed");
  CHECK(status_of(world).subtasks[0].status == subtask_status::done);
  CHECK(status_of(world).subtasks[1].status == subtask_status::done);
  CHECK(status_of(world).subtasks[1].result == json{{"got", json{{"price", 7}}}});
}

TEST_CASE("P5: waiting for a decision and waiting for a result are told apart") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  CHECK(status_of(world).waiting.decision == 1);
  accept(world, approve_plan());
  CHECK(status_of(world).waiting.decision == 1);
  CHECK(status_of(world).waiting.result == 0);
  CHECK(query_pending(world.store(), sid())->at(0).waiting_for == wait_cause::decision);
  accept(world, approve(1));
  CHECK(status_of(world).waiting.decision == 0);
  CHECK(status_of(world).waiting.result == 1);
  CHECK(query_pending(world.store(), sid())->at(0).waiting_for == wait_cause::result);
  accept(world, tool_result{cid(1), "tea"});
  CHECK(status_of(world).waiting.total() == 0);
  CHECK(query_pending(world.store(), sid())->empty());
}

TEST_CASE("a rejected call is seen by the agent, and the next subtask runs") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  accept(world, reject(1, "too dear"));
  CHECK(state_of(world) == "completed");
  CHECK(status_of(world).subtasks[1].result
        == json{{"got", json{{"rejected", true}, {"feedback", "too dear"}}}});
}

TEST_CASE("an edited call runs with the new arguments, and both are recorded") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  CHECK(is(refuse(world, edit(1, json{{"item", 5}})), errc::invalid_arguments));
  accept(world, edit(1, json{{"item", "coffee"}}));
  const auto call = query_call(world.store(), cid(1));
  REQUIRE(call);
  CHECK(call->arguments == json{{"item", "coffee"}});
  CHECK(call->proposed_arguments == json{{"item", "tea"}});
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("the seed case works with a new process for every command") {
  sim::world world{1, {}};
  const std::vector<command> commands{propose_plan{seed_plan()}, approve_plan(), approve(1),
                                      tool_result{cid(1), json{{"price", 7}}}};
  for (const auto& one : commands) {
    accept(world, one);
    world.crash();
  }
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P2: while a session waits there is no frame, and after passivation no actor") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  CHECK(coro::live_frames() == 0);
  CHECK(world.resident_sessions() == 1);
  world.advance(std::chrono::minutes{3});
  CHECK(world.resident_sessions() == 0);
  CHECK(state_of(world) == "waiting");
  accept(world, approve(1));
  CHECK(world.resident_sessions() == 1);
  accept(world, tool_result{cid(1), "tea"});
  CHECK(state_of(world) == "completed");
}

} // namespace pause_test
