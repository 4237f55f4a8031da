#include "exit_status.hpp"
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <array>

namespace exit_status_test {

using namespace fermata;
using namespace fermata::test;
using command_line::exit_status;
using command_line::exit_status_of;

TEST_CASE("the exit status tells bad input from a failing environment") {
  CHECK(exit_status_of(errc::invalid_json) == exit_status::bad_input);
  CHECK(exit_status_of(errc::session_busy) == exit_status::bad_input);
  CHECK(exit_status_of(errc::stale_approval) == exit_status::bad_input);
  for (const auto code : std::array{errc::store_busy, errc::store_unavailable, errc::store_corrupt,
                                    errc::store_too_new, errc::disk_full, errc::io_error,
                                    errc::cannot_listen, errc::node_unavailable})
    CHECK(exit_status_of(code) == exit_status::environment);
}

TEST_CASE("an ended plan is success only for the command that was to end it") {
  CHECK(exit_status_of(session_state::completed, false) == exit_status::done);
  CHECK(exit_status_of(session_state::cancelled, true) == exit_status::done);
  CHECK(exit_status_of(session_state::cancelled, false) == exit_status::attention);
  CHECK(exit_status_of(session_state::rejected, true) == exit_status::done);
  CHECK(exit_status_of(session_state::failed, true) == exit_status::attention);
  CHECK(exit_status_of(session_state::needs_attention, true) == exit_status::attention);
  CHECK(exit_status_of(session_state::planning, true) == exit_status::paused);
  CHECK(exit_status_of(session_state::suspended, false) == exit_status::paused);
}

TEST_CASE("a plan that completes without a pause exits with 0") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("list_files", {{"path", "."}}));
  const auto ended = box.run({"run", plan, "--approve", "all"});
  CHECK(ended.status == 0);
  CHECK(ended.last()["state"] == "completed");
}

TEST_CASE("rejecting a plan, and cancelling one, exit with 0") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  const auto rejected = box.run({"reject", "s:p1", "--reason", "no"});
  CHECK(rejected.status == 0);
  CHECK(rejected.last()["state"] == "rejected");
  // The session takes another plan.
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p2"}).status == 3);
  const auto cancelled = box.run({"cancel", "s", "--reason", "enough"});
  CHECK(cancelled.status == 0);
  CHECK(cancelled.last()["state"] == "cancelled");
  CHECK(box.run({"pending"}).lines.empty());
  CHECK(box.run({"resume", "s"}).status == 1);
}

TEST_CASE("a plan that needs attention, and one that is failed, exit with 1") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("read_file", {{"path", "missing"}}));
  const auto stuck = box.run({"run", plan, "--session", "s", "--approve", "all"});
  CHECK(stuck.status == 1);
  CHECK(stuck.last()["state"] == "needs_attention");
  CHECK(stuck.last()["subtasks"][0]["status"] == "failed");
  const auto failed = box.run({"fail", "s", "--reason", "hopeless"});
  CHECK(failed.status == 1);
  CHECK(failed.last()["state"] == "failed");
  CHECK(box.run({"resume", "s"}).status == 1);
}

TEST_CASE("--approve none asks for what reads, reads does not, all asks for nothing") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("list_files", {{"path", "."}}));
  REQUIRE(box.run({"run", plan, "--session", "a"}).status == 3);
  REQUIRE(box.run({"approve", "a:p1"}).status == 0);

  REQUIRE(box.run({"run", plan, "--session", "b", "--approve", "none"}).status == 3);
  CHECK(box.run({"pending", "b"}).lines.at(0)["kind"] == "plan");
  CHECK(box.run({"approve", "b:p1"}).status == 0);

  const auto write = plan_of("write_file", {{"path", "new.txt"}, {"content", "hello\n"}});
  const auto all = box.run({"run", box.write("plan2.json", write), "--approve", "all"});
  CHECK(all.status == 0);
  CHECK(box.read("new.txt") == "hello\n");
  bool by_whom = false;
  for (const auto& line : all.lines)
    if (line.contains("event") && line["event"]["body"]["type"] == "call_decided")
      by_whom = line["event"]["body"]["by"] == "--approve all";
  CHECK(by_whom);
}

TEST_CASE("--approve none asks for what only reads while the plan runs") {
  const sandbox box;
  const auto write = plan_of("write_file", {{"path", "new.txt"}, {"content", "hello\n"}});
  auto plan = *parse_json(write);
  plan["subtasks"].push_back(
      {{"id", "after"},
       {"depends_on", json::array({"only"})},
       {"steps", json::array({{{"tool", "read_file"}, {"arguments", {{"path", "new.txt"}}}}})}});
  REQUIRE(box.run({"run", box.write("plan.json", to_text(plan)), "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  // `approve` has the default policy, so the second subtask's read runs freely.
  CHECK(box.run({"approve", "s:c1"}).status == 0);
  CHECK(box.run({"status", "s"}).last()["subtasks"][1]["result"]["content"] == "hello\n");
}

TEST_CASE("--approve all never answers for a client") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  const auto ended = box.run({"run", plan, "--session", "s", "--approve", "all"});
  CHECK(ended.status == 3);
  CHECK(ended.last()["waiting"]["result"] == 1);
  CHECK(ended.last()["waiting"]["decision"] == 0);
}

} // namespace exit_status_test
