// Cancellation of calls, subtasks and plans, and holding a session: what runs is told, what waits
// is closed, and what comes late is late.

#include "faults.hpp"

namespace cancel_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// How many runs of `slow` have begun, ended, and been destroyed.
struct run_log {
  int begun = 0;
  int ended = 0;
  int destroyed = 0;
};

run_log& slow_runs() {
  static run_log log;
  return log;
}

class leaving_note {
public:
  leaving_note() = default;
  leaving_note(const leaving_note&) = delete;
  leaving_note& operator=(const leaving_note&) = delete;
  ~leaving_note() { ++slow_runs().destroyed; }
};

coro::task<json> slow_run(caf::event_based_actor* self, const tool_context&) {
  const leaving_note note;
  ++slow_runs().begun;
  co_await coro::delay(self, 5h);
  ++slow_runs().ended;
  co_return json("slow and steady");
}

coro::task<step> thinker(step_context& ctx) {
  co_await coro::delay(ctx.self, 10h);
  co_return step::finish("thought");
}

/// Sees a question, a call and a slow run through, and finishes with the outcomes.
coro::task<step> juggler(step_context& ctx) {
  if (ctx.tool_results().empty()) {
    std::vector<tool_request> requests;
    requests.emplace_back(question_tool(), json{{"question", "Well?"}});
    requests.emplace_back(tid("ask"), json::object());
    requests.emplace_back(tid("slow"), json::object());
    co_return step::calls(std::move(requests));
  }
  json seen = json::array();
  for (const auto& call : ctx.tool_results())
    seen.push_back(to_json(call.answer));
  co_return step::finish(std::move(seen));
}

coro::task<step> stumbler(step_context&) {
  co_return step::fail_retryable("stumbled");
}

/// Asks a model's worth of tokens, then thinks about the answer.
coro::task<step> spender(step_context& ctx) {
  ctx.usage.requests = 1;
  ctx.usage.input_tokens = 100;
  co_await coro::delay(ctx.self, 10h);
  co_return step::finish("thought");
}

sim::world_options cancelling() {
  slow_runs() = {};
  return unattended([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("thinker", thinker));
    must(agents.add("juggler", juggler));
    must(agents.add("stumbler", stumbler));
    must(agents.add("spender", spender));
    tool slow;
    slow.name = tid("slow");
    slow.run = coroutine_tool{slow_run};
    must(tools.add(std::move(slow)));
  });
}

plan_spec juggle() {
  return agent_plan(R"({"id": "w", "agent": "juggler"}, {"id": "after", "depends_on": ["w"]})");
}

std::string outcome_of(sim::world& world, std::uint64_t call) {
  const auto found = call_of(world, call);
  return found.answer ? std::string{enum_names(
             found.answer->outcome)[static_cast<std::size_t>(found.answer->outcome)]}
                      : "open";
}

} // namespace

TEST_CASE(
    "P4: a running coroutine tool whose call is cancelled is destroyed, and the agent sees why") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(R"({"tool": "slow", "on_error": "continue"})")});
  REQUIRE(slow_runs().begun == 1);
  cancel_call cancelled{cid(1), "takes too long"};
  cancelled.by = "ada";
  accept(world, cancelled);
  CHECK(slow_runs().destroyed == 1);
  CHECK(slow_runs().ended == 0);
  CHECK(coro::live_frames() == 0);
  CHECK(outcome_of(world, 1) == "cancelled");
  CHECK(call_of(world, 1).answer->content.at("reason") == "takes too long");
  CHECK(call_of(world, 1).by == "ada");
  CHECK(state_of(world) == "completed");
  world.advance(10h);
  CHECK(facts<late_result>(world).empty());
  CHECK(accept(world, cancelled).kind == receipt_kind::duplicate);
}

