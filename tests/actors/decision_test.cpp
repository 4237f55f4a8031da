// What the policy, a person and a person's earlier decisions come to for a session's calls.

#include "faults.hpp"

#include <fermata/messages/chunk.hpp>

namespace decision_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// A server tool `pay` with a schema, and whatever the policy says.
sim::world_options paying(std::string_view policy, std::shared_ptr<effects> counted = {}) {
  auto options = options_with([counted](agent_registry&, tool_registry& tools) {
    tool pay;
    pay.name = tid("pay");
    pay.schema = R"({"type": "object", "properties": {"amount": {"type": "integer"}},
                     "required": ["amount"]})"_json;
    pay.run = blocking_tool{[counted](const tool_context& context) -> result<json> {
      if (counted)
        count_effect(*counted, context);
      return json{{"paid", context.arguments.at("amount")}};
    }};
    must(tools.add(std::move(pay)));
  });
  auto parsed = approval_policy::parse(policy);
  if (!parsed)
    throw std::logic_error(message_of(parsed.error()));
  options.policy = *parsed;
  return options;
}

constexpr auto graded = R"({"rules": [
    {"match": {"kind": "plan"}, "action": "allow"},
    {"match": {"tool": "pay", "arguments": {"/amount": {"at_most": 10}}}, "action": "allow"},
    {"match": {"tool": "pay", "arguments": {"/amount": {"more_than": 1000}}}, "action": "deny",
     "prompt": "more than 1,000 is for the board"},
    {"match": {"tool": "pay", "arguments": {"/amount": {"more_than": 500}}}, "action": "ask",
     "prompt": "Does the budget have it?", "may_remember": false, "expires_after_ms": 3600000}],
    "default": "ask"})";

/// One subtask whose script pays these amounts at once.
plan_spec payments(std::initializer_list<int> amounts) {
  std::string calls;
  for (const auto amount : amounts)
    calls += (calls.empty() ? "" : ",")
             + (R"({"tool": "pay", "arguments": {"amount": )" + std::to_string(amount) + "}}");
  return plan(
      R"({"goal": "pay", "subtasks": [{"id": "w", "steps": [{"on_error": "continue", "calls": [)"
      + calls + "]}]}]}");
}

/// One step after the other.
plan_spec payments_in_turn(std::initializer_list<int> amounts) {
  std::string steps;
  for (const auto amount : amounts)
    steps += (steps.empty() ? "" : ",")
             + (R"({"on_error": "continue", "tool": "pay", "arguments": {"amount": )"
                + std::to_string(amount) + "}}");
  return plan(R"({"goal": "pay", "subtasks": [{"id": "w", "steps": [)" + steps + "]}]}");
}

decide_call remembered(decide_call decision, decision_scope scope, std::string by = "ann") {
  decision.remember = scope;
  decision.by = std::move(by);
  return decision;
}

std::string outcome(sim::world& world, std::uint64_t number) {
  const auto call = call_of(world, number);
  return call.answer ? std::string{enum_names(
             call.answer->outcome)[static_cast<std::size_t>(call.answer->outcome)]}
                     : "open";
}

std::vector<remembered_record> remembered_by(sim::world& world) {
  auto found = query_remembered(world.store(), sid());
  REQUIRE(found);
  return std::move(*found);
}

} // namespace

