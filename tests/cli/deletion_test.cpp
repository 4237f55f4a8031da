// `fermata delete`, `trim` and `compact`: what is deleted is gone, in the same way with a service
// and without, and the space comes back.
#include "sandbox.hpp"
#include "service_support.hpp"

#include <fermata_catch.hpp>
#include <raw_store.hpp>

#include <csignal>

namespace deletion_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A session that is over, with many events.
void finish(const sandbox& box, const std::string& session, std::size_t size = 10) {
  json plan{{"goal", "much"}};
  for (int i = 1; i <= 20; ++i)
    plan["subtasks"].push_back(
        {{"id", "t" + std::to_string(i)}, {"result", std::string(size, 'r')}});
  const auto file = box.write("plan.json", to_text(plan));
  REQUIRE(box.run({"run", file, "--session", session, "--approve", "all"}).status == 0);
}

/// One that waits for a result.
void begin(const sandbox& box, const std::string& session) {
  const auto file = box.write("asking.json", R"({"goal": "g", "tools": {"ask": {"kind": "client"}},
      "subtasks": [{"id": "a", "steps": [{"tool": "ask"}]}]})");
  REQUIRE(box.run({"run", file, "--session", session, "--approve", "all"}).status == 3);
}

std::vector<std::string> sessions(const sandbox& box) {
  std::vector<std::string> names;
  for (const auto& line : box.run({"sessions"}).lines)
    names.push_back(line["session"]);
  return names;
}

using names = std::vector<std::string>;

} // namespace

TEST_CASE("sessions that are over are deleted, and others are not") {
  const sandbox box;
  std::unique_ptr<child> service;
  bool served = false;
  SECTION("by the command itself") {}
  SECTION("by the service that owns the store") {
    served = true;
  }
  finish(box, "old");
  finish(box, "older");
  begin(box, "live");
  if (served) {
    service = std::make_unique<child>(box.invocation({"serve"}));
    REQUIRE(service->expect("service.sock"));
  }
  const auto done = box.run({"delete", "old", "older", "--reason", "done with"});
  INFO(done.out << done.err);
  REQUIRE(done.status == 0);
  REQUIRE(done.lines.size() == 2);
  CHECK(done.lines[0]["deleted"]["session"] == "old");
  CHECK(done.lines[0]["deleted"]["state"] == "completed");
  CHECK(done.lines[1]["deleted"]["events"].get<int>() > 40);
  CHECK(sessions(box) == names{"live"});
  CHECK(box.run({"status", "old"}).error()["error"] == "unknown_session");

  const auto again = box.run({"delete", "old"});
  CHECK(again.status == 2);
  CHECK(again.error()["error"] == "unknown_session");
  const auto refused = box.run({"delete", "live"});
  CHECK(refused.status == 2);
  CHECK(refused.error()["error"] == "not_allowed");
  CHECK(contains(refused.error()["message"].get<std::string>(), "cancel_plan"));
  REQUIRE(box.run({"cancel", "live"}).status == 0);
  CHECK(box.run({"delete", "live"}).status == 0);
  CHECK(sessions(box).empty());
  finish(box, "old"); // another one
  if (service) {
    service->signal(SIGTERM);
    CHECK(service->wait() == 0);
  }
  CHECK(box.run({"verify"}).last()["garbage"] == 0);
}

TEST_CASE("those that were over long enough are deleted, or only listed") {
  const sandbox box;
  finish(box, "a");
  finish(box, "b");
  begin(box, "live");
  CHECK(box.run({"delete", "--finished", "--older-than", "30d"}).lines.empty());
  const auto listed = box.run({"delete", "--finished", "--dry-run"});
  REQUIRE(listed.status == 0);
  REQUIRE(listed.lines.size() == 2);
  CHECK(listed.lines[0]["would_delete"]["session"] == "a");
  CHECK(sessions(box) == names{"a", "b", "live"});
  CHECK(box.run({"delete", "--finished", "--older-than", "1ms"}).lines.size() == 2);
  CHECK(sessions(box) == names{"live"});
  for (const auto& wrong : {std::vector<std::string>{"delete"},
                            {"delete", "a", "--finished"},
                            {"delete", "a", "--older-than", "1d"},
                            {"delete", "a", "--dry-run"},
                            {"delete", ".."},
                            {"delete", "--finished", "--older-than", "soon"}})
    CHECK(box.run(wrong).status == 2);
}

