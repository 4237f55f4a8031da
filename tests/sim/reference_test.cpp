// The reference model refuses what a session's documents say is impossible, one rule at a time, and
// says which answers to a command are right.

#include "../actors/support.hpp"

#include <fermata/actors/sim/expectation.hpp>
#include <fermata/actors/sim/reference_session.hpp>
#include <fermata/messages/digest.hpp>

namespace reference_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

using events = std::vector<event_body>;

template <class Fact, class Change>
event_body make(Change change) {
  Fact fact;
  change(fact);
  return fact;
}

event_body created() {
  return make<session_created>([](auto& fact) { fact.incarnation = "i"; });
}

event_body proposed(const plan_spec& plan, std::uint32_t revision = 1, std::uint32_t replaces = 0) {
  return make<plan_proposed>([&](auto& fact) {
    fact.revision = revision;
    fact.plan = plan;
    fact.goal = plan.goal;
    fact.subtasks = static_cast<std::uint32_t>(plan.subtasks.size());
    fact.digest = "plan " + std::to_string(revision);
    fact.replaces = replaces;
  });
}

event_body decided(std::uint32_t revision = 1, plan_verdict verdict = plan_verdict::approve) {
  return make<plan_decided>([&](auto& fact) {
    fact.revision = revision;
    fact.verdict = verdict;
  });
}

event_body plan_begins(std::uint32_t revision = 1) {
  return make<plan_started>([&](auto& fact) { fact.revision = revision; });
}

event_body plan_ends(plan_status status = plan_status::completed, std::uint32_t revision = 1) {
  return make<plan_ended>([&](auto& fact) {
    fact.revision = revision;
    fact.status = status;
  });
}

event_body starts(std::string_view id, std::uint32_t attempt = 1) {
  return make<subtask_started>([&](auto& fact) {
    fact.subtask = stid(id);
    fact.attempt = attempt;
  });
}

event_body finishes(std::string_view id, json result = nullptr) {
  return make<subtask_finished>([&](auto& fact) {
    fact.subtask = stid(id);
    fact.result = std::move(result);
  });
}

event_body fails(std::string_view id, std::optional<timestamp> retry_at = {}) {
  return make<subtask_failed>([&](auto& fact) {
    fact.subtask = stid(id);
    fact.retry_at = retry_at;
  });
}

event_body moves(session_state from, session_state to) {
  return make<state_changed>([&](auto& fact) {
    fact.from = from;
    fact.to = to;
  });
}

/// Call `number` of subtask a: a client tool, or a server tool.
event_body calls(std::uint64_t number, call_status status, tool_kind kind = tool_kind::client,
                 bool first_of_step = true) {
  return make<call_proposed>([&](auto& fact) {
    fact.call = number;
    fact.subtask = stid("a");
    fact.tool = tid(kind == tool_kind::server ? "buy" : "ask");
    fact.kind = kind;
    fact.arguments = json::object();
    fact.status = status;
    fact.digest = "digest " + std::to_string(number);
    fact.ruled_by = "default";
    fact.first_of_step = first_of_step;
  });
}

event_body answers(std::uint64_t call, call_outcome outcome = call_outcome::succeeded,
                   json content = 1) {
  return make<call_answered>([&](auto& fact) {
    fact.call = call;
    fact.answer = {outcome, std::move(content)};
  });
}

event_body decides(std::uint64_t call, call_verdict verdict, call_status status,
                   const std::string& digest) {
  return make<call_decided>([&](auto& fact) {
    fact.call = call;
    fact.verdict = verdict;
    fact.status = status;
    fact.digest = digest;
  });
}

event_body claims(std::uint64_t call, std::uint32_t run = 1) {
  return make<call_claimed>([&](auto& fact) {
    fact.call = call;
    fact.run = run;
  });
}

event_body asks_again(std::uint64_t call, const std::string& digest, std::uint32_t version = 0) {
  return make<call_asked_again>([&](auto& fact) {
    fact.call = call;
    fact.digest = digest;
    fact.tool_version = version;
  });
}

event_body has_unknown_outcome(std::uint64_t call) {
  return make<outcome_unknown>([&](auto& fact) { fact.call = call; });
}

event_body resolves(std::uint64_t call, outcome_resolution how, std::string by = "boss") {
  return make<outcome_resolved>([&](auto& fact) {
    fact.call = call;
    fact.resolution = how;
    fact.by = std::move(by);
  });
}

constexpr auto idle = session_state::idle;
constexpr auto running = session_state::running;
constexpr auto waiting = session_state::waiting;

