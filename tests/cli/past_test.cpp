// `fermata history`, `fermata audit`, and how far a plan is.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

namespace past_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A session that was approved, suspended and resumed, and waits for a call's decision.
void prepare_past(const sandbox& box, const std::string& session) {
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", session}).status == 3);
  REQUIRE(box.run({"approve", session + ":p1"}).status == 3);
  REQUIRE(box.run({"suspend", session, "--reason", "lunch\nnow"}).status == 3);
  REQUIRE(box.run({"resume", session}).status == 3);
}

} // namespace

TEST_CASE("history prints each state with what brought it about") {
  const sandbox box;
  prepare_past(box, "s");
  const auto history = box.run({"history", "s"});
  CHECK(history.status == 0);
  REQUIRE(history.lines.size() == 4);
  CHECK(history.lines[0]["from"] == "idle");
  CHECK(history.lines[0]["cause"] == "plan_proposed");
  CHECK(history.lines[2]["to"] == "suspended");
  CHECK(history.lines[2]["cause"] == "session_suspended");
  CHECK(history.lines[2]["reason"] == "lunch\nnow");
  CHECK_FALSE(history.lines[2]["by"].get<std::string>().empty());
  const auto shown = box.run_plainly({"history", "s"}).out;
  INFO(shown);
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 4);
  CHECK(contains(shown, "suspended"));
  CHECK(contains(shown, "lunch<U+000A>now"));
  CHECK(box.run({"history", "nobody"}).error()["error"] == "unknown_session");
}

TEST_CASE("audit prints what was decided in one session or in all") {
  const sandbox box;
  prepare_past(box, "one");
  prepare_past(box, "two");
  REQUIRE(box.run({"edit", "two:c1", "--arguments", R"({"question": "who?"})"}).status == 3);
  const auto all = box.run({"audit"});
  CHECK(all.status == 0);
  REQUIRE(all.lines.size() == 7);
  CHECK(all.lines[0]["session"] == "one");
  CHECK(all.lines[0]["action"] == "plan_decided");
  CHECK(all.lines[6]["action"] == "call_decided");
  CHECK(all.lines[6]["subject"] == "two:c1");
  CHECK(all.lines[6]["verdict"] == "edit");
  CHECK(all.lines[6]["details"]["edited_to"]["question"] == "who?");
  CHECK(all.lines[6]["details"].contains("arguments"));
  const auto two = box.run({"audit", "two"});
  CHECK(std::vector<json>(all.lines.begin() + 3, all.lines.end()) == two.lines);
  CHECK(box.run({"audit", "--limit", "2"}).lines.size() == 2);
  CHECK(box.run({"audit", "nobody"}).error()["error"] == "unknown_session");
  const auto shown = box.run_plainly({"audit", "two"}).out;
  INFO(shown);
  CHECK(std::count(shown.begin(), shown.end(), '\n') == 4);
  CHECK(contains(shown, "call decided two:c1 edit by "));
}

TEST_CASE("a store in which nobody has decided anything has no audit") {
  const sandbox box;
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan())}).status == 3);
  CHECK(box.run({"audit"}).lines.empty());
  CHECK(box.run({"audit"}).status == 0);
  CHECK(contains(box.run_plainly({"audit"}).out, "Nobody has decided anything."));
}

TEST_CASE("status says how far the plan is") {
  const sandbox box;
  prepare_past(box, "s");
  const auto status = box.run({"status", "s"}).last();
  CHECK(status["progress"]["total"] == 2);
  CHECK(status["progress"]["running"] == 1);
  CHECK(contains(box.run_plainly({"status", "s"}).out,
                 "Progress: 0 of 2 subtasks done (0 %), 1 running\n"));
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  REQUIRE(box.run({"result", "s:c1", "1"}).status == 0);
  CHECK(contains(box.run_plainly({"status", "s"}).out, "2 of 2 subtasks done (100 %)\n"));
}

} // namespace past_test
