// A plan that is revised while it is in progress: what is done stays, what runs goes on where
// nothing has changed, and whoever approves sees what will become of what.

#include "faults.hpp"

namespace replan_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

coro::task<json> slow_run(caf::event_based_actor* self, const tool_context&) {
  co_await coro::delay(self, 5h);
  co_return json("slow and steady");
}

coro::task<step> thinker(step_context& ctx) {
  co_await coro::delay(ctx.self, 1h);
  co_return step::finish({{"revision", ctx.revision}, {"description", ctx.subtask.description}});
}

coro::task<step> napper(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::sleep(2h);
  co_return step::finish("rested");
}

coro::task<step> stumbler(step_context& ctx) {
  if (ctx.attempt < 2)
    co_return step::fail_retryable("stumbled");
  co_return step::finish(ctx.attempt);
}

/// Proposes the plan in its parameters where it has heard of no proposal; else finishes with what
/// it was told.
coro::task<step> proposer(step_context& ctx) {
  json told = json::array();
  for (const auto& entry : ctx.transcript)
    if (entry.source == entry_source::runtime)
      told.push_back(entry.text);
  if (told.empty())
    co_return step::propose(*parse_plan(ctx.subtask.parameters.get<std::string>()));
  co_return step::finish(std::move(told));
}

/// Proposes a plan in which its own subtask goes on, as often as it is asked.
coro::task<step> extender(step_context& ctx) {
  if (!ctx.transcript.empty())
    co_return step::finish(ctx.transcript.size());
  plan_spec more;
  more.goal = "more";
  more.subtasks.push_back(ctx.subtask);
  more.subtasks.emplace_back().id = stid("added");
  co_return step::propose(std::move(more));
}

/// Calls `ask`, and finishes with what users said.
coro::task<step> listener(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("ask", json::object());
  json heard = json::array();
  for (const auto& entry : ctx.transcript)
    if (entry.source == entry_source::user)
      heard.push_back(entry.text);
  co_return step::finish(std::move(heard));
}

sim::world_options replanning() {
  return options_with([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("thinker", thinker));
    must(agents.add("napper", napper));
    must(agents.add("stumbler", stumbler));
    must(agents.add("proposer", proposer));
    must(agents.add("extender", extender));
    must(agents.add("listener", listener));
    tool slow;
    slow.name = tid("slow");
    slow.run = coroutine_tool{slow_run};
    must(tools.add(std::move(slow)));
  });
}

/// a is done; b, which depends on it, calls `ask`; c and d follow.
plan_spec four(std::string_view c = "") {
  return agent_plan(R"({"id": "a", "result": 1},
    {"id": "b", "depends_on": ["a"], "steps": [{"tool": "ask"}]},
    {"id": "c", "description": ")"
                    + std::string{c} + R"(", "depends_on": ["b"]}, {"id": "d"})");
}

void start(sim::world& world, const plan_spec& what) {
  accept(world, propose_plan{what});
  accept(world, approve_plan());
}

std::string fates(sim::world& world, std::optional<std::uint32_t> revision = {}) {
  const auto diff = query_plan_diff(world.store(), sid(), revision);
  REQUIRE(diff);
  std::string text;
  for (const auto& change : diff->subtasks)
    text += (text.empty() ? "" : ", ") + change.subtask.str() + " " + enum_name(change.fate);
  return text;
}

} // namespace

TEST_CASE("a replan keeps what is done and goes on with what runs, as its diff says") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, approve(1));
  const auto started = facts<subtask_started>(world).size();
  auto next = four("otherwise");
  next.subtasks.pop_back();
  next.subtasks.emplace_back().id = stid("e");
  next.goal = "another goal";
  accept(world, revise_plan{next});
  CHECK(fates(world) == "a kept, b continued, c changed, e added, d dropped");
  CHECK(query_plan_diff(world.store(), sid())->goal_before == "g");
  CHECK(query_plan_diff(world.store(), sid())->replaces == 1);
  CHECK(status_of(world).waiting.result == 1);
  check_no_dead_end(world);
  accept(world, approve_plan(2));
  CHECK(fates(world, 2) == "a kept, b continued, c changed, e added, d dropped");
  CHECK(statuses_of(world)
        == std::vector{subtask_status::done, subtask_status::running, subtask_status::pending,
                       subtask_status::pending});
  CHECK(facts<subtask_started>(world).size() == started);
  CHECK(subtask_of(world, "a").result == 1);
  world.crash();
  accept(world, tool_result{cid(1), 7});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "b").result == 7);
  CHECK(subtask_of(world, "b").attempts == 1);
  CHECK(facts<call_proposed>(world).size() == 1);
  CHECK(query_plan(world.store(), sid(), 1)->goal == "g");
}

