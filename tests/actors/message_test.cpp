// What users say: to agents that work, to a planner that makes a plan of it, and who hears it.

#include "faults.hpp"

namespace message_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// The users' messages that an agent sees in its transcript.
json heard(const step_context& ctx) {
  json texts = json::array();
  for (const auto& entry : ctx.transcript)
    if (entry.source == entry_source::user)
      texts.push_back(entry.text);
  return texts;
}

json heard_before(const step_context& ctx) {
  json texts = json::array();
  for (const auto& message : ctx.earlier_messages)
    texts.push_back(message.text);
  return texts;
}

json all_heard(const step_context& ctx) {
  return {{"before", heard_before(ctx)}, {"since", heard(ctx)}};
}

/// Calls `ask`, and finishes with what users said.
coro::task<step> listener(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("ask", json::object());
  co_return step::finish(all_heard(ctx));
}

/// Thinks for an hour, and finishes with what users said before it began to think.
coro::task<step> thinker(step_context& ctx) {
  auto known = all_heard(ctx);
  co_await coro::delay(ctx.self, 1h);
  co_return step::finish(std::move(known));
}

/// Thinks for an hour, sleeps for a day, and finishes with what users said.
coro::task<step> sleeper(step_context& ctx) {
  for (const auto& entry : ctx.transcript)
    if (entry.source == entry_source::timer)
      co_return step::finish(all_heard(ctx));
  const auto known = ctx.transcript.size();
  co_await coro::delay(ctx.self, 1h);
  co_return known == ctx.transcript.size() ? step::sleep(24h) : step::fail("not reached");
}

/// Fails in a way that may pass in its first attempt.
coro::task<step> stumbler(step_context& ctx) {
  if (ctx.attempt == 1)
    co_return step::fail_retryable("stumbled");
  co_return step::finish(all_heard(ctx));
}

plan_spec subtask_with(json result) {
  plan_spec made;
  made.goal = "made";
  made.subtasks.emplace_back().id = stid("do");
  made.subtasks[0].result = std::move(result);
  return made;
}

/// Makes a plan whose one subtask has as its result all that the planner was told.
coro::task<step> planner(step_context& ctx) {
  co_await coro::delay(ctx.self, 1min);
  auto told = all_heard(ctx);
  told["goal"] = ctx.goal;
  told["parameters"] = ctx.subtask.parameters;
  co_return step::propose(subtask_with(std::move(told)));
}

/// Proposes what is no plan as often as its parameters say; with nothing: for ever.
coro::task<step> muddler(step_context& ctx) {
  std::size_t refusals = 0;
  for (const auto& entry : ctx.transcript)
    refusals += entry.source == entry_source::refusal;
  if (ctx.goal == "twice" && refusals == 2)
    co_return step::propose(subtask_with(ctx.transcript.back().text));
  co_return step::propose(plan_spec{});
}

coro::task<step> failing_planner(step_context&) {
  co_return step::fail("no idea");
}

/// Says something, then hands over to the agent that its parameters name.
coro::task<step> delegator(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::say("I have begun");
  co_return step::hand_over(ctx.subtask.parameters.get<std::string>(), "the rest is yours");
}

/// Finishes with the transcript as it finds it.
coro::task<step> successor(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("ask", json::object());
  json seen = json::array();
  for (const auto& entry : ctx.transcript)
    seen.push_back({static_cast<int>(entry.source), entry.text});
  co_return step::finish(std::move(seen));
}

sim::world_options talking(std::string_view planner_name = "") {
  auto options = unattended([](agent_registry& agents, tool_registry&) {
    must(agents.add("listener", listener));
    must(agents.add("thinker", thinker));
    must(agents.add("sleeper", sleeper));
    must(agents.add("stumbler", stumbler));
    must(agents.add("planner", planner));
    must(agents.add("muddler", muddler));
    must(agents.add("failing", failing_planner));
    must(agents.add("delegator", delegator));
    must(agents.add("successor", successor));
  });
  if (!planner_name.empty())
    options.planner = agent_called(planner_name);
  return options;
}

sim::world_options planning(std::string_view planner_name = "planner") {
  auto options = talking(planner_name);
  options.policy.prefer(policy_rule::for_plans(policy_action::ask));
  return options;
}

plan_spec one_agent(std::string_view agent, std::string_view more = "") {
  return agent_plan(R"({"id": "w", "agent": ")" + std::string{agent} + "\"" + std::string{more}
                    + "}");
}

json both(json before, json since) {
  return {{"before", std::move(before)}, {"since", std::move(since)}};
}

json planned(sim::world& world, std::uint32_t revision) {
  const auto plan = query_plan(world.store(), sid(), revision);
  REQUIRE(plan);
  return plan->subtasks.at(0).result;
}

} // namespace

