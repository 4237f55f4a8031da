// Suspensions, deadlines, sleeps and retries, over processes. Nothing here waits: what has to have
// fallen due was armed by a runtime of the past, and the rest is due in days.
#include "earlier.hpp"

#include <raw_store.hpp>

#include <fermata_catch.hpp>

#include <set>

namespace timing_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// The same since an hour, with a deadline ten minutes later.
void stop_at_call_with_deadline(const sandbox& box, const std::string& session,
                                std::optional<subtask_id> of = {}) {
  earlier then{box, 1h};
  then.start(session, seed_plan());
  then.apply(session, set_deadline{then.now() + 10min, std::move(of)});
}

std::set<std::string> events_of(const outcome& ended) {
  std::set<std::string> types;
  for (const auto& line : ended.lines)
    if (line.contains("event"))
      types.insert(line["event"]["body"]["type"].get<std::string>());
  return types;
}

std::int64_t milliseconds_of(timestamp at) {
  return at.time_since_epoch().count();
}

timestamp real_now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

const auto first = *subtask_id::parse("first");

} // namespace

TEST_CASE("a suspended session takes decisions, but nothing starts until it is resumed") {
  const sandbox box;
  stop_at_call(box);
  const auto suspended = box.run({"suspend", "s", "--reason", "let us think"});
  INFO(suspended.out << suspended.err);
  CHECK(suspended.status == 3);
  CHECK(suspended.last()["state"] == "suspended");
  CHECK_FALSE(suspended.last().contains("suspended_until"));
  CHECK(box.run({"respond", "s:c1", "1"}).last()["state"] == "suspended");
  CHECK(box.run({"status", "s"}).last()["subtasks"][0]["status"] == "running");
  CHECK(box.run_plainly({"status", "s"}).out.find("resume s") != std::string::npos);

  const auto resumed = box.run({"resume", "s"});
  INFO(resumed.out << resumed.err);
  CHECK(events_of(resumed).count("session_resumed") == 1);
  CHECK(resumed.status == 0);
  CHECK(box.run({"suspend", "s"}).error()["error"] == "not_allowed");
}

TEST_CASE("a session that is suspended while a person is asked can be resumed at the prompt") {
  const sandbox box;
  stop_at_call(box);
  auto options = box.invocation({"resume", "s"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("edit / respond / always / quit ? "));
  REQUIRE(box.run({"suspend", "s", "--reason", "wait"}).status == 3);
  person.type("approve");
  CHECK(person.expect("s: suspended"));
  REQUIRE(person.expect("resume / cancel / quit ? "));
  person.type("resume");
  REQUIRE(person.expect("result / error / quit ? "));
  person.type("quit");
  CHECK(person.wait() == 3);
  CHECK(box.run({"status", "s"}).last()["state"] == "waiting");
}

TEST_CASE("a session is suspended until a time, or for a while, and the time can be changed") {
  const sandbox box;
  stop_at_call(box);
  const auto before = milliseconds_of(real_now());
  const auto for_days = box.run({"suspend", "s", "--for", "3d"});
  REQUIRE(for_days.status == 3);
  const auto until = for_days.last()["suspended_until"].get<std::int64_t>();
  CHECK(until >= before + milliseconds_of(timestamp{72h}));
  CHECK(until <= milliseconds_of(real_now() + 72h));
  CHECK(for_days.last()["next_timer"] == until);

  const auto tomorrow = milliseconds_of(real_now() + 24h);
  const auto changed = box.run({"suspend", "s", "--until", std::to_string(tomorrow)});
  CHECK(changed.last()["suspended_until"] == tomorrow);
  const auto timers = box.run({"timers"});
  REQUIRE(timers.lines.size() == 1);
  CHECK(timers.last() == json{{"session", "s"}, {"due", tomorrow}, {"is_due", false}});
  // Before its time, too, a person can resume it.
  CHECK(box.run({"resume", "s"}).last()["state"] == "waiting");
  CHECK(box.run({"timers"}).lines.empty());
}

TEST_CASE("a suspension whose time came while no process ran ends with the next command") {
  const sandbox box;
  {
    earlier then{box, 1h};
    then.start("s", seed_plan());
    suspend_session suspended;
    suspended.until = then.now() + 10min;
    then.apply("s", suspended);
  }
  CHECK(box.run({"status", "s"}).last()["state"] == "suspended");
  CHECK(box.run({"timers"}).last()["is_due"] == true);
  const auto resumed = box.run({"resume", "s"});
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 3);
  CHECK(resumed.last()["state"] == "waiting");
  for (const auto& line : resumed.lines)
    if (line.contains("event") && line["event"]["body"]["type"] == "session_resumed")
      CHECK(line["event"]["body"]["by"] == "timer");
  CHECK(box.run({"timers"}).lines.empty());
}