TEST_CASE(
    "a call can be cancelled in each state that it waits in, and not when it has its result") {
  auto options = cancelling();
  options.policy = approval_policy::reads().prefer(policy_rule::for_plans(policy_action::allow));
  const auto status = GENERATE(call_status::awaiting_decision, call_status::awaiting_result,
                               call_status::awaiting_answer, call_status::queued,
                               call_status::claimed, call_status::awaiting_outcome);
  CAPTURE(static_cast<int>(status));
  sim::world asking{1, options};
  const auto start = [&](std::string_view tool) {
    accept(asking, propose_plan{script_plan(R"({"on_error": "continue", "tool": ")"
                                            + std::string{tool} + "\"}")});
  };
  switch (status) {
  case call_status::awaiting_decision:
    start("ask");
    break;
  case call_status::awaiting_result:
    start("ask");
    accept(asking, approve(1));
    break;
  case call_status::awaiting_answer:
    accept(asking,
           propose_plan{script_plan(R"({"on_error": "continue", "tool": ")" + question_tool().str()
                                    + R"(", "arguments": {"question": "Well?"}})")});
    break;
  case call_status::queued:
    start("slow");
    accept(asking, suspend_session{"hold it"});
    accept(asking, approve(1));
    break;
  case call_status::claimed:
    start("slow");
    accept(asking, approve(1));
    break;
  default:
    start("slow");
    accept(asking, approve(1));
    asking.crash();
    wake(asking);
    break;
  }
  REQUIRE(call_of(asking, 1).status == status);
  accept(asking, cancel_call{cid(1), "no"});
  CHECK(outcome_of(asking, 1) == "cancelled");
  CHECK(pending_of(asking).empty());
  CHECK(status_of(asking).waiting.total() == 0);
  check_no_dead_end(asking);
  if (state_of(asking) == "suspended")
    accept(asking, resume_session{});
  CHECK(state_of(asking) == "completed");
  CHECK(coro::live_frames() == 0);
  CHECK(is(refuse_unchanged(asking, cancel_call{cid(2), "no"}), errc::unknown_call));
  CHECK(is(refuse_unchanged(asking, cancel_call{cid(1, "s2"), "no"}), errc::unknown_call));
}

TEST_CASE("a call that has its result cannot be cancelled any more") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  accept(world, tool_result{cid(1), 1});
  CHECK(is(refuse_unchanged(world, cancel_call{cid(1), "no"}), errc::already_answered));
}

TEST_CASE("P4: results and answers that come after a cancellation are late") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{juggle()});
  accept(world, cancel_subtask{stid("w"), "no"});
  CHECK(accept(world, answer_question{cid(1), "well"}).kind == receipt_kind::late);
  CHECK(accept(world, tool_result{cid(2), 1}).kind == receipt_kind::late);
  CHECK(facts<late_result>(world).size() == 2);
  for (std::uint64_t call = 1; call <= 3; ++call)
    CHECK(outcome_of(world, call) == "cancelled");
  CHECK(slow_runs().destroyed == 1);
}

TEST_CASE("P4: what a blocking tool reports after its call was cancelled is late, and one that has "
          "not begun does not begin") {
  int begun = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    bool has_begun = false;
    sim::world world{seed, unattended([&](agent_registry&, tool_registry& tools) {
                       tool quick;
                       quick.name = tid("quick");
                       quick.run = blocking_tool{[&](const tool_context&) -> result<json> {
                         has_begun = true;
                         return "done";
                       }};
                       must(tools.add(std::move(quick)));
                     })};
    // The cancellation is handled behind the commit that claims the call.
    const auto proposed = world.send(
        sid(), propose_plan{script_plan(R"({"tool": "quick", "on_error": "continue"})")});
    const auto cancelled = world.send(sid(), cancel_call{cid(1), "no"});
    world.run();
    REQUIRE(proposed.accepted());
    REQUIRE(cancelled.accepted());
    CHECK(state_of(world) == "completed");
    CHECK(facts<call_answered>(world).size() == 1);
    CHECK(outcome_of(world, 1) == "cancelled");
    CHECK(facts<late_result>(world).size() == 1);
    begun += has_begun;
  }
  CHECK(begun > 0);
  CHECK(begun < 40);
}

