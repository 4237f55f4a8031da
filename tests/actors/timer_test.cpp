// Durable timers: sleeps, deadlines and time limits fire once, whatever happens to the process and
// to the clock.

#include "faults.hpp"

namespace timer_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Sleeps durably for as many minutes as its parameters say, once, then finishes with the time.
coro::task<step> napper(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::sleep(std::chrono::minutes{ctx.subtask.parameters.get<std::int64_t>()});
  co_return step::finish(ctx.now.time_since_epoch().count());
}

/// Sleeps until the point in time that its parameters say.
coro::task<step> dater(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::sleep_until(
        timestamp{std::chrono::milliseconds{ctx.subtask.parameters.get<std::int64_t>()}});
  co_return step::finish("late enough");
}

/// Sleeps for a time that cannot be.
coro::task<step> bad_sleeper(step_context& ctx) {
  const auto what = ctx.subtask.parameters.get<std::string>();
  if (what == "negative")
    co_return step::sleep(-1ms);
  if (what == "too long")
    co_return step::sleep(std::chrono::hours{24 * 366 * 11});
  co_return step::sleep_until(ctx.now + std::chrono::hours{24 * 366 * 11});
}

coro::task<step> thinker(step_context& ctx) {
  co_await coro::delay(ctx.self, 10h);
  co_return step::finish("thought");
}

sim::world_options timing() {
  auto options = options_with([](agent_registry& agents, tool_registry&) {
    must(agents.add("napper", napper));
    must(agents.add("dater", dater));
    must(agents.add("bad_sleeper", bad_sleeper));
    must(agents.add("thinker", thinker));
  });
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  return options;
}

plan_spec nap_plan(std::int64_t minutes, std::string_view more = "") {
  return agent_plan(R"({"id": "nap", "agent": "napper", "parameters": )" + std::to_string(minutes)
                    + std::string{more} + "}");
}

constexpr auto shopping = R"({"id": "shop", "steps": [{"tool": "ask"}])";

std::size_t armed_timers(sim::world& world) {
  return query_timers(world.store(), {})->size();
}

} // namespace

TEST_CASE("P2: while an agent sleeps for days there is a timer, and neither actor nor frame") {
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(3 * 24 * 60)});
  const auto begin = world.now();
  CHECK(state_of(world) == "waiting");
  CHECK(status_of(world).waiting.backoff == 1);
  CHECK(coro::live_frames() == 0);
  CHECK(status_of(world).next_timer == begin + 72h);
  CHECK(subtask_of(world, "nap").next_step == begin + 72h);
  check_no_dead_end(world);
  world.advance(71h);
  CHECK(world.resident_sessions() == 0);
  CHECK(state_of(world) == "waiting");
  world.advance(1h);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "nap").result == (begin + 72h).time_since_epoch().count());
  CHECK(facts<subtask_woke>(world).size() == 1);
  CHECK(armed_timers(world) == 0);
}

TEST_CASE("a timer fires after a crash and after a restart, once, without anybody calling") {
  const auto end_process = GENERATE(0, 1);
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(60)});
  const auto end = [&] { end_process == 0 ? world.crash() : world.restart(); };
  end();
  world.advance(59min);
  CHECK(state_of(world) == "waiting");
  end();
  world.advance(1min);
  CHECK(state_of(world) == "completed");
  end();
  world.advance(2h);
  CHECK(facts<subtask_woke>(world).size() == 1);
}

TEST_CASE("a timer that came due while no process ran fires at the next start") {
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(60)});
  // The clock goes on while the node is down: no virtual time passes for its actors.
  world.set_clock(world.now() + 5h);
  world.crash();
  world.advance(1ms);
  CHECK(state_of(world) == "completed");
  CHECK(facts<subtask_woke>(world).size() == 1);
}

TEST_CASE("with timers off, a timer fires at the next command to its session and not before") {
  auto options = timing();
  options.fire_timers = false;
  sim::world world{1, options};
  accept(world, propose_plan{nap_plan(60)}, "s1");
  accept(world, propose_plan{nap_plan(60)}, "s2");
  world.advance(3h);
  world.restart();
  world.advance(3h);
  CHECK(state_of(world, "s1") == "waiting");
  SECTION("a wake") {
    wake(world, "s1");
    CHECK(state_of(world, "s1") == "completed");
  }
  SECTION("a command, which finds the session as the timer left it") {
    CHECK(is(refuse(world, suspend_session{"too late"}, "s1"), errc::not_allowed));
    CHECK(state_of(world, "s1") == "completed");
  }
  CHECK(state_of(world, "s2") == "waiting");
}