TEST_CASE("a message while a call waits is kept, and seen by the next step") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("listener")});
  post_message message{"use green tea"};
  message.by = "ada";
  accept(world, message);
  accept(world, post_message{"and milk"});
  CHECK(state_of(world) == "waiting");
  world.crash();
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result == both(json::array(), {"use green tea", "and milk"}));
  CHECK(facts<message_received>(world)[0].by == "ada");
  CHECK(facts<message_received>(world)[1].number == 2);
}

TEST_CASE("a message that comes during a step is seen before the agent finishes") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("thinker")});
  world.advance(30min);
  accept(world, post_message{"wait"});
  world.advance(30min);
  CHECK(state_of(world) == "running");
  CHECK(facts<subtask_finished>(world).empty());
  CHECK(facts<step_restarted>(world).size() == 1);
  world.advance(1h);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result == both(json::array(), {"wait"}));
}

TEST_CASE("a message that comes during a step is seen before the agent sleeps, and one that comes "
          "later when it wakes") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("sleeper")});
  world.advance(30min);
  accept(world, post_message{"one"});
  world.advance(30min);
  CHECK(facts<subtask_slept>(world).empty());
  world.advance(1h);
  CHECK(facts<subtask_slept>(world).size() == 1);
  accept(world, post_message{"two"});
  CHECK(state_of(world) == "waiting");
  world.advance(25h);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result == both(json::array(), {"one", "two"}));
}

TEST_CASE("later subtasks and attempts see the messages from before them") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("listener", R"(}, {"id": "v", "agent": "stumbler",
            "retry": {"max_attempts": 2}}, {"id": "x", "agent": "listener")")});
  accept(world, post_message{"one"});
  accept(world, tool_result{cid(1), 1});
  REQUIRE(subtask_of(world, "v").status == subtask_status::backing_off);
  accept(world, post_message{"two"});
  world.advance(1h);
  world.crash();
  accept(world, post_message{"three"});
  accept(world, tool_result{cid(2), 1});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result == both(json::array(), {"one"}));
  // While the second one backed off the third had begun, so it heard of it there.
  CHECK(subtask_of(world, "v").result.at("before") == json{"one", "two", "three"});
  CHECK(subtask_of(world, "x").result == both({"one"}, {"two", "three"}));
}

TEST_CASE("a message while a plan waits for its decision, or needs attention, is kept as well") {
  auto options = talking();
  options.policy.prefer(policy_rule::for_plans(policy_action::ask));
  sim::world world{1, options};
  accept(world, propose_plan{one_agent("listener")});
  accept(world, post_message{"early"});
  accept(world, approve_plan());
  accept(world, cancel_subtask{stid("w"), "no"});
  REQUIRE(state_of(world) == "needs_attention");
  accept(world, post_message{"try again"});
  accept(world, retry_subtask{stid("w")});
  accept(world, tool_result{cid(2), 1});
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result == both({"early", "try again"}, json::array()));
}

TEST_CASE("the agents of a plan do not see what was said to an earlier plan") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("listener")});
  accept(world, post_message{"old"});
  accept(world, tool_result{cid(1), 1});
  accept(world, propose_plan{one_agent("listener")});
  accept(world, post_message{"new"});
  accept(world, tool_result{cid(2), 1});
  CHECK(subtask_of(world, "w").result == both(json::array(), {"new"}));
}

TEST_CASE("P10: messages are bounded and checked, and each limit is named") {
  auto options = talking();
  options.limits.plan_messages = 2;
  options.limits.text_size_bytes = 100;
  sim::world world{1, options};
  accept(world, propose_plan{one_agent("listener")});
  CHECK(is(refuse_unchanged(world, post_message{""}), errc::invalid_field));
  CHECK(is(refuse_unchanged(world, post_message{"\xFF"}), errc::invalid_field));
  const auto long_one = refuse_unchanged(world, post_message{std::string(101, 'x')});
  CHECK(is(long_one, errc::limit_exceeded));
  CHECK(contains(message_of(long_one), "text_size_bytes"));
  accept(world, post_message{std::string(100, 'x')});
  accept(world, post_message{"two"});
  const auto one_more = refuse_unchanged(world, post_message{"three"});
  CHECK(is(one_more, errc::limit_exceeded));
  CHECK(contains(message_of(one_more), "plan_messages"));
}

TEST_CASE("P10: messages are counted for each plan, in one process as after a restart") {
  const bool restart = GENERATE(false, true);
  auto options = talking();
  options.policy.prefer(policy_rule::for_plans(policy_action::ask));
  options.limits.plan_messages = 2;
  sim::world world{1, options};
  accept(world, propose_plan{one_agent("listener")});
  accept(world, approve_plan());
  accept(world, post_message{"one"});
  accept(world, post_message{"two"});
  accept(world, tool_result{cid(1), 1});
  accept(world, propose_plan{one_agent("listener")});
  if (restart)
    world.crash();
  accept(world, post_message{"three"});
  accept(world, post_message{"four"});
  CHECK(is(refuse_unchanged(world, post_message{"five"}), errc::limit_exceeded));
}

