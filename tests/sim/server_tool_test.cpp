#include "support.hpp"

#include <fermata/actors/coro/frames.hpp>

namespace server_tool_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;
using sim::outside;
using sim::server_tool_character;
using sim::session_operator;

namespace {

/// A tool that takes an hour, half of which is before its effect in the mean.
server_tool_character slow_tool() {
  server_tool_character made;
  made.least_time = made.most_time = 1h;
  return made;
}

/// A world whose only tool is `pay`, and whose policy allows everything.
struct paying_world {
  explicit paying_world(server_tool_character character, std::uint64_t seed = 1)
      : in{seed, options(character, effects, seed)} {}

  static sim::world_options options(server_tool_character character,
                                    std::shared_ptr<outside> effects, std::uint64_t seed) {
    sim::world_options made;
    made.policy = approval_policy::allow_everything();
    made.setup = [=](agent_registry&, tool_registry& tools) {
      must(tools.add(sim::make_server_tool(tid("pay"), nullptr, character, effects, seed)));
    };
    return made;
  }

  void propose(std::string_view arguments = "{}") {
    accept(in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
      {"tool": "pay", "on_error": "continue", "arguments": )"
                                 + std::string{arguments} + "}]}]}")});
  }

  /// Lets the time pass until the tool has had its effect.
  bool has_effect() {
    return in.run_until([this] { return effects->effects() > 0; }, 2h);
  }

  void add_operator(double reruns) {
    sim::operator_character character;
    character.reruns = reruns;
    in.add(std::make_unique<sim::waking_host>());
    in.add(std::make_unique<session_operator>("operator", character, effects));
  }

  std::shared_ptr<outside> effects = std::make_shared<outside>();
  sim::world in;
};

call_outcome outcome_of(paying_world& of) {
  return call_of(of.in, 1).answer->outcome;
}

} // namespace

TEST_CASE("a tool's effect happens during its run, and its result tells of it") {
  paying_world world{slow_tool()};
  world.propose();
  CHECK(world.effects->effects_of(cid(1)) == 0);
  REQUIRE(world.has_effect());
  CHECK(state_of(world.in) == "running");
  CHECK(reaches(world.in, "completed", 1h));
  CHECK(world.effects->effects_of(cid(1)) == 1);
  CHECK(call_of(world.in, 1).answer->content == *world.effects->result_of(cid(1)));
}

TEST_CASE("P8: an effect outlives the crash that its run does not, and the operator tells of it") {
  paying_world world{slow_tool()};
  world.add_operator(1);
  world.propose();
  REQUIRE(world.has_effect());
  world.in.crash();
  CHECK(coro::live_frames() == 0);
  REQUIRE(reaches(world.in, "completed"));
  CHECK(facts<outcome_unknown>(world.in).size() == 1);
  CHECK(facts<outcome_resolved>(world.in).at(0).resolution == outcome_resolution::happened);
  CHECK(world.effects->effects_of(cid(1)) == 1);
  CHECK(outcome_of(world) == call_outcome::succeeded);
}

TEST_CASE("P8: what did not happen before a crash is run again, or fails, as the operator says") {
  const bool reruns = GENERATE(true, false);
  paying_world world{slow_tool()};
  world.add_operator(reruns ? 1 : 0);
  world.propose();
  world.in.advance(1ms);
  REQUIRE(world.effects->effects() == 0);
  world.in.crash();
  REQUIRE(reaches(world.in, "completed"));
  CHECK(world.effects->effects_of(cid(1)) == (reruns ? 1 : 0));
  CHECK(outcome_of(world) == (reruns ? call_outcome::succeeded : call_outcome::failed));
}

TEST_CASE("an idempotent tool has one effect, however often it runs") {
  auto character = slow_tool();
  character.idempotent = true;
  paying_world world{character};
  world.propose();
  REQUIRE(world.has_effect());
  world.in.crash();
  wake(world.in);
  REQUIRE(reaches(world.in, "completed"));
  CHECK(facts<call_claimed>(world.in).size() == 2);
  CHECK(world.effects->effects_of(cid(1)) == 1);
}