TEST_CASE("a clock that is set forward is noticed within the check interval") {
  auto options = timing();
  options.clock_check_interval = 10min;
  sim::world world{1, options};
  accept(world, propose_plan{nap_plan(24 * 60)});
  world.set_clock(world.now() + 48h);
  world.run();
  CHECK(state_of(world) == "waiting");
  world.advance(10min);
  CHECK(state_of(world) == "completed");
  CHECK(facts<subtask_woke>(world).size() == 1);
}

TEST_CASE("a clock that is set back delays a timer by as much, and it fires once") {
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(120)});
  world.advance(1h);
  world.set_clock(world.now() - 5h);
  world.advance(5h);
  CHECK(state_of(world) == "waiting");
  check_no_dead_end(world);
  world.advance(1h + 1ms);
  CHECK(state_of(world) == "completed");
  CHECK(facts<subtask_woke>(world).size() == 1);
}

TEST_CASE("a clock that is set back does not bring back what a timer did") {
  sim::world world{1, timing()};
  accept(world, propose_plan{agent_plan(std::string{shopping} + R"(, "time_limit_ms": 3600000})")});
  world.advance(1h);
  CHECK(state_of(world) == "needs_attention");
  world.set_clock(world.now() - 5h);
  world.advance(10h);
  world.crash();
  wake(world);
  CHECK(facts<subtask_failed>(world).size() == 1);
  CHECK(state_of(world) == "needs_attention");
}

TEST_CASE("a clock that jumps moves timers of every kind with it, and each fires once") {
  struct kind {
    const char* name;
    const char* subtask;
    std::function<std::size_t(sim::world&)> fired;
  };
  const std::vector<kind> kinds{
      {"time limit", R"({"id": "t", "time_limit_ms": 7200000, "steps": [{"tool": "ask"}]})",
       [](sim::world& world) { return facts<subtask_failed>(world).size(); }},
      {"expiry",
       R"({"id": "t", "steps": [{"tool": "ask", "expires_after_ms": 7200000, "on_error": "continue"}]})",
       [](sim::world& world) { return facts<call_answered>(world).size(); }},
      {"sleep of a script", R"({"id": "t", "steps": [{"sleep_ms": 7200000}]})",
       [](sim::world& world) { return facts<subtask_woke>(world).size(); }},
      {"suspension", R"({"id": "t", "steps": [{"tool": "ask"}]})",
       [](sim::world& world) { return facts<session_resumed>(world).size(); }},
      {"plan deadline", R"({"id": "t", "steps": [{"tool": "ask"}]})",
       [](sim::world& world) { return facts<plan_ended>(world).size(); }}};
  for (const auto& one : kinds)
    for (const auto jump : {48h, -5h}) {
      CAPTURE(one.name, jump.count());
      sim::world world{1, timing()};
      accept(world, propose_plan{agent_plan(one.subtask)});
      if (one.name == std::string_view{"suspension"}) {
        suspend_session held{"lunch"};
        held.until = world.now() + 2h;
        accept(world, held);
      }
      if (one.name == std::string_view{"plan deadline"})
        accept(world, set_deadline{world.now() + 2h});
      world.advance(1h);
      world.set_clock(world.now() + jump);
      // The check interval of a world is an hour.
      world.advance(1h + 1ms);
      CHECK(one.fired(world) == (jump > 0h ? 1 : 0));
      check_no_dead_end(world);
      world.advance(5h);
      CHECK(one.fired(world) == 1);
      world.advance(48h);
      CHECK(one.fired(world) == 1);
    }
}

TEST_CASE("more sessions than the alarm clock tells at once wake at the same time, each once") {
  auto options = timing();
  options.passivate_after = 1min;
  sim::world world{1, options};
  const auto name = [](int i) { return "n" + std::to_string(i); };
  constexpr int sessions = 600;
  for (int i = 0; i < sessions; ++i)
    (void)world.send(sid(name(i)), propose_plan{nap_plan(600)});
  world.run();
  CHECK(armed_timers(world) == sessions);
  world.advance(1h);
  REQUIRE(world.resident_sessions() == 0);
  world.advance(9h);
  int completed = 0;
  for (int i = 0; i < sessions; ++i)
    completed +=
        state_of(world, name(i)) == "completed" && facts<subtask_woke>(world, name(i)).size() == 1;
  CHECK(completed == sessions);
  CHECK(armed_timers(world) == 0);
}

