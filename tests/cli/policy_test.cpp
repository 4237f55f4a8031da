// The approval policy and remembered decisions, over processes.
#include "sandbox.hpp"

#include <fermata/messages/timestamp.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <fermata_catch.hpp>

#include <fcntl.h>

#include <filesystem>

namespace policy_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const std::string example =
    (std::filesystem::path{FERMATA_SOURCE_DIR} / "examples" / "policies" / "careful.json").string();

/// One subtask that writes files of these names at once.
std::string plan_of_files(const std::vector<std::string>& names) {
  json calls = json::array();
  for (const auto& name : names)
    calls.push_back({{"tool", "write_file"}, {"arguments", {{"path", name}, {"content", "x\n"}}}});
  const json step{{"calls", calls}, {"on_error", "continue"}};
  return to_text(
      {{"goal", "Write"}, {"subtasks", {{{"id", "only"}, {"steps", json::array({step})}}}}});
}

std::string policy_refusal(const sandbox& box, const std::string& policy) {
  const auto file = box.write("bad.json", policy);
  const auto refused = box.run({"--policy", file, "run", box.write("p.json", seed_plan())});
  INFO(refused.out << refused.err);
  CHECK(refused.status == 2);
  CHECK_FALSE(std::filesystem::exists(box.store()));
  CHECK(box.run({"policy", "check", file}).error() == refused.error());
  return refused.error()["message"].get<std::string>();
}

} // namespace

TEST_CASE("`policy check` shows the rules of a file, and which of them decides on a call") {
  const sandbox box;
  const auto shown = box.run_plainly({"policy", "check", example});
  INFO(shown.out << shown.err);
  CHECK(shown.status == 0);
  CHECK(contains(shown.out, "the first that fits decides"));
  CHECK(contains(shown.out, "default  ask"));
  const auto rules = box.run({"policy", "check", example}).last();
  CHECK(rules["rules"].get<int>() > 3);
  CHECK(rules["default"] == "ask");

  const auto on = [&](const std::string& tool, const std::string& arguments) {
    return box.run({"policy", "check", example, "--tool", tool, "--arguments", arguments}).last();
  };
  CHECK(on("read_file", R"({"path": "a"})")["action"] == "allow");
  CHECK(on("write_file", R"({"path": "docs/../.git/config"})")["action"] == "deny");
  CHECK(on("write_file", R"({"path": "docs/notes.md"})")["action"] == "allow");
  const auto command = on("execute_command", R"({"argv": ["git", "push"]})");
  CHECK(command["action"] == "ask");
  CHECK(command["may_remember"] == false);
  CHECK(command["by"].get<std::string>().starts_with("rule "));
  CHECK(box.run({"policy", "check", example, "--plan"}).last()["action"] == "ask");
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE("a policy that cannot be is refused before anything is touched, and the place is named") {
  const sandbox box;
  CHECK(contains(
      policy_refusal(box, R"({"rules": [{"action": "allow", "tools": "*"}], "default": "ask"})"),
      "bad.json: rules[0]: unknown field \"tools\""));
  CHECK(
      contains(policy_refusal(box, R"({"rules": [{"match": {"arguments": {"/a": {"matches": "("}}},
                                     "action": "allow"}], "default": "ask"})"),
               "rules[0].match.arguments[\"/a\"].matches: not an RE2 expression"));
  CHECK(contains(policy_refusal(box, "{\n\"rules\": [}"), "line 2"));
  CHECK(contains(policy_refusal(box, "{}"), "rules"));
  CHECK(box.run({"policy", "check", "there-is-none.json"}).status == 2);
  CHECK(box.run({"policy"}).status == 2);
  CHECK(box.run({"policy", "check", example, "--tool", "t", "--plan"}).status == 2);
}

TEST_CASE("a policy decides on calls, and the store remembers it for later commands") {
  const sandbox box;
  const auto plan =
      box.write("plan.json", plan_of_files({"docs/notes.md", "src/main.cpp", ".git/config"}));
  std::filesystem::create_directory(box.workspace() / "docs");
  std::filesystem::create_directory(box.workspace() / "src");
  REQUIRE(box.run({"--policy", example, "run", plan, "--session", "s"}).status == 3);
  const auto proposal = box.run({"pending", "s"}).last();
  CHECK(proposal["kind"] == "plan");
  CHECK(proposal.contains("expires_at")); // a rule says so
  const auto stopped = box.run({"approve", "s:p1"});
  INFO(stopped.out << stopped.err);
  CHECK(stopped.status == 3);
  CHECK(box.read("docs/notes.md") == "x\n");
  const auto pending = box.run({"pending", "s"});
  REQUIRE(pending.lines.size() == 1);
  CHECK(pending.last()["id"] == "s:c2");
  CHECK(pending.last().contains("expires_at"));
  CHECK(
      contains(box.run_plainly({"pending", "s"}).out, pending.last()["prompt"].get<std::string>()));
  const auto denied = box.run(
      {"edit", "s:c2", "--arguments", R"({"path": "src/../.git/hooks/x", "content": "x"})"});
  CHECK(denied.status == 2);
  CHECK(denied.error()["error"] == "denied_by_policy");
  CHECK(box.run({"approve", "s:c2"}).status == 0);
  CHECK_FALSE(std::filesystem::exists(box.workspace() / ".git"));
  CHECK(contains(box.run({"policy", "check"}).last()["policy"].get<std::string>(), "policy.json"));
}

