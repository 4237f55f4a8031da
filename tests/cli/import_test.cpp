// `fermata import`: a session goes on in another store.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <filesystem>

namespace import_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A session that waits for a decision, and its export.
std::string prepare_import(const sandbox& box) {
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", "s"}).status == 3);
  auto exported = (box.workspace() / "s.jsonl").string();
  REQUIRE(box.run({"export", "s", "--out", exported}).status == 0);
  return exported;
}

} // namespace

TEST_CASE("an imported session goes on in its new store, and stays as it was in the old one") {
  const sandbox box;
  const auto file = prepare_import(box);
  const auto other = (box.workspace() / "other").string();
  const auto done = box.run({"import", file, "--store", other});
  INFO(done.out << done.err);
  REQUIRE(done.status == 0);
  CHECK(done.last()["imported"]["session"] == "s");
  CHECK(done.last()["imported"]["redacted"] == false);
  CHECK(box.run({"pending", "--store", other}).last() == box.run({"pending"}).last());
  CHECK(box.run({"verify", "--store", other}).status == 0);
  REQUIRE(box.run({"approve", "s:p1", "--store", other}).status == 3);
  CHECK(box.run({"status", "s", "--store", other}).last()["state"] == "waiting");
  CHECK(box.run({"status", "s"}).last()["state"] == "awaiting_plan_decision");
}

TEST_CASE("an import comes from standard input as well, and only once") {
  const sandbox box;
  const auto text = box.read(std::filesystem::path{prepare_import(box)}.filename());
  const auto other = (box.workspace() / "other").string();
  REQUIRE(box.run({"import", "-", "--store", other}, text).status == 0);
  const auto again = box.run({"import", "-", "--store", other}, text);
  CHECK(again.status == 4);
  CHECK(again.error()["error"] == "conflict");
  CHECK(box.run({"sessions", "--store", other}).lines.size() == 1);
}

TEST_CASE("an import that was edited, or is none, is refused and changes nothing") {
  const sandbox box;
  const auto file = prepare_import(box);
  auto text = box.read(std::filesystem::path{file}.filename());
  const auto edited = text.find("awaiting_plan_decision");
  REQUIRE(edited != std::string::npos);
  const auto goal = text.find("\"goal\":\"");
  REQUIRE(goal != std::string::npos);
  text.insert(goal + 8, "Edited: ");
  const auto other = (box.workspace() / "other").string();
  const auto refused = box.run({"import", "-", "--store", other}, text);
  CHECK(refused.status == 2);
  CHECK(contains(refused.error()["message"].get<std::string>(), "--edited"));
  CHECK(box.run({"sessions", "--store", other}).lines.empty());
  CHECK(box.run({"import", "-", "--edited", "--store", other}, text).status == 0);
  const auto nowhere = box.workspace() / "nowhere";
  CHECK(box.run({"import", "/nonexistent", "--store", nowhere.string()}).status == 2);
  CHECK_FALSE(std::filesystem::exists(nowhere));
  CHECK(box.run({"import"}).status == 2);
}

TEST_CASE("an export that is cut off is not imported") {
  const sandbox box;
  const auto text = box.read(std::filesystem::path{prepare_import(box)}.filename());
  const auto other = (box.workspace() / "other").string();
  const auto refused = box.run({"import", "-", "--store", other}, text.substr(0, text.size() / 2));
  CHECK(refused.status == 2);
  CHECK(box.run({"sessions", "--store", other}).lines.empty());
}

} // namespace import_test
