#include <fermata/actors/sim/coverage.hpp>
#include <fermata/actors/sim/world.hpp>

#include <fermata_catch.hpp>

namespace coverage_test {

using namespace fermata;
using namespace fermata::sim;
using namespace std::chrono_literals;

namespace {

const std::string node = "n1";
const session_id session = *session_id::parse("s1");

/// What a world with one session shows, made up.
class made_up {
public:
  made_up() { world_.add_node(node); }

  /// One commit with these facts.
  template <class... Facts>
  made_up& store(Facts... facts) {
    std::vector<event> events;
    (events.push_back(fact(std::move(facts))), ...);
    commit raw;
    raw.timers = std::exchange(timers_, {});
    coverage_.stored(world_, {node, session, events, raw});
    return *this;
  }
  /// The next commit arms a timer.
  made_up& arm(timestamp due) {
    timer_change change;
    change.due = due;
    timers_.push_back(change);
    return *this;
  }
  made_up& die() {
    coverage_.node_down(world_, node);
    return *this;
  }
  made_up& rise() {
    coverage_.node_up(world_, node);
    return *this;
  }
  made_up& pass(std::chrono::milliseconds time) {
    world_.advance(time);
    return *this;
  }
  made_up& answer(receipt_kind kind, std::uint64_t number) {
    receipt given;
    given.kind = kind;
    given.event = number;
    tell(result<receipt>{given});
    return *this;
  }
  made_up& refuse(errc why) {
    tell(make_error(why));
    return *this;
  }

  [[nodiscard]] std::uint64_t reached(const std::string& name) const {
    const auto all = coverage_.counts().by_name();
    const auto found = all.find(name);
    return found == all.end() ? 0 : found->second;
  }
  [[nodiscard]] std::uint64_t resumes() const { return coverage_.resumes(); }
  [[nodiscard]] timestamp now() const { return world_.now(); }

private:
  event fact(event_body body) {
    event made;
    made.number = ++number_;
    made.body = std::move(body);
    return made;
  }
  void tell(const result<receipt>& given) {
    const command said = resume_session{};
    coverage_.answered(world_, {1, session, said, given, world_.now()});
  }