/// A session whose history is made up.
struct history {
  sim::reference_session session{sid()};
  timestamp now{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};

  history() = default;

  [[nodiscard]] std::vector<event> numbered(events bodies) const {
    std::vector<event> facts;
    for (auto& body : bodies) {
      auto& fact = facts.emplace_back();
      fact.number = session.events + facts.size();
      fact.at = now;
      fact.body = std::move(body);
    }
    return facts;
  }

  /// One transaction that is possible.
  void add(events bodies) {
    const auto found = sim::apply(session, numbered(std::move(bodies)));
    INFO((found ? found->text : std::string{}));
    REQUIRE_FALSE(found);
  }

  /// One that is not, because of its last event or what it comes to. What promise it breaks.
  std::string refuse(events bodies, std::string_view because) {
    auto copy = session;
    const auto last = session.events + bodies.size();
    const auto found = sim::apply(copy, numbered(std::move(bodies)));
    if (!found)
      return "none";
    CAPTURE(found->text);
    CHECK(found->event == last);
    CHECK(contains(found->text, because));
    return found->promise;
  }

  /// A plan in progress whose subtask a runs, of an agent of one's own; b depends on it.
  static history begun(std::string_view more_of_a = R"(, "agent": "own")") {
    history made;
    made.add({created(),
              proposed(plan(R"({"goal": "g", "subtasks": [{"id": "a")" + std::string{more_of_a}
                            + R"(}, {"id": "b", "depends_on": ["a"]}]})")),
              moves(idle, session_state::awaiting_plan_decision)});
    made.add({decided(), plan_begins(), starts("a"),
              moves(session_state::awaiting_plan_decision, running)});
    return made;
  }
};

} // namespace

TEST_CASE("P1: the reference model sees a gap in a journal, and a number that was there before") {
  auto made = history::begun();
  auto facts = made.numbered({finishes("a")});
  facts.front().number += 1;
  CHECK(sim::apply(made.session, facts)->promise == "P1");
  facts.front().number -= 2;
  CHECK(sim::apply(made.session, facts)->promise == "P1");
}

TEST_CASE("P3: one subtask at a time, the first in the list that has all it depends on") {
  auto made = history::begun();
  CHECK(made.refuse({starts("b")}, "while subtask \"a\" is running") == "P3");
  CHECK(made.refuse({finishes("b")}, "it is not running") == "P3");
  CHECK(made.refuse({finishes("a"), starts("b", 2)}, "attempt 2 after 0") == "P3");
  CHECK(made.refuse({fails("a"), starts("b")}, "nothing is the first") == "P3");
  CHECK(made.refuse({finishes("a"), plan_ends()}, "not all of its subtasks") == "P3");
  made.add({finishes("a"), starts("b"), finishes("b"), plan_ends(),
            moves(running, session_state::completed)});
  CHECK(made.refuse({starts("b", 2)}, "no plan is in progress") == "P3");
}

TEST_CASE("P3: a subtask is not done, and its agent takes no step, while a call has no answer") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_result),
            calls(2, call_status::awaiting_result, tool_kind::client, false),
            moves(running, waiting)});
  CHECK(made.refuse({answers(1), finishes("a")}, "calls that have no answer: 2") == "P3");
  CHECK(made.refuse({answers(1), calls(3, call_status::awaiting_result)}, "no answer: 2") == "P3");
  CHECK(made.refuse({answers(1), fails("a")}, "no answer: 2") == "P3");
  made.add({answers(1)});
  made.add({answers(2), finishes("a"), starts("b"), moves(waiting, running)});
}

TEST_CASE("P3: the agent script is done when it has seen what its last step brought") {
  auto made = history::begun(R"(, "steps": [{"tool": "ask"}, {"tool": "ask"}])");
  made.add({calls(1, call_status::awaiting_result), moves(running, waiting)});
  CHECK(made.refuse({answers(1), finishes("a", 1)}, "after 1 of its 2 steps") == "P3");
  made.add({answers(1), calls(2, call_status::awaiting_result)});
  CHECK(made.refuse({answers(2, call_outcome::succeeded, "tea"), finishes("a")},
                    "its agent has not seen it")
        == "P3");
  made.add({answers(2, call_outcome::succeeded, "tea"), finishes("a", "tea"), starts("b"),
            moves(waiting, running)});
}