TEST_CASE("a damaged session keeps no other from being deleted by age") {
  const sandbox box;
  for (const auto* one : {"a", "b", "c"})
    finish(box, one);
  const auto number = number_of(box.store(), *session_id::parse("b"));
  SECTION("where its head is damaged") {
    damage_session(box.store(), number);
  }
  SECTION("where its plan is of a newer version") {
    raise_record_format(box.store(), number, plan_key(1));
  }
  const auto listed = box.run({"delete", "--finished", "--dry-run"});
  INFO(listed.out << listed.err);
  CHECK(listed.status == 1);
  CHECK(listed.lines.size() == 2);
  const auto done = box.run({"delete", "--finished"});
  INFO(done.out << done.err);
  CHECK(done.status == 1);
  REQUIRE(done.lines.size() == 2);
  CHECK(done.lines[1]["deleted"]["session"] == "c");
  CHECK(contains(done.err, "session"));
}

TEST_CASE("a history is trimmed, and what is read of it begins with what is kept") {
  const sandbox box;
  finish(box, "s");
  const auto last = box.run({"status", "s"}).last()["events"].get<std::uint64_t>();
  const auto done = box.run({"trim", "s", "--keep", "10"});
  INFO(done.out << done.err);
  REQUIRE(done.status == 0);
  CHECK(done.last()["trimmed"]
        == json{{"session", "s"}, {"first_event", last - 9}, {"events", last + 1}});
  const auto events = box.run({"events", "s"});
  CHECK(events.lines.size() == 11);
  CHECK(events.lines[0]["number"] == last - 9);
  CHECK(box.run({"events", "s", "--from", "3"}).lines.size() == 11);
  CHECK(box.run({"status", "s"}).last()["first_event"] == last - 9);
  CHECK(box.run({"history", "s"}).status == 0);
  CHECK(box.run({"audit", "s"}).last()["action"] == "history_trimmed");
  CHECK(box.run({"trim", "s", "--keep", "1000"}).last()["trimmed"]["first_event"] == last - 9);
  CHECK(box.run({"trim", "s", "--keep", "0"}).status == 2);
  CHECK(box.run({"trim", "s"}).status == 2);
  CHECK(box.run({"trim", "nobody", "--keep", "1"}).error()["error"] == "unknown_session");
  const auto copy = (box.workspace() / "elsewhere").string();
  const auto file = box.write("s.jsonl", box.run({"export", "s"}).out);
  REQUIRE(box.run({"import", file, "--store", copy}).status == 0);
  CHECK(box.run({"events", "s", "--store", copy}).lines.size() == 11);
}

TEST_CASE("a service deletes what is over, and cuts what is long, where it is told to") {
  const sandbox box;
  child service{box.invocation({"serve", "--delete-finished-after", "10s", "--keep-events", "7"})};
  REQUIRE(service.expect("service.sock"));
  finish(box, "s");
  const auto status = box.run({"status", "s"}).last();
  CHECK(status["first_event"].get<int>() > 20);
  CHECK(status["delete_at"] == status["next_timer"]);
  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c",
                  "while " + std::string{FERMATA_COMMAND} + " status s --store "
                      + box.store().string() + " >/dev/null 2>&1; do sleep 0.1; done"};
  CHECK(child{options}.wait() == 0);
  CHECK(sessions(box).empty());
  service.signal(SIGTERM);
  CHECK(service.wait() == 0);
  CHECK(box.run({"serve", "--keep-events", "0"}).status == 2);
}

TEST_CASE("compacting gives the space back, unless somebody has the store open") {
  const sandbox box;
  for (const auto* name : {"a", "b", "c"})
    finish(box, name, 50'000);
  finish(box, "kept");
  REQUIRE(box.run({"delete", "a", "b", "c"}).status == 0);
  {
    child service{box.invocation({"serve"})};
    REQUIRE(service.expect("service.sock"));
    const auto busy = box.run({"compact"});
    CHECK(busy.status == 4);
    CHECK(busy.error()["error"] == "store_busy");
    CHECK(contains(busy.error()["message"].get<std::string>(), std::to_string(service.pid())));
    service.signal(SIGTERM);
    CHECK(service.wait() == 0);
  }
  const auto before = std::filesystem::file_size(box.store() / "data.mdb");
  const auto done = box.run({"compact"});
  INFO(done.out << done.err);
  REQUIRE(done.status == 0);
  CHECK(done.last()["compacted"]["size_before_bytes"] == before);
  const auto after = std::filesystem::file_size(box.store() / "data.mdb");
  CHECK(done.last()["compacted"]["size_after_bytes"] == after);
  CHECK(after < before / 5);
  CHECK(sessions(box) == names{"kept"});
  finish(box, "new", 50'000);
  CHECK(box.run({"verify"}).status == 0);
  CHECK(box.run({"compact", "--store", (box.workspace() / "none").string()}).status == 4);
}

} // namespace deletion_test