TEST_CASE(
    "the policy allows, asks and denies by what a call's arguments are, and says what it was") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({10, 11, 600, 1'001})});
  CHECK(outcome(world, 1) == "succeeded");
  CHECK(call_of(world, 1).ruled_by == "rule 2");
  CHECK(outcome(world, 2) == "open");
  CHECK(call_of(world, 2).ruled_by == "default");
  CHECK_FALSE(call_of(world, 2).expires_at);
  const auto third = call_of(world, 3);
  CHECK(third.ruled_by == "rule 4");
  CHECK(third.expires_at == world.now() + 1h);
  CHECK(outcome(world, 4) == "rejected");
  CHECK(call_of(world, 4).by == "policy");
  CHECK(call_of(world, 4).answer->content
        == json{{"rejected", true}, {"feedback", "more than 1,000 is for the board"}});
  const auto pending = pending_of(world);
  REQUIRE(pending.size() == 2);
  CHECK(pending[0].prompt.empty());
  CHECK(pending[1].prompt == "Does the budget have it?");
  accept(world, approve(2));
  accept(world, approve(3));
  CHECK(state_of(world) == "completed");
}

TEST_CASE(
    "P9: edited arguments and approvals pass the policy again, and what is denied keeps waiting") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({20})});
  const auto error = refuse_unchanged(world, edit(1, {{"amount", 5'000}}));
  CHECK(is(error, errc::denied_by_policy));
  CHECK(message_of(error)
        == "edit refused: the new arguments are denied by the policy's rule 3: more than 1,000 is "
           "for the board");
  CHECK(is(refuse_unchanged(world, edit(1, {{"amount", "all"}})), errc::invalid_arguments));
  accept(world, edit(1, {{"amount", 700}}));
  const auto call = call_of(world, 1);
  CHECK(call.proposed_arguments == json{{"amount", 20}});
  CHECK(call.arguments == json{{"amount", 700}});
  CHECK(call.answer->content == json{{"paid", 700}});
}

TEST_CASE("P9: a call that the policy has come to deny is not approved any more") {
  auto options = paying(graded);
  sim::world world{1, options};
  accept(world, propose_plan{payments({20})});
  world.set_policy(*approval_policy::parse(R"({"rules": [
      {"match": {"tool": "pay"}, "action": "deny"}], "default": "ask"})"));
  world.restart();
  wake(world);
  CHECK(is(refuse_unchanged(world, approve(1)), errc::denied_by_policy));
  accept(world, reject(1, "the policy says no"));
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a plan that the policy denies is refused and leaves nothing; its proposer is told why") {
  sim::world world{1, paying(R"({"rules": [{"match": {"kind": "plan"}, "action": "deny",
      "prompt": "no plans on Sundays"}], "default": "ask"})")};
  const auto error = refuse(world, propose_plan{payments({1})});
  CHECK(is(error, errc::denied_by_policy));
  CHECK(contains(message_of(error), "rule 1: no plans on Sundays"));
  CHECK(query_sessions(world.store())->empty());
}

TEST_CASE("several calls are decided in one transaction") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({20, 30, 40})});
  const auto writes = world.store().writes();
  decide_calls all;
  all.decisions = {approve(1), reject(2, "too much"), edit(3, {{"amount", 5}})};
  const auto given = accept(world, all);
  CHECK(given.kind == receipt_kind::accepted);
  CHECK(outcome(world, 1) == "succeeded");
  CHECK(outcome(world, 2) == "rejected");
  CHECK(call_of(world, 3).answer->content == json{{"paid", 5}});
  const auto decided = facts<call_decided>(world);
  REQUIRE(decided.size() == 3);
  // The decisions and the claims are one commit; then the runs report.
  CHECK(world.store().writes() - writes <= 4);
  CHECK(accept(world, all).kind == receipt_kind::duplicate);
  CHECK(accept(world, all).event == given.event);
  CHECK(facts<call_decided>(world).size() == 3);
}

TEST_CASE(
    "what was decided before counts as decided among several, and the receipt is for the rest") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({20, 30})});
  accept(world, approve(2));
  const auto events = world.events(sid()).size();
  const auto given = accept(world, decide_calls{{approve(2), approve(1)}});
  CHECK(given.kind == receipt_kind::accepted);
  CHECK(given.event == events + 1);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("the person who decides on a plan is told what the policy says about it") {
  sim::world world{1, paying(R"({"rules": [{"match": {"kind": "plan"}, "action": "ask",
      "prompt": "Who pays?"}], "default": "allow"})")};
  accept(world, propose_plan{payments({1})});
  CHECK(pending_of(world).at(0).prompt == "Who pays?");
  wake(world);
  CHECK(pending_of(world).at(0).prompt == "Who pays?");
}