TEST_CASE("P4: the agent script makes the calls that its steps say") {
  auto made = history::begun(
      R"(, "steps": [{"calls": [{"tool": "ask"}, {"tool": "ask"}]}, {"sleep_ms": 1}, {"tool": "ask"}])");
  const auto first = calls(1, call_status::awaiting_result);
  const auto second = calls(2, call_status::awaiting_result, tool_kind::client, false);
  const auto sleeps = make<subtask_slept>([&](auto& fact) {
    fact.subtask = stid("a");
    fact.until = made.now;
  });
  auto lost = made;
  lost.add({first, moves(running, waiting)});
  CHECK(lost.refuse({answers(1), sleeps}, "was to make 2 calls in its step 1, but has made 1")
        == "P4");
  CHECK(lost.refuse({answers(1), calls(2, call_status::awaiting_result)}, "has made 1") == "P4");
  made.add({first, second, moves(running, waiting)});
  made.add({answers(1)});
  made.add({answers(2), sleeps, make<subtask_woke>([](auto& fact) { fact.subtask = stid("a"); }),
            calls(3, call_status::awaiting_result)});
}

TEST_CASE("P4: what has expired is not decided on, and not answered") {
  auto made = history::begun();
  auto asked = calls(1, call_status::awaiting_decision);
  auto granted = calls(2, call_status::awaiting_result, tool_kind::client, false);
  std::get<call_proposed>(asked).expires_at = made.now + 1h;
  std::get<call_proposed>(granted).expires_at = made.now + 1h;
  made.add({asked, granted, moves(running, waiting)});
  const auto approves = decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1");
  auto in_time = made;
  in_time.now += 1h - 1ms;
  in_time.add({approves});
  in_time.add({answers(2)});
  made.now += 1h;
  CHECK(made.refuse({approves}, "although it had expired before") == "P4");
  CHECK(made.refuse({answers(2)}, "although it had expired before") == "P4");
  CHECK(made.refuse({answers(2, call_outcome::cancelled)}, "although it had expired") == "P4");
  made.add({answers(1, call_outcome::expired, "late"), answers(2, call_outcome::expired, "late"),
            moves(waiting, running)});
}

TEST_CASE("P7: an agent does not end its subtask in a step that had begun before a message came") {
  const auto says = make<message_received>([](auto& fact) { fact.number = 1; });
  auto made = history::begun();
  CHECK(made.refuse({says, finishes("a")}, "which its agent has not seen") == "P7");
  made.add({says});
  CHECK(made.refuse({finishes("a")}, "which its agent has not seen") == "P7");
  const auto ends = [](history then) { then.add({finishes("a"), starts("b")}); };
  auto again = made;
  again.add({make<step_restarted>([](auto& fact) { fact.subtask = stid("a"); })});
  ends(again);
  auto suspended = made; // the step is given up, and the one after the suspension sees it
  suspended.add({session_suspended{}, moves(running, session_state::suspended)});
  suspended.add({session_resumed{}, moves(session_state::suspended, running)});
  ends(suspended);
  auto called = made; // the next step sees it
  called.add({calls(1, call_status::awaiting_result), moves(running, waiting)});
  called.add({answers(1), moves(waiting, running)});
  ends(called);
  auto waits = history::begun(); // no step had begun
  waits.add({calls(1, call_status::awaiting_result), moves(running, waiting)});
  waits.add({says});
  waits.add({answers(1), moves(waiting, running)});
  ends(waits);
}

TEST_CASE("P4: a call is answered once, and with what somebody said") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_decision), moves(running, waiting)});
  CHECK(made.refuse({answers(1)}, "nobody has decided on it") == "P9");
  CHECK(made.refuse({answers(1, call_outcome::rejected)}, "nobody has rejected it") == "P4");
  CHECK(made.refuse({decides(1, call_verdict::reject, call_status::answered, "digest 1"),
                     answers(1, call_outcome::succeeded)},
                    "it was rejected")
        == "P4");
  CHECK(made.refuse({decides(1, call_verdict::reject, call_status::answered, "digest 1")},
                    "was to be answered")
        == "P4");
  made.add({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1")});
  CHECK(made.refuse({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1")},
                    "it is awaiting_result")
        == "P4");
  made.add({answers(1), moves(waiting, running)});
  CHECK(made.refuse({answers(1)}, "answered twice") == "P4");
  CHECK(made.refuse({answers(2)}, "no call 2") == "P4");
}

TEST_CASE("P4: nothing ends with calls that have no answer") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_result), moves(running, waiting)});
  CHECK(made.refuse({plan_ends(plan_status::cancelled)}, "no answer: 1") == "P4");
  CHECK(made.refuse({make<subtask_cancelled>([](auto& fact) { fact.subtask = stid("a"); })},
                    "no answer: 1")
        == "P4");
  made.add({answers(1, call_outcome::cancelled, "over"), plan_ends(plan_status::cancelled),
            moves(waiting, session_state::cancelled)});
  CHECK(made.refuse({make<late_result>([](auto& fact) { fact.call = 2; })}, "no call 2") == "P4");
  for (std::uint32_t i = 0; i < made.session.limits.late_results; ++i)
    made.add({make<late_result>([](auto& fact) { fact.call = 1; })});
  CHECK(made.refuse({make<late_result>([](auto& fact) { fact.call = 1; })},
                    "there are 16 already; late_results is 16")
        == "P10");
}

