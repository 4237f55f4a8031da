// A run that is cut off: by SIGINT, by SIGKILL. Nothing acknowledged is lost, and what the runtime
// had started is not started again silently.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <csignal>
#include <sys/stat.h>

namespace interruption_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A plan of one command that notes each start in `starts` and then waits for the pipe `gate`.
std::string endless_plan(const sandbox& box) {
  REQUIRE(::mkfifo((box.workspace() / "gate").c_str(), 0600) == 0);
  return box.write("plan.json", plan_of("execute_command",
                                        {{"argv", {"sh", "-c", "echo x >>starts; cat gate"}}}));
}

child_options run_of(const sandbox& box, const std::string& plan) {
  return box.invocation({"--json", "run", plan, "--session", "s", "--approve", "all"});
}

json last_line(const std::string& output) {
  const auto end = output.find_last_not_of('\n');
  const auto start = output.find_last_of('\n', end);
  const auto parsed = parse_json(output.substr(start + 1, end - start));
  REQUIRE(parsed);
  return *parsed;
}

} // namespace

TEST_CASE("an interrupted run exits with 130 and its status, and goes on later") {
  const sandbox box;
  child process{run_of(box, endless_plan(box))};
  REQUIRE(process.expect("call_claimed"));
  process.signal(SIGINT);
  CHECK(process.wait() == 130);
  CHECK(last_line(process.output())["session"] == "s");
  const auto resumed = box.run({"resume", "s"});
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status != 4);
  CHECK_FALSE(resumed.last()["state"] == "running");
  CHECK(box.read("starts").size() <= 2);
}

TEST_CASE("a killed run asks for the outcome of what it had started, and all does not answer") {
  const sandbox box;
  child process{run_of(box, endless_plan(box))};
  REQUIRE(process.expect("call_claimed"));
  process.signal(SIGKILL);
  process.wait();

  const auto resumed = box.run({"resume", "s", "--approve", "all"});
  INFO(resumed.out << resumed.err);
  CHECK(resumed.status == 3);
  CHECK(resumed.last()["waiting"]["outcome"] == 1);
  const auto pending = box.run({"pending"});
  CHECK(pending.last()["waiting_for"] == "outcome");
  const auto shown = box.run_plainly({"pending"});
  CHECK(shown.out.find("outcome s:c1") != std::string::npos);
  // Nobody ran it again meanwhile.
  CHECK(box.read("starts").size() <= 2);

  const auto happened = box.run({"outcome", "s:c1", "happened", R"({"exit_status": 0})"});
  CHECK(happened.status == 0);
  CHECK(happened.last()["subtasks"][0]["result"] == json{{"exit_status", 0}});
}

TEST_CASE("an unknown outcome can be a failure") {
  const sandbox box;
  child process{run_of(box, endless_plan(box))};
  REQUIRE(process.expect("call_claimed"));
  process.signal(SIGKILL);
  process.wait();
  REQUIRE(box.run({"resume", "s"}).status == 3);
  const auto failed = box.run({"outcome", "s:c1", "failed", "--reason", "the machine died"});
  CHECK(failed.status == 1);
  CHECK(failed.last()["state"] == "needs_attention");
  CHECK(box.run({"cancel", "s"}).status == 0);
}

TEST_CASE("an unknown outcome can be run again, when a person says so") {
  const sandbox box;
  const auto plan = box.write(
      "plan.json",
      plan_of(
          "execute_command",
          {{"argv", {"sh", "-c", "echo x >>starts; test $(wc -l <starts) -gt 1 || cat gate"}}}));
  REQUIRE(::mkfifo((box.workspace() / "gate").c_str(), 0600) == 0);
  child process{run_of(box, plan)};
  REQUIRE(process.expect("call_claimed"));
  // The command itself says that it has started.
  child_options until;
  until.argv = {"/bin/sh", "-c", "until [ -s starts ]; do sleep 0.01; done"};
  until.directory = box.workspace().string();
  REQUIRE(child{until}.wait() == 0);
  process.signal(SIGKILL);
  process.wait();
  REQUIRE(box.run({"resume", "s"}).status == 3);
  CHECK(box.run({"outcome", "s:c1", "rerun"}).status == 0);
  CHECK(box.read("starts") == "x\nx\n");
}

} // namespace interruption_test
