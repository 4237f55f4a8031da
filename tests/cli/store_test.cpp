// The environment: who owns the store, and stores that cannot be used. Exit status 4.
#include "sandbox.hpp"

#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/records.hpp>

#include <fermata_catch.hpp>
#include <raw_store.hpp>

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

namespace store_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A plan whose only command runs until somebody writes into the pipe `gate` of the workspace.
std::string gated_plan(const sandbox& box) {
  REQUIRE(::mkfifo((box.workspace() / "gate").c_str(), 0600) == 0);
  return box.write("plan.json", plan_of("execute_command", {{"argv", {"cat", "gate"}}}));
}

void open_gate(const sandbox& box) {
  // For reading too, so that opening does not wait for the other side.
  const int gate = ::open((box.workspace() / "gate").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(gate >= 0);
  REQUIRE(::write(gate, "open\n", 5) == 5);
  // The line is still in the pipe; whoever opens it later reads it, and then its end.
  const int reader = ::open((box.workspace() / "gate").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ::close(gate);
  ::close(reader);
}

/// All that a store's file holds.
std::string bytes_of_store(const sandbox& box) {
  std::ifstream file{box.store() / "data.mdb", std::ios::binary};
  REQUIRE(file);
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// What there is to know of a session from outside.
std::string all_about(const sandbox& box, const std::string& session) {
  std::string all;
  for (const auto* query : {"status", "events", "pending", "transcript"}) {
    const auto ended = box.run({query, session});
    CHECK(ended.status == 0);
    all += ended.out;
  }
  return all;
}

} // namespace

TEST_CASE("a second process is told who owns the store, and queries work beside the owner") {
  const sandbox box;
  child owner{
      box.invocation({"--json", "run", gated_plan(box), "--session", "s", "--approve", "all"})};
  REQUIRE(owner.expect("call_claimed"));

  const auto busy = box.run({"cancel", "s"});
  CHECK(busy.status == 4);
  const auto error = busy.error();
  CHECK(error["error"] == "store_busy");
  CHECK(error["message"].get<std::string>().find(std::to_string(owner.pid())) != std::string::npos);

  const auto status = box.run({"status", "s"});
  CHECK(status.status == 0);
  CHECK(status.last()["state"] == "running");
  for (const auto* query : {"plan", "events", "transcript"})
    CHECK(box.run({query, "s"}).status == 0);
  CHECK(box.run({"sessions"}).lines.size() == 1);
  CHECK(box.run({"pending"}).status == 0);

  open_gate(box);
  CHECK(owner.wait() == 0);
  CHECK(box.run({"status", "s"}).last()["state"] == "completed");
}

TEST_CASE("a store that is not there, or cannot be made, is an error of the environment") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"sessions"}, {"status", "s"}, {"approve", "s:c1"}, {"resume", "s"}, {"verify"}}) {
    const auto ended = box.run(words);
    INFO(ended.out << ended.err);
    CHECK(ended.status == 4);
    CHECK(ended.error()["error"] == "store_unavailable");
  }
  CHECK_FALSE(std::filesystem::exists(box.store()));
  // A file is in the way; /proc takes no folders, even from root.
  for (const auto& folder : {plan, plan + "/store", std::string{"/proc/fermata"}}) {
    const auto ended = box.run({"run", plan, "--store", folder});
    INFO(ended.err);
    CHECK(ended.status == 4);
    CHECK(ended.error()["error"] == "store_unavailable");
  }
}