TEST_CASE("P10: a session has no more of anything than its limits allow") {
  auto made = history::begun();
  made.session.limits.calls_per_step = 2;
  made.session.limits.subtask_entries = 2;
  made.session.limits.plan_messages = 1;
  made.session.limits.remembered_decisions = 0;
  const auto more = [](std::uint64_t number) {
    return calls(number, call_status::awaiting_result, tool_kind::client, false);
  };
  const auto says = [](std::uint64_t number) {
    return make<message_received>([&](auto& fact) { fact.number = number; });
  };
  const auto speaks = make<agent_said>([](auto& fact) { fact.subtask = stid("a"); });
  CHECK(made.refuse({calls(1, call_status::awaiting_result), more(2), more(3)},
                    "there are 2 already; calls_per_step is 2")
        == "P10");
  made.add({calls(1, call_status::awaiting_result), more(2), moves(running, waiting)});
  made.add({says(1)});
  CHECK(made.refuse({says(2)}, "there are 1 already; plan_messages is 1") == "P10");
  CHECK(made.refuse({make<decision_remembered>([](auto& fact) {
                      fact.call = 1;
                      fact.decision = 1;
                      fact.tool = tid("ask");
                    })},
                    "there are 0 already; remembered_decisions is 0")
        == "P10");
  made.add({answers(1), answers(2), moves(waiting, running)});
  // The step and the message are two.
  const auto full = "there are 2 already; subtask_entries is 2";
  CHECK(made.refuse({speaks}, full) == "P10");
  CHECK(made.refuse({calls(3, call_status::awaiting_result)}, full) == "P10");
  made.session.limits.subtask_entries = 3;
  made.add({speaks, calls(3, call_status::awaiting_result), moves(running, waiting)});
}

TEST_CASE("P4: only the plan that awaits a decision is decided on, once") {
  history made;
  const auto draft = session_state::awaiting_plan_decision;
  const auto any = plan(R"({"goal": "g", "subtasks": [{"id": "a"}]})");
  made.add({created(), proposed(any), moves(idle, draft)});
  auto expired = made;
  expired.session.revisions.at(1).expires_at = made.now;
  CHECK(expired.refuse({decided()}, "although it had expired before") == "P4");
  CHECK(made.refuse({decided(2)}, "revision 1 awaits a decision") == "P4");
  made.add({decided(1, plan_verdict::modify), moves(draft, session_state::planning)});
  CHECK(made.refuse({decided(1)}, "sent back before") == "P4");
  made.add({proposed(any, 2), moves(session_state::planning, draft)});
  CHECK(made.refuse({decided(1)}, "revision 2 awaits a decision") == "P4");
  made.add({decided(2, plan_verdict::reject), moves(draft, session_state::rejected)});
  CHECK(made.refuse({decided(2)}, "no revision awaits a decision") == "P4");
  CHECK(made.refuse({proposed(any, 2)}, "revision 2 follows revision 2") == "P1");
}

