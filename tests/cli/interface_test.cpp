// The documented JSON interface, and what queries print.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <algorithm>
#include <set>
#include <sstream>

namespace interface_test {

using namespace fermata;
using namespace fermata::test;

namespace {

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items())
    keys.insert(key);
  return keys;
}

bool has_all(const json& object, const std::set<std::string>& keys) {
  const auto present = keys_of(object);
  return std::includes(present.begin(), present.end(), keys.begin(), keys.end());
}

} // namespace

TEST_CASE("each line of a change is a receipt, an event, something pending, or the status") {
  const sandbox box;
  const auto ended = box.run({"run", box.write("plan.json", seed_plan()), "--session", "s"});
  REQUIRE(ended.status == 3);
  REQUIRE(ended.lines.size() == 6);
  CHECK(keys_of(ended.lines[0]) == std::set<std::string>{"receipt"});
  CHECK(has_all(ended.lines[0]["receipt"], {"session", "event", "kind", "state"}));
  for (std::size_t i = 1; i <= 3; ++i) {
    CHECK(keys_of(ended.lines[i]) == std::set<std::string>{"event"});
    CHECK(keys_of(ended.lines[i]["event"]) == std::set<std::string>{"number", "at", "body"});
    CHECK(ended.lines[i]["event"]["number"] == i);
    CHECK(ended.lines[i]["event"]["body"].contains("type"));
  }
  CHECK(keys_of(ended.lines[4]) == std::set<std::string>{"pending"});
  const auto& status = ended.lines[5];
  CHECK(has_all(status, {"session", "state", "waiting", "plan", "subtasks", "workspace"}));
  CHECK(has_all(status["waiting"], {"outcome", "decision", "answer", "result", "backoff"}));
  CHECK(has_all(status["plan"], {"status", "revision", "goal"}));
  for (const auto& subtask : status["subtasks"])
    CHECK(has_all(subtask, {"id", "status", "attempts", "result"}));
  CHECK(status["workspace"] == box.workspace().string());
  CHECK(box.run({"status", "s"}).last() == status);
}

TEST_CASE("the events of a change are exactly those that it added") {
  const sandbox box;
  std::vector<json> shown;
  const auto collect = [&](std::vector<std::string> words) {
    for (const auto& line : box.run(std::move(words)).lines)
      if (line.contains("event"))
        shown.push_back(line["event"]);
  };
  collect({"run", box.write("plan.json", seed_plan()), "--session", "s"});
  collect({"approve", "s:p1"});
  collect({"approve", "s:c1"});
  collect({"result", "s:c1", "1"});
  const auto all = box.run({"events", "s"});
  CHECK(all.status == 0);
  CHECK(all.lines == shown);
  const auto some = box.run({"events", "s", "--from", "5"});
  CHECK(some.lines.size() == all.lines.size() - 4);
  CHECK(some.lines.at(0)["number"] == 5);
}

TEST_CASE("queries print one object per line with the documented fields") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "one"}).status == 3);
  REQUIRE(box.run({"run", plan, "--session", "two"}).status == 3);
  REQUIRE(box.run({"approve", "two:p1"}).status == 3);

  const auto pending = box.run({"pending"});
  REQUIRE(pending.lines.size() == 2);
  for (const auto& item : pending.lines)
    CHECK(has_all(
        item, {"id", "session", "kind", "waiting_for", "tool", "arguments", "subtask", "since"}));
  CHECK(pending.lines[0]["id"] == "one:p1");
  CHECK(pending.lines[0]["kind"] == "plan");
  CHECK(pending.lines[1]["id"] == "two:c1");
  CHECK(box.run({"pending", "one"}).lines.size() == 1);

  const auto sessions = box.run({"sessions"});
  REQUIRE(sessions.lines.size() == 2);
  CHECK(sessions.lines[0] == json{{"session", "one"}, {"state", "awaiting_plan_decision"}});
  CHECK(box.run({"sessions", "--state", "waiting"}).lines.size() == 1);
  CHECK(box.run({"sessions", "--state", "tired"}).status == 2);

  const auto spec = box.run({"plan", "one"});
  REQUIRE(spec.lines.size() == 1);
  // It is a plan file again.
  CHECK(box.run({"run", box.write("again.json", spec.out), "--session", "three"}).status == 3);
  CHECK(box.run({"plan", "one", "--revision", "7"}).error()["error"] == "unknown_approval");

  const auto transcript = box.run({"transcript", "two"});
  REQUIRE(transcript.lines.size() == 1);
  CHECK(has_all(transcript.lines[0], {"subtask", "call", "tool", "arguments", "status", "answer"}));
  CHECK(transcript.lines[0]["call"] == "two:c1");

  CHECK(box.run({"verify"}).last()["sound"] == true);
  CHECK(box.run({"version"}).last().contains("version"));
}