  world world_{1};
  coverage coverage_;
  std::uint64_t number_ = 0;
  std::vector<timer_change> timers_;
};

state_changed to(session_state from, session_state state) {
  state_changed fact;
  fact.from = from;
  fact.to = state;
  return fact;
}

call_proposed proposed(std::uint64_t call, bool first = true) {
  call_proposed fact;
  fact.call = call;
  fact.first_of_step = first;
  return fact;
}

template <class Fact>
Fact about(std::uint64_t call) {
  Fact fact;
  fact.call = call;
  return fact;
}

call_answered answered(std::uint64_t call, call_outcome outcome = call_outcome::succeeded) {
  auto fact = about<call_answered>(call);
  fact.answer.outcome = outcome;
  return fact;
}

outcome_resolved resolved(std::uint64_t call, std::string by) {
  auto fact = about<outcome_resolved>(call);
  fact.by = std::move(by);
  return fact;
}

template <class Fact>
Fact by(std::string who) {
  Fact fact;
  fact.by = std::move(who);
  return fact;
}

constexpr auto running = session_state::running;
constexpr auto waiting = session_state::waiting;
constexpr auto suspended = session_state::suspended;

} // namespace

TEST_CASE("whatever can be reached has a name, and begins with 0") {
  const auto all = reach_counts{}.by_name();
  for (const auto* name :
       {"fault/crash_inside", "event/late_result", "event/decision_forgotten",
        "state/needs_attention", "answer/expired", "receipt/late", "rare/messages_parked"}) {
    INFO(name);
    REQUIRE(all.contains(name));
    CHECK(all.at(name) == 0);
  }
}

TEST_CASE("events, states, answers, receipts and refusals are counted") {
  made_up seen;
  seen.store(session_created{}, to(session_state::idle, running), proposed(1),
             answered(1, call_outcome::expired));
  seen.answer(receipt_kind::late, 1).refuse(errc::stale_approval);
  for (const auto* name : {"event/session_created", "event/call_proposed", "state/running",
                           "answer/expired", "receipt/late", "refusal/stale_approval"})
    CHECK(seen.reached(name) == 1);
}

TEST_CASE("counts of several worlds add up") {
  reach_counts one;
  one.count(fault_kind::freeze);
  reach_counts other;
  other.count(fault_kind::freeze);
  other.count(errc::overloaded);
  one += other;
  CHECK(one.by_name().at("fault/freeze") == 2);
  CHECK(one.by_name().at("refusal/overloaded") == 1);
}

TEST_CASE("a paused session that moves on is a resume, a running one is none") {
  made_up seen;
  seen.store(to(session_state::idle, running), proposed(1), proposed(2));
  CHECK(seen.resumes() == 0); // it was idle
  seen.store(to(running, waiting));
  CHECK(seen.resumes() == 0);
  seen.store(message_received{}).store(about<late_result>(1)).store(deadline_set{});
  CHECK(seen.resumes() == 0);
  seen.store(answered(1));
  CHECK(seen.resumes() == 1); // though it still waits for the other
  seen.store(answered(2), to(waiting, running));
  CHECK(seen.resumes() == 2);
  seen.store(proposed(3), answered(3));
  CHECK(seen.resumes() == 2);
}

TEST_CASE("an open claim is told from a run that was given up") {
  made_up seen;
  seen.store(proposed(1), about<call_claimed>(1));
  seen.store(about<outcome_unknown>(1));
  CHECK(seen.reached("rare/open_claim_asked") == 0);
  seen.store(session_activated{}, about<outcome_unknown>(1));
  CHECK(seen.reached("rare/open_claim_asked") == 1);
  seen.store(resolved(1, "idempotent"), resolved(1, "reconcile"), resolved(1, "tool"),
             resolved(1, "ann"));
  CHECK(seen.reached("rare/open_claim_rerun") == 1);
  CHECK(seen.reached("rare/open_claim_reconciled") == 1);
  CHECK(seen.reached("rare/run_ended_after_all") == 1);
}

TEST_CASE("a timer that fell due while the node was down is told from others") {
  made_up seen;
  seen.arm(seen.now() + 1h).store(subtask_slept{});
  seen.die().pass(30min).rise();
  seen.store(subtask_woke{});
  CHECK(seen.reached("rare/timer_due_while_down") == 0);
  seen.arm(seen.now() + 1h).store(subtask_slept{});
  seen.die().pass(2h).rise();
  seen.store(message_received{}, subtask_woke{});
  CHECK(seen.reached("rare/timer_due_while_down") == 1);
  // Once only.
  seen.store(subtask_woke{});
  CHECK(seen.reached("rare/timer_due_while_down") == 1);
}

TEST_CASE("what was paused, suspended or backed off over a crash is counted when it goes on") {
  made_up seen;
  seen.store(to(session_state::idle, waiting), proposed(1), about<call_backed_off>(1));
  seen.store(about<call_requeued>(1), about<call_backed_off>(1));
  CHECK(seen.reached("rare/backoff_over_crash") == 0);
  seen.die().rise();
  seen.store(about<call_requeued>(1));
  CHECK(seen.reached("rare/backoff_over_crash") == 1);
  CHECK(seen.reached("rare/pause_over_crash") == 1);
  seen.store(to(waiting, suspended)).die().rise();
  seen.store(session_resumed{}, to(suspended, running));
  CHECK(seen.reached("rare/suspension_over_crash") == 1);
  CHECK(seen.reached("rare/pause_over_crash") == 2);
}

TEST_CASE("a second crash before a running session went on is one during recovery") {
  made_up seen;
  seen.store(to(session_state::idle, running)).die().rise();
  CHECK(seen.reached("rare/crash_during_recovery") == 0);
  seen.die();
  CHECK(seen.reached("rare/crash_during_recovery") == 1);
  seen.rise().store(session_activated{}).die();
  CHECK(seen.reached("rare/crash_during_recovery") == 1);
}

TEST_CASE("a session that begins again without a crash was reloaded after a failure") {
  made_up seen;
  seen.store(to(session_state::idle, running)).die().rise().store(session_activated{});
  CHECK(seen.reached("rare/reloaded_after_failure") == 0);
  seen.store(session_activated{});
  CHECK(seen.reached("rare/reloaded_after_failure") == 1);
}

TEST_CASE("a duplicate of what was accepted before a crash is told from others") {
  made_up seen;
  seen.store(session_created{}, to(session_state::idle, waiting));
  seen.answer(receipt_kind::duplicate, 2);
  CHECK(seen.reached("rare/repeated_over_crash") == 0);
  seen.die().rise().store(message_received{});
  seen.answer(receipt_kind::duplicate, 3);
  CHECK(seen.reached("rare/repeated_over_crash") == 0);
  seen.answer(receipt_kind::duplicate, 2);
  CHECK(seen.reached("rare/repeated_over_crash") == 1);
}

TEST_CASE("answers are told apart by what else was open") {
  made_up seen;
  seen.store(to(session_state::idle, waiting), proposed(1), proposed(2, false), proposed(3));
  seen.store(answered(3));
  CHECK(seen.reached("rare/answered_in_parallel") == 0);
  seen.store(answered(1));
  CHECK(seen.reached("rare/answered_in_parallel") == 1);
  seen.store(to(waiting, suspended)).store(answered(2));
  CHECK(seen.reached("rare/answered_in_parallel") == 1);
  CHECK(seen.reached("rare/answered_while_suspended") == 1);
}

TEST_CASE("a call is cancelled while its tool runs, and not before or after") {
  made_up seen;
  seen.store(proposed(1), answered(1, call_outcome::cancelled));
  seen.store(proposed(2), about<call_claimed>(2), about<call_backed_off>(2),
             answered(2, call_outcome::cancelled));
  CHECK(seen.reached("rare/cancelled_while_running") == 0);
  seen.store(proposed(3), about<call_claimed>(3), answered(3, call_outcome::cancelled));
  CHECK(seen.reached("rare/cancelled_while_running") == 1);
}

TEST_CASE("edited calls that run, denied ones and remembered decisions are counted") {
  made_up seen;
  auto edited = about<call_decided>(1);
  edited.verdict = call_verdict::edit;
  seen.store(proposed(1), edited, about<call_asked_again>(1), about<call_claimed>(1));
  CHECK(seen.reached("rare/edited_call_ran") == 0);
  seen.store(proposed(2));
  edited.call = 2;
  seen.store(edited, about<call_claimed>(2));
  CHECK(seen.reached("rare/edited_call_ran") == 1);
  auto denied = answered(3, call_outcome::rejected);
  denied.by = "policy";
  auto remembered = proposed(3);
  remembered.ruled_by = "decision 1";
  seen.store(remembered, denied);
  CHECK(seen.reached("rare/denied_call") == 1);
  CHECK(seen.reached("rare/decided_by_memory") == 1);
}

TEST_CASE("a plan that is replaced while calls are open, and one that expires, are counted") {
  made_up seen;
  plan_proposed revision;
  revision.revision = 2;
  revision.replaces = 1;
  plan_decided decided;
  decided.revision = 2;
  decided.verdict = plan_verdict::reject;
  seen.store(proposed(1), revision, decided);
  CHECK(seen.reached("rare/replaced_while_calls_open") == 0);
  decided.verdict = plan_verdict::approve;
  seen.store(revision).store(decided);
  CHECK(seen.reached("rare/replaced_while_calls_open") == 1);
  auto ended = by<plan_ended>("timer");
  ended.status = plan_status::failed;
  seen.store(ended);
  CHECK(seen.reached("rare/plan_expired") == 0);
  ended.status = plan_status::cancelled;
  seen.store(ended);
  CHECK(seen.reached("rare/plan_expired") == 1);
}

TEST_CASE("what a real world goes through is counted") {
  world in{7};
  in.add_node(node);
  const auto& counted = in.add(std::make_unique<coverage>());
  const auto proposal = in.send(session, propose_plan{*parse_plan(
                                             R"({"goal": "g", "tools": {"ask": {"kind": "client"}},
          "subtasks": [{"id": "a", "steps": [{"tool": "ask", "arguments": {}}]}]})")});
  in.run();
  in.crash(node);
  const auto approval = in.send(session, decide_plan{1, plan_verdict::approve});
  in.run();
  REQUIRE(approval.accepted());
  const auto again = in.send(session, decide_plan{1, plan_verdict::approve});
  in.run();
  const auto all = counted.counts().by_name();
  CHECK(all.at("event/plan_proposed") == 1);
  CHECK(all.at("state/waiting") == 1);
  CHECK(all.at("receipt/accepted") == 2);
  CHECK(all.at("receipt/duplicate") == 1);
  CHECK(all.at("rare/pause_over_crash") == 1);
  CHECK(counted.resumes() == 1);
}

TEST_CASE("a tail that another process applies is counted, once it goes on") {
  world in{1, world_options{}};
  auto& seen = in.add(std::make_unique<coverage>());
  const auto count = [&] { return seen.counts().by_name().at("rare/tail_over_crash"); };
  const auto say = [&](command body) {
    const auto said = in.send(session, std::move(body));
    in.run();
    REQUIRE(said.accepted());
  };
  say(propose_plan{*parse_plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}},
                                   "subtasks": [{"id": "t", "steps": [{"tool": "ask"}]}]})")});
  in.crash(); // all of it is written
  say(decide_plan{1, plan_verdict::approve});
  CHECK(count() == 0);
  in.crash();
  CHECK(count() == 0);
  say(decide_call{call_id{session, 1}, call_verdict::approve});
  CHECK(count() == 1);
}