TEST_CASE(
    "one refused decision refuses all that came with it, names its place, and changes nothing") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({20, 30})});
  const auto refusal = [&](std::vector<decide_call> decisions) {
    return refuse_unchanged(world, decide_calls{std::move(decisions)});
  };
  const auto unknown = refusal({approve(1), approve(7)});
  CHECK(is(unknown, errc::unknown_call));
  CHECK(message_of(unknown).starts_with("decisions[1]: "));
  const auto twice = refusal({approve(1), approve(2), reject(1, "no")});
  CHECK(is(twice, errc::invalid_field));
  CHECK(message_of(twice) == "decisions[2]: the call s1:c1 is decided on twice; once is accepted");
  auto stale = approve(2);
  stale.digest = call_of(world, 1).digest; // of other arguments
  CHECK(is(refusal({approve(1), stale}), errc::stale_approval));
  CHECK(is(refusal({edit(1, {{"amount", 5'000}})}), errc::denied_by_policy));
  CHECK(is(refusal({}), errc::invalid_field));
  CHECK(is(refusal(std::vector<decide_call>(65, approve(1))), errc::limit_exceeded));
  decide_call stranger{cid(1, "other"), call_verdict::approve};
  CHECK(is(refusal({stranger}), errc::unknown_call));
  auto garbled = approve(2);
  garbled.by = "\xff";
  CHECK(is(refusal({approve(1), garbled}), errc::invalid_field));
  CHECK(pending_of(world).size() == 2);
}

TEST_CASE("a decision that is remembered for a tool holds for its later calls, and is named") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 30, 600, 40})});
  accept(world, remembered(approve(1), decision_scope::tool));
  // 600 is beyond the rule that wants each call decided.
  CHECK(outcome(world, 2) == "succeeded");
  CHECK(call_of(world, 2).ruled_by == "decision 1");
  CHECK(outcome(world, 3) == "open");
  accept(world, approve(3));
  CHECK(outcome(world, 4) == "succeeded");
  CHECK(state_of(world) == "completed");
  const auto all = remembered_by(world);
  REQUIRE(all.size() == 1);
  CHECK(all[0].by == "ann");
  CHECK(all[0].call == 1);
  CHECK(all[0].scope == decision_scope::tool);
  // It holds for the session, whatever its plan.
  accept(world, propose_plan{payments({50})});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("a decision that is remembered for a call holds for exactly the same arguments") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 20, 21})});
  accept(world, remembered(approve(1), decision_scope::call));
  CHECK(outcome(world, 2) == "succeeded");
  CHECK(outcome(world, 3) == "open");
}

TEST_CASE(
    "a rejection that is remembered rejects later calls with its feedback, nobody being asked") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 30})});
  accept(world, remembered(reject(1, "stop paying"), decision_scope::tool));
  CHECK(outcome(world, 2) == "rejected");
  CHECK(call_of(world, 2).answer->content.at("feedback") == "stop paying");
  CHECK(call_of(world, 2).by == "decision 1");
  CHECK(state_of(world) == "completed");
}

TEST_CASE("one for exactly this call goes before one for the tool") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 30, 20, 30})});
  accept(world, remembered(reject(1, "not 20"), decision_scope::call));
  accept(world, remembered(approve(2), decision_scope::tool));
  CHECK(outcome(world, 3) == "rejected");
  CHECK(outcome(world, 4) == "succeeded");
}

TEST_CASE(
    "what the policy denies or wants decided each time is not overruled by what is remembered") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 1'001, 600})});
  accept(world, remembered(approve(1), decision_scope::tool));
  CHECK(outcome(world, 2) == "rejected");
  CHECK(outcome(world, 3) == "open");
  const auto error = refuse_unchanged(world, remembered(approve(3), decision_scope::tool));
  CHECK(is(error, errc::not_allowed));
  CHECK(contains(message_of(error), "the policy's rule 4 wants each call decided by itself"));
}

TEST_CASE(
    "a remembered decision is listed until it is revoked, and then later calls are asked for") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 30})});
  CHECK(is(refuse_unchanged(world, forget_decision{1}), errc::unknown_decision));
  auto decision = remembered(approve(1), decision_scope::tool);
  accept(world, suspend_session{"look first"});
  accept(world, decision);
  auto forget = forget_decision{1};
  forget.by = "bob";
  accept(world, forget);
  CHECK(facts<decision_forgotten>(world).at(0).by == "bob");
  CHECK(remembered_by(world).empty());
  accept(world, resume_session{});
  CHECK(outcome(world, 2) == "open");
  const auto error = refuse_unchanged(world, forget_decision{1});
  CHECK(message_of(error) == "session s1 remembers no decision 1; it remembers: none");
}