TEST_CASE("a cancelled subtask blocks those that depend on it, and can be retried or skipped") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{juggle()});
  accept(world, cancel_subtask{stid("w"), "not now"});
  CHECK(statuses_of(world) == std::vector{subtask_status::cancelled, subtask_status::blocked});
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "w").error, "not now"));
  CHECK(pending_of(world).empty());
  check_no_dead_end(world);
  CHECK(is(refuse_unchanged(world, cancel_subtask{stid("w"), "again"}), errc::not_allowed));
  CHECK(is(refuse_unchanged(world, cancel_subtask{stid("nobody"), "x"}), errc::unknown_subtask));
  SECTION("retried: from the beginning") {
    accept(world, retry_subtask{stid("w")});
    CHECK(statuses_of(world) == std::vector{subtask_status::running, subtask_status::pending});
    CHECK(slow_runs().begun == 2);
    accept(world, answer_question{cid(4), 1});
    accept(world, tool_result{cid(5), 1});
    world.advance(5h);
  }
  SECTION("skipped: the next one runs") {
    accept(world, skip_subtask{stid("w")});
  }
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a subtask can be cancelled in each state that it is open in") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "thinker"}, {"id": "next"},
      {"id": "blocked", "depends_on": ["next"]})")});
  CHECK(coro::live_frames() > 0);
  accept(world, cancel_subtask{stid("next"), "pending"});
  CHECK(
      statuses_of(world)
      == std::vector{subtask_status::running, subtask_status::cancelled, subtask_status::blocked});
  accept(world, cancel_subtask{stid("blocked"), "blocked"});
  CHECK(subtask_of(world, "blocked").status == subtask_status::cancelled);
  accept(world, cancel_subtask{stid("w"), "running"});
  CHECK(coro::live_frames() == 0);
  CHECK(state_of(world) == "needs_attention");
  world.advance(20h);
  CHECK(facts<subtask_finished>(world).empty());
  accept(world, skip_subtask{stid("w")});
  accept(world, skip_subtask{stid("next")});
  CHECK(is(refuse_unchanged(world, cancel_subtask{stid("next"), "x"}), errc::not_allowed));
  CHECK(state_of(world) == "needs_attention");
  accept(world, skip_subtask{stid("blocked")});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a subtask that backs off, and one that has failed, can be cancelled as well") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{agent_plan(R"({"id": "off", "agent": "stumbler",
      "retry": {"max_attempts": 9, "initial_backoff_ms": 3600000}},
      {"id": "failed", "agent": "stumbler"}, {"id": "after", "depends_on": ["failed"]})")});
  CHECK(
      statuses_of(world)
      == std::vector{subtask_status::backing_off, subtask_status::failed, subtask_status::blocked});
  accept(world, cancel_subtask{stid("off"), "no more"});
  CHECK_FALSE(status_of(world).next_timer);
  accept(world, cancel_subtask{stid("failed"), "no use"});
  CHECK(statuses_of(world)
        == std::vector{subtask_status::cancelled, subtask_status::cancelled,
                       subtask_status::blocked});
  CHECK(contains(subtask_of(world, "failed").error, "no use"));
  world.advance(48h);
  CHECK(facts<subtask_retried>(world).empty());
  CHECK(state_of(world) == "needs_attention");
  // One that depends on what is not done waits for it, also when it is retried.
  accept(world, cancel_subtask{stid("after"), "no use either"});
  accept(world, retry_subtask{stid("after")});
  CHECK(subtask_of(world, "after").status == subtask_status::blocked);
  CHECK(contains(subtask_of(world, "after").error, "blocked by failed"));
  check_no_dead_end(world);
}

TEST_CASE("a tool that runs when its subtask's time is up is told to stop") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(R"({"tool": "slow"})")});
  accept(world, set_deadline{world.now() + 1h, stid("w")});
  world.advance(1h);
  CHECK(outcome_of(world, 1) == "expired");
  CHECK(slow_runs().destroyed == 1);
  CHECK(slow_runs().ended == 0);
  CHECK(coro::live_frames() == 0);
  check_no_dead_end(world);
}

TEST_CASE("what a step asked of models is counted, also when the step is thrown away") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "spender"})")});
  SECTION("its subtask is cancelled") {
    accept(world, cancel_subtask{stid("w"), "no need"});
  }
  SECTION("its session is suspended") {
    accept(world, suspend_session{"lunch"});
  }
  SECTION("its deadline passes") {
    accept(world, set_deadline{world.now() + 1h});
    world.advance(1h);
  }
  CHECK(coro::live_frames() == 0);
  CHECK(status_of(world).usage == model_usage{1, 100, 0});
}