TEST_CASE("a deadline that passed while no process ran fires at the next command") {
  const sandbox box;
  stop_at_call_with_deadline(box, "s");
  // Looking changes nothing.
  CHECK(box.run({"status", "s"}).last()["state"] == "waiting");
  const auto resumed = box.run({"resume", "s"});
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 1);
  CHECK(resumed.last()["state"] == "failed");
  CHECK(box.run({"pending"}).lines.empty());
  CHECK(box.run({"timers"}).lines.empty());
  CHECK(box.run({"resume", "s"}).last() == resumed.last());
}

TEST_CASE("a deadline that has passed comes before the command that is too late for it") {
  const sandbox box;
  stop_at_call_with_deadline(box, "s", first);
  const auto late = box.run({"approve", "s:c1"});
  INFO(late.out << late.err);
  CHECK(late.status == 2);
  CHECK(late.error()["error"] == "superseded");
  const auto status = box.run({"status", "s"}).last();
  CHECK(status["state"] == "needs_attention");
  CHECK(status["subtasks"][0]["status"] == "failed");
  CHECK(status["subtasks"][0]["error"].get<std::string>().find("deadline") != std::string::npos);
}

TEST_CASE("a deadline is set, changed and cleared, for a plan and for a subtask") {
  const sandbox box;
  stop_at_call(box);
  const auto in_days = box.run({"deadline", "s", "--in", "2d", "--subtask", "first"});
  INFO(in_days.out << in_days.err);
  CHECK(in_days.status == 3);
  const auto deadline = in_days.last()["subtasks"][0]["deadline"].get<std::int64_t>();
  CHECK(in_days.last()["next_timer"] == deadline);
  CHECK(box.run_plainly({"status", "s"}).out.find("(deadline ") != std::string::npos);
  const auto tomorrow = milliseconds_of(real_now() + 24h);
  const auto of_plan = box.run({"deadline", "s", "--at", std::to_string(tomorrow)});
  CHECK(of_plan.last()["plan"]["deadline"] == tomorrow);
  CHECK(box.run_plainly({"status", "s"}).out.find("\nDeadline: ") != std::string::npos);
  CHECK(of_plan.last()["next_timer"] == tomorrow);
  CHECK(box.run({"deadline", "s", "--clear"}).last()["next_timer"] == deadline);
  const auto cleared = box.run({"deadline", "s", "--clear", "--subtask", "first"});
  CHECK_FALSE(cleared.last().contains("next_timer"));
  CHECK_FALSE(cleared.last()["subtasks"][0].contains("deadline"));
  CHECK(box.run({"deadline", "s", "--in", "1d", "--subtask", "x"}).error()["error"]
        == "unknown_subtask");
}

TEST_CASE("a time that has passed, and one too far ahead, are refused") {
  const sandbox box;
  stop_at_call(box);
  const auto before = box.run({"status", "s"}).last();
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"deadline", "s", "--at", "2001-01-01T00:00:00Z"},
                                             {"deadline", "s", "--in", "0s"},
                                             {"suspend", "s", "--until", "0"}}) {
    const auto refused = box.run(words);
    CHECK(refused.status == 2);
    CHECK(refused.error()["error"] == "invalid_field");
  }
  CHECK(box.run({"deadline", "s", "--in", "9999d"}).error()["error"] == "limit_exceeded");
  CHECK(box.run({"suspend", "s", "--until", "9999-01-01T00:00:00Z"}).error()["error"]
        == "limit_exceeded");
  CHECK(box.run({"status", "s"}).last() == before);
}

