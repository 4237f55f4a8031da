// Failures that may pass by themselves: subtasks and runs of server tools are tried again after a
// while, in which nothing but a timer exists.

#include "faults.hpp"

namespace retry_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Fails, in a way that may pass, in as many attempts as its parameters say; then calls `ask`.
coro::task<step> stumbler(step_context& ctx) {
  if (ctx.attempt <= ctx.subtask.parameters.get<std::uint32_t>())
    co_return step::fail_retryable("attempt " + std::to_string(ctx.attempt) + " stumbled");
  co_return step::finish(ctx.attempt);
}

coro::task<step> quitter(step_context&) {
  co_return step::fail("for good");
}

coro::task<step> thrower(step_context&) {
  throw std::runtime_error("a defect");
  co_return step::fail("not reached");
}

/// Says something in each attempt, then stumbles.
coro::task<step> talker(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::say("hello from attempt " + std::to_string(ctx.attempt));
  if (ctx.attempt == 1)
    co_return step::fail_retryable("stumbled");
  co_return step::finish(
      json{{"entries", ctx.transcript.size()}, {"text", ctx.transcript[0].text}});
}

coro::task<json> unavailable_later(caf::event_based_actor* self, const tool_context& context) {
  co_await coro::delay(self, 1min);
  if (context.run < 3)
    throw coro::failure{make_error(errc::tool_unavailable, "try later")};
  co_return json(context.run);
}

coro::task<json> endless(caf::event_based_actor* self, const tool_context&) {
  co_await coro::delay(self, 10h);
  co_return json("late");
}

sim::world_options stumbling(setup_function more = {}) {
  return unattended([more](agent_registry& agents, tool_registry& tools) {
    must(agents.add("stumbler", stumbler));
    must(agents.add("quitter", quitter));
    must(agents.add("thrower", thrower));
    must(agents.add("talker", talker));
    if (more)
      more(agents, tools);
  });
}

/// A plan with one subtask that stumbles so often and may be tried so often.
plan_spec stumble(int times, int attempts, std::string_view more = "") {
  return agent_plan(R"({"id": "w", "agent": "stumbler", "parameters": )" + std::to_string(times)
                    + R"(, "retry": {"max_attempts": )" + std::to_string(attempts)
                    + R"(, "initial_backoff_ms": 60000, "max_backoff_ms": 600000})"
                    + std::string{more} + "}");
}

/// A tool that is not available in its first runs.
tool flaky_tool(effects& counted, std::uint32_t failures, errc how = errc::tool_unavailable) {
  tool flaky;
  flaky.name = tid("flaky");
  flaky.retry = retry_policy{3, 60s, 600s};
  flaky.run = blocking_tool{[&counted, failures, how](const tool_context& context) -> result<json> {
    count_effect(counted, context);
    if (context.run <= failures)
      return make_error(how, "not now");
    return json(context.run);
  }};
  return flaky;
}

/// How long each backoff lasted.
std::vector<std::chrono::milliseconds> backoffs(sim::world& world) {
  std::vector<std::chrono::milliseconds> lengths;
  for (const auto& one : world.events(sid())) {
    if (const auto* failed = std::get_if<subtask_failed>(&one.body); failed && failed->retry_at)
      lengths.push_back(*failed->retry_at - one.at);
    if (const auto* failed = std::get_if<call_backed_off>(&one.body))
      lengths.push_back(failed->retry_at - one.at);
  }
  return lengths;
}

void check_growth(const std::vector<std::chrono::milliseconds>& lengths) {
  auto whole = std::chrono::milliseconds{60s};
  for (const auto length : lengths) {
    CHECK(length >= whole / 2);
    CHECK(length <= whole);
    whole = std::min(whole * 2, std::chrono::milliseconds{600s});
  }
}

} // namespace

TEST_CASE("P2: while a subtask backs off there is a timer, and neither actor nor frame") {
  sim::world world{1, stumbling()};
  accept(world, propose_plan{stumble(1, 2, R"(}, {"id": "next", "depends_on": ["w"])")});
  CHECK(state_of(world) == "waiting");
  CHECK(status_of(world).waiting.backoff == 1);
  CHECK(subtask_of(world, "w").status == subtask_status::backing_off);
  CHECK(subtask_of(world, "w").next_step == status_of(world).next_timer);
  CHECK(subtask_of(world, "next").status == subtask_status::pending);
  CHECK(contains(subtask_of(world, "w").error, "attempt 1 stumbled"));
  CHECK(coro::live_frames() == 0);
  check_no_dead_end(world);
  world.crash();
  world.run();
  CHECK(world.resident_sessions() == 0);
  world.advance(60s);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").attempts == 2);
}