TEST_CASE(
    "P9: what waits for a decision when the plan is replaced is asked again, under a new digest") {
  sim::world world{1, replanning()};
  start(world, four());
  const auto shown = pending_of(world).at(0);
  accept(world, revise_plan{four("otherwise")});
  CHECK(call_of(world, 1).digest == shown.digest); // nothing is decided yet
  accept(world, approve_plan(2));
  const auto again = pending_of(world).at(0);
  CHECK(again.id == shown.id);
  CHECK(again.digest != shown.digest);
  REQUIRE(facts<call_asked_again>(world).size() == 1);
  CHECK(contains(facts<call_asked_again>(world)[0].reason, "revision 2"));
  auto decision = approve(1);
  decision.digest = shown.digest;
  CHECK(is(refuse_unchanged(world, decision), errc::stale_approval));
  decision.digest = again.digest;
  accept(world, decision);
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a subtask under way that changed begins anew, and its open calls are closed") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, approve(1));
  auto next = four();
  next.subtasks[1].description = "otherwise";
  accept(world, revise_plan{next});
  CHECK(fates(world) == "a kept, b changed, c unchanged, d unchanged");
  accept(world, approve_plan(2));
  CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  CHECK(contains(to_text(call_of(world, 1).answer->content), "revision 2"));
  CHECK(accept(world, tool_result{cid(1), 1}).kind == receipt_kind::late);
  CHECK(pending_of(world).size() == 1);
  accept(world, approve(2));
  accept(world, tool_result{cid(2), 2});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "b").result == 2);
}

TEST_CASE("a running tool of a subtask that is dropped or changed is told to stop") {
  sim::world world{1, replanning()};
  start(world, agent_plan(R"({"id": "s", "steps": [{"tool": "slow"}]})"));
  accept(world, approve(1));
  CHECK(coro::live_frames() > 0);
  auto next = agent_plan(R"({"id": "n", "result": 1})");
  SECTION("dropped") {}
  SECTION("changed") {
    next = agent_plan(R"({"id": "s", "result": 1})");
  }
  accept(world, revise_plan{next});
  CHECK(state_of(world) == "running"); // until somebody approves
  CHECK(coro::live_frames() > 0);
  accept(world, approve_plan(2));
  CHECK(coro::live_frames() == 0);
  CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  CHECK(state_of(world) == "completed");
  world.advance(10h);
  CHECK(facts<call_answered>(world).size() == 1);
}

TEST_CASE("a running tool of a subtask that goes on is not disturbed") {
  sim::world world{1, replanning()};
  auto first = agent_plan(R"({"id": "s", "steps": [{"tool": "slow"}]}, {"id": "n"})");
  start(world, first);
  accept(world, approve(1));
  first.subtasks[1].description = "otherwise";
  accept(world, revise_plan{first});
  accept(world, approve_plan(2));
  world.advance(5h);
  CHECK(call_of(world, 1).answer->outcome == call_outcome::succeeded);
  CHECK(state_of(world) == "completed");
  CHECK(call_of(world, 1).runs == 1);
}