TEST_CASE("the other verdict takes the place of a remembered one; the same one is there already") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({20, 30, 40})});
  accept(world, remembered(approve(1), decision_scope::tool));
  accept(world, remembered(approve(2), decision_scope::tool));
  CHECK(remembered_by(world).size() == 1);
  accept(world, remembered(reject(3, "no more"), decision_scope::tool, "bob"));
  const auto all = remembered_by(world);
  REQUIRE(all.size() == 1);
  CHECK(all[0].number == 2);
  CHECK(all[0].verdict == call_verdict::reject);
  CHECK(facts<decision_forgotten>(world).at(0).by == "decision 2");
}

TEST_CASE("a decision that was made before can be remembered afterwards") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments_in_turn({20, 30})});
  accept(world, approve(1));
  const auto events = world.events(sid()).size();
  const auto given = accept(world, remembered(approve(1), decision_scope::tool));
  CHECK(given.kind == receipt_kind::accepted);
  CHECK(given.event == events + 1);
  CHECK(remembered_by(world).size() == 1);
  CHECK(accept(world, remembered(approve(1), decision_scope::tool)).kind
        == receipt_kind::duplicate);
}

TEST_CASE(
    "only approvals and rejections are remembered, so many at most, and not both ways at once") {
  auto options = paying(graded);
  options.limits.remembered_decisions = 2;
  sim::world world{1, options};
  accept(world, propose_plan{payments({20, 30, 40})});
  CHECK(is(refuse_unchanged(world, remembered(edit(1, {{"amount", 1}}), decision_scope::tool)),
           errc::invalid_field));
  auto response = decide_call{cid(1), call_verdict::respond};
  response.content = 1;
  CHECK(
      is(refuse_unchanged(world, remembered(response, decision_scope::call)), errc::invalid_field));
  CHECK(is(refuse_unchanged(world, decide_calls{{remembered(approve(1), decision_scope::tool),
                                                 remembered(reject(2, ""), decision_scope::tool)}}),
           errc::invalid_field));
  const auto error =
      refuse_unchanged(world, decide_calls{{remembered(approve(1), decision_scope::call),
                                            remembered(approve(2), decision_scope::call),
                                            remembered(approve(3), decision_scope::call)}});
  CHECK(is(error, errc::limit_exceeded));
  CHECK(contains(message_of(error), "remembered_decisions"));
  accept(world, decide_calls{{remembered(approve(1), decision_scope::call),
                              remembered(approve(2), decision_scope::call), approve(3)}});
  CHECK(remembered_by(world).size() == 2);
}

TEST_CASE("a remembered decision is about the version of the tool that it was made on") {
  auto version = std::make_shared<std::uint32_t>(1);
  auto options = paying(graded);
  options.setup = [version, basic = options.setup](agent_registry& agents, tool_registry& tools) {
    tool pay;
    pay.name = tid("pay_more");
    pay.version = *version;
    pay.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
    must(tools.add(std::move(pay)));
    basic(agents, tools);
  };
  sim::world world{1, options};
  const auto twice = plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
      {"tool": "pay_more", "arguments": {}}]}]})");
  accept(world, propose_plan{twice});
  accept(world, remembered(approve(1), decision_scope::tool));
  *version = 2;
  world.restart();
  accept(world, propose_plan{twice});
  CHECK(outcome(world, 2) == "open");
}

