// Answering in place of a tool, and cancelling a call or a subtask.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

namespace cancel_test {

using namespace fermata;
using namespace fermata::test;

TEST_CASE("a person responds in place of a tool, which does not run") {
  const sandbox box;
  const auto plan =
      box.write("plan.json", plan_of("write_file", {{"path", "new.txt"}, {"content", "x"}}));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  CHECK(box.run({"respond", "s:c1", "{]"}).error()["error"] == "invalid_json");
  CHECK(box.run({"respond", "s:p1", "1"}).error()["error"] == "invalid_id");
  const auto responded = box.run({"respond", "s:c1", R"({"written": "by hand"})"});
  INFO(responded.out << responded.err);
  CHECK(responded.status == 0);
  CHECK(responded.last()["subtasks"][0]["result"] == json{{"written", "by hand"}});
  CHECK_FALSE(std::filesystem::exists(box.workspace() / "new.txt"));
  const auto again = box.run({"respond", "s:c1", R"({"written": "by hand"})"});
  CHECK(again.lines.at(0)["receipt"]["kind"] == "duplicate");
  CHECK(box.run({"respond", "s:c1", "2"}).error()["error"] == "already_decided");
}

TEST_CASE("at a terminal a person can respond in place of a tool") {
  const sandbox box;
  stop_at_call(box);
  auto options = box.invocation({"resume", "s"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("approve / reject / edit / respond / always / quit ? "));
  person.type("re");
  REQUIRE(person.expect("approve / reject / edit / respond / always / quit ? "));
  person.type("res");
  REQUIRE(person.expect("without the tool"));
  person.type("42");
  CHECK(person.wait() == 0);
  CHECK(box.run({"status", "s"}).last()["subtasks"][1]["result"]["heard"] == 42);
}

TEST_CASE("a cancelled call is answered with the reason, and a later result is late") {
  const sandbox box;
  stop_at_call(box);
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  const auto cancelled = box.run({"cancel", "s:c1", "--reason", "nobody asks any more"});
  INFO(cancelled.out << cancelled.err);
  // The script counts it as failed.
  CHECK(cancelled.status == 1);
  CHECK(cancelled.last()["state"] == "needs_attention");
  const auto error = cancelled.last()["subtasks"][0]["error"].get<std::string>();
  CHECK(error.find("nobody asks any more") != std::string::npos);
  CHECK(box.run({"pending"}).lines.empty());
  CHECK(box.run({"result", "s:c1", "1"}).lines.at(0)["receipt"]["kind"] == "late");
  CHECK(box.run({"cancel", "s:c9"}).error()["error"] == "unknown_call");
}

TEST_CASE("a cancelled subtask takes its calls with it, and can be tried again") {
  const sandbox box;
  stop_at_call(box);
  CHECK(box.run({"cancel", "s", "--subtask", "third"}).error()["error"] == "unknown_subtask");
  const auto cancelled = box.run({"cancel", "s", "--subtask", "first", "--reason", "wrong"});
  INFO(cancelled.out << cancelled.err);
  CHECK(cancelled.status == 1);
  CHECK(cancelled.last()["state"] == "needs_attention");
  CHECK(cancelled.last()["subtasks"][0]["status"] == "cancelled");
  CHECK(cancelled.last()["subtasks"][1]["status"] == "blocked");
  CHECK(box.run({"pending"}).lines.empty());
  CHECK(box.run({"approve", "s:c1"}).error()["error"] == "superseded");

  const auto shown = box.run_plainly({"status", "s"});
  CHECK(shown.out.find("retry s first") != std::string::npos);
  CHECK(box.run({"retry", "s", "first"}).status == 3);
  CHECK(box.run({"pending"}).last()["id"] == "s:c2");
}

TEST_CASE("what can be cancelled is told apart by its id") {
  const sandbox box;
  stop_at_call(box);
  CHECK(box.run({"cancel", "s:p1"}).error()["error"] == "invalid_id");
  CHECK(box.run({"cancel", "s:c1", "--subtask", "first"}).error()["error"] == "invalid_field");
  CHECK(box.run({"cancel", "../s"}).error()["error"] == "invalid_id");
  CHECK(box.run({"cancel", "other"}).error()["error"] == "unknown_session");
  CHECK(box.run({"cancel", "s", "--subtask", "../x"}).error()["error"] == "invalid_id");
  const auto whole = box.run({"cancel", "s", "--reason", "enough"});
  CHECK(whole.status == 0);
  CHECK(whole.last()["state"] == "cancelled");
}

TEST_CASE("a message to a session without a planner is refused, and changes nothing") {
  const sandbox box;
  stop_at_call(box);
  REQUIRE(box.run({"cancel", "s"}).status == 0);
  const auto before = box.run({"events", "s"}).lines.size();
  for (const auto* session : {"s", "new"}) {
    const auto refused = box.run({"message", session, "Please make a plan"});
    INFO(refused.out << refused.err);
    CHECK(refused.status == 2);
    CHECK(refused.out.empty());
  }
  const auto refused = box.run({"message", "s", "Please make a plan"}).error();
  CHECK(refused["error"] == "not_allowed");
  CHECK(refused["message"].get<std::string>().find("planner") != std::string::npos);
  CHECK(box.run({"events", "s"}).lines.size() == before);
  CHECK(box.run({"sessions"}).lines.size() == 1);
}

TEST_CASE("a message to a running plan is kept for its next steps") {
  const sandbox box;
  stop_at_call(box);
  const auto posted = box.run({"message", "s", "Hurry, \u202Eplease"});
  INFO(posted.out << posted.err);
  CHECK(posted.status == 3);
  CHECK(box.run({"message", "s", ""}).error()["error"] == "invalid_field");
  const auto events = box.run_plainly({"events", "s"});
  CHECK(events.out.find("Hurry, <U+202E>please") != std::string::npos);
  REQUIRE(box.run({"respond", "s:c1", "1"}).status == 0);
}

} // namespace cancel_test