TEST_CASE(
    "the backoff doubles up to its longest, with jitter from the seed, and ends with the last "
    "attempt") {
  std::set<std::vector<std::chrono::milliseconds>> different;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    sim::world world{seed, stumbling()};
    accept(world, propose_plan{stumble(10, 7)});
    world.advance(3h);
    const auto lengths = backoffs(world);
    CHECK(lengths.size() == 6);
    check_growth(lengths);
    different.insert(lengths);
    CHECK(subtask_of(world, "w").attempts == 7);
    CHECK(state_of(world) == "needs_attention");
    CHECK_FALSE(status_of(world).next_timer);
    sim::world again{seed, stumbling()};
    accept(again, propose_plan{stumble(10, 7)});
    again.advance(3h);
    CHECK(backoffs(again) == lengths); // P12
  }
  CHECK(different.size() == 5);
}

TEST_CASE("sessions that fail at the same time do not come back at the same time") {
  sim::world world{1, stumbling()};
  std::set<timestamp> due;
  for (int i = 0; i < 20; ++i) {
    const auto name = "n" + std::to_string(i);
    accept(world, propose_plan{stumble(1, 2)}, name);
    due.insert(*status_of(world, name).next_timer);
  }
  CHECK(due.size() >= 15);
}

TEST_CASE("a fatal failure and a defect are not tried again, however many attempts there are") {
  const std::string agent = GENERATE("quitter", "thrower");
  sim::world world{1, stumbling()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": ")" + agent
                                        + R"(", "retry": {"max_attempts": 5}})")});
  CHECK(state_of(world) == "needs_attention");
  CHECK_FALSE(status_of(world).next_timer);
  world.advance(10h);
  CHECK(facts<subtask_started>(world).size() == 1);
  accept(world, retry_subtask{stid("w")});
  CHECK(facts<subtask_started>(world).size() == 2); // a person may
}

TEST_CASE("an agent whose model fails for now may let that pass: it is tried again") {
  sim::world world{1, stumbling([](agent_registry& agents, tool_registry&) {
                     must(agents.add("asker", [](step_context& ctx) -> coro::task<step> {
                       if (ctx.attempt == 1)
                         throw coro::failure{make_error(errc::model_failed, "overloaded")};
                       co_return step::finish(ctx.attempt);
                     }));
                   })};
  accept(world, propose_plan{
                    agent_plan(R"({"id": "w", "agent": "asker", "retry": {"max_attempts": 2}})")});
  CHECK(subtask_of(world, "w").status == subtask_status::backing_off);
  world.advance(1min);
  CHECK(subtask_of(world, "w").result == 2);
}

TEST_CASE("without a retry nothing is tried again") {
  sim::world world{1, stumbling()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "stumbler", "parameters": 1})")});
  CHECK(state_of(world) == "needs_attention");
  CHECK_FALSE(status_of(world).next_timer);
}

TEST_CASE("other subtasks run while one backs off, but those that depend on it wait") {
  sim::world world{1, stumbling()};
  accept(world,
         propose_plan{stumble(
             1, 2, R"(}, {"id": "next", "depends_on": ["w"]}, {"id": "other", "result": 1)")});
  CHECK(statuses_of(world)
        == std::vector{subtask_status::backing_off, subtask_status::pending, subtask_status::done});
  CHECK(state_of(world) == "waiting");
  world.advance(60s);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a backoff that ends while another subtask runs starts nothing before that has ended") {
  sim::world world{1, stumbling()};
  accept(world, propose_plan{stumble(1, 2, R"(}, {"id": "other", "steps": [{"tool": "ask"}])")});
  CHECK(statuses_of(world) == std::vector{subtask_status::backing_off, subtask_status::running});
  CHECK(status_of(world).waiting.backoff == 1);
  CHECK(status_of(world).waiting.result == 1);
  world.advance(10min);
  CHECK(statuses_of(world) == std::vector{subtask_status::pending, subtask_status::running});
  check_no_dead_end(world);
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a person may retry a subtask at once that backs off, and its timer is gone") {
  sim::world world{1, stumbling()};
  accept(world, propose_plan{stumble(2, 3)});
  accept(world, retry_subtask{stid("w")});
  CHECK(subtask_of(world, "w").attempts == 2);
  CHECK(subtask_of(world, "w").status == subtask_status::backing_off);
  accept(world, retry_subtask{stid("w")});
  CHECK(state_of(world) == "completed");
  CHECK_FALSE(status_of(world).next_timer);
  world.advance(1h);
  CHECK(facts<subtask_started>(world).size() == 3);
  CHECK(facts<subtask_retried>(world).size() == 2);
}