TEST_CASE("a step of a subtask that goes on is not disturbed, and one of another is destroyed") {
  sim::world world{1, replanning()};
  const std::string description(100, 'x');
  auto plan = agent_plan(R"({"id": "t", "agent": "thinker"}, {"id": "n"})");
  plan.subtasks[0].description = description;
  start(world, plan);
  world.advance(30min);
  SECTION("it goes on: in the revision that it began in") {
    plan.subtasks[1].description = "otherwise";
    accept(world, revise_plan{plan});
    accept(world, approve_plan(2));
    CHECK(coro::live_frames() > 0);
    world.advance(30min);
    CHECK(subtask_of(world, "t").attempts == 1);
    // What its agent is given outlives the plan that it is from.
    CHECK(subtask_of(world, "t").result == json{{"revision", 1}, {"description", description}});
  }
  SECTION("it does not") {
    plan.subtasks[0].description = "otherwise";
    accept(world, revise_plan{plan});
    accept(world, approve_plan(2));
    world.advance(30min);
    CHECK(state_of(world) == "running");
    world.advance(30min);
    CHECK(subtask_of(world, "t").result == json{{"revision", 2}, {"description", "otherwise"}});
  }
  CHECK(state_of(world) == "completed");
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("what is done runs again where something that it depends on has changed") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, approve(1));
  accept(world, tool_result{cid(1), 1});
  REQUIRE(state_of(world) == "completed");
  sim::world other{1, replanning()};
  auto plan = four();
  plan.subtasks.push_back(plan.subtasks[1]);
  plan.subtasks.back().id = stid("last");
  start(other, plan);
  accept(other, approve(1));
  accept(other, tool_result{cid(1), 1});
  REQUIRE(subtask_of(other, "last").status == subtask_status::running);
  plan.subtasks[0].result = 2;
  accept(other, revise_plan{plan});
  CHECK(fates(other) == "a changed, b again, c again, d kept, last again");
  accept(other, approve_plan(2));
  CHECK(subtask_of(other, "a").result == 2);
  CHECK(subtask_of(other, "b").status == subtask_status::running);
  CHECK(subtask_of(other, "d").attempts == 1);
  CHECK(call_of(other, 2).answer->outcome == call_outcome::cancelled);
  check_no_dead_end(other);
}

TEST_CASE("while a replan waits for its decision nothing new starts, and what runs goes on and is "
          "recorded") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, approve(1));
  accept(world, revise_plan{four("otherwise")});
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(status_of(world).waiting.decision == 1);
  CHECK(status_of(world).waiting.result == 1);
  accept(world, tool_result{cid(1), 7});
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(facts<subtask_finished>(world).size() == 2);
  CHECK(facts<subtask_started>(world).size() == 2);
  check_no_dead_end(world);
  world.crash();
  SECTION("rejected: the old plan goes on") {
    decide_plan no{2, plan_verdict::reject};
    no.feedback = "stay";
    accept(world, no);
    CHECK(status_of(world).plan->revision == 1);
    CHECK(accept(world, no).kind == receipt_kind::duplicate);
  }
  SECTION("approved: what has ended meanwhile is kept") {
    accept(world, approve_plan(2));
    CHECK(status_of(world).plan->revision == 2);
    CHECK(accept(world, approve_plan(2)).kind == receipt_kind::duplicate);
  }
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "b").attempts == 1);
}

TEST_CASE(
    "a replan that was sent back holds the plan, and another revision of it replaces the same "
    "plan") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, revise_plan{four("one")});
  accept(world, decide_plan{2, plan_verdict::modify});
  CHECK(state_of(world) == "planning");
  check_no_dead_end(world);
  accept(world, approve(1));
  accept(world, tool_result{cid(1), 7});
  CHECK(facts<subtask_started>(world).size() == 2);
  accept(world, revise_plan{four("two")});
  CHECK(query_plan_diff(world.store(), sid())->replaces == 1);
  CHECK(is(refuse_unchanged(world, approve_plan(2)), errc::already_decided));
  accept(world, revise_plan{four("three")});
  CHECK(is(refuse_unchanged(world, approve_plan(3)), errc::superseded));
  accept(world, approve_plan(4));
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "b").attempts == 1);
}

TEST_CASE("a cancellation beside a replan ends both, and the plan's own end is the last word") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, revise_plan{four("otherwise")});
  accept(world, cancel_plan{"enough"});
  CHECK(state_of(world) == "cancelled");
  CHECK(status_of(world).plan->revision == 1);
  CHECK(pending_of(world).empty());
  CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  CHECK(is(refuse_unchanged(world, approve_plan(2)), errc::superseded));
  check_no_dead_end(world);
}

TEST_CASE("a replan of a plan that needs attention tries what failed again") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, approve(1));
  accept(world, tool_result{cid(1), "no", true});
  REQUIRE(state_of(world) == "needs_attention");
  accept(world, revise_plan{four()});
  CHECK(fates(world) == "a kept, b unchanged, c unchanged, d kept");
  accept(world, approve_plan(2));
  CHECK(subtask_of(world, "b").status == subtask_status::running);
  accept(world, approve(2));
  accept(world, tool_result{cid(2), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a replan that leaves nothing to do completes the plan") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, revise_plan{agent_plan(R"({"id": "a", "result": 1})")});
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "completed");
  CHECK(pending_of(world).empty());
}