TEST_CASE("a tool that reconciles finds out by itself what it did") {
  auto character = slow_tool();
  character.reconciles = true;
  const bool happened = GENERATE(true, false);
  paying_world world{character};
  world.propose();
  if (happened)
    REQUIRE(world.has_effect());
  world.in.crash();
  wake(world.in);
  REQUIRE(reaches(world.in, "completed"));
  CHECK(facts<outcome_unknown>(world.in).empty());
  CHECK(world.effects->effects_of(cid(1)) == 1);
}

TEST_CASE("a tool that is unsure what it did leaves it to the operator") {
  auto character = slow_tool();
  character.reconciles = true;
  character.is_unsure = 1;
  paying_world world{character};
  world.add_operator(1);
  world.propose();
  REQUIRE(world.has_effect());
  world.in.crash();
  REQUIRE(reaches(world.in, "completed"));
  CHECK(facts<outcome_unknown>(world.in).size() == 1);
  CHECK(world.effects->effects_of(cid(1)) == 1);
}

TEST_CASE("a tool fails before its effect, or after it") {
  server_tool_character character;
  const bool after = GENERATE(true, false);
  (after ? character.fails_after_effect : character.fails) = 1;
  character.blocking = GENERATE(true, false);
  paying_world world{character};
  world.propose();
  REQUIRE(reaches(world.in, "completed"));
  CHECK(outcome_of(world) == call_outcome::failed);
  CHECK(world.effects->effects_of(cid(1)) == (after ? 1 : 0));
}

TEST_CASE("a tool that is unavailable is tried again, until there is no more trouble") {
  server_tool_character character;
  character.unavailable = 1;
  character.retry = retry_policy{10, 1min, 10min};
  paying_world world{character};
  world.propose();
  world.in.advance(10min);
  CHECK(facts<call_backed_off>(world.in).size() >= 2);
  CHECK(world.effects->effects() == 0);
  world.effects->settle();
  CHECK(reaches(world.in, "completed", 1h));
  CHECK(world.effects->effects_of(cid(1)) == 1);
}

TEST_CASE("a tool that hangs is cut off by its time limit, or by the operator") {
  server_tool_character character;
  character.hangs = 1;
  SECTION("by its time limit") {
    character.time_limit = 10min;
    paying_world world{character};
    world.propose();
    REQUIRE(reaches(world.in, "completed", 20min));
    CHECK(outcome_of(world) == call_outcome::failed);
  }
  SECTION("by the operator") {
    paying_world world{character};
    world.add_operator(1);
    world.propose();
    REQUIRE(reaches(world.in, "completed", 24h));
    CHECK(outcome_of(world) == call_outcome::cancelled);
    CHECK(coro::live_frames() == 0);
  }
}

TEST_CASE("P9: a document that changes under an approval is asked for again") {
  server_tool_character character;
  character.changes_document = true;
  paying_world world{character};
  auto options = paying_world::options(character, world.effects, 1);
  options.policy = approval_policy::allow_everything();
  options.policy.prefer(policy_rule::for_tools("pay", policy_action::ask));
  sim::world in{1, options};
  accept(in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
    {"tool": "pay", "arguments": {"document": "s1/page"}}]}]})")});
  world.effects->change("s1/page");
  accept(in, approve(1));
  in.advance(1h);
  CHECK(facts<call_asked_again>(in).size() == 1);
  CHECK(world.effects->effects() == 0);
  accept(in, approve(1));
  REQUIRE(reaches(in, "completed"));
  CHECK(world.effects->effects() == 1);
}

TEST_CASE("what a run does is decided by the seed, the call and the run") {
  server_tool_character character;
  character.fails = 0.5;
  const auto run = [&](std::uint64_t seed) {
    paying_world world{character, seed};
    for (const auto* id : {"a", "b", "c", "d", "e", "f", "g", "h"})
      accept(world.in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
        {"tool": "pay", "on_error": "continue"}]}]})")},
             id);
    world.in.advance(1h);
    std::string outcomes;
    for (const auto* id : {"a", "b", "c", "d", "e", "f", "g", "h"})
      outcomes += std::to_string(static_cast<int>(call_of(world.in, 1, id).answer->outcome));
    return outcomes;
  };
  CHECK(run(1) == run(1));
  CHECK(run(1) != run(2));
}

} // namespace server_tool_test
