// What nobody answers: expired is another outcome than rejected and cancelled, and only where a
// call or a rule says so.

#include "faults.hpp"

namespace expiry_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Calls `ask` three times at once, and finishes with the outcomes that it sees.
coro::task<step> observer(step_context& ctx) {
  if (ctx.tool_results().empty()) {
    std::vector<tool_request> requests(3, tool_request{tid("ask"), json::object()});
    for (auto& one : requests)
      one.expires_after = 2h;
    co_return step::calls(std::move(requests));
  }
  json seen = json::array();
  for (const auto& call : ctx.tool_results())
    seen.push_back(to_json(call.answer));
  co_return step::finish(std::move(seen));
}

/// Asks for an expiry that cannot be.
coro::task<step> unreasonable(step_context& ctx) {
  if (!ctx.tool_results().empty())
    co_return step::finish(ctx.tool_results()[0].answer.content);
  std::vector<tool_request> requests(1, tool_request{tid("ask"), json::object()});
  requests[0].expires_after = std::chrono::milliseconds{ctx.subtask.parameters.get<std::int64_t>()};
  co_return step::calls(std::move(requests));
}

sim::world_options expiring() {
  auto options = options_with([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("observer", observer));
    must(agents.add("unreasonable", unreasonable));
    tool work;
    work.name = tid("work");
    work.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
    must(tools.add(std::move(work)));
  });
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  return options;
}

} // namespace

TEST_CASE("P4: rejected, expired and cancelled are three outcomes, and the agent sees which") {
  sim::world world{1, expiring()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "observer"})")});
  accept(world, reject(1, "no"));
  accept(world, cancel_call{cid(2), "never mind"});
  CHECK(state_of(world) == "waiting");
  world.advance(2h);
  CHECK(state_of(world) == "completed");
  const auto seen = subtask_of(world, "w").result;
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].at("outcome") == "rejected");
  CHECK(seen[0].at("content").at("feedback") == "no");
  CHECK(seen[1].at("outcome") == "cancelled");
  CHECK(seen[1].at("content").at("reason") == "never mind");
  CHECK(seen[2].at("outcome") == "expired");
  CHECK(seen[2].at("content").at("expired") == true);
}

TEST_CASE("nothing expires by default, however long it waits") {
  sim::world world{1, expiring()};
  accept(world, propose_plan{script_plan(R"({"tool": "ask"})")});
  CHECK_FALSE(pending_of(world)[0].expires_at);
  CHECK_FALSE(status_of(world).next_timer);
  world.advance(std::chrono::hours{24 * 400});
  CHECK(state_of(world) == "waiting");
  accept(world, approve(1));
  world.advance(std::chrono::hours{24 * 400});
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a call expires while it waits for a decision or for its result, and once") {
  sim::world world{1, expiring()};
  accept(world, propose_plan{script_plan(R"({"tool": "ask", "expires_after_ms": 7200000})")});
  const auto due = world.now() + 2h;
  CHECK(pending_of(world)[0].expires_at == due);
  SECTION("for a decision") {
    world.advance(2h - 1ms);
    CHECK(status_of(world).waiting.decision == 1);
  }
  SECTION("for its result: the time counts from the proposal") {
    world.advance(1h);
    accept(world, approve(1));
    CHECK(pending_of(world)[0].expires_at == due);
    world.advance(1h - 1ms);
    CHECK(status_of(world).waiting.result == 1);
  }
  SECTION("after a crash") {
    world.crash();
    world.advance(2h - 1ms);
    CHECK(status_of(world).waiting.decision == 1);
    world.crash();
  }
  world.advance(1ms);
  CHECK(call_of(world, 1).answer->outcome == call_outcome::expired);
  CHECK(state_of(world) == "needs_attention");
  CHECK(pending_of(world).empty());
  world.advance(10h);
  CHECK(facts<call_answered>(world).size() == 1);
  check_no_dead_end(world);
}

TEST_CASE("P4: what comes after an expiry is late: a receipt, a bounded audit, and no change") {
  auto options = expiring();
  options.limits.late_results = 2;
  sim::world world{1, options};
  accept(world, propose_plan{script_plan(R"({"tool": "ask", "expires_after_ms": 7200000})")});
  accept(world, approve(1));
  world.advance(2h);
  const auto answered = call_of(world, 1).answer_event;
  for (int i = 0; i < 4; ++i) {
    const auto late = accept(world, tool_result{cid(1), i});
    CHECK(late.kind == receipt_kind::late);
    CHECK(late.event == answered);
  }
  CHECK(facts<late_result>(world).size() == 2);
  CHECK(call_of(world, 1).late == 2);
  CHECK(call_of(world, 1).answer->outcome == call_outcome::expired);
  CHECK(state_of(world) == "needs_attention");
  CHECK(is(refuse_unchanged(world, reject(1, "no")), errc::superseded));
  CHECK(is(refuse_unchanged(world, cancel_call{cid(1), "no"}), errc::already_answered));
  CHECK(accept(world, resolve_outcome{cid(1), outcome_resolution::failed}).kind
        == receipt_kind::late);
}