TEST_CASE("without a planner there must be a live plan to speak to") {
  sim::world world{1, talking()};
  CHECK(is(refuse(world, post_message{"hello"}), errc::unknown_session));
  accept(world, propose_plan{one_agent("listener")});
  accept(world, tool_result{cid(1), 1});
  CHECK(is(refuse_unchanged(world, post_message{"hello"}), errc::not_allowed));
}

TEST_CASE("a planner turns a message into a proposed plan, in a session that is created for it") {
  sim::world world{1, planning()};
  post_message message{"make tea"};
  message.workspace = "/kitchen";
  accept(world, message);
  CHECK(state_of(world) == "running");
  CHECK(status_of(world).workspace == "/kitchen");
  CHECK(query_pending(world.store(), sid())->empty()); // planning needs nobody's approval
  world.advance(1min);
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(pending_of(world).at(0).id == "s1:p2");
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "completed");
  const auto result = subtask_of(world, "do").result;
  CHECK(result.at("goal") == "make tea");
  CHECK(result.at("before") == json{"make tea"});
  CHECK(facts<plan_proposed>(world)[0].planning);
  CHECK(facts<plan_proposed>(world)[1].planner == agent_called("planner"));
}

TEST_CASE("a plan that is sent back goes to the planner, which knows the plan, the message and the "
          "feedback") {
  sim::world world{1, planning()};
  accept(world, post_message{"make tea"});
  world.advance(1min);
  decide_plan back{2, plan_verdict::modify};
  back.feedback = "green tea";
  accept(world, back);
  CHECK(accept(world, back).kind == receipt_kind::duplicate);
  CHECK(state_of(world) == "running");
  world.crash();
  wake(world);
  accept(world, post_message{"and quickly"});
  world.advance(1h);
  CHECK(state_of(world) == "awaiting_plan_decision");
  const auto told = planned(world, 4);
  CHECK(told.at("parameters").at("feedback") == "green tea");
  CHECK(told.at("parameters").at("revises").at("goal") == "made");
  CHECK(told.at("goal") == "make tea");
  CHECK(told.at("before") == json{"make tea"});
  CHECK(told.at("since") == json{"and quickly"});
  CHECK(is(refuse_unchanged(world, approve_plan(2)), errc::already_decided));
  accept(world, approve_plan(4));
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a rejected plan is over, and the next message makes another one") {
  sim::world world{1, planning()};
  accept(world, post_message{"make tea"});
  world.advance(1min);
  accept(world, decide_plan{2, plan_verdict::reject});
  CHECK(state_of(world) == "rejected");
  accept(world, post_message{"make coffee"});
  world.advance(1min);
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(planned(world, 4).at("goal") == "make coffee");
  CHECK(planned(world, 4).at("before") == json{"make coffee"});
  // What was said for the plan before is not what the next one is about.
  accept(world, decide_plan{4, plan_verdict::modify});
  world.advance(1min);
  CHECK(planned(world, 6).at("goal") == "make coffee");
}

TEST_CASE(
    "a planner that proposes what is no plan is told why, and tries again, but not for ever") {
  sim::world world{1, planning("muddler")};
  SECTION("it corrects itself") {
    accept(world, post_message{"twice"});
    CHECK(state_of(world) == "awaiting_plan_decision");
    CHECK(facts<proposal_refused>(world).size() == 2);
    CHECK(contains(planned(world, 2).get<std::string>(), "no subtasks"));
  }
  SECTION("it does not") {
    accept(world, post_message{"anything"});
    CHECK(state_of(world) == "needs_attention");
    CHECK(facts<proposal_refused>(world).size() == 2);
    CHECK(contains(subtask_of(world, "plan").error, "no subtasks"));
  }
  check_no_dead_end(world);
}

TEST_CASE("P6: a planner that fails leaves a session that can be helped") {
  sim::world world{1, planning("failing")};
  accept(world, post_message{"make tea"});
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "plan").error, "no idea"));
  SECTION("a person proposes a plan") {
    accept(world, cancel_plan{"I know better"});
    accept(world, propose_plan{one_agent("listener")});
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "waiting");
  }
  SECTION("a person writes the plan in place of the planner") {
    accept(world, revise_plan{one_agent("listener")});
    CHECK(state_of(world) == "awaiting_plan_decision");
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "waiting");
  }
  SECTION("it is tried again") {
    accept(world, retry_subtask{stid("plan")});
    CHECK(state_of(world) == "needs_attention");
    CHECK(subtask_of(world, "plan").attempts == 2);
  }
  check_no_dead_end(world);
}