TEST_CASE("JSON comes as text, from a file, or from standard input") {
  const sandbox box;
  REQUIRE(box.run({"run", "-", "--session", "s"}, seed_plan()).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  const auto edited = box.write("edited.json", R"({"question": "from a file"})");
  REQUIRE(box.run({"edit", "s:c1", "--arguments", "@" + edited}).status == 3);
  CHECK(box.run({"pending"}).last()["arguments"]["question"] == "from a file");
  CHECK(box.run({"result", "s:c1", "@/nonexistent"}).status == 2);
  const auto done = box.run({"result", "s:c1", "-"}, "{\"from\": \"input\"}\n");
  CHECK(done.status == 0);
  CHECK(done.last()["subtasks"][0]["result"] == json{{"from", "input"}});
}

TEST_CASE("a result may be any JSON, also what looks like an option or a list of arguments") {
  for (const auto* text : {"{}", "[]", "[1,2]", "\"\"", "null", "false", "-5", "\"a b\""}) {
    INFO(text);
    const sandbox box;
    const auto plan = box.write("plan.json", seed_plan());
    REQUIRE(box.run({"run", plan, "--session", "s", "--approve", "all"}).status == 3);
    const auto done = box.run({"result", "s:c1", "--", text});
    CHECK(done.status == 0);
    CHECK(done.last()["subtasks"][0]["result"] == *parse_json(text));
  }
}

TEST_CASE("without a terminal the command that continues is printed, and works") {
  const sandbox box;
  const auto paused = box.run_plainly({"run", box.write("plan.json", seed_plan()), "--session", "s",
                                       "--store", box.store().string()});
  CHECK(paused.status == 3);
  INFO(paused.out);
  const auto line = std::string{FERMATA_COMMAND} + " approve s:p1 --store " + box.store().string();
  CHECK(paused.out.find("  " + line + "\n") != std::string::npos);
  child_options options;
  options.argv = {"/bin/sh", "-c", line};
  child process{options};
  CHECK(process.wait() == 3);
  CHECK(process.output().find(" approve s:c1 --store ") != std::string::npos);
}

TEST_CASE("the store is named by an option, the environment, or the XDG data folder") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  auto options = box.invocation({"run", plan});
  options.environment["FERMATA_STORE"] = "";
  options.environment["XDG_DATA_HOME"] = (box.workspace() / "data").string();
  CHECK(child{options}.wait() == 3);
  CHECK(std::filesystem::exists(box.workspace() / "data" / "fermata" / "store"));
  options.environment["XDG_DATA_HOME"] = "relative";
  options.environment["HOME"] = (box.workspace() / "home").string();
  CHECK(child{options}.wait() == 3);
  CHECK(std::filesystem::exists(box.workspace() / "home" / ".local" / "share" / "fermata"));
}

TEST_CASE("a session remembers its workspace, and resume can work in another folder") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("read_file", {{"path", "there.txt"}}));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  box.write("there.txt", "here");
  auto elsewhere = box.invocation({"--json", "approve", "s:p1"});
  elsewhere.directory = "/";
  CHECK(child{elsewhere}.wait() == 0);

  REQUIRE(box.run({"run", plan, "--session", "moved"}).status == 3);
  std::filesystem::create_directory(box.workspace() / "new");
  box.write("new/there.txt", "moved");
  const auto resumed = box.run({"resume", "moved", "--workspace", "new", "--approve", "all"});
  CHECK(resumed.status == 0);
  CHECK(resumed.last()["subtasks"][0]["result"]["content"] == "moved");
}

TEST_CASE("a reader that goes away neither stops a plan nor is an error") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("list_files", {{"path", "."}}));
  const auto command = std::string{FERMATA_COMMAND} + " run " + plan
                       + " --session s --approve all --json; echo $? >status";
  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c", "(" + command + ") | true"};
  CHECK(child{options}.wait() == 0);
  // The shell waits for the last command of a pipe only.
  options.argv = {"/bin/sh", "-c", "until [ -s status ]; do sleep 0.01; done"};
  CHECK(child{options}.wait() == 0);
  CHECK(box.read("status") == "0\n");
  CHECK(box.run({"status", "s"}).last()["state"] == "completed");
}

TEST_CASE("output that cannot be written is an error of the environment") {
  const sandbox box;
  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c", std::string{FERMATA_COMMAND} + " version >/dev/full"};
  child process{options};
  CHECK(process.wait() == 4);
  CHECK(process.error_output().find("io_error") != std::string::npos);
}

TEST_CASE("the help groups the commands, and each command's own has an example") {
  const sandbox box;
  const auto all = box.run_plainly({"--help"}).out;
  std::size_t last = 0;
  for (const auto* group : {"\nStart and go on:\n", "\nLook:\n", "\nDecide and answer:\n",
                            "\nOperate:\n", "\nServe:\n", "\nTest:\n"}) {
    const auto found = all.find(group);
    REQUIRE(found != std::string::npos);
    CHECK(found > last);
    last = found;
  }
  // A command that nobody has explained would be in a group of its own.
  CHECK(all.find("\nSubcommands:\n") == std::string::npos);
  std::istringstream lines{all.substr(all.find("\nStart and go on:"))};
  std::size_t commands = 0;
  for (std::string line; std::getline(lines, line) && !line.starts_with("A call is named");) {
    if (!line.starts_with("  ") || line[2] == ' ')
      continue;
    const auto command = line.substr(2, line.find(' ', 2) - 2);
    const auto help = box.run_plainly({command, "--help"});
    INFO(command << ": " << help.out);
    CHECK(help.status == 0);
    CHECK(help.out.find("\nFor example:\n  fermata " + command) != std::string::npos);
    ++commands;
  }
  CHECK(commands >= 31);
}

} // namespace interface_test