TEST_CASE("P4: the approval of an expired call is superseded") {
  sim::world world{1, expiring()};
  accept(world, propose_plan{script_plan(R"({"tool": "work", "expires_after_ms": 7200000})")});
  world.advance(2h);
  CHECK(is(refuse_unchanged(world, approve(1)), errc::superseded));
  CHECK(is(refuse_unchanged(world, reject(1, "no")), errc::superseded));
  CHECK(facts<call_claimed>(world).empty());
}

TEST_CASE("a rule of the policy makes a tool's calls expire, and the shorter of both counts") {
  auto options = expiring();
  options.policy.prefer(policy_rule::for_tools("ask", policy_action::ask).expiring(5h));
  sim::world world{1, options};
  accept(world, propose_plan{script_plan(
                    R"({"on_error": "continue", "calls": [{"tool": "ask"},
          {"tool": "ask", "expires_after_ms": 7200000},
          {"tool": "ask", "expires_after_ms": 36000000}, {"tool": "work"}]})")});
  const auto begin = world.now();
  CHECK(call_of(world, 1).expires_at == begin + 5h);
  CHECK(call_of(world, 2).expires_at == begin + 2h);
  CHECK(call_of(world, 3).expires_at == begin + 5h);
  CHECK_FALSE(call_of(world, 4).expires_at);
  world.advance(6h);
  CHECK(status_of(world).waiting.decision == 1);
  accept(world, approve(4));
  CHECK(state_of(world) == "completed");
}