TEST_CASE("P10: sessions whose timers are due together do not need more room than there is") {
  auto options = timing();
  options.limits.resident_sessions = 20;
  sim::world world{1, options};
  const auto name = [](int i) { return "n" + std::to_string(i); };
  constexpr int sessions = 300;
  for (int i = 0; i < sessions; ++i) {
    (void)world.send(sid(name(i)), propose_plan{nap_plan(600)});
    world.advance(1s);
  }
  world.advance(11h);
  int completed = 0;
  for (int i = 0; i < sessions; ++i)
    completed += state_of(world, name(i)) == "completed";
  CHECK(completed == sessions);
}

TEST_CASE("P6: a timer whose commit's acknowledgement was lost fires all the same") {
  sim::world world{1, timing()};
  world.advance(1s); // the runtime has looked for timers that were armed before it started
  world.store().fail_next(memory_fault::lose_ack);
  CHECK(is(refuse(world, propose_plan{nap_plan(60)}), errc::io_error));
  REQUIRE(state_of(world) == "waiting");
  world.advance(2h);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P6: a timer that cannot be dealt with is tried again, behind the others") {
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(60)}, "s1");
  accept(world, propose_plan{nap_plan(60)}, "s2");
  int failures = 3;
  world.store().on_write(
      [&](std::uint64_t) { return failures-- > 0 ? memory_fault::disk_full : memory_fault::none; });
  world.advance(61min);
  CHECK(state_of(world, "s1") == "completed");
  CHECK(state_of(world, "s2") == "completed");
}

TEST_CASE(
    "a timer that cannot be dealt with for long is tried again now and then, and not at once") {
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(60)});
  world.store().fail_writes(memory_fault::disk_full);
  const auto before = world.store().writes();
  world.advance(70min);
  CHECK(world.store().writes() > before + 10);
  CHECK(world.store().writes() < before + 1'000);
  world.store().fail_writes({});
  world.advance(1min);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a session whose records are damaged does not keep the timers of others from firing") {
  sim::world world{1, timing()};
  accept(world, propose_plan{nap_plan(60)}, "s1");
  accept(world, propose_plan{nap_plan(60)}, "s2");
  world.crash();
  REQUIRE(world.store().corrupt_record(1, plan_key(1)));
  world.advance(2h);
  CHECK(state_of(world, "s2") == "completed");
}

TEST_CASE("P6: a damaged timer does not keep those of others from firing, and is told of once") {
  struct listener final : runtime_observer {
    void damage_found(const caf::error& damage) override {
      CHECK(is(damage, errc::store_corrupt));
      ++told;
    }
    int told = 0;
  };
  auto options = timing();
  const auto observer = std::make_shared<listener>();
  options.observer = observer;
  sim::world world{1, options};
  accept(world, propose_plan{nap_plan(60)}, "s1");
  accept(world, propose_plan{nap_plan(60)}, "s2");
  SECTION("also not its own, where its session can be read, which takes it away") {
    const auto due = must(query_timers(world.store(), {})).front().due;
    REQUIRE(world.store().corrupt_timer(1, due, session_timer));
    world.advance(2h);
    CHECK(state_of(world, "s1") == "completed");
    CHECK(armed_timers(world) == 0);
    CHECK(world.store().verify().sound());
  }
  SECTION("where its session cannot be read") {
    world.crash();
    REQUIRE(world.store().corrupt_record(1, head_key()));
    world.advance(2h);
    CHECK(armed_timers(world) == 1);
  }
  CHECK(state_of(world, "s2") == "completed");
  CHECK(observer->told == 1);
}