TEST_CASE("P9: what a remembered decision allowed does not run in another version of its tool") {
  auto version = std::make_shared<std::uint32_t>(1);
  auto counted = std::make_shared<effects>();
  auto options = paying(graded);
  options.limits.blocking_threads = 1;
  options.setup = [version, counted](agent_registry&, tool_registry& tools) {
    tool pay;
    pay.name = tid("pay_more");
    pay.version = *version;
    pay.run = blocking_tool{[counted](const tool_context& context) -> result<json> {
      count_effect(*counted, context);
      return 1;
    }};
    must(tools.add(std::move(pay)));
  };
  sim::world world{1, options};
  const auto calling = [](const std::string& calls) {
    return plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"calls": [)" + calls
                + "]}]}]}");
  };
  const std::string one = R"({"tool": "pay_more"})";
  accept(world, propose_plan{calling(one)});
  accept(world, remembered(approve(1), decision_scope::tool));
  REQUIRE(state_of(world) == "completed");
  world.hold_tools(true);
  accept(world, propose_plan{calling(one + ", " + one)});
  REQUIRE(call_of(world, 2).status == call_status::claimed);
  REQUIRE(call_of(world, 3).status == call_status::queued);
  REQUIRE(call_of(world, 3).ruled_by == "decision 1");
  *version = 2;
  world.crash();
  world.hold_tools(false);
  wake(world);
  CHECK(call_of(world, 2).status == call_status::awaiting_outcome);
  CHECK(call_of(world, 3).status == call_status::awaiting_decision);
  CHECK(counted->size() == 1);
  accept(world, approve(3));
  CHECK(call_of(world, 3).status == call_status::answered);
}

TEST_CASE("a remembered decision is about the declaration that its plan made of the tool") {
  sim::world world{1, paying(graded)};
  const auto declaring = [](const char* description) {
    return plan(
        R"({"goal": "g", "tools": {"publish": {"kind": "client", "description": ")"
        + std::string{description}
        + R"("}}, "subtasks": [{"id": "w", "steps": [{"tool": "publish", "arguments": {}}]}]})");
  };
  accept(world, propose_plan{declaring("to staging")});
  accept(world, remembered(approve(1), decision_scope::tool));
  accept(world, tool_result{cid(1), 1});
  accept(world, propose_plan{declaring("to staging")});
  CHECK(call_of(world, 2).ruled_by == "decision 1");
  accept(world, tool_result{cid(2), 1});
  accept(world, propose_plan{declaring("to production")});
  CHECK(call_of(world, 3).status == call_status::awaiting_decision);
}

TEST_CASE("P4: a decision that is sent again does not revive what others have revoked since") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({20, 30})});
  const auto first = accept(world, remembered(approve(1), decision_scope::tool));
  accept(world, remembered(reject(2, "no more"), decision_scope::tool, "bob"));
  const auto again = accept(world, remembered(approve(1), decision_scope::tool));
  CHECK(again.kind == receipt_kind::duplicate);
  CHECK(again.event == first.event);
  REQUIRE(remembered_by(world).size() == 1);
  CHECK(remembered_by(world)[0].by == "bob");
  accept(world, forget_decision{2});
  CHECK(accept(world, remembered(approve(1), decision_scope::tool)).kind
        == receipt_kind::duplicate);
  CHECK(remembered_by(world).empty());
}