TEST_CASE("an approved call of a server tool runs, and does not expire any more") {
  auto options = expiring();
  options.policy.prefer(policy_rule::for_tools("work", policy_action::ask).expiring(1h));
  sim::world world{1, options};
  accept(world, propose_plan{script_plan(R"({"tool": "work"})")});
  accept(world, suspend_session{"hold it"});
  accept(world, approve(1));
  CHECK(call_of(world, 1).status == call_status::queued);
  world.advance(10h);
  CHECK(call_of(world, 1).status == call_status::queued);
  accept(world, resume_session{});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P10: an expiry that is negative or beyond the horizon is the agent's to correct") {
  sim::world world{1, expiring()};
  accept(world, propose_plan{agent_plan(
                    R"({"id": "a", "agent": "unreasonable", "parameters": -1},
                       {"id": "b", "agent": "unreasonable", "parameters": 999999999999999})")});
  CHECK(state_of(world) == "completed");
  for (const auto* id : {"a", "b"})
    CHECK(contains(to_text(subtask_of(world, id).result), "timer_horizon"));
  CHECK_FALSE(status_of(world).next_timer);
}

TEST_CASE("a plan that nobody decides on expires where the policy says so") {
  sim::world_options options;
  options.policy.prefer(policy_rule::for_plans(policy_action::ask).expiring(24h));
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  CHECK(pending_of(world)[0].expires_at == world.now() + 24h);
  CHECK(status_of(world).next_timer == world.now() + 24h);
  SECTION("nobody does: it is cancelled, and another one may be proposed") {
    world.advance(24h);
    CHECK(state_of(world) == "cancelled");
    CHECK(contains(status_of(world).plan->feedback, "expired"));
    CHECK(is(refuse_unchanged(world, approve_plan()), errc::superseded));
    CHECK(pending_of(world).empty());
    accept(world, propose_plan{seed_plan()});
  }
  SECTION("approved in time: nothing expires any more") {
    world.advance(23h);
    accept(world, approve_plan());
    CHECK_FALSE(status_of(world).next_timer);
    world.advance(48h);
    CHECK(state_of(world) == "waiting");
  }
  SECTION("revised: the time begins again") {
    world.advance(23h);
    accept(world, revise_plan{seed_plan()});
    world.advance(23h);
    CHECK(state_of(world) == "awaiting_plan_decision");
    world.advance(1h);
    CHECK(state_of(world) == "cancelled");
  }
  SECTION("sent back: who makes another one has all the time") {
    accept(world, decide_plan{1, plan_verdict::modify});
    CHECK_FALSE(status_of(world).next_timer);
    world.advance(48h);
    CHECK(state_of(world) == "planning");
  }
  check_no_dead_end(world);
}

TEST_CASE("a replan that expires leaves the plan in progress as it is") {
  sim::world_options options;
  options.policy.prefer(policy_rule::for_plans(policy_action::ask).expiring(24h));
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  auto other = seed_plan();
  other.subtasks[1].description = "otherwise";
  accept(world, revise_plan{other});
  CHECK(status_of(world).waiting.decision == 2);
  world.advance(24h);
  CHECK(status_of(world).plan->revision == 1);
  CHECK(status_of(world).plan->status == plan_status::in_progress);
  CHECK(status_of(world).waiting.decision == 1);
  check_no_dead_end(world);
  accept(world, approve(1));
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("an approval of a revision that has expired says that it was cancelled") {
  sim::world_options options;
  options.policy.prefer(policy_rule::for_plans(policy_action::ask).expiring(24h));
  options.fire_timers = false; // it expires as the approval comes, in the same transaction
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  accept(world, revise_plan{seed_plan()});
  world.advance(24h);
  const auto refused = refuse(world, decide_plan{2, plan_verdict::approve});
  CHECK(is(refused, errc::superseded));
  CHECK(contains(message_of(refused), "plan revision 2 was cancelled before anybody decided"));
  CHECK(status_of(world).plan->revision == 1);
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("P1 P4 P6: calls and plans expire once with a fault at every commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.options = expiring();
    story.options.policy.prefer(policy_rule::for_plans(policy_action::ask).expiring(90min));
    story.options.policy.prefer(policy_rule::for_tools("ask", policy_action::ask).expiring(90min));
    const propose_plan proposal{agent_plan(R"({"id": "w", "agent": "observer"},
        {"id": "x", "steps": [{"tool": "ask", "on_error": "continue"}]})")};
    story.first = proposal;
    // Nobody decides on the first plan; it expires, and is proposed again.
    story.act = [proposal](sim::world& world) -> std::optional<command> {
      const auto plan = status_of(world).plan;
      return plan && plan->revision == 1 && plan->status == plan_status::cancelled
                 ? std::optional<command>{proposal}
                 : std::nullopt;
    };
    story.answer = [](const pending_item& item) -> std::optional<command> {
      if (item.kind == pending_kind::plan) {
        const auto revision = plan_id::parse(item.id)->revision();
        return revision == 1 ? std::nullopt : std::optional<command>{approve_plan(revision)};
      }
      if (item.id == cid(1).str())
        return reject(1, "no");
      if (item.id == cid(2).str() && item.waiting_for == wait_cause::decision)
        return approve(2);
      if (item.id == cid(4).str() && item.waiting_for == wait_cause::decision)
        return approve(4);
      return std::nullopt;
    };
    story.end = "completed";
    story.calls = 4;
    story.check = [](sim::world& world) {
      CHECK(call_of(world, 1).answer->outcome == call_outcome::rejected);
      for (const auto call : {2, 3, 4})
        CHECK(call_of(world, static_cast<std::uint64_t>(call)).answer->outcome
              == call_outcome::expired);
      CHECK(accept(world, tool_result{cid(2), 1}).kind == receipt_kind::late);
    };
    return story;
  });
}

TEST_CASE("P5: a command that comes as a timer fires finds the session as the timer leaves it") {
  sim::world_options options;
  options.fire_timers = false; // they fire as the command comes, in the same transaction
  options.passivate_after = 24h; // else it is activated first, which fires them as well
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  SECTION("a plan whose deadline has passed is not suspended, and does not fail twice") {
    set_deadline soon;
    soon.at = world.now() + 1h;
    accept(world, soon);
    world.advance(2h);
    CHECK(is(refuse(world, suspend_session{"too late"}), errc::not_allowed));
    CHECK(state_of(world) == "failed");
    CHECK(is(refuse(world, fail_plan{}), errc::not_allowed));
  }
  SECTION("a session that goes on by itself is not resumed by somebody as well") {
    suspend_session held{"lunch"};
    held.until = world.now() + 1h;
    accept(world, held);
    world.advance(2h);
    CHECK(is(refuse(world, resume_session{"ada"}), errc::not_allowed));
    CHECK(state_of(world) == "waiting");
  }
  SECTION("a plan may be proposed where the deadline of the last one has passed") {
    set_deadline soon;
    soon.at = world.now() + 1h;
    accept(world, soon);
    world.advance(2h);
    accept(world, propose_plan{seed_plan()});
    CHECK(status_of(world).plan->revision == 2);
    CHECK(state_of(world) == "awaiting_plan_decision");
    world.crash();
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "waiting");
  }
}

} // namespace expiry_test