TEST_CASE("a runtime without approvals plans and runs a message in one go") {
  auto options = talking("planner");
  sim::world world{1, options};
  accept(world, post_message{"make tea"});
  world.advance(1min);
  CHECK(state_of(world) == "completed");
  CHECK(status_of(world).plan->revision == 2);
}

TEST_CASE("an agent hands its subtask to another, which goes on from the same transcript") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("delegator", R"(, "parameters": "successor")")});
  CHECK(state_of(world) == "waiting");
  CHECK(facts<subtask_handed_over>(world)[0].agent == agent_called("successor"));
  world.crash();
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
  const auto seen = subtask_of(world, "w").result;
  REQUIRE(seen.size() == 3);
  CHECK(seen[0] == json{static_cast<int>(entry_source::agent), "I have begun"});
  CHECK(seen[1] == json{static_cast<int>(entry_source::handover), "the rest is yours"});
  CHECK(subtask_of(world, "w").attempts == 1);
}

TEST_CASE("a retry of a subtask that was handed over begins with the agent that the plan names") {
  sim::world world{1, talking()};
  accept(world, propose_plan{one_agent("delegator", R"(, "parameters": "successor")")});
  accept(world, cancel_subtask{stid("w"), "again"});
  accept(world, retry_subtask{stid("w")});
  CHECK(facts<subtask_handed_over>(world).size() == 2);
  CHECK(facts<agent_said>(world).size() == 2);
}

TEST_CASE("P10: a handover to nobody, or in a circle, fails the subtask") {
  auto options = talking();
  options.limits.subtask_entries = 50;
  sim::world world{1, options};
  SECTION("to nobody") {
    accept(world, propose_plan{one_agent("delegator", R"(, "parameters": "nobody")")});
    CHECK(contains(subtask_of(world, "w").error, "unknown_agent"));
  }
  SECTION("to what is no name") {
    accept(world, propose_plan{one_agent("delegator", R"(, "parameters": "no name")")});
  }
  SECTION("in a circle") {
    accept(world, propose_plan{one_agent("delegator", R"(, "parameters": "delegator")")});
    CHECK(contains(subtask_of(world, "w").error, "subtask_entries"));
  }
  CHECK(state_of(world) == "needs_attention");
}

TEST_CASE("P1 P6 P7: messages, a planner and a handover come to their end with a fault at every "
          "commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.options = planning();
    story.options.setup = [basic = story.options.setup](agent_registry& agents,
                                                        tool_registry& tools) {
      basic(agents, tools);
      must(agents.add("foreman", [](step_context& ctx) -> coro::task<step> {
        auto made = agent_plan(R"({"id": "w", "agent": "delegator", "parameters": "successor"},
                                  {"id": "v", "agent": "listener", "depends_on": ["w"]})");
        made.goal = ctx.subtask.parameters.is_null() ? "first" : "second";
        co_return step::propose(std::move(made));
      }));
    };
    story.options.planner = agent_called("foreman");
    story.first = post_message{"make tea"};
    story.answer = [](const pending_item& item) -> std::optional<command> {
      if (item.kind != pending_kind::plan)
        return default_answer(item);
      const auto revision = plan_id::parse(item.id)->revision();
      if (item.goal == "second")
        return approve_plan(revision);
      return decide_plan{revision, plan_verdict::modify};
    };
    story.act = [](sim::world& world) -> std::optional<command> {
      const auto status = status_of(world);
      if (status.state == session_state::waiting && facts<message_received>(world).size() < 2)
        return post_message{"with milk"};
      return std::nullopt;
    };
    story.end = "completed";
    story.calls = 2;
    story.check = [](sim::world& world) {
      CHECK(facts<message_received>(world).size() == 2);
      CHECK(facts<plan_proposed>(world).size() == 4);
      CHECK(status_of(world).plan->goal == "second");
      // Wherever it was when the process died.
      const auto result = subtask_of(world, "v").result;
      auto heard = result.at("before");
      for (const auto& text : result.at("since"))
        heard.push_back(text);
      CHECK(heard == json{"make tea", "with milk"});
    };
    return story;
  });
}

TEST_CASE("who says something, and where, is UTF-8") {
  sim::world world{1, planning("planner")};
  post_message unreadable{"hello"};
  SECTION("by") {
    unreadable.by = "\xFF";
  }
  SECTION("workspace") {
    unreadable.workspace = "/tmp/\xFF";
  }
  const auto refused = refuse(world, unreadable);
  CHECK(is(refused, errc::invalid_field));
  CHECK(contains(message_of(refused), "is not UTF-8"));
}

} // namespace message_test
