// The environment: who owns the store, and stores that cannot be used. Exit status 4.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

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