TEST_CASE("packed sessions are counted when there come to be some") {
  world_options options;
  options.limits.unpacked_sessions = 0;
  options.pack_after = 1min;
  options.passivate_after = 1h;
  world in{1, options};
  auto& seen = in.add(std::make_unique<coverage>());
  const auto proposed =
      in.send(session, propose_plan{*parse_plan(R"({"goal": "g", "subtasks": [{"id": "t"}]})")});
  for (const std::uint64_t times : {1, 2}) {
    in.advance(30min);
    CHECK(in.load(node)->packed_sessions == 1);
    CHECK(seen.counts().by_name().at("rare/sessions_packed") == times);
    const auto woken = in.wake(session);
    in.run();
  }
}

TEST_CASE("parked messages are counted when there come to be some, however long they wait") {
  world_options options;
  options.policy = approval_policy::allow_everything();
  options.limits.resident_sessions = 1;
  options.setup = [](agent_registry&, tool_registry& tools) {
    tool work;
    work.name = *tool_name::parse("work");
    work.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
    REQUIRE_FALSE(tools.add(std::move(work)));
  };
  const auto plan =
      *parse_plan(R"({"goal": "g", "subtasks": [{"id": "t", "steps": [{"tool": "work"}]}]})");
  world in{1, options};
  auto& seen = in.add(std::make_unique<coverage>());
  const auto other = *session_id::parse("s2");
  for (const std::uint64_t times : {1, 2}) {
    in.hold_tools(true);
    const auto working = in.send(session, propose_plan{plan});
    in.run();
    const auto waiting = in.send(other, propose_plan{plan});
    in.advance(1min);
    CHECK(in.load(node)->parked_messages == 1);
    CHECK(seen.counts().by_name().at("rare/messages_parked") == times);
    in.hold_tools(false);
    in.advance(1h);
    CHECK(waiting.accepted());
  }
}

} // namespace coverage_test
