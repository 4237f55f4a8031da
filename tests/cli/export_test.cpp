// `fermata export`: a session as JSON lines, whole or not at all, also beside its owner.
#include "sandbox.hpp"

#include "new_file.hpp"

#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/records.hpp>
#include <fermata/storage/session_export.hpp>

#include <fermata_catch.hpp>
#include <raw_store.hpp>

#include <csignal>
#include <fstream>
#include <sstream>
#include <sys/stat.h>

namespace export_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// Session `s`, whose first call waits for a decision.
void prepare_export(const sandbox& box) {
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  std::filesystem::remove(box.workspace() / "plan.json");
}

/// Session `s` with so many lines of more than 200 KB, which is more than a pipe takes.
void prepare_large(const sandbox& box, int subtasks) {
  auto plan = json{{"goal", "much"}, {"tools", {{"ask", {{"kind", "client"}}}}}};
  for (int i = 1; i <= subtasks; ++i)
    plan["subtasks"].push_back({{"id", "t" + std::to_string(i)},
                                {"result", std::string(200'000, 'r')},
                                {"steps", json::array({{{"tool", "ask"}}})}});
  REQUIRE(box.run({"run", box.write("plan.json", to_text(plan)), "--session", "s"}).status == 3);
  std::filesystem::remove(box.workspace() / "plan.json");
}

std::vector<std::string> files_of(const sandbox& box) {
  std::vector<std::string> names;
  for (const auto& one : std::filesystem::directory_iterator{box.workspace()})
    names.push_back(one.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

result<imported_session> import_text(store& into, const std::string& text) {
  std::istringstream lines{text};
  return import_session(into, lines_of(lines));
}

} // namespace

TEST_CASE("export prints all of a session as JSON lines, whatever --json says") {
  const sandbox box;
  prepare_export(box);
  REQUIRE(box.run({"run", "-", "--session", "other"}, seed_plan()).status == 3);
  const auto printed = box.run({"export", "s"});
  CHECK(printed.status == 0);
  CHECK(printed.err.empty());
  CHECK(box.run_plainly({"export", "s"}).out == printed.out);
  CHECK(box.run_plainly({"export", "s", "--out", "-"}).out == printed.out);
  CHECK(printed.lines.at(0)
        == json{
            {"format", "fermata-session"}, {"version", 1}, {"session", "s"}, {"redacted", false}});
  const auto events = box.run({"events", "s"}).lines;
  for (std::size_t i = 0; i < events.size(); ++i)
    CHECK(printed.lines.at(1 + i) == json{{"event", events[i]}});
  CHECK(printed.last()["end"]["counts"]["events"] == events.size());

  memory_store elsewhere;
  REQUIRE(import_text(elsewhere, printed.out));
  CHECK(elsewhere.verify().sound());
}

TEST_CASE("export --out makes a file for nobody else, and says what is in it") {
  const sandbox box;
  prepare_export(box);
  const auto made = box.run({"export", "s", "--out", "s.jsonl"});
  CHECK(made.status == 0);
  REQUIRE(made.lines.size() == 1);
  const auto& said = made.last()["exported"];
  CHECK(said["session"] == "s");
  CHECK(said["file"] == "s.jsonl");
  CHECK(said["events"] == box.run({"events", "s"}).lines.size());
  CHECK(said["pending"] == 1);
  CHECK(said["timers"] == 0);
  CHECK(box.read("s.jsonl") == box.run({"export", "s"}).out);
  struct stat file {};
  REQUIRE(::stat((box.workspace() / "s.jsonl").c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0600);
  CHECK(files_of(box) == std::vector<std::string>{"s.jsonl"});

  memory_store elsewhere;
  REQUIRE(import_session(elsewhere, box.workspace() / "s.jsonl"));
  const auto plainly = box.run_plainly({"export", "s", "--out", "b\nell"});
  CHECK(plainly.status == 0);
  CHECK(contains(plainly.out, "b<U+000A>ell has session s: "));
}

TEST_CASE("export replaces nothing that exists, and makes no folders") {
  const sandbox box;
  prepare_export(box);
  box.write("there", "mine");
  std::filesystem::create_directory(box.workspace() / "folder");
  std::filesystem::create_symlink("nowhere", box.workspace() / "link");
  const auto before = files_of(box);
  for (const auto* name : {"there", "folder", "link"}) {
    const auto refused = box.run({"export", "s", "--out", name});
    INFO(refused.err);
    CHECK(refused.status == 2);
    CHECK(refused.error()["error"] == "invalid_field");
    CHECK(contains(refused.error()["message"].get<std::string>(),
                   std::string{name} + ": exists already, and is not replaced"));
  }
  const auto refused = box.run({"export", "s", "--out", "none/s.jsonl"});
  CHECK(refused.status == 2);
  CHECK(contains(refused.error()["message"].get<std::string>(), "No such file or directory"));
  CHECK(files_of(box) == before);
  CHECK(box.read("there") == "mine");
}

TEST_CASE("a file that appears while it is written is not replaced, and nothing is left behind") {
  const sandbox box;
  const auto path = (box.workspace() / "s.jsonl").string();
  {
    auto file = command_line::new_file::make(path);
    REQUIRE(file);
    REQUIRE_FALSE(file->write("ours"));
    box.write("s.jsonl", "theirs");
    const auto refused = file->keep();
    CHECK(is(refused, errc::invalid_field));
    CHECK(message_of(refused) == path + ": exists already, and is not replaced");
  }
  CHECK(box.read("s.jsonl") == "theirs");
  CHECK(files_of(box) == std::vector<std::string>{"s.jsonl"});
  {
    auto file = command_line::new_file::make(path + "2");
    REQUIRE(file);
    REQUIRE_FALSE(file->write(std::string(100'000, 'x')));
    CHECK(files_of(box).size() == 2);
  }
  CHECK(files_of(box) == std::vector<std::string>{"s.jsonl"});
}

TEST_CASE("export works beside an owner, and what it gives goes on where the session stood") {
  const sandbox box;
  REQUIRE(::mkfifo((box.workspace() / "gate").c_str(), 0600) == 0);
  const auto plan = box.write("plan.json", plan_of("execute_command", {{"argv", {"cat", "gate"}}}));
  child owner{box.invocation({"--json", "run", plan, "--session", "s", "--approve", "all"})};
  REQUIRE(owner.expect("call_claimed"));
  const auto printed = box.run({"export", "s"});
  CHECK(printed.status == 0);
  memory_store elsewhere;
  const auto read = import_text(elsewhere, printed.out);
  REQUIRE(read);
  CHECK(contains(printed.out, "call_claimed"));
  owner.signal(SIGKILL);
  owner.wait();
}

TEST_CASE("an export that cannot be written is an error of the environment, and leaves no file") {
  const sandbox box;
  prepare_large(box, 2);
  const auto full = box.run_on_full_disk({"export", "s", "--out", "s.jsonl"}, 100'000);
  INFO(full.out << full.err);
  CHECK(full.status == 4);
  CHECK(full.out.empty());
  CHECK(full.error()["error"] == "disk_full");
  CHECK(contains(full.error()["message"].get<std::string>(), "s.jsonl: cannot be written: "));
  CHECK(files_of(box).empty());

  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c", std::string{FERMATA_COMMAND} + " export s >/dev/full"};
  child process{options};
  CHECK(process.wait() == 4);
  CHECK(contains(process.error_output(), "standard output: No space left on device (io_error)"));
}

TEST_CASE("a reader of an export that goes away is no error") {
  const sandbox box;
  prepare_large(box, 4);
  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c",
                  "(" + std::string{FERMATA_COMMAND}
                      + " export s 2>errors; echo $? >status) | head -c 9"};
  child process{options};
  process.wait();
  // The shell waits for the last command of a pipe only.
  options.argv = {"/bin/sh", "-c", "until [ -s status ]; do sleep 0.01; done"};
  CHECK(child{options}.wait() == 0);
  CHECK(box.read("status") == "0\n");
  CHECK(box.read("errors").empty());
}

TEST_CASE("an export that is interrupted ends, and what it has written is no export") {
  const sandbox box;
  prepare_large(box, 8);
  child process{box.invocation({"export", "s"})};
  // It has begun, and cannot end before somebody reads on.
  REQUIRE(process.expect("fermata-session"));
  process.signal(SIGINT);
  CHECK(process.wait() == 130);
  CHECK(contains(process.error_output(), "interrupted before session s was exported"));
  memory_store elsewhere;
  CHECK_FALSE(import_text(elsewhere, process.output()));
}

TEST_CASE("a session that is not there, or is damaged, is not exported, and no file is left") {
  const sandbox box;
  prepare_export(box);
  const auto refused = [&](const std::string& session) {
    const auto ended = box.run({"export", session, "--out", "s.jsonl"});
    INFO(ended.out << ended.err);
    CHECK(ended.out.empty());
    CHECK(files_of(box).empty());
    return std::pair{ended.status, ended.error()["error"].get<std::string>()};
  };
  CHECK(refused("nobody") == std::pair{2, std::string{"unknown_session"}});
  CHECK(refused("..") == std::pair{2, std::string{"invalid_id"}});
  CHECK(box.run({"export", "s", "--store", "/nonexistent"}).status == 4);

  const auto number = number_of(box.store(), *session_id::parse("s"));
  raise_record_format(box.store(), number, call_key(1));
  CHECK(refused("s") == std::pair{4, std::string{"store_too_new"}});
  // On standard output there may be something by then; but it is no export.
  memory_store elsewhere;
  CHECK_FALSE(import_text(elsewhere, box.run({"export", "s"}).out));
  damage_session(box.store(), number);
  CHECK(refused("s") == std::pair{4, std::string{"store_corrupt"}});
}

TEST_CASE("a redacted export hides secrets, says so, and can be imported") {
  const sandbox box;
  const auto rules = box.write("rules.json", R"({"patterns": ["why"]})");
  prepare_export(box);
  const auto digest = box.run({"pending"}).last()["digest"].get<std::string>();
  REQUIRE(contains(box.run({"export", "s"}).out, "why"));
  REQUIRE(box.run({"export", "s", "--redact", rules, "--out", "s.jsonl"}).status == 0);
  const auto text = box.read("s.jsonl");
  CHECK_FALSE(contains(text, "why"));
  CHECK(contains(text, R"("question":"[redacted]?")"));
  CHECK(contains(text, digest));
  memory_store elsewhere;
  const auto read = import_text(elsewhere, text);
  REQUIRE(read);
  CHECK(read->redacted);
}

} // namespace export_test