TEST_CASE("P5: a session is in the state that follows from what is recorded") {
  auto made = history::begun();
  const auto call = calls(1, call_status::awaiting_decision);
  CHECK(made.refuse({call}, "is said to be running") == "P5");
  CHECK(made.refuse({call, moves(running, session_state::needs_attention)}, "comes to waiting")
        == "P5");
  CHECK(made.refuse({call, moves(waiting, running)}, "but it was running") == "P5");
  made.add({call, moves(running, waiting)});
  CHECK(made.session.waiting().decision == 1);
  CHECK(made.session.waiting().result == 0);
  made.add({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1")});
  CHECK(made.session.waiting().decision == 0);
  CHECK(made.session.waiting().result == 1);
  REQUIRE(made.session.pending().size() == 1);
  CHECK(made.session.pending()[0].waiting_for == wait_cause::result);
  CHECK(made.session.pending()[0].id == "s1:c1");
}

TEST_CASE("P5: nothing starts while a session is suspended, or while a revision waits") {
  auto made = history::begun();
  const auto next = plan(R"({"goal": "g", "subtasks": [{"id": "b"}]})");
  made.add({calls(1, call_status::queued, tool_kind::server)});
  made.add({session_suspended{}, moves(running, session_state::suspended)});
  CHECK(made.refuse({claims(1)}, "suspended") == "P5");
  made.add({session_resumed{}, moves(session_state::suspended, running)});
  made.add({claims(1)});
  made.add({answers(1), proposed(next, 2, 1)});
  CHECK(made.refuse({finishes("a"), starts("b")}, "revision 2 awaits") == "P5");
  CHECK(made.refuse({session_resumed{}}, "not suspended") == "P5");
}

TEST_CASE("P6: nothing that a timer brings about comes before its time") {
  auto made = history::begun();
  const auto later = made.now + 1h;
  made.add({make<subtask_slept>([&](auto& fact) {
              fact.subtask = stid("a");
              fact.until = later;
            }),
            moves(running, waiting)});
  CHECK(made.session.next_timer() == later);
  CHECK(made.session.waiting().backoff == 1);
  const auto wakes = make<subtask_woke>([](auto& fact) { fact.subtask = stid("a"); });
  CHECK(made.refuse({wakes}, "before its time") == "P6");
  CHECK(made.refuse({finishes("a")}, "it sleeps") == "P6");
  made.now = later;
  made.add({wakes, moves(waiting, running)});
  CHECK_FALSE(made.session.next_timer());
  auto call = calls(1, call_status::awaiting_result);
  std::get<call_proposed>(call).expires_at = later + 1h;
  made.add({call, moves(running, waiting)});
  CHECK(made.session.next_timer() == later + 1h);
  const auto expires = answers(1, call_outcome::expired, "late");
  CHECK(made.refuse({expires}, "before its time") == "P6");
  made.now = later + 1h;
  made.add({expires, moves(waiting, running)});
}

TEST_CASE("P6: a subtask is blocked and freed by what it depends on, and tried again as often as "
          "its plan says") {
  auto made = history::begun(R"(, "agent": "own", "retry": {"max_attempts": 2})");
  const auto blocks = make<subtask_blocked>([](auto& fact) {
    fact.subtask = stid("b");
    fact.by = stid("a");
  });
  CHECK(made.refuse({blocks}, "nothing that it depends on holds it up") == "P6");
  made.add({fails("a", made.now + 1s), moves(running, waiting)});
  CHECK(made.session.next_timer() == made.now + 1s);
  const auto retries = make<subtask_retried>([](auto& fact) {
    fact.subtask = stid("a");
    fact.by = "backoff";
  });
  CHECK(made.refuse({retries}, "before its backoff is over") == "P6");
  made.now += 1s;
  made.add({retries, starts("a", 2), moves(waiting, running)});
  CHECK(made.refuse({fails("a", made.now + 1s)}, "2 attempts of 2") == "P6");
  made.add({fails("a"), blocks, moves(running, session_state::needs_attention)});
  CHECK(made.refuse({make<subtask_skipped>([](auto& fact) { fact.subtask = stid("b"); })},
                    "it is blocked")
        == "P3");
  const auto skips = make<subtask_skipped>([](auto& fact) { fact.subtask = stid("a"); });
  CHECK(made.refuse({skips}, "is blocked, but nothing that it depends on holds it up") == "P6");
  made.add({skips, make<subtask_unblocked>([](auto& fact) { fact.subtask = stid("b"); }),
            starts("b"), moves(session_state::needs_attention, running)});
}

TEST_CASE("P8: a run is claimed in order, and again only when somebody or something allows it") {
  auto made = history::begun();
  made.add({calls(1, call_status::queued, tool_kind::server)});
  CHECK(made.refuse({answers(1)}, "no run of it is claimed") == "P8");
  CHECK(made.refuse({claims(1, 2)}, "after run 0") == "P8");
  made.add({claims(1)});
  CHECK(made.refuse({claims(1, 2)}, "it is claimed") == "P8");
  CHECK(made.refuse({resolves(1, outcome_resolution::rerun)}, "nobody has said") == "P8");
  CHECK(
      made.refuse({resolves(1, outcome_resolution::rerun, "idempotent")}, "not declared idempotent")
      == "P8");
  made.add({has_unknown_outcome(1), moves(running, waiting)});
  CHECK(made.refuse({claims(1, 2)}, "it is awaiting_outcome") == "P8");
  CHECK(made.refuse({answers(1)}, "nobody has said what became of its run") == "P8");
  CHECK(made.refuse({resolves(1, outcome_resolution::happened)}, "was to be answered") == "P4");
  made.add({resolves(1, outcome_resolution::rerun), claims(1, 2), moves(waiting, running)});
  const auto backs_off = [&](std::uint32_t run) {
    return make<call_backed_off>([&](auto& fact) {
      fact.call = 1;
      fact.run = run;
      fact.retry_at = made.now + 1s;
    });
  };
  CHECK(made.refuse({backs_off(1)}, "run 2 is the last") == "P8");
  made.add({backs_off(2), moves(running, waiting)});
  const auto requeued = make<call_requeued>([](auto& fact) { fact.call = 1; });
  CHECK(made.refuse({requeued}, "before its backoff is over") == "P8");
  made.now += 1s;
  made.add({requeued, claims(1, 3), moves(waiting, running)});
  made.add({answers(1)});
}

TEST_CASE("P8: an attempt is not tried again by itself when a call may have taken effect unseen") {
  auto made =
      history::begun(R"(, "agent": "own", "retry": {"max_attempts": 5}, "time_limit_ms": 1000)");
  made.session.active->set_attempt_ends(0, made.now + 1s);
  made.add({calls(1, call_status::queued, tool_kind::server), claims(1)});
  made.now += 1s;
  const auto expires = answers(1, call_outcome::expired, "late");
  CHECK(made.refuse({expires, fails("a", made.now + 1s)}, "unseen") == "P8");
  made.add({expires, fails("a"), make<subtask_blocked>([](auto& fact) {
              fact.subtask = stid("b");
              fact.by = stid("a");
            }),
            moves(running, session_state::needs_attention)});
}

TEST_CASE("P9: what is approved is what was shown") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_decision), moves(running, waiting)});
  CHECK(made.refuse({decides(1, call_verdict::approve, call_status::awaiting_result, "other")},
                    "although the same things are")
        == "P9");
  auto edit = decides(1, call_verdict::edit, call_status::awaiting_result, "digest 1");
  std::get<call_decided>(edit).arguments = {{"item", "rum"}};
  CHECK(made.refuse({edit}, "although other things are approved") == "P9");
  std::get<call_decided>(edit).digest = "digest of rum";
  made.add({edit});
  CHECK(made.session.calls[0].arguments == json{{"item", "rum"}});
  made.add({answers(1), moves(waiting, running)});
  auto second = calls(2, call_status::awaiting_decision);
  std::get<call_proposed>(second).digest = "digest of rum";
  CHECK(made.refuse({second}, "of call 1") == "P9");
  auto unruled = calls(2, call_status::awaiting_result);
  std::get<call_proposed>(unruled).ruled_by.clear();
  CHECK(made.refuse({unruled}, "no rule says so") == "P9");
}