TEST_CASE("a sleep, a backoff, a deadline and a time limit go on in the revision") {
  sim::world world{1, replanning()};
  auto plan = agent_plan(R"({"id": "s", "agent": "stumbler",
      "retry": {"max_attempts": 2, "initial_backoff_ms": 3600000}},
      {"id": "n", "agent": "napper", "time_limit_ms": 36000000}, {"id": "x"})");
  start(world, plan);
  REQUIRE(statuses_of(world)
          == std::vector{subtask_status::backing_off, subtask_status::running,
                         subtask_status::pending});
  accept(world, set_deadline{world.now() + 20h});
  accept(world, set_deadline{world.now() + 30h, stid("x")});
  const auto before = status_of(world);
  plan.subtasks[2].description = "otherwise";
  accept(world, revise_plan{plan});
  CHECK(fates(world) == "s continued, n continued, x changed");
  accept(world, approve_plan(2));
  const auto after = status_of(world);
  CHECK(after.waiting.backoff == 2);
  CHECK(after.next_timer == before.next_timer);
  for (const auto i : {0U, 1U}) {
    CHECK(after.subtasks[i].next_step == before.subtasks[i].next_step);
    CHECK(after.subtasks[i].deadline == before.subtasks[i].deadline);
    CHECK(after.subtasks[i].attempts == 1);
  }
  CHECK(after.subtasks[2].deadline == before.subtasks[2].deadline);
  check_no_dead_end(world);
  world.crash();
  world.advance(3h);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "s").result == 2);
  CHECK_FALSE(status_of(world).next_timer);
}

TEST_CASE("the deadline of the plan passes in its revision as well") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, set_deadline{world.now() + 20h});
  accept(world, revise_plan{four("otherwise")});
  SECTION("approved before") {
    accept(world, approve_plan(2));
  }
  SECTION("not decided on") {}
  world.advance(20h);
  CHECK(state_of(world) == "failed");
  CHECK(pending_of(world).empty());
  check_no_dead_end(world);
}

TEST_CASE("timers of a subtask that is dropped are gone") {
  sim::world world{1, replanning()};
  start(world, agent_plan(R"({"id": "s", "agent": "stumbler",
      "retry": {"max_attempts": 2, "initial_backoff_ms": 3600000}}, {"id": "n", "agent": "napper"})"));
  REQUIRE(status_of(world).waiting.backoff == 2);
  accept(world, revise_plan{agent_plan(R"({"id": "x", "steps": [{"tool": "ask"}]})")});
  accept(world, approve_plan(2));
  CHECK(status_of(world).waiting.backoff == 0);
  CHECK_FALSE(status_of(world).next_timer);
  world.advance(10h);
  CHECK(state_of(world) == "waiting");
  CHECK(facts<subtask_retried>(world).empty());
}

TEST_CASE("a replan that is approved while its session is suspended waits for the resumption") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, suspend_session{"hold it"});
  accept(world, revise_plan{four("otherwise")});
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "suspended");
  CHECK(status_of(world).plan->revision == 2);
  accept(world, approve(1));
  accept(world, tool_result{cid(1), 1});
  CHECK(subtask_of(world, "b").status == subtask_status::running);
  accept(world, resume_session{});
  CHECK(state_of(world) == "completed");
}

TEST_CASE(
    "a message between the approval of a replan and the resumption is heard by the subtask that "
    "goes on") {
  sim::world world{1, replanning()};
  auto plan = agent_plan(R"({"id": "l", "agent": "listener"}, {"id": "n"})");
  start(world, plan);
  accept(world, approve(1));
  accept(world, suspend_session{"hold it"});
  plan.subtasks[1].description = "otherwise";
  accept(world, revise_plan{plan});
  accept(world, post_message{"before"});
  accept(world, approve_plan(2));
  accept(world, post_message{"after"});
  accept(world, resume_session{});
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "l").result == json{"before", "after"});
}

TEST_CASE("without approvals a replan takes the plan's place at once") {
  auto options = replanning();
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  sim::world world{1, options};
  accept(world, propose_plan{four()});
  auto next = four("otherwise");
  SECTION("the running subtask goes on") {
    accept(world, revise_plan{next});
    CHECK(facts<call_asked_again>(world).size() == 1);
    accept(world, approve(1));
    accept(world, tool_result{cid(1), 1});
  }
  SECTION("it does not") {
    next.subtasks[1].steps = nullptr;
    accept(world, revise_plan{next});
    CHECK(call_of(world, 1).answer->outcome == call_outcome::cancelled);
  }
  CHECK(state_of(world) == "completed");
  CHECK(status_of(world).plan->revision == 2);
}