TEST_CASE("P4: a cancelled plan closes what waits, tells what runs, and leaves no open call") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{juggle()});
  CHECK(status_of(world).waiting.answer == 1);
  CHECK(status_of(world).waiting.result == 1);
  cancel_plan cancelled{"enough"};
  cancelled.by = "ada";
  accept(world, cancelled);
  CHECK(state_of(world) == "cancelled");
  CHECK(slow_runs().destroyed == 1);
  CHECK(slow_runs().ended == 0);
  for (std::uint64_t call = 1; call <= 3; ++call) {
    CHECK(outcome_of(world, call) == "cancelled");
    CHECK(call_of(world, call).answer->content.at("reason") == "enough");
  }
  CHECK(pending_of(world).empty());
  CHECK(coro::live_frames() == 0);
  check_no_dead_end(world);
  CHECK(is(refuse_unchanged(world, cancel_plan{"again"}), errc::not_allowed));
  world.advance(10h);
  CHECK(facts<call_answered>(world).size() == 3);
}

TEST_CASE("P1: a tool is only told of a cancellation that is stored") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(R"({"tool": "slow"})")});
  world.store().fail_next(memory_fault::disk_full);
  CHECK(is(refuse(world, cancel_call{cid(1), "no"}), errc::disk_full));
  CHECK(slow_runs().destroyed == 0);
  world.advance(6h);
  CHECK(slow_runs().ended == 1);
  CHECK(outcome_of(world, 1) == "succeeded");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("while a session is suspended nothing starts, decisions and results are taken, and what "
          "runs ends") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{juggle()});
  suspend_session held{"lunch"};
  held.by = "ada";
  accept(world, held);
  CHECK(state_of(world) == "suspended");
  accept(world, answer_question{cid(1), "well"});
  accept(world, tool_result{cid(2), 1});
  world.advance(6h);
  CHECK(slow_runs().ended == 1);
  CHECK(outcome_of(world, 3) == "succeeded");
  CHECK(state_of(world) == "suspended");
  CHECK(facts<subtask_finished>(world).empty());
  check_no_dead_end(world);
  world.crash();
  wake(world);
  CHECK(state_of(world) == "suspended");
  accept(world, resume_session{"ada"});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result.size() == 3);
  CHECK(is(refuse_unchanged(world, resume_session{}), errc::not_allowed));
}

TEST_CASE("a step that is under way when its session is suspended starts nothing, and its work is "
          "not lost or repeated silently") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "thinker"}, {"id": "next"})")});
  accept(world, suspend_session{"lunch"});
  world.advance(11h);
  CHECK(state_of(world) == "suspended");
  CHECK(subtask_of(world, "next").attempts == 0);
  accept(world, resume_session{});
  world.advance(11h);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a suspended plan that is approved does not start before it is resumed") {
  sim::world_options options;
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  accept(world, suspend_session{"hold it"});
  accept(world, approve_plan());
  CHECK(state_of(world) == "suspended");
  CHECK(facts<plan_started>(world).empty());
  CHECK(facts<call_proposed>(world).empty());
  accept(world, resume_session{});
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("a suspension until a point in time ends then, and can be changed") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  suspend_session held{"lunch"};
  held.until = world.now() + 1h;
  accept(world, held);
  CHECK(status_of(world).suspended_until == world.now() + 1h);
  SECTION("as it was") {
    world.crash();
    world.advance(1h - 1ms);
    CHECK(state_of(world) == "suspended");
    world.advance(1ms);
    CHECK(state_of(world) == "waiting");
    CHECK(facts<session_resumed>(world)[0].by == "timer");
  }
  SECTION("longer") {
    held.until = world.now() + 3h;
    accept(world, held);
    world.advance(2h);
    CHECK(state_of(world) == "suspended");
    world.advance(1h);
    CHECK(state_of(world) == "waiting");
  }
  SECTION("for ever") {
    held.until.reset();
    accept(world, held);
    world.advance(100h);
    CHECK(state_of(world) == "suspended");
    accept(world, resume_session{});
  }
  CHECK_FALSE(status_of(world).next_timer);
  CHECK_FALSE(status_of(world).suspended_until);
  check_no_dead_end(world);
}