TEST_CASE("P9: where a plan is replaced, what waits for a decision is asked again, and what was "
          "approved before is not claimed") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_decision, tool_kind::server),
            calls(2, call_status::awaiting_decision, tool_kind::server, false),
            moves(running, waiting)});
  made.add({session_suspended{}, moves(waiting, session_state::suspended)});
  made.add({decides(1, call_verdict::approve, call_status::queued, "digest 1")});
  auto next = plan(R"({"goal": "h", "subtasks": [{"id": "a", "agent": "own"}]})");
  made.add({proposed(next, 2, 1)});
  CHECK(made.refuse({decided(2)}, "is not asked again under revision 2") == "P9");
  CHECK(made.refuse({asks_again(2, "digest 1")}, "of call 1") == "P9");
  made.add({asks_again(2, "digest 2 again"), decided(2)});
  CHECK(made.session.running == std::uint32_t{0});
  made.add({session_resumed{}, plan_begins(2), moves(session_state::suspended, running)});
  CHECK(made.refuse({claims(1)}, "approved under revision 1") == "P9");
  made.add({asks_again(1, "digest 1 again"), moves(running, waiting)});
  CHECK(made.session.waiting().decision == 2);
}

TEST_CASE("P9: a remembered decision lets run what it was made on, and nothing else") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_decision), moves(running, waiting)});
  const auto remember = [](std::uint64_t number, std::string_view tool) {
    return make<decision_remembered>([&](auto& fact) {
      fact.decision = number;
      fact.call = 1;
      fact.tool = tid(tool);
      fact.arguments_digest = digest_of(json::object());
    });
  };
  CHECK(made.refuse({remember(1, "pay")}, "remembered for pay") == "P9");
  made.add({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1"),
            remember(1, "ask")});
  made.add({answers(1), moves(waiting, running)});
  auto call = calls(2, call_status::awaiting_result);
  auto& fact = std::get<call_proposed>(call);
  fact.ruled_by = "decision 2";
  CHECK(made.refuse({call}, "does not remember") == "P9");
  fact.ruled_by = "decision 1";
  fact.arguments = {{"item", "rum"}};
  CHECK(made.refuse({call}, "which is about another") == "P9");
  fact.arguments = json::object();
  fact.status = call_status::awaiting_decision;
  CHECK(made.refuse({call}, "which says otherwise") == "P9");
  fact.status = call_status::awaiting_result;
  made.add({call, moves(running, waiting)});
  const auto forget = make<decision_forgotten>([](auto& forgotten) { forgotten.decision = 1; });
  made.add({forget});
  CHECK(made.refuse({forget}, "not remembered") == "P9");
}