TEST_CASE("a command that is refused makes the store remember no policy") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"--policy", example, "approve", "s:c7"}).status == 2);
  CHECK_FALSE(std::filesystem::exists(box.store() / "policy.json"));
  CHECK_FALSE(std::filesystem::exists(box.store() / "policy.json.new"));
  const auto deny = box.write("deny.json", R"({"rules": [], "default": "deny"})");
  const auto refused = box.run({"--policy", deny, "run", plan, "--session", "t"});
  CHECK(refused.status == 2);
  CHECK(refused.error()["error"] == "denied_by_policy");
  CHECK(box.run({"status", "t"}).error()["error"] == "unknown_session");
}

TEST_CASE("several calls are decided at once, or none of them") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of_files({"a", "b", "c"}));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  const auto refused = box.run({"approve", "s:c1", "s:c2", "s:c9"});
  CHECK(refused.status == 2);
  CHECK(refused.error()["error"] == "unknown_call");
  CHECK(contains(refused.error()["message"].get<std::string>(), "decisions[2]"));
  CHECK(box.run({"approve", "s:c1", "t:c2"}).status == 2);
  CHECK(box.run({"approve", "s:c1", "s:p1"}).status == 2);
  CHECK(box.run({"approve", "s:c1", "s:c2", "--digest", "x"}).status == 2);
  CHECK(box.run({"approve", "s:c1", "s:c1"}).status == 2);
  CHECK(box.run({"pending"}).lines.size() == 3);
  CHECK_FALSE(std::filesystem::exists(box.workspace() / "a"));

  REQUIRE(box.run({"reject", "s:c3", "--reason", "not this one"}).status == 3);
  const auto approved = box.run({"approve", "s:c1", "s:c2"});
  INFO(approved.out << approved.err);
  CHECK(approved.status == 0);
  CHECK(box.read("a") == "x\n");
  CHECK(box.read("b") == "x\n");
  CHECK_FALSE(std::filesystem::exists(box.workspace() / "c"));
}

TEST_CASE("a decision that is remembered holds for later plans, is listed, and can be revoked") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of_files({"a"}));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  CHECK(box.run({"approve", "s:p1", "--remember", "tool"}).status == 2);
  CHECK(box.run({"approve", "s:c1", "--remember", "for ever"}).status == 2);
  REQUIRE(box.run({"approve", "s:c1", "--remember", "tool"}).status == 0);
  const auto listed = box.run({"remembered", "s"}).last();
  CHECK(listed["number"] == 1);
  CHECK(listed["verdict"] == "approve");
  CHECK(listed["scope"] == "tool");
  CHECK(listed["tool"] == "write_file");
  CHECK(contains(box.run_plainly({"remembered", "s"}).out,
                 "approved: write_file, whatever its arguments"));

  const auto more = box.write("more.json", plan_of_files({"b"}));
  REQUIRE(box.run({"run", more, "--session", "s"}).status == 3);
  CHECK(box.run({"approve", "s:p2"}).status == 0);
  CHECK(box.read("b") == "x\n");

  const auto forgotten = box.run({"forget", "s", "1"});
  INFO(forgotten.out << forgotten.err);
  CHECK(forgotten.status == 0);
  CHECK(box.run_plainly({"remembered", "s"}).out == "No decision holds for later calls.\n");
  CHECK(box.run({"forget", "s", "1"}).error()["error"] == "unknown_decision");
  REQUIRE(box.run({"run", more, "--session", "s"}).status == 3);
  CHECK(box.run({"approve", "s:p3"}).status == 3);
}

TEST_CASE("a person at the prompt says `always`, and is not asked about that tool again") {
  const sandbox box;
  json steps = json::array();
  for (const auto* name : {"a", "b"})
    steps.push_back({{"tool", "write_file"}, {"arguments", {{"path", name}, {"content", "x\n"}}}});
  const auto plan =
      box.write("plan.json",
                to_text({{"goal", "Write"}, {"subtasks", {{{"id", "only"}, {"steps", steps}}}}}));
  auto options = box.invocation({"run", plan, "--session", "s"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("modify / quit ? "));
  person.type("approve");
  REQUIRE(person.expect("always / quit ? "));
  person.type("always");
  REQUIRE(person.expect("tool / call / back ? "));
  person.type("back");
  REQUIRE(person.expect("always / quit ? "));
  person.type("always");
  REQUIRE(person.expect("tool / call / back ? "));
  person.type("tool");
  CHECK(person.wait() == 0);
  CHECK(box.read("b") == "x\n");
}

TEST_CASE("a command that cannot be started for now is tried again by a timer") {
  const sandbox box;
  std::filesystem::copy_file("/bin/true", box.workspace() / "busy");
  const auto plan = box.write(
      "plan.json", plan_of("execute_command", {{"argv", {(box.workspace() / "busy").string()}}}));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  {
    const file_descriptor written{::open((box.workspace() / "busy").c_str(), O_WRONLY | O_CLOEXEC)};
    REQUIRE(written);
    const auto failed = box.run({"approve", "s:c1"});
    INFO(failed.out << failed.err);
    CHECK(failed.status == 3);
    CHECK(failed.last()["waiting"]["backoff"] == 1);
    CHECK(failed.last().contains("next_timer"));
  }
  // Its timer is due within seconds; each `resume` looks, and nothing else waits.
  outcome ended;
  for (ended.status = 3; ended.status == 3;)
    ended = box.run({"resume", "s"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(contains(ended.out, R"("call":1,"run":2,"type":"call_claimed")"));
}

} // namespace policy_test
