// A plan is revised while it is in progress: what changes is shown before anybody approves it.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <map>

namespace replan_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// Three subtasks: one that is done at once, one that waits for its host, one that waits for both.
json plan_in_progress() {
  return *parse_json(R"({
    "goal": "Collect, ask, tell",
    "tools": {"ask": {"kind": "client"}},
    "subtasks": [
      {"id": "collect", "result": 1},
      {"id": "ask", "steps": [{"tool": "ask", "arguments": {"question": "why?"}}]},
      {"id": "tell", "depends_on": ["collect", "ask"], "result": "told"}
    ]})");
}

/// The same with another last subtask, a new one, and without the middle.
json revision() {
  auto plan = plan_in_progress();
  plan["goal"] = "Collect and tell";
  plan["subtasks"].erase(1);
  plan["subtasks"][1] = {{"id", "tell"}, {"depends_on", {"collect"}}, {"result", "told anew"}};
  plan["subtasks"].push_back({{"id", "check"}, {"depends_on", {"tell"}}});
  return plan;
}

/// A session whose plan is in progress and stops at the call `s:c1`.
void stop_in_progress(const sandbox& box) {
  const auto plan = box.write("plan.json", to_text(plan_in_progress()));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
}

} // namespace

TEST_CASE("a plan in progress is revised, and its diff says what becomes of each subtask") {
  const sandbox box;
  stop_in_progress(box);
  const auto revised = box.run({"revise", "s", box.write("new.json", to_text(revision()))});
  INFO(revised.out << revised.err);
  REQUIRE(revised.status == 3);
  CHECK(revised.last()["state"] == "awaiting_plan_decision");
  CHECK(revised.last()["plan"]["revision"] == 2);

  const auto diff = box.run({"plan", "s", "--diff"});
  REQUIRE(diff.lines.size() == 1);
  CHECK(diff.last()["revision"] == 2);
  CHECK(diff.last()["replaces"] == 1);
  CHECK(diff.last()["goal_before"] == "Collect, ask, tell");
  std::map<std::string, std::string> fates;
  for (const auto& one : diff.last()["subtasks"]) {
    fates[one["subtask"].get<std::string>()] = one["fate"].get<std::string>();
    CHECK_FALSE(one["because"].get<std::string>().empty());
  }
  CHECK(fates
        == std::map<std::string, std::string>{
            {"collect", "kept"}, {"tell", "changed"}, {"check", "added"}, {"ask", "dropped"}});

  const auto approved = box.run({"approve", "s:p2"});
  INFO(approved.out << approved.err);
  CHECK(approved.status == 0);
  CHECK(approved.last()["subtasks"][0]["attempts"] == 1);
  CHECK(approved.last()["subtasks"][1]["result"] == "told anew");
  // What was done is still there to be looked at.
  CHECK(box.run({"plan", "s", "--diff", "--revision", "2"}).last()["replaces"] == 1);
}

TEST_CASE("the diff of a replan is what a person sees first, line by line for what is changed") {
  const sandbox box;
  stop_in_progress(box);
  const auto shown = box.run_plainly({"revise", "s", box.write("new.json", to_text(revision()))});
  INFO(shown.out);
  CHECK(shown.status == 3);
  const auto diff = shown.out.find("takes the place of revision 1");
  CHECK(diff != std::string::npos);
  CHECK(diff < shown.out.find("Goal: Collect and tell"));
  CHECK(diff < shown.out.find("waits for its decision for", diff + 1));
  CHECK(shown.out.find("    collect [kept]: ") != std::string::npos);
  CHECK(shown.out.find("  ! tell [changed]: ") != std::string::npos);
  CHECK(shown.out.find("  | -  \"result\": \"told\"\n  | +  \"result\": \"told anew\"\n")
        != std::string::npos);
  CHECK(shown.out.find("  + check [added]: ") != std::string::npos);
  CHECK(shown.out.find("  - ask [dropped]: ") != std::string::npos);
  const auto asked = box.run_plainly({"plan", "s", "--diff"});
  CHECK(asked.out.find("  ! tell [changed]: ") != std::string::npos);
}

TEST_CASE("at a terminal the diff of a replan comes before the question") {
  const sandbox box;
  stop_in_progress(box);
  auto options = box.invocation({"revise", "s", box.write("new.json", to_text(revision()))});
  options.terminal = true;
  child person{options};
  CHECK(person.expect("takes the place of revision 1"));
  CHECK(person.expect("! tell [changed]"));
  CHECK(person.expect("Goal: Collect and tell"));
  REQUIRE(person.expect("approve / reject / edit / modify / quit ? "));
  person.type("reject");
  REQUIRE(person.expect("Why: "));
  person.type("not now");
  // The plan in force goes on where it was.
  CHECK(person.expect("s:c1 ask"));
  REQUIRE(person.expect("respond / always / quit ? "));
  person.type("quit");
  CHECK(person.wait() == 3);
  CHECK(box.run({"status", "s"}).last()["plan"]["revision"] == 1);
}

TEST_CASE("a plan that replaces none has a diff of what it adds, and no session no diff") {
  const sandbox box;
  const auto plan = box.write("plan.json", to_text(plan_in_progress()));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  const auto diff = box.run({"plan", "s", "--diff"});
  CHECK(diff.status == 0);
  CHECK_FALSE(diff.last().contains("replaces"));
  CHECK(box.run_plainly({"plan", "s", "--diff"}).out.find("no plan in progress")
        != std::string::npos);
  CHECK(box.run({"plan", "s", "--diff", "--revision", "7"}).error()["error"] == "unknown_approval");
  CHECK(box.run({"plan", "t", "--diff"}).error()["error"] == "unknown_session");
}

TEST_CASE("a plan that needs attention is revised at the terminal") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("read_file", {{"path", "missing"}}));
  const auto better = box.write("better.json", plan_of("list_files", {{"path", "."}}));
  auto options = box.invocation({"run", plan, "--session", "s"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("modify / quit ? "));
  person.type("approve");
  REQUIRE(person.expect("retry / skip / revise / fail / cancel / quit ? "));
  person.type("revise");
  REQUIRE(person.expect("File with the new plan"));
  person.type(better);
  CHECK(person.expect("takes the place of revision 1"));
  REQUIRE(person.expect("modify / quit ? "));
  person.type("approve");
  CHECK(person.wait() == 0);
}

} // namespace replan_test