TEST_CASE("a replan keeps what is done and goes on with what runs, where nothing has changed") {
  const auto before = plan(R"({"goal": "g", "subtasks": [{"id": "a", "result": 1},
    {"id": "b", "depends_on": ["a"], "agent": "own"}, {"id": "c", "depends_on": ["b"]}]})");
  sim::reference_plan old{1, before.subtasks};
  old.set_status(0, subtask_status::done);
  old.set_status(1, subtask_status::running);
  auto next = before;
  const auto fates = [&] { return old.compare({2, next.subtasks}); };
  using sim::replanned;
  CHECK(fates() == std::vector{replanned::kept, replanned::continues, replanned::anew});
  std::swap(next.subtasks[0], next.subtasks[1]);
  CHECK(fates() == std::vector{replanned::continues, replanned::kept, replanned::anew});
  next.subtasks[1].result = 2;
  CHECK(fates() == std::vector{replanned::anew, replanned::anew, replanned::anew});
}

// -- which answers are right
// ------------------------------------------------------------------------

namespace {

std::string right(const history& made, const command& body) {
  return sim::expect(made.session, body).text();
}

tool_result posts(std::uint64_t call, json content) {
  return tool_result{cid(call), std::move(content)};
}

} // namespace

TEST_CASE("P4: the right answer to a result depends on what became of its call") {
  auto made = history::begun();
  CHECK(right(made, posts(1, 1)) == "unknown_call");
  made.add({calls(1, call_status::awaiting_decision), moves(running, waiting)});
  CHECK(right(made, posts(1, 1)) == "not_approved");
  made.add({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1")});
  CHECK(right(made, posts(1, 1)) == "accepted");
  made.add({answers(1), moves(waiting, running)});
  const auto event = std::to_string(made.session.events - 1);
  CHECK(right(made, posts(1, 1)) == "duplicate of event " + event);
  CHECK(right(made, posts(1, 2)) == "already_answered");
  CHECK(right(made, tool_result{cid(1), 1, true}) == "already_answered");
  CHECK(right(made, tool_result{cid(1, "s2"), 1}) == "unknown_call");
  CHECK(right(made, cancel_call{cid(1), "no"}) == "already_answered");
}

TEST_CASE("P4: the right answer to a result that comes too late is that it is late") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_result), moves(running, waiting)});
  CHECK(right(made, cancel_call{cid(1), "no"}) == "accepted");
  made.add({answers(1, call_outcome::cancelled, "no"), moves(waiting, running)});
  const auto event = std::to_string(made.session.events - 1);
  CHECK(right(made, posts(1, 1)) == "late after event " + event);
  CHECK(right(made, cancel_call{cid(1), "no"}) == "duplicate of event " + event);
  CHECK(right(made, decide_call{cid(1), call_verdict::approve}) == "superseded");
}