namespace {

plan_spec proposing_plan() {
  auto made = agent_plan(R"({"id": "p", "agent": "proposer"}, {"id": "q", "depends_on": ["p"]})");
  made.subtasks[0].parameters = R"({"goal": "better", "subtasks": [{"id": "r", "result": 5}]})";
  return made;
}

} // namespace

TEST_CASE("an agent's own proposal takes the plan's place when it is approved") {
  sim::world world{1, replanning()};
  start(world, proposing_plan());
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(coro::live_frames() == 0);
  CHECK(facts<plan_proposed>(world)[1].planner == agent_called("proposer"));
  CHECK(fates(world) == "r added, p dropped, q dropped");
  check_no_dead_end(world);
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "r").result == 5);
}

TEST_CASE("an agent whose proposal is not approved is told, and takes another step") {
  sim::world world{1, replanning()};
  start(world, proposing_plan());
  world.crash();
  std::string expected;
  SECTION("rejected") {
    decide_plan no{2, plan_verdict::reject};
    no.feedback = "too bold";
    accept(world, no);
    expected = "rejected: too bold";
  }
  SECTION("sent back") {
    decide_plan back{2, plan_verdict::modify};
    back.feedback = "be brief";
    accept(world, back);
    CHECK(accept(world, back).kind == receipt_kind::duplicate);
    expected = "sent back: be brief";
  }
  CHECK(state_of(world) == "completed");
  CHECK(contains(subtask_of(world, "p").result.at(0).get<std::string>(), expected));
  CHECK(status_of(world).plan->revision == 1);
}

TEST_CASE("an agent whose proposal was superseded or has expired is told, and the plan goes on") {
  auto options = replanning();
  options.policy.prefer(policy_rule::for_plans(policy_action::ask).expiring(24h));
  sim::world world{1, options};
  start(world, proposing_plan());
  SECTION("superseded") {
    auto other = proposing_plan();
    other.subtasks[1].description = "otherwise";
    accept(world, revise_plan{other});
    CHECK(is(refuse_unchanged(world, approve_plan(2)), errc::superseded));
    accept(world, approve_plan(3));
  }
  SECTION("expired") {
    world.advance(24h);
  }
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "p").status == subtask_status::done);
  check_no_dead_end(world);
}

TEST_CASE("an agent that goes on in the plan that it proposed is told that it was approved") {
  sim::world world{1, replanning()};
  start(world, agent_plan(R"({"id": "e", "agent": "extender"})"));
  CHECK(fates(world) == "e continued, added added");
  accept(world, approve_plan(2));
  CHECK(facts<plan_proposed>(world).size() == 2); // it does not propose the same again
  CHECK(state_of(world) == "completed");
}

TEST_CASE("while a revision is sent back, what is in force can be given deadlines and cancelled") {
  sim::world world{1, replanning()};
  start(world, four());
  accept(world, revise_plan{four()});
  accept(world, decide_plan{2, plan_verdict::modify});
  REQUIRE(state_of(world) == "planning");
  const auto last = status_of(world).subtasks.back().id;
  accept(world, set_deadline{world.now() + 1h});
  CHECK(status_of(world).next_timer == world.now() + 1h);
  check_no_dead_end(world);
  accept(world, set_deadline{std::nullopt});
  accept(world, cancel_subtask{last, "no need"});
  accept(world, retry_subtask{last});
  CHECK(state_of(world) == "planning");
  check_no_dead_end(world);
}

TEST_CASE(
    "a subtask whose agent has proposed a plan can be cancelled, and the proposal remains to be "
    "decided on") {
  sim::world world{1, replanning()};
  start(world, proposing_plan());
  accept(world, cancel_subtask{stid("p"), "no need"});
  check_no_dead_end(world);
  CHECK(state_of(world) == "awaiting_plan_decision");
  SECTION("rejected") {
    accept(world, decide_plan{2, plan_verdict::reject});
    CHECK(state_of(world) == "needs_attention");
  }
  SECTION("sent back") {
    accept(world, decide_plan{2, plan_verdict::modify});
    CHECK(state_of(world) == "needs_attention");
  }
  SECTION("approved") {
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "completed");
  }
  check_no_dead_end(world);
}