TEST_CASE("a point in time that has passed is now, and one beyond the horizon fails the subtask") {
  sim::world world{1, timing()};
  SECTION("passed") {
    accept(world, propose_plan{agent_plan(R"({"id": "d", "agent": "dater", "parameters": 1000})")});
    CHECK(state_of(world) == "completed");
    CHECK(facts<subtask_woke>(world).size() == 1);
  }
  SECTION("negative, or beyond the horizon") {
    accept(world, propose_plan{agent_plan(
                      R"({"id": "a", "agent": "bad_sleeper", "parameters": "negative"},
                         {"id": "b", "agent": "bad_sleeper", "parameters": "too long"},
                         {"id": "c", "agent": "bad_sleeper", "parameters": "too late"})")});
    CHECK(state_of(world) == "needs_attention");
    CHECK(contains(subtask_of(world, "a").error, "negative"));
    CHECK(contains(subtask_of(world, "b").error, "timer_horizon"));
    CHECK(contains(subtask_of(world, "c").error, "timer_horizon"));
    CHECK(armed_timers(world) == 0);
  }
}

TEST_CASE("P10: a deadline or suspension in the past or beyond the horizon is refused, and nothing "
          "changes") {
  sim::world world{1, timing()};
  accept(world, propose_plan{agent_plan(std::string{shopping} + "}")});
  const auto refused = [&](command body, errc code, std::string_view says) {
    const auto error = refuse_unchanged(world, std::move(body));
    CHECK(is(error, code));
    CHECK(contains(message_of(error), says));
  };
  const auto past = world.now();
  const auto far = world.now() + std::chrono::hours{24 * 366 * 11};
  refused(set_deadline{past}, errc::invalid_field, "has passed");
  refused(set_deadline{past, stid("shop")}, errc::invalid_field, "has passed");
  refused(set_deadline{far}, errc::limit_exceeded, "timer_horizon");
  refused(set_deadline{far, stid("shop")}, errc::limit_exceeded, "timer_horizon");
  refused(set_deadline{world.now() + 1h, stid("nobody")}, errc::unknown_subtask, "nobody");
  suspend_session suspended;
  suspended.until = past;
  refused(suspended, errc::invalid_field, "has passed");
  suspended.until = far;
  refused(suspended, errc::limit_exceeded, "timer_horizon");
  accept(world, set_deadline{world.now() + 1ms});
}

TEST_CASE("when a plan's deadline passes, the plan has failed and its open calls have expired") {
  sim::world world{1, timing()};
  accept(world,
         propose_plan{agent_plan(std::string{shopping} + R"(}, {"id": "later", "result": 1})")});
  accept(world, set_deadline{world.now() + 48h});
  CHECK(status_of(world).next_timer == world.now() + 48h);
  world.advance(47h);
  CHECK(state_of(world) == "waiting");
  world.advance(1h);
  CHECK(state_of(world) == "failed");
  CHECK(call_of(world, 1).answer->outcome == call_outcome::expired);
  CHECK(contains(status_of(world).plan->feedback, "deadline_passed"));
  CHECK(accept(world, tool_result{cid(1), 1}).kind == receipt_kind::late);
  CHECK(armed_timers(world) == 0);
  check_no_dead_end(world);
}

TEST_CASE("P6: the deadline of a plan that needs attention ends it, if nobody helps before") {
  sim::world world{1, timing()};
  accept(world, propose_plan{agent_plan(std::string{shopping} + "}")});
  accept(world, cancel_subtask{stid("shop"), "no"});
  REQUIRE(state_of(world) == "needs_attention");
  accept(world, set_deadline{world.now() + 1h});
  world.advance(1h);
  CHECK(state_of(world) == "failed");
  check_no_dead_end(world);
}

TEST_CASE("when a subtask's deadline passes, it has failed, also while it runs, waits or is not "
          "ready, and can be retried") {
  sim::world world{1, timing()};
  SECTION("its call waits") {
    accept(world, propose_plan{agent_plan(std::string{shopping}
                                          + R"(}, {"id": "after", "depends_on": ["shop"]})")});
    accept(world, set_deadline{world.now() + 2h, stid("shop")});
    world.advance(2h);
    CHECK(call_of(world, 1).answer->outcome == call_outcome::expired);
    CHECK(statuses_of(world) == std::vector{subtask_status::failed, subtask_status::blocked});
    CHECK(state_of(world) == "needs_attention");
    accept(world, retry_subtask{stid("shop")});
    CHECK(state_of(world) == "waiting");
    CHECK_FALSE(subtask_of(world, "shop").deadline);
  }
  SECTION("its agent thinks: the step's frames are destroyed") {
    accept(world, propose_plan{agent_plan(R"({"id": "shop", "agent": "thinker"})")});
    CHECK(coro::live_frames() > 0);
    accept(world, set_deadline{world.now() + 2h, stid("shop")});
    world.advance(2h);
    CHECK(coro::live_frames() == 0);
    CHECK(subtask_of(world, "shop").status == subtask_status::failed);
  }
  SECTION("it sleeps") {
    accept(world, propose_plan{nap_plan(600)});
    accept(world, set_deadline{world.now() + 2h, stid("nap")});
    CHECK(status_of(world).next_timer == world.now() + 2h);
    world.advance(2h);
    CHECK(subtask_of(world, "nap").status == subtask_status::failed);
    CHECK(armed_timers(world) == 0);
  }
  SECTION("it is pending: the one before it goes on") {
    accept(world, propose_plan{agent_plan(std::string{shopping} + R"(}, {"id": "after"})")});
    accept(world, set_deadline{world.now() + 2h, stid("after")});
    world.advance(2h);
    CHECK(statuses_of(world) == std::vector{subtask_status::running, subtask_status::failed});
    CHECK(state_of(world) == "waiting");
  }
  check_no_dead_end(world);
  CHECK(facts<subtask_failed>(world).size() == 1);
  CHECK(contains(facts<subtask_failed>(world)[0].reason, "deadline_passed"));
}

TEST_CASE("a deadline can be moved and cleared") {
  sim::world world{1, timing()};
  accept(world, propose_plan{agent_plan(std::string{shopping} + "}")});
  accept(world, set_deadline{world.now() + 1h});
  accept(world, set_deadline{world.now() + 1h, stid("shop")});
  accept(world, set_deadline{world.now() + 5h});
  accept(world, set_deadline{std::nullopt, stid("shop")});
  CHECK(status_of(world).next_timer == world.now() + 5h);
  world.advance(2h);
  CHECK(state_of(world) == "waiting");
  accept(world, set_deadline{std::nullopt});
  CHECK(armed_timers(world) == 0);
  world.advance(10h);
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("a subtask's time limit is of one attempt, pauses included") {
  sim::world world{1, timing()};
  accept(world, propose_plan{agent_plan(std::string{shopping} + R"(, "time_limit_ms": 3600000})")});
  CHECK(subtask_of(world, "shop").deadline == world.now() + 1h);
  world.advance(59min);
  CHECK(state_of(world) == "waiting");
  world.advance(1min);
  CHECK(subtask_of(world, "shop").status == subtask_status::failed);
  accept(world, retry_subtask{stid("shop")});
  CHECK(subtask_of(world, "shop").deadline == world.now() + 1h);
  accept(world, approve(2));
  accept(world, tool_result{cid(2), 1});
  CHECK(state_of(world) == "completed");
  CHECK(armed_timers(world) == 0);
}

TEST_CASE("P1 P6: timers of every kind fire, with a fault at every commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.options = timing();
    story.first = propose_plan{agent_plan(R"({"id": "nap", "agent": "napper", "parameters": 100},
                      {"id": "shop", "steps": [{"tool": "ask"}], "time_limit_ms": 7200000},
                      {"id": "again", "agent": "napper", "parameters": 10},
                      {"id": "last", "agent": "napper", "parameters": 60000})")};
    story.answer = [](const pending_item&) { return std::nullopt; };
    // Somebody sets a deadline, and gives up what its passing has brought about.
    story.act = [](sim::world& world) -> std::optional<command> {
      const auto status = status_of(world);
      if (status.subtasks[1].status == subtask_status::failed)
        return skip_subtask{stid("shop")};
      if (status.subtasks[3].status == subtask_status::running
          && facts<deadline_set>(world).empty())
        return set_deadline{world.now() + 1h};
      return std::nullopt;
    };
    story.end = "failed";
    story.calls = 1;
    story.check = [](sim::world& world) {
      CHECK(facts<subtask_woke>(world).size() == 2);
      CHECK(facts<subtask_failed>(world).size() == 1);
      CHECK(facts<deadline_set>(world).size() == 1);
      CHECK(call_of(world, 1).answer->outcome == call_outcome::expired);
      CHECK(armed_timers(world) == 0);
    };
    return story;
  });
}

} // namespace timer_test