TEST_CASE("a plan that ends while its session is suspended ends the suspension") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  suspend_session held{"lunch"};
  held.until = world.now() + 1h;
  accept(world, held);
  accept(world, cancel_plan{"enough"});
  CHECK(state_of(world) == "cancelled");
  CHECK_FALSE(status_of(world).next_timer);
  world.advance(2h);
  CHECK(facts<session_resumed>(world).empty());
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("timers fire while a session is suspended, and what they bring about waits") {
  sim::world world{1, cancelling()};
  accept(world, propose_plan{script_plan(
                    R"({"tool": "ask", "expires_after_ms": 3600000, "on_error": "continue"})")});
  accept(world, suspend_session{"lunch"});
  world.advance(2h);
  CHECK(outcome_of(world, 1) == "expired");
  CHECK(state_of(world) == "suspended");
  accept(world, resume_session{});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("what an earlier plan left cannot be changed while its successor is held") {
  sim::world_options options = cancelling();
  options.policy.prefer(policy_rule::for_plans(policy_action::ask));
  sim::world world{1, options};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  accept(world, approve_plan());
  accept(world, tool_result{cid(1), "no", true});
  accept(world, fail_plan{"enough"});
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  accept(world, suspend_session{"hold it"});
  for (const auto& body : {command{retry_subtask{stid("w")}}, command{skip_subtask{stid("w")}},
                           command{cancel_subtask{stid("w"), "x"}}, command{set_deadline{{}}}}) {
    CAPTURE(name_of(body));
    const auto sent = world.send(sid(), body);
    world.run();
    CHECK_FALSE(sent.accepted());
  }
}

TEST_CASE("P1 P4 P6: cancellations of calls, subtasks and plans are whole with a fault at every "
          "commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.options = cancelling();
    story.first =
        propose_plan{agent_plan(R"({"id": "a", "agent": "juggler"}, {"id": "b", "agent": "juggler"},
                      {"id": "c", "agent": "juggler"}, {"id": "d", "depends_on": ["c"]})")};
    story.answer = [](const pending_item& item) -> std::optional<command> {
      // In the first subtask all is answered that can be; the rest is cancelled.
      const auto call = *call_id::parse(item.id);
      if (item.waiting_for == wait_cause::outcome)
        return resolve_outcome{call, outcome_resolution::failed};
      if (call.number() > 3)
        return std::nullopt;
      return default_answer(item);
    };
    story.act = [](sim::world& world) -> std::optional<command> {
      const auto subtasks = status_of(world).subtasks;
      if (const auto slow = query_call(world.store(), cid(3)); slow && !slow->answer)
        return cancel_call{cid(3), "takes too long"};
      if (subtasks[1].status == subtask_status::running)
        return cancel_subtask{stid("b"), "no need"};
      if (subtasks[1].status == subtask_status::cancelled
          && subtasks[2].status == subtask_status::running && !status_of(world).suspended_until
          && facts<session_suspended>(world).empty()) {
        suspend_session held{"a moment"};
        held.until = world.now() + 2h;
        return held;
      }
      if (!facts<session_resumed>(world).empty())
        return cancel_plan{"enough"};
      return std::nullopt;
    };
    story.end = "cancelled";
    story.calls = 9;
    story.check = [](sim::world& world) {
      CHECK(outcome_of(world, 1) == "succeeded");
      for (std::uint64_t call = 4; call <= 9; ++call)
        CHECK((outcome_of(world, call) == "cancelled" || outcome_of(world, call) == "failed"));
      CHECK(facts<subtask_cancelled>(world).size() == 1);
      CHECK(facts<session_resumed>(world).size() == 1);
      CHECK(statuses_of(world)
            == std::vector{subtask_status::done, subtask_status::cancelled,
                           subtask_status::cancelled, subtask_status::cancelled});
    };
    return story;
  });
}

} // namespace cancel_test