TEST_CASE("P9: the right answer to a decision that was made on something else is stale_approval") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_decision), moves(running, waiting)});
  auto decision = approve(1);
  CHECK(sim::expect(made.session, decision).accepted);
  decision.digest = "digest 1";
  CHECK(sim::expect(made.session, decision).accepted);
  CHECK_FALSE(sim::expect(made.session, decision).allows(errc::stale_approval));
  decision.digest = "digest 0";
  CHECK_FALSE(sim::expect(made.session, decision).accepted);
  CHECK(sim::expect(made.session, decision).allows(errc::stale_approval));
  made.add({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1")});
  CHECK(right(made, approve(1)) == "duplicate of event " + std::to_string(made.session.events));
  CHECK(right(made, reject(1, "no")) == "already_decided");
  CHECK(right(made, edit(1, {})) == "already_decided");
}

TEST_CASE("P4: several decisions are all right, or the first that is not refuses them") {
  auto made = history::begun();
  made.add({calls(1, call_status::awaiting_decision),
            calls(2, call_status::awaiting_decision, tool_kind::client, false),
            moves(running, waiting)});
  made.add({decides(1, call_verdict::approve, call_status::awaiting_result, "digest 1")});
  const auto event = std::to_string(made.session.events);
  CHECK(sim::expect(made.session, decide_calls{{approve(1), approve(2)}}).accepted);
  CHECK(right(made, decide_calls{{approve(1)}}) == "duplicate of event " + event);
  CHECK(right(made, decide_calls{{reject(1, "no"), approve(2)}}) == "already_decided");
  CHECK(right(made, decide_calls{{approve(1), approve(1)}}) == "invalid_field");
  CHECK(right(made, decide_calls{}) == "invalid_field");
}

TEST_CASE("P5: whether other commands are right depends on the session and its subtasks") {
  history made;
  CHECK(right(made, resume_session{}) == "unknown_session");
  made = history::begun();
  CHECK(right(made, propose_plan{}) == "session_busy");
  CHECK(right(made, decide_plan{1, plan_verdict::approve}) == "duplicate of event 4");
  CHECK(right(made, decide_plan{1, plan_verdict::reject}) == "already_decided");
  CHECK(right(made, decide_plan{2, plan_verdict::reject}) == "unknown_approval");
  CHECK(right(made, retry_subtask{stid("a")}) == "not_allowed");
  CHECK(right(made, cancel_subtask{stid("b"), ""}) == "accepted");
  CHECK(right(made, cancel_subtask{stid("z"), ""}) == "unknown_subtask");
  CHECK(right(made, fail_plan{}) == "not_allowed");
  CHECK(right(made, cancel_plan{}) == "accepted");
  CHECK(right(made, suspend_session{}) == "accepted");
  CHECK(right(made, resume_session{}) == "not_allowed");
  CHECK(right(made, forget_decision{1}) == "unknown_decision");
  CHECK(right(made, answer_question{cid(1), 1}) == "unknown_call");
  made.add({calls(1, call_status::queued, tool_kind::server), claims(1)});
  CHECK(right(made, answer_question{cid(1), 1}) == "not_allowed");
  CHECK(right(made, posts(1, 1)) == "not_allowed");
  CHECK(right(made, resolve_outcome{cid(1), outcome_resolution::rerun}) == "not_allowed");
  made.add({has_unknown_outcome(1), moves(running, waiting)});
  CHECK(right(made, resolve_outcome{cid(1), outcome_resolution::rerun}) == "accepted");
}

TEST_CASE("a session is deleted, cut or to be deleted only where no plan is live, and then nothing "
          "follows") {
  const auto trims = [](std::uint64_t first) {
    return make<history_trimmed>([=](auto& trimmed) { trimmed.first_event = first; });
  };
  auto made = history::begun();
  CHECK(made.refuse({session_deleted{}}, "a plan is live") == "P6");
  CHECK(made.refuse({trims(2)}, "a plan is live") == "reference");
  CHECK(made.refuse({deletion_scheduled{}}, "a plan is live") == "reference");
  made.add({plan_ends(plan_status::cancelled), moves(running, session_state::cancelled)});
  CHECK(right(made, trim_history{3}) == "accepted");
  made.add({trims(4)});
  CHECK(made.refuse({trims(4)}, "before 4 were before") == "reference");
  CHECK(made.refuse({trims(999)}, "before 999") == "reference");
  CHECK(right(made, trim_history{100}).starts_with("duplicate"));
  const auto early = make<session_deleted>([](auto& deleted) { deleted.by = "retention"; });
  CHECK(made.refuse({early}, "before its time") == "reference");
  CHECK(right(made, delete_session{}) == "accepted");
  made.add({session_deleted{}});
  CHECK(made.refuse({session_activated{}}, "follows the deletion") == "P1");
  CHECK(right(made, delete_session{}) == "unknown_session");
  CHECK(right(made, trim_history{1}) == "unknown_session");
}

TEST_CASE("what is malformed may be refused whatever the state") {
  CHECK_FALSE(sim::is_malformed(resume_session{"boss"}, {}));
  CHECK(sim::is_malformed(resume_session{"\xFF"}, {}));
  CHECK(sim::is_malformed(fail_plan{std::string(65'537, 'x')}, {}));
  CHECK(sim::is_malformed(tool_result{cid(1), "\xFF"}, {}));
  decide_call decision{cid(1), call_verdict::reject};
  decision.feedback = "\xFF";
  CHECK(sim::is_malformed(decide_calls{{decision}}, {}));
}

} // namespace reference_test
