// `fermata backup`: a copy of a store that is in use.
#include "sandbox.hpp"
#include "service_support.hpp"

#include <fermata_catch.hpp>

#include <csignal>

namespace backup_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A session that waits for a result, in a store of some megabytes.
void prepare_backup(const sandbox& box) {
  auto plan = json{{"goal", "much"}, {"tools", {{"ask", {{"kind", "client"}}}}}};
  for (int i = 1; i <= 20; ++i)
    plan["subtasks"].push_back({{"id", "t" + std::to_string(i)},
                                {"result", std::string(150'000, 'r')},
                                {"steps", json::array({{{"tool", "ask"}}})}});
  const auto file = box.write("plan.json", to_text(plan));
  REQUIRE(box.run({"run", file, "--session", "s", "--approve", "all"}).status == 3);
}

} // namespace

TEST_CASE("a backup is a store, on which whoever has it goes on") {
  const sandbox box;
  prepare_backup(box);
  const auto copy = (box.workspace() / "copies" / "monday").string();
  const auto made = box.run({"backup", copy});
  INFO(made.out << made.err);
  REQUIRE(made.status == 0);
  CHECK(made.last()["backup"]["directory"] == copy);
  CHECK(made.last()["backup"]["size_bytes"]
        == std::filesystem::file_size(std::filesystem::path{copy} / "data.mdb"));
  CHECK(box.run({"verify", "--store", copy}).last()["sessions"] == 1);
  REQUIRE(box.run({"result", "s:c1", "1", "--store", copy}).status == 3);
  CHECK(box.run({"status", "s", "--store", copy}).last()["subtasks"][0]["status"] == "done");
  CHECK(box.run({"status", "s"}).last()["subtasks"][0]["status"] == "running");
}

TEST_CASE("a backup is made beside the service that owns the store") {
  const sandbox box;
  prepare_backup(box);
  child service{box.invocation({"serve"})};
  REQUIRE(service.expect("service.sock"));
  const auto copy = (box.workspace() / "copy").string();
  REQUIRE(box.run({"backup", copy}).status == 0);
  CHECK(box.run({"status", "s", "--store", copy}).last()["state"] == "waiting");
  REQUIRE(box.run({"result", "s:c1", "1"}).status == 3); // the service goes on
  service.signal(SIGTERM);
  CHECK(service.wait() == 0);
}

TEST_CASE("a backup does not overwrite one, and needs a store, a folder and a rate") {
  const sandbox box;
  const auto copy = (box.workspace() / "copy").string();
  CHECK(box.run({"backup", copy}).error()["error"] == "store_unavailable");
  CHECK_FALSE(std::filesystem::exists(copy));
  prepare_backup(box);
  REQUIRE(box.run({"backup", copy, "--rate", "1000"}).status == 0);
  const auto again = box.run({"backup", copy});
  CHECK(again.status == 4);
  CHECK(contains(again.error()["message"].get<std::string>(), "a backup does not overwrite one"));
  CHECK(box.run({"backup", box.store().string()}).status == 4);
  CHECK(box.run({"backup", "/proc/copy"}).status == 4);
  CHECK(box.run({"backup"}).status == 2);
  CHECK(box.run({"backup", copy, "--rate", "0"}).status == 2);
}

TEST_CASE("a backup that is interrupted leaves nothing that looks like one") {
  const sandbox box;
  prepare_backup(box);
  const auto copy = box.workspace() / "copy";
  child process{box.invocation({"backup", copy.string(), "--rate", "1"})}; // takes seconds
  const auto begun = [&] {
    std::error_code not_yet;
    return std::filesystem::file_size(copy / "data.mdb.partial", not_yet) > 0 && !not_yet;
  };
  REQUIRE(eventually(begun));
  process.signal(SIGINT);
  CHECK(process.wait() == 130);
  CHECK(contains(process.error_output(), "it was ended"));
  CHECK(std::filesystem::is_empty(copy));
  CHECK(box.run({"backup", copy.string()}).status == 0);
}

} // namespace backup_test
