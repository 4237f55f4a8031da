// The seed case: a plan stops at a call that needs approval; the process ends. It is approved; the
// process ends. The result is posted; the next subtask runs. Each step is a process of its own.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

namespace seed_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A session whose first call waits for a decision.
void stop_at_seed_call(const sandbox& box) {
  const auto plan = box.write("plan.json", seed_plan());
  const auto proposed = box.run({"run", plan, "--session", "s"});
  REQUIRE(proposed.status == 3);
  REQUIRE(proposed.last()["state"] == "awaiting_plan_decision");
  const auto approved = box.run({"approve", "s:p1"});
  INFO(approved.err);
  REQUIRE(approved.status == 3);
  REQUIRE(approved.last()["waiting"]["decision"] == 1);
}

json pending_of(const sandbox& box) {
  const auto items = box.run({"pending"});
  REQUIRE(items.status == 0);
  REQUIRE(items.lines.size() == 1);
  return items.lines.front();
}

} // namespace

TEST_CASE("a plan of two subtasks goes on through four processes, with an approval and a result") {
  const sandbox box;
  stop_at_seed_call(box);
  const auto asked = pending_of(box);
  CHECK(asked["id"] == "s:c1");
  CHECK(asked["session"] == "s");
  CHECK(asked["kind"] == "call");
  CHECK(asked["waiting_for"] == "decision");
  CHECK(asked["tool"] == "ask");
  CHECK(asked["arguments"] == json{{"question", "why?"}});
  CHECK(asked["subtask"] == "first");

  const auto approved = box.run({"approve", "s:c1"});
  CHECK(approved.status == 3);
  CHECK(approved.last()["state"] == "waiting");
  CHECK(approved.last()["waiting"]["decision"] == 0);
  CHECK(approved.last()["waiting"]["result"] == 1);
  CHECK(approved.last()["subtasks"][0]["status"] == "running");
  CHECK(approved.last()["subtasks"][1]["status"] == "pending");
  CHECK(pending_of(box)["waiting_for"] == "result");

  const auto answered = box.run({"result", "s:c1", "42"});
  CHECK(answered.status == 0);
  CHECK(answered.last()["state"] == "completed");
  CHECK(answered.last()["plan"]["status"] == "completed");
  CHECK(answered.last()["subtasks"][0]["result"] == 42);
  CHECK(answered.last()["subtasks"][1]["status"] == "done");
  CHECK(answered.last()["subtasks"][1]["result"] == json{{"heard", 42}});
  CHECK(box.run({"pending"}).lines.empty());
}

TEST_CASE("a rejected call is answered with the feedback, and the plan goes on") {
  const sandbox box;
  stop_at_seed_call(box);
  const auto rejected = box.run({"reject", "s:c1", "--reason", "do not ask"});
  CHECK(rejected.status == 0);
  CHECK(rejected.last()["state"] == "completed");
  const auto& heard = rejected.last()["subtasks"][1]["result"]["heard"];
  CHECK(heard["rejected"] == true);
  CHECK(heard["feedback"] == "do not ask");
}

TEST_CASE("an edited call runs with the edited arguments") {
  const sandbox box;
  stop_at_seed_call(box);
  const auto refused = box.run({"edit", "s:c1", "--arguments", R"({"answer": 1})"});
  CHECK(refused.status == 2);
  CHECK(refused.error()["error"] == "invalid_arguments");

  const auto edited = box.run({"edit", "s:c1", "--arguments", R"({"question": "how?"})"});
  CHECK(edited.status == 3);
  const auto asked = pending_of(box);
  CHECK(asked["waiting_for"] == "result");
  CHECK(asked["arguments"] == json{{"question", "how?"}});
  CHECK(box.run({"result", "s:c1", R"("so")"}).status == 0);
}

TEST_CASE("a failed result of a client tool fails its subtask, which can be retried or skipped") {
  const sandbox box;
  stop_at_seed_call(box);
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  const auto failed = box.run({"result", "s:c1", R"("nobody answers")", "--error"});
  CHECK(failed.status == 1);
  CHECK(failed.last()["state"] == "needs_attention");
  CHECK(failed.last()["subtasks"][1]["status"] == "blocked");

  const auto retried = box.run({"retry", "s", "first"});
  CHECK(retried.status == 3);
  CHECK(retried.last()["subtasks"][0]["attempts"] == 2);
  CHECK(pending_of(box)["id"] == "s:c2");
  CHECK(box.run({"approve", "s:c2"}).status == 3);
  CHECK(box.run({"result", "s:c2", "null", "--error"}).status == 1);

  const auto skipped = box.run({"skip", "s", "first", "--reason", "nobody there"});
  CHECK(skipped.status == 0);
  CHECK(skipped.last()["subtasks"][0]["status"] == "skipped");
  CHECK(skipped.last()["subtasks"][1]["result"] == json{{"heard", nullptr}});
}

TEST_CASE("a plan that is sent back is revised, and only the last revision can be approved") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  const auto sent_back = box.run({"reject", "s:p1", "--modify", "--reason", "ask twice"});
  CHECK(sent_back.status == 3);
  CHECK(sent_back.last()["state"] == "planning");
  CHECK(sent_back.last()["plan"]["feedback"] == "ask twice");

  const auto revised = box.run({"revise", "s", plan});
  CHECK(revised.status == 3);
  CHECK(revised.last()["plan"]["revision"] == 2);
  CHECK(box.run({"approve", "s:p1"}).error()["error"] == "already_decided");
  // A revision that nobody decided on is superseded by the next.
  CHECK(box.run({"revise", "s", plan}).last()["plan"]["revision"] == 3);
  CHECK(box.run({"approve", "s:p2"}).error()["error"] == "superseded");
  CHECK(box.run({"approve", "s:p3"}).status == 3);
}

} // namespace seed_test