TEST_CASE("exactly the same arguments are the same to the last digit, however large they are") {
  sim::world world{1, paying(R"({"rules": [{"match": {"kind": "plan"}, "action": "allow"}],
                               "default": "ask"})")};
  const auto with = [](const std::string& amounts) {
    std::string steps;
    for (const auto& amount : {std::string{"-1"}, amounts})
      steps +=
          (steps.empty() ? "" : ",") + (R"({"tool": "ask", "arguments": {"n": )" + amount + "}}");
    return plan(
        R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [{"id": "w", "steps": [{"calls": [)"
        + steps + "]}]}]}");
  };
  accept(world, propose_plan{with("18446744073709551615")});
  accept(world, remembered(approve(1), decision_scope::call));
  accept(world, cancel_plan{"once more"});
  accept(world, propose_plan{with("18446744073709551615")});
  CHECK(call_of(world, 3).ruled_by == "decision 1");
  CHECK(call_of(world, 4).status == call_status::awaiting_decision);
  accept(world, cancel_plan{"once more"});
  const std::string large(5'000, 'x');
  accept(world, propose_plan{with("\"" + large + "\"")});
  accept(world, remembered(approve(6), decision_scope::call));
  CHECK(remembered_by(world).at(1).arguments.is_null()); // the call has them
  accept(world, cancel_plan{"once more"});
  accept(world, propose_plan{with("\"" + large + "\"")});
  CHECK(call_of(world, 8).ruled_by == "decision 2");
}

TEST_CASE("the decisions of one command may take the places of others at the limit") {
  auto options = paying(graded);
  options.limits.remembered_decisions = 2;
  sim::world world{1, options};
  accept(world, propose_plan{payments({20, 30, 20, 30})});
  accept(world, decide_calls{{remembered(approve(1), decision_scope::call),
                              remembered(approve(2), decision_scope::call)}});
  accept(world, decide_calls{{remembered(reject(3, ""), decision_scope::call),
                              remembered(reject(4, ""), decision_scope::call)}});
  CHECK(remembered_by(world).size() == 2);
}

TEST_CASE("nobody is asked about a call that is denied, and a decision on it is told why") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{payments({1'001, 5, 20})});
  const auto proposed = facts<call_proposed>(world);
  CHECK(proposed.at(0).status == call_status::answered);
  CHECK(contains(message_of(refuse_unchanged(world, approve(1))),
                 "is rejected already, by the policy's rule 3"));
  CHECK(contains(message_of(refuse_unchanged(world, approve(2))),
                 "needed no decision: allowed by the policy's rule 2"));
}

TEST_CASE("chunks say what is asked of people, what failed, and what is over") {
  sim::world world{1, paying(graded)};
  accept(world, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
      {"tool": "ask_human", "arguments": {"question": "how much?"}},
      {"tool": "pay", "arguments": {"amount": 20}}, {"tool": "pay", "arguments": {}}]}]})")});
  accept(world, answer_question{cid(1), 20});
  accept(world, approve(2));
  accept(world, fail_plan{"no"});
  std::map<std::string, chunk_kind> kinds;
  for (auto& one : world.events(sid())) {
    const auto name = std::string{name_of(one.body)};
    const chunk shown{sid(), one};
    if (const auto* call = std::get_if<call_proposed>(&one.body))
      kinds[name + std::to_string(call->call)] = shown.kind;
    else
      kinds[name] = shown.kind;
  }
  CHECK(kinds.at("call_proposed1") == chunk_kind::input);
  CHECK(kinds.at("call_proposed2") == chunk_kind::approval);
  CHECK(kinds.at("call_decided") == chunk_kind::approval);
  CHECK(kinds.at("call_answered") == chunk_kind::call);
  CHECK(kinds.at("subtask_failed") == chunk_kind::error);
  CHECK(kinds.at("plan_ended") == chunk_kind::completion);
}

TEST_CASE("P1 P4 P8: calls are decided together and remembered once with a fault at every commit") {
  with_a_fault_at_every_commit([] {
    scenario story;
    story.counted = std::make_shared<effects>();
    story.options = paying(graded, story.counted);
    story.first = propose_plan{plan(R"({"goal": "pay", "subtasks": [
        {"id": "a", "steps": [{"calls": [{"tool": "pay", "arguments": {"amount": 20}},
                                         {"tool": "pay", "arguments": {"amount": 30}}]}]},
        {"id": "b", "depends_on": ["a"], "steps": [{"tool": "pay", "arguments": {"amount": 40}}]},
        {"id": "c", "depends_on": ["b"], "steps": [{"tool": "pay", "arguments": {"amount": 2000}}]}]})")};
    story.calls = 4;
    story.end = "completed";
    story.act = [](sim::world& world) -> std::optional<command> {
      const auto waits = pending_of(world);
      if (waits.size() == 2 && waits[0].waiting_for == wait_cause::decision
          && waits[1].waiting_for == wait_cause::decision)
        return decide_calls{{remembered(approve(1), decision_scope::tool), approve(2)}};
      return std::nullopt;
    };
    story.answer = [](const pending_item& item) -> std::optional<command> {
      // Nobody decides by hand: the batch does, and what it makes the session remember.
      if (item.waiting_for == wait_cause::decision)
        return std::nullopt;
      return default_answer(item);
    };
    story.check = [](sim::world& world) {
      CHECK(facts<decision_remembered>(world).size() == 1);
      CHECK(facts<call_decided>(world).size() == 2);
      CHECK(call_of(world, 3).ruled_by == "decision 1");
      CHECK(call_of(world, 4).answer->outcome == call_outcome::rejected);
    };
    return story;
  });
}

} // namespace decision_test