TEST_CASE("a duration or time that is none is bad usage, with what is accepted") {
  const sandbox box;
  for (const auto& [words, accepted] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"suspend", "s", "--for", "soon"}, "1h30m"},
           {{"suspend", "s", "--for", "90"}, "1h30m"},
           {{"suspend", "s", "--until", "tomorrow"}, "2026-12-01T08:00:00Z"},
           {{"deadline", "s", "--in", "1.5h"}, "1h30m"},
           {{"deadline", "s", "--at", "2026-12-01T08:00:00+01:00"}, "2026-12-01T08:00:00Z"},
           {{"deadline", "s"}, "--clear"},
           {{"deadline", "s", "--in", "1h", "--clear"}, "--clear"},
           {{"suspend", "s", "--for", "1h", "--until", "0"}, "--until"},
           {{"resume"}, "--due"},
           {{"resume", "s", "--due"}, "--due"},
           {{"resume", "--due", "--workspace", "/"}, "--workspace"},
           {{"timers", "--limit", "0"}, "--limit"},
           {{"pending", "--limit", "-1"}, "--limit"},
           {{"events", "s", "--from", "-1"}, "--from"}}) {
    const auto refused = box.run(words);
    INFO(refused.out << refused.err);
    CHECK(refused.status == 2);
    CHECK(refused.error()["error"] == "invalid_field");
    CHECK(refused.error()["message"].get<std::string>().find(accepted) != std::string::npos);
  }
}

TEST_CASE("timers are listed earliest first, and what is due is marked") {
  const sandbox box;
  stop_at_call_with_deadline(box, "past");
  stop_at_call(box, "later");
  REQUIRE(box.run({"suspend", "later", "--for", "2d"}).status == 3);
  stop_at_call(box, "soon");
  REQUIRE(box.run({"deadline", "soon", "--in", "1d"}).status == 3);
  const auto timers = box.run({"timers"});
  REQUIRE(timers.lines.size() == 3);
  CHECK(timers.lines[0]["session"] == "past");
  CHECK(timers.lines[0]["is_due"] == true);
  CHECK(timers.lines[1]["session"] == "soon");
  CHECK(timers.lines[1]["is_due"] == false);
  CHECK(timers.lines[2]["session"] == "later");
  CHECK(box.run({"timers", "--limit", "1"}).lines.size() == 1);
  const auto shown = box.run_plainly({"timers"});
  CHECK(shown.out.find("  past  due\n") != std::string::npos);
  CHECK(shown.out.find("  soon\n") != std::string::npos);
  CHECK(shown.out.find("resume --due") != std::string::npos);
}

TEST_CASE("resume --due continues exactly the sessions that are due, one after the other") {
  const sandbox box;
  const auto nothing = box.run({"run", box.write("plan.json", seed_plan()), "--session", "other"});
  REQUIRE(nothing.status == 3);
  const auto none = box.run({"resume", "--due"});
  CHECK(none.status == 0);
  CHECK(none.lines.empty());

  stop_at_call_with_deadline(box, "a");
  stop_at_call_with_deadline(box, "b", first);
  {
    earlier then{box, 1h};
    then.start("c", seed_plan());
    suspend_session suspended;
    suspended.until = then.now() + 20min;
    then.apply("c", suspended);
  }
  const auto due = box.run({"resume", "--due"});
  INFO(due.out << due.err);
  CHECK(due.status == 1);
  std::map<std::string, std::string> states;
  for (const auto& line : due.lines)
    if (line.contains("state"))
      states[line["session"].get<std::string>()] = line["state"].get<std::string>();
  CHECK(states
        == std::map<std::string, std::string>{
            {"a", "failed"}, {"b", "needs_attention"}, {"c", "waiting"}});
  CHECK(box.run({"timers"}).lines.empty());
  CHECK(box.run({"resume", "--due"}).lines.empty());
}

TEST_CASE("a command sets no session going but its own") {
  const sandbox box;
  stop_at_call_with_deadline(box, "due");
  stop_at_call(box, "mine");
  REQUIRE(box.run({"respond", "mine:c1", "1"}).status == 0);
  CHECK(box.run({"status", "due"}).last()["state"] == "waiting");
  CHECK(box.run({"timers"}).lines.size() == 1);
}

TEST_CASE("a session that only sleeps says until when, and continues with resume") {
  const sandbox box;
  const auto plan = R"({"goal": "Sleep", "subtasks": [{"id": "bed", "agent": "sleeper"}]})";
  earlier{box, 1h}.start("s", plan);
  const auto asleep = box.run({"resume", "s"});
  INFO(asleep.out << asleep.err);
  CHECK(asleep.status == 3);
  CHECK(asleep.last()["state"] == "waiting");
  CHECK(asleep.last()["waiting"]["backoff"] == 1);
  CHECK(asleep.last()["subtasks"][0]["next_step"] == asleep.last()["next_timer"]);
  const auto shown = box.run_plainly({"resume", "s"});
  INFO(shown.out);
  CHECK(shown.status == 3);
  CHECK(shown.out.find("s: waiting for 1 timer, until ") != std::string::npos);
  CHECK(shown.out.find("It continues with:\n  ") != std::string::npos);
  CHECK(shown.out.find(" resume s\n") != std::string::npos);

  auto options = box.invocation({"resume", "s"});
  options.terminal = true;
  child person{options};
  CHECK(person.expect("waiting for 1 timer, until "));
  CHECK(person.expect(" resume s"));
  CHECK(person.wait() == 3);
}