TEST_CASE("P9: an approval for another version of a tool does not let it run: the person is asked "
          "again") {
  int runs = 0;
  std::uint32_t version = 1;
  bool idempotent = false;
  auto options = options_with([&](agent_registry&, tool_registry& tools) {
    tool work;
    work.name = tid("work");
    work.version = version;
    work.idempotent = idempotent;
    work.run = blocking_tool{[&](const tool_context&) -> result<json> { return ++runs; }};
    must(tools.add(std::move(work)));
  });
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  const auto working = script_plan(R"({"tool": "work"})");
  SECTION("it waits for a decision: what is shown is new") {
    sim::world world{1, options};
    accept(world, propose_plan{working});
    const auto shown = pending_of(world).at(0);
    version = 2;
    world.restart();
    wake(world);
    const auto again = pending_of(world).at(0);
    CHECK(again.digest != shown.digest);
    CHECK(contains(facts<call_asked_again>(world).at(0).reason, "version 2"));
    auto decision = approve(1);
    decision.digest = shown.digest;
    CHECK(is(refuse_unchanged(world, decision), errc::stale_approval));
    decision.digest = again.digest;
    accept(world, decision);
    CHECK(state_of(world) == "completed");
  }
  SECTION("it was approved and is queued") {
    sim::world world{1, options};
    accept(world, propose_plan{working});
    accept(world, suspend_session{"hold it"});
    accept(world, approve(1));
    version = 2;
    world.restart();
    accept(world, resume_session{});
    CHECK(runs == 0);
    CHECK(status_of(world).waiting.decision == 1);
    accept(world, approve(1));
    CHECK(state_of(world) == "completed");
  }
  SECTION("it would be run again after a crash") {
    idempotent = true;
    options.store = std::make_shared<memory_store>();
    sim::world world{1, options};
    accept(world, propose_plan{working});
    world.store().fail_next(memory_fault::crash_after);
    version = 2;
    (void)world.send(sid(), approve(1));
    world.run();
    REQUIRE(world.crashes() == 1);
    wake(world);
    CHECK(runs == 0);
    CHECK(status_of(world).waiting.decision == 1);
    check_no_dead_end(world);
    accept(world, approve(1));
    CHECK(state_of(world) == "completed");
  }
  SECTION("nobody had to decide: it runs") {
    options.policy = approval_policy::allow_everything();
    sim::world world{1, options};
    accept(world, propose_plan{script_plan(R"({"tool": "ask"}, {"tool": "work"})")});
    version = 2;
    world.restart();
    accept(world, tool_result{cid(1), 1});
    CHECK(state_of(world) == "completed");
  }
  CHECK(runs == 1);
}

TEST_CASE("P1 P3 P4 P6: a replan is whole with a fault at every commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.options = replanning();
    auto first = four();
    first.subtasks[3] = proposing_plan().subtasks[0];
    first.subtasks.emplace_back().id = stid("z");
    first.subtasks[4].steps = json::array({{{"tool", "slow"}}});
    story.first = propose_plan{first};
    story.act = [first](sim::world& world) -> std::optional<command> {
      const auto status = status_of(world);
      if (status.plan->revision == 1 && status.state == session_state::waiting
          && status.subtasks[1].status == subtask_status::running) {
        auto next = first;
        next.subtasks[2].description = "otherwise";
        return revise_plan{next};
      }
      const auto slow = query_call(world.store(), cid(2));
      if (slow && slow->status == call_status::claimed && status.plan->revision == 2) {
        auto last = first;
        last.subtasks[2].description = "otherwise";
        last.subtasks.pop_back();
        return revise_plan{last};
      }
      return std::nullopt;
    };
    // The agent's own proposal is rejected, all others are approved.
    story.answer = [](const pending_item& item) -> std::optional<command> {
      if (item.kind == pending_kind::plan && item.goal == "better")
        return decide_plan{plan_id::parse(item.id)->revision(), plan_verdict::reject};
      return default_answer(item);
    };
    story.end = "completed";
    story.calls = 2;
    story.check = [](sim::world& world) {
      CHECK(subtask_of(world, "a").attempts == 1);
      CHECK(subtask_of(world, "b").attempts == 1);
      CHECK(facts<plan_proposed>(world).size() == 4);
      CHECK(subtask_of(world, "p").status == subtask_status::done);
      CHECK(call_of(world, 2).answer->outcome == call_outcome::cancelled);
    };
    return story;
  });
}

} // namespace replan_test