TEST_CASE("P10: attempts at one subtask are bounded") {
  auto options = stumbling();
  options.limits.subtask_attempts = 2;
  sim::world world{1, options};
  CHECK(is(refuse(world, propose_plan{stumble(1, 3)}), errc::limit_exceeded));
  accept(world, propose_plan{stumble(9, 2)});
  world.advance(1h);
  CHECK(state_of(world) == "needs_attention");
  const auto error = refuse_unchanged(world, retry_subtask{stid("w")});
  CHECK(is(error, errc::limit_exceeded));
  CHECK(contains(message_of(error), "subtask_attempts"));
  accept(world, skip_subtask{stid("w")});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a retry policy that cannot be is refused with its plan") {
  sim::world world{1, stumbling()};
  const auto refused = [&](std::string_view retry) {
    return refuse(world,
                  propose_plan{agent_plan(R"({"id": "w", "retry": )" + std::string{retry} + "}")});
  };
  CHECK(is(refused(R"({"max_attempts": 0})"), errc::invalid_field));
  CHECK(is(refused(R"({"initial_backoff_ms": 0})"), errc::invalid_field));
  CHECK(is(refused(R"({"initial_backoff_ms": 10, "max_backoff_ms": 9})"), errc::invalid_field));
  CHECK(is(refused(R"({"max_backoff_ms": 999999999999})"), errc::limit_exceeded));
  CHECK(is(refused(R"({"max_attempts": 1001})"), errc::limit_exceeded));
}

TEST_CASE("each attempt begins with an empty transcript") {
  sim::world world{1, stumbling()};
  accept(world, propose_plan{
                    agent_plan(R"({"id": "w", "agent": "talker", "retry": {"max_attempts": 2}})")});
  world.advance(1h);
  CHECK(subtask_of(world, "w").result == json{{"entries", 1}, {"text", "hello from attempt 2"}});
}

TEST_CASE(
    "a time limit counts anew for each attempt, and does not run while the subtask backs off") {
  sim::world world{1, stumbling()};
  // Each attempt may take 20 s; it backs off for 30 to 60.
  accept(world, propose_plan{stumble(2, 3, R"(, "time_limit_ms": 20000)")});
  world.advance(10min);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").attempts == 3);
}

