// Stores and exports of each format, made in November 2026 by `fermata run`, `approve`, `result`,
// `suspend`, `trim`, `delete` and `backup`, and kept for ever: whoever has one can go on with it.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace format_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const auto all_kept = std::filesystem::path{FERMATA_SOURCE_DIR} / "tests/storage";
const auto kept = all_kept / "format-1";
const auto kept_2 = all_kept / "format-2";
const auto kept_3 = all_kept / "format-3";
const auto kept_4 = all_kept / "format-4";

/// A copy, so that the kept one stays as it is.
void begin_with_kept_store(const sandbox& box, const std::filesystem::path& from = kept) {
  std::filesystem::create_directory(box.store());
  std::filesystem::copy_file(from / "data.mdb", box.store() / "data.mdb");
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void succeed(const sandbox& box, const std::vector<std::string>& words, int status) {
  const auto ended = box.run(words);
  INFO(words.front() << " " << words.at(1) << ": " << ended.out << ended.err);
  CHECK(ended.status == status);
}

} // namespace

TEST_CASE("a store of format 1 is sound, and says of each session what it said then") {
  const sandbox box;
  begin_with_kept_store(box);
  const auto verified = box.run({"verify"});
  INFO(verified.out << verified.err);
  REQUIRE(verified.status == 0);
  CHECK(verified.last()["sessions"] == 8);
  CHECK(verified.last()["events"] == 91);
  std::map<std::string, std::string> states;
  for (const auto& one : box.run({"sessions"}).lines)
    states[one["session"]] = one["state"];
  CHECK(states
        == std::map<std::string, std::string>{{"plan-waits", "awaiting_plan_decision"},
                                              {"call-waits", "waiting"},
                                              {"result-waits", "waiting"},
                                              {"remembered", "waiting"},
                                              {"done", "completed"},
                                              {"half-done", "waiting"},
                                              {"suspended", "suspended"},
                                              {"asleep", "waiting"}});
  CHECK(box.run({"pending"}).lines.size() == 6);
  CHECK(box.run({"timers"}).lines.size() == 1);
  CHECK(box.run({"remembered", "remembered"}).lines.size() == 1);
  CHECK(box.run({"status", "done"}).last()["subtasks"][1]["result"]
        == json{"b", {{"c", {1, 2.5, nullptr}}}});
  for (const auto& [session, state] : states)
    for (const auto* query : {"events", "transcript", "history", "audit", "plan"})
      succeed(box, {query, session}, 0);
}

TEST_CASE("what waits in a store of format 1 goes on") {
  const sandbox box;
  begin_with_kept_store(box);
  succeed(box, {"approve", "plan-waits:p2"}, 3);
  succeed(box, {"approve", "call-waits:c1"}, 3);
  succeed(box, {"result", "call-waits:c1", "1"}, 3);
  succeed(box, {"result", "result-waits:c1", "1"}, 3);
  // What was remembered then is decided by it now.
  succeed(box, {"result", "remembered:c1", "1"}, 3);
  CHECK(box.run({"pending", "remembered"}).last()["waiting_for"] == "result");
  succeed(box, {"result", "half-done:c2", "1"}, 0);
  // The same answer again, and another one.
  succeed(box, {"result", "done:c1", "\"a\""}, 0);
  CHECK(box.run({"result", "done:c1", "2"}).error()["error"] == "already_answered");
  succeed(box, {"result", "suspended:c1", "1"}, 3);
  succeed(box, {"resume", "suspended"}, 3);
  succeed(box, {"cancel", "asleep"}, 0);
  CHECK(box.run({"verify"}).status == 0);
}

TEST_CASE("an export of format 1 is imported, and goes on") {
  const sandbox box;
  succeed(box, {"import", (kept / "half-done.jsonl").string()}, 0);
  succeed(box, {"result", "half-done:c2", "1"}, 0);
  CHECK(box.run({"verify"}).status == 0);
}

TEST_CASE("preflight says of a store of format 1 that all of it would go on, and what would not") {
  const sandbox box;
  begin_with_kept_store(box);
  const auto fine = box.run({"preflight"});
  INFO(fine.out << fine.err);
  CHECK(fine.status == 0);
  CHECK(fine.last()["preflight"] == json{{"sessions", 7}, {"findings", 0}, {"complete", true}});
  const auto plan =
      box.write("plan.json", R"({"goal": "g", "subtasks": [{"id": "a", "agent": "own"}]})");
  const auto models = box.write(
      "models.json",
      R"({"models": {"m": {"replies": [{"text": "done"}]}}, "agents": {"own": {"model": "m"}}})");
  REQUIRE(box.run({"run", plan, "--session", "new", "--models", models}).status == 3);
  std::filesystem::remove(box.store() / "models.json");
  const auto found = box.run({"preflight"});
  CHECK(found.status == 1);
  CHECK(found.lines[0]["error"] == "unknown_agent");
  CHECK(found.lines[0]["session"] == "new");
  CHECK(found.lines[0]["subtask"] == "a");
}