TEST_CASE("a truncated store and overwritten pages are reported, and nothing is changed") {
  const sandbox box;
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", "s"}).status == 3);
  const auto file = box.store() / "data.mdb";
  const auto size = std::filesystem::file_size(file);
  const auto sound = box.store().string() + ".sound";
  std::filesystem::copy(file, sound);

  std::filesystem::resize_file(file, size / 2);
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"status", "s"}, {"pending"}, {"approve", "s:p1"}, {"verify"}}) {
    const auto ended = box.run(words);
    INFO(words.front() << ": " << ended.out << ended.err);
    CHECK(ended.status == 4);
    CHECK(ended.error()["error"] == "store_corrupt");
  }

  std::filesystem::copy_file(sound, file, std::filesystem::copy_options::overwrite_existing);
  {
    // All that is behind LMDB's two meta pages.
    std::fstream pages{file, std::ios::in | std::ios::out | std::ios::binary};
    pages.seekp(8'192);
    for (std::uintmax_t i = 8'192; i < size; ++i)
      pages.put('\xAA');
  }
  const auto overwritten = box.run({"verify"});
  INFO(overwritten.out << overwritten.err);
  CHECK(overwritten.status == 4);
  CHECK(overwritten.error()["error"] == "store_corrupt");

  std::filesystem::copy_file(sound, file, std::filesystem::copy_options::overwrite_existing);
  CHECK(box.run({"approve", "s:p1"}).status == 3);
}

TEST_CASE("a store of a newer version is refused by every command, and nothing is changed") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  raise_store_format(box.store());
  const auto before = bytes_of_store(box);
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"run", plan},
                                             {"resume", "s"},
                                             {"revise", "s", plan},
                                             {"approve", "s:p1"},
                                             {"reject", "s:p1", "--reason", "no"},
                                             {"edit", "s:c1", "--arguments", "{}"},
                                             {"result", "s:c1", "{}"},
                                             {"outcome", "s:c1", "rerun"},
                                             {"retry", "s", "first"},
                                             {"skip", "s", "first"},
                                             {"fail", "s"},
                                             {"cancel", "s"},
                                             {"status", "s"},
                                             {"plan", "s"},
                                             {"events", "s"},
                                             {"transcript", "s"},
                                             {"export", "s"},
                                             {"sessions"},
                                             {"pending"},
                                             {"verify"}}) {
    const auto ended = box.run(words);
    INFO(words.front() << ": " << ended.out << ended.err);
    CHECK(ended.status == 4);
    CHECK(ended.out == "");
    const auto error = ended.error();
    CHECK(error["error"] == "store_too_new");
    CHECK(error["message"].get<std::string>().find("formats up to 4") != std::string::npos);
    CHECK(bytes_of_store(box) == before);
  }
}

TEST_CASE("a session with a record of a newer version is refused, and the others go on") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "newer"}).status == 3);
  REQUIRE(box.run({"run", plan, "--session", "older"}).status == 3);
  raise_record_format(box.store(), number_of(box.store(), *session_id::parse("newer")),
                      plan_key(1));
  const auto before = bytes_of_store(box);
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"run", plan, "--session", "newer"},
                                             {"resume", "newer"},
                                             {"approve", "newer:p1"},
                                             {"cancel", "newer"},
                                             {"status", "newer"},
                                             {"plan", "newer"}}) {
    const auto ended = box.run(words);
    INFO(words.front() << ": " << ended.out << ended.err);
    CHECK(ended.status == 4);
    CHECK(ended.error()["error"] == "store_too_new");
    CHECK(bytes_of_store(box) == before);
  }
  CHECK(box.run({"approve", "older:p1"}).status == 3);
  CHECK(box.run({"sessions"}).lines.size() == 2);
}

TEST_CASE("on a full disk a command changes nothing and says so, and works when there is room") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  const std::string answer(400'000, 'y');
  box.write("answer.json", to_text(answer));
  const std::vector<std::string> result{"result", "s:c1", "@answer.json"};
  const auto before = all_about(box, "s");
  const auto room = std::filesystem::file_size(box.store() / "data.mdb") + 65'536;

  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto refused = box.run_on_full_disk(result, room);
    INFO(refused.out << refused.err);
    CHECK(refused.status == 4);
    CHECK(refused.error()["error"] == "disk_full");
    CHECK(refused.error()["message"].get<std::string>().find(box.store().string())
          != std::string::npos);
    CHECK(all_about(box, "s") == before);
  }
  CHECK(box.run({"verify"}).status == 0);

  const auto taken = box.run(result);
  INFO(taken.out << taken.err);
  CHECK(taken.status == 0);
  CHECK(taken.last()["subtasks"][1]["result"]["heard"] == answer);
  CHECK(box.run({"verify"}).status == 0);
}

TEST_CASE("a session that a full disk refuses does not exist") {
  const sandbox box;
  const auto small = box.write("small.json", seed_plan());
  REQUIRE(box.run({"run", small, "--session", "s"}).status == 3);
  const auto large = box.write(
      "large.json", plan_of("write_file", {{"path", "a"}, {"content", std::string(400'000, 'x')}}));
  const auto room = std::filesystem::file_size(box.store() / "data.mdb") + 65'536;
  const auto refused = box.run_on_full_disk({"run", large, "--session", "new"}, room);
  INFO(refused.out << refused.err);
  CHECK(refused.status == 4);
  CHECK(refused.error()["error"] == "disk_full");
  CHECK(box.run({"sessions"}).lines.size() == 1);
  CHECK(box.run({"run", large, "--session", "new"}).status == 3);
}

} // namespace store_test