TEST_CASE("an attempt after a short backoff has its whole time limit") {
  sim::world world{1, stumbling([](agent_registry& agents, tool_registry&) {
                     must(agents.add("second", [](step_context& ctx) -> coro::task<step> {
                       if (ctx.attempt == 1)
                         co_return step::fail_retryable("stumbled");
                       if (ctx.tool_results().empty())
                         co_return step::call("ask", json::object());
                       co_return step::finish(1);
                     }));
                   })};
  accept(world, propose_plan{agent_plan(
                    R"({"id": "w", "agent": "second", "time_limit_ms": 3600000,
                        "retry": {"max_attempts": 2, "initial_backoff_ms": 600000}})")});
  world.advance(10min);
  REQUIRE(subtask_of(world, "w").attempts == 2);
  const auto started = world.events(sid());
  timestamp at{};
  for (const auto& one : started)
    if (std::holds_alternative<subtask_started>(one.body))
      at = one.at;
  CHECK(subtask_of(world, "w").deadline == at + 1h);
}

TEST_CASE(
    "a deadline that somebody set holds over all attempts, also while the subtask backs off") {
  sim::world world{1, stumbling()};
  accept(world, propose_plan{stumble(100, 100)});
  accept(world, set_deadline{world.now() + 1h, stid("w")});
  world.advance(1h);
  CHECK(subtask_of(world, "w").status == subtask_status::failed);
  CHECK(contains(subtask_of(world, "w").error, "deadline_passed"));
  CHECK_FALSE(status_of(world).next_timer);
  CHECK(state_of(world) == "needs_attention");
}

TEST_CASE(
    "P2: while a server tool's call backs off there is a timer, and neither actor nor frame") {
  effects counted;
  sim::world world{1, stumbling([&](agent_registry&, tool_registry& tools) {
                     must(tools.add(flaky_tool(counted, 2)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "flaky"})")});
  CHECK(call_of(world, 1).status == call_status::backing_off);
  CHECK(status_of(world).waiting.backoff == 1);
  CHECK(state_of(world) == "waiting");
  CHECK(pending_of(world).empty());
  CHECK(call_of(world, 1).retry_at == status_of(world).next_timer);
  CHECK(coro::live_frames() == 0);
  check_no_dead_end(world);
  CHECK(is(refuse_unchanged(world, tool_result{cid(1), 1}), errc::not_allowed));
  world.crash();
  world.run();
  CHECK(world.resident_sessions() == 0);
  world.advance(5min);
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).answer->content == 3);
  CHECK(counted.size() == 1); // one idempotency key
  CHECK(counted.begin()->second == 3);
  check_growth(backoffs(world));
}

TEST_CASE("only a tool that says it is unavailable is tried again, as often as its retry says") {
  effects counted;
  std::uint32_t failures = 9;
  auto how = errc::tool_unavailable;
  int runs = 3;
  SECTION("unavailable") {}
  SECTION("failed") {
    how = errc::tool_failed;
    runs = 1;
  }
  sim::world world{1, stumbling([&](agent_registry&, tool_registry& tools) {
                     must(tools.add(flaky_tool(counted, failures, how)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "flaky", "on_error": "continue"})")});
  world.advance(1h);
  CHECK(counted.begin()->second == runs);
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).answer->outcome == call_outcome::failed);
  CHECK(call_of(world, 1).answer->content.at("error") == std::string{name_of(how)});
}

TEST_CASE("a coroutine tool can be unavailable too") {
  sim::world world{1, stumbling([](agent_registry&, tool_registry& tools) {
                     tool late;
                     late.name = tid("flaky");
                     late.retry = retry_policy{3, 60s, 600s};
                     late.run = coroutine_tool{unavailable_later};
                     must(tools.add(std::move(late)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "flaky"})")});
  world.advance(1h);
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).answer->content == 3);
  CHECK(backoffs(world).size() == 2);
}

TEST_CASE("P8: a run whose time was up is only tried again where the tool is idempotent") {
  const bool idempotent = GENERATE(false, true);
  sim::world world{1, stumbling([&](agent_registry&, tool_registry& tools) {
                     tool late;
                     late.name = tid("late");
                     late.retry = retry_policy{3, 60s, 600s};
                     late.time_limit = 1h;
                     late.idempotent = idempotent;
                     late.run = coroutine_tool{endless};
                     must(tools.add(std::move(late)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "late", "on_error": "continue"})")});
  world.advance(5h);
  CHECK(facts<call_claimed>(world).size() == (idempotent ? 3 : 1));
  CHECK(call_of(world, 1).answer->content.at("error") == "tool_timed_out");
}

TEST_CASE("P4: a call that is cancelled while it backs off is not tried again") {
  effects counted;
  sim::world world{1, stumbling([&](agent_registry&, tool_registry& tools) {
                     must(tools.add(flaky_tool(counted, 2)));
                   })};
  accept(world, propose_plan{script_plan(R"({"tool": "flaky"})")});
  SECTION("alone") {
    accept(world, cancel_call{cid(1), "no"});
  }
  SECTION("with its plan") {
    accept(world, cancel_plan{"no"});
  }
  CHECK_FALSE(status_of(world).next_timer);
  world.advance(1h);
  CHECK(counted.begin()->second == 1);
  CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  check_no_dead_end(world);
}

TEST_CASE("P1 P4 P6 P8: subtasks and calls are tried again with a fault at every commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.counted = std::make_shared<effects>();
    story.options = stumbling([counted = story.counted](agent_registry&, tool_registry& tools) {
      must(tools.add(flaky_tool(*counted, 1)));
    });
    story.first = propose_plan{agent_plan(R"({"id": "w", "agent": "stumbler", "parameters": 2,
                       "retry": {"max_attempts": 3, "initial_backoff_ms": 1200000}},
                      {"id": "x", "depends_on": ["w"], "steps": [{"tool": "flaky"}, {"tool": "ask"}]})")};
    story.end = "completed";
    story.calls = 2;
    story.check = [](sim::world& world) {
      CHECK(subtask_of(world, "w").attempts == 3);
      CHECK(subtask_of(world, "x").attempts == 1);
      CHECK(facts<subtask_failed>(world).size() == 2);
      CHECK_FALSE(status_of(world).next_timer);
    };
    return story;
  });
}

} // namespace retry_test