TEST_CASE("a store of format 2 is sound, goes on, and is rid of what was deleted in it") {
  const sandbox box;
  begin_with_kept_store(box, kept_2);
  const auto verified = box.run({"verify"}).last();
  CHECK(verified["sessions"] == 6);
  CHECK(verified["events"] == 56);
  CHECK(verified["garbage"] == 7);
  CHECK(box.run({"status", "suspended"}).error()["error"] == "unknown_session");
  CHECK(box.run({"status", "asleep"}).error()["error"] == "unknown_session");
  CHECK(box.run({"events", "done"}).lines.front()["number"] == 18);
  CHECK(box.run({"status", "done"}).last()["first_event"] == 18);
  succeed(box, {"result", "done:c1", "\"a\""}, 0);
  CHECK(box.run({"result", "done:c1", "2"}).error()["error"] == "already_answered");
  succeed(box, {"result", "half-done:c2", "1"}, 0);
  CHECK(box.run({"verify"}).last()["garbage"] == 0);
  succeed(box, {"delete", "done"}, 0);
  succeed(box, {"compact", "--json"}, 0);
  CHECK(box.run({"verify"}).last()["sessions"] == 5);
}

TEST_CASE("an export of version 2 is imported, and begins where it did") {
  const sandbox box;
  succeed(box, {"import", (kept_2 / "done.jsonl").string()}, 0);
  CHECK(box.run({"events", "done"}).lines.front()["number"] == 18);
  CHECK(box.run({"export", "done"}).out == content_of(kept_2 / "done.jsonl"));
}

TEST_CASE("of a store of format 3 each session is what its events have made of its records") {
  const sandbox box;
  begin_with_kept_store(box, kept_3);
  const auto verified = box.run({"verify"}).last();
  CHECK(verified["sound"] == true);
  CHECK(verified["sessions"] == 5);
  CHECK(verified["events"] == 98);
  for (const std::string session : {"parallel", "asleep"})
    CHECK(box.run({"export", session}).out == content_of(kept_3 / (session + ".jsonl")));
  CHECK(box.run({"pending"}).lines.size() == 4);
  CHECK(box.run({"timers"}).lines.size() == 1);
  CHECK(box.run({"remembered", "parallel"}).lines.size() == 1);
  CHECK(box.run({"preflight"}).last()["preflight"]
        == json{{"sessions", 5}, {"findings", 0}, {"complete", true}});
  for (const auto* session : {"result", "parallel", "answer", "asleep", "suspended"})
    for (const auto* query : {"status", "events", "transcript", "history", "audit", "plan"})
      succeed(box, {query, session}, 0);
}

TEST_CASE("what waits in a store of format 3 goes on") {
  const sandbox box;
  begin_with_kept_store(box, kept_3);
  succeed(box, {"result", "result:c1", R"({"got": [1, 2.5, null]})"}, 3);
  CHECK(box.run({"result", "result:c1", "2"}).error()["error"] == "already_answered");
  CHECK(box.run({"transcript", "result"}).out.find(R"("n":20)") != std::string::npos);
  succeed(box, {"result", "result:c2", "2"}, 3);
  succeed(box, {"answer", "result:c4", "\"so\""}, 3);
  succeed(box, {"result", "parallel:c2", "2"}, 3);
  succeed(box, {"answer", "answer:c4", "\"so\""}, 3);
  succeed(box, {"result", "suspended:c3", "3"}, 3);
  succeed(box, {"resume", "suspended"}, 3);
  CHECK(box.run({"pending", "suspended"}).lines.size() == 1);
  succeed(box, {"cancel", "asleep"}, 0);
  succeed(box, {"delete", "asleep"}, 0);
  const auto verified = box.run({"verify"}).last();
  CHECK(verified["sound"] == true);
  CHECK(verified["sessions"] == 4);
}

TEST_CASE("a store of format 4 is sound, and goes on") {
  const sandbox box;
  begin_with_kept_store(box, kept_4);
  CHECK(box.run({"verify"}).last()["events"] == 100);
  CHECK(box.run({"events", "done"}).lines.front()["number"] == 18);
  CHECK(box.run({"status", "suspended"}).error()["error"] == "unknown_session");
  for (const std::string session : {"call-waits", "result-waits", "plan-waits"})
    succeed(box, {"resume", session}, 3);
  succeed(box, {"result", "call-waits:c1", "1"}, 3);
  succeed(box, {"result", "call-waits:c2", "2"}, 3);
  succeed(box, {"result", "half-done:c2", "1"}, 0);
  succeed(box, {"delete", "half-done"}, 0);
  const auto verified = box.run({"verify"}).last();
  CHECK(verified["sound"] == true);
  CHECK(verified["sessions"] == 5);
}

} // namespace format_test