TEST_CASE("a script that sleeps needs nothing but the next command after it") {
  const sandbox box;
  const auto plan = R"({"goal": "Sleep", "subtasks":
      [{"id": "bed", "steps": [{"sleep_ms": 1800000}], "result": "awake"}]})";
  earlier{box, 1h}.start("s", plan);
  CHECK(box.run({"status", "s"}).last()["waiting"]["backoff"] == 1);
  CHECK(box.run_plainly({"plan", "s"}).out.find("sleeps for 30m") != std::string::npos);
  const auto ended = box.run({"resume", "s"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(events_of(ended).contains("subtask_woke"));
}

TEST_CASE("a damaged session keeps no other from being listed and resumed") {
  const sandbox box;
  stop_at_call_with_deadline(box, "broken");
  stop_at_call_with_deadline(box, "due");
  damage_session(box.store(), number_of(box.store(), *session_id::parse("broken")));
  const auto listed = box.run({"timers"});
  INFO(listed.out << listed.err);
  REQUIRE(listed.lines.size() == 2);
  int damaged = 0;
  for (const auto& line : listed.lines)
    damaged += line.contains("damage");
  CHECK(damaged == 1);
  for (const auto* list : {"sessions", "pending"}) {
    const auto some = box.run({list});
    INFO(some.out << some.err);
    CHECK(some.status == 1);
    REQUIRE(some.lines.size() == 2);
    CHECK(some.lines[0]["session"] == "due");
    CHECK(contains(some.lines[1]["damaged"]["reason"].get<std::string>(), "session number"));
    CHECK(contains(box.run_plainly({list}).out, "What cannot be read is left out: "));
  }
  const auto resumed = box.run({"resume", "--due"});
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 4);
  CHECK(resumed.error()["error"] == "store_corrupt");
  CHECK(box.run({"status", "due"}).last()["state"] == "failed");
}

TEST_CASE("a session that backs off says until when, and is retried at once by a person") {
  const sandbox box;
  const auto plan = R"({"goal": "Call", "subtasks": [{"id": "call", "agent": "flaky", "retry":
      {"max_attempts": 3, "initial_backoff_ms": 172800000, "max_backoff_ms": 172800000}}]})";
  earlier{box, 1h}.start("s", plan);
  const auto shown = box.run_plainly({"status", "s"});
  INFO(shown.out);
  CHECK(shown.out.find("[backing_off] call (tried again at ") != std::string::npos);
  CHECK(box.run({"status", "s"}).last()["waiting"]["backoff"] == 1);
  // The command has no such agent: so this attempt fails, and is not one to try again.
  const auto retried = box.run({"retry", "s", "call"});
  INFO(retried.out << retried.err);
  CHECK(retried.status == 1);
  CHECK(retried.last()["state"] == "needs_attention");
}

TEST_CASE("an attempt at a subtask and a call fail when their time is over") {
  const sandbox box;
  auto plan = *parse_json(seed_plan());
  plan["subtasks"][0]["time_limit_ms"] = 600'000;
  auto expiring = *parse_json(seed_plan());
  expiring["subtasks"][0]["steps"][0]["expires_after_ms"] = 600'000;
  {
    earlier then{box, 1h};
    then.start("limited", to_text(plan));
    then.start("expiring", to_text(expiring));
  }
  const auto pending = box.run({"pending", "expiring"});
  REQUIRE(pending.lines.size() == 1);
  CHECK(pending.last()["expires_at"].get<std::int64_t>() < milliseconds_of(real_now()));
  CHECK(box.run_plainly({"pending"}).out.find(", expired ") != std::string::npos);
  CHECK(box.run({"resume", "limited"}).last()["subtasks"][0]["status"] == "failed");
  const auto expired = box.run({"resume", "expiring"});
  CHECK(expired.last()["subtasks"][0]["status"] == "failed");
  CHECK(box.run({"transcript", "expiring"}).last()["answer"]["outcome"] == "expired");
}

} // namespace timing_test
