// What waits: the most urgent first for people, and as it is read for programs.
#include "render.hpp"
#include "sandbox.hpp"

#include <fermata/messages/status.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/records.hpp>

#include <fermata_catch.hpp>

#include <chrono>
#include <functional>
#include <map>

namespace pending_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t items_each = 3;

/// What the index says of one call.
pending_item waiting_call(const session_id& session, std::uint64_t number) {
  pending_item item;
  item.id = call_id{session, number}.str();
  item.session = session;
  item.tool = *tool_name::parse("write_file");
  item.arguments = {{"path", "a.txt"}, {"content", session.str()}};
  return item;
}

/// Writes sessions that wait for decisions on some calls each, straight to the store.
void fill(const sandbox& box, std::size_t sessions,
          const std::function<void(pending_item&)>& adjust = {}) {
  const auto store = lmdb_store::open(box.store());
  REQUIRE(store);
  std::vector<commit> commits(sessions);
  for (std::size_t i = 0; i < sessions; ++i) {
    auto& one = commits[i];
    one.session = *session_id::parse("s" + std::to_string(i));
    one.status = static_cast<std::uint8_t>(session_state::waiting);
    head_record head;
    head.id = one.session;
    head.workspace = (box.workspace() / std::to_string(i % 2)).string();
    record_change change;
    change.key = head_key();
    change.value = to_record(head);
    one.records.push_back(std::move(change));
    for (std::uint64_t k = 1; k <= items_each; ++k) {
      pending_change waits;
      waits.item = k;
      auto item = waiting_call(one.session, k);
      if (adjust)
        adjust(item);
      waits.value = to_record(item);
      one.pending.push_back(std::move(waits));
    }
  }
  for (const auto& outcome : (*store)->write(commits))
    REQUIRE_FALSE(outcome.error);
}

timestamp now() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

} // namespace

TEST_CASE("people see what expires soonest first, and then what has waited longest") {
  const sandbox box;
  const std::map<std::string, std::pair<std::chrono::milliseconds, std::chrono::milliseconds>>
      age_and_rest{{"s0:c1", {1h, 0h}},    {"s0:c2", {5h, 0h}},  {"s0:c3", {9h, 30h}},
                   {"s1:c1", {2h, 20min}}, {"s1:c2", {70h, 0h}}, {"s1:c3", {3h, -5min}}};
  fill(box, 2, [&](pending_item& item) {
    const auto& [age, rest] = age_and_rest.at(item.id);
    item.since = now() - age;
    if (rest != 0h)
      item.expires_at = now() + rest + 30s;
  });
  const auto shown = box.run_plainly({"pending"}).out;
  INFO(shown);
  std::size_t last = 0;
  for (const auto* id : {"s1:c3", "s1:c1", "s0:c3", "s1:c2", "s0:c2", "s0:c1"}) {
    const auto found = shown.find(std::string{id} + " write_file");
    CHECK(found != std::string::npos);
    CHECK(found >= last);
    last = found;
  }
  CHECK(shown.find("for 2 h (since ") != std::string::npos);
  CHECK(shown.find(", expires in 20 min (at ") != std::string::npos);
  CHECK(shown.find(", expired 4 min ago (at ") != std::string::npos);
  // Programs get it as it is stored.
  CHECK(box.run({"pending"}).lines.at(0)["id"] == "s0:c1");
}

TEST_CASE("how long something waits is told as roughly as it matters") {
  pending_item item;
  item.since = now();
  const auto told = [&](std::chrono::milliseconds later) {
    const auto text = command_line::describe_wait(item, item.since + later);
    return text.substr(0, text.find(" ("));
  };
  CHECK(told(-1s) == "for 0 s");
  CHECK(told(59'999ms) == "for 59 s");
  CHECK(told(20min + 59s) == "for 20 min");
  CHECK(told(3h) == "for 3 h");
  CHECK(told(3h + 5min) == "for 3 h 5 min");
  CHECK(told(23h + 59min) == "for 23 h");
  CHECK(told(52h) == "for 2 d 4 h");
  CHECK(told(24h * 400) == "for 400 d");
  item.expires_at = item.since + 90min;
  const auto text = command_line::describe_wait(item, item.since + 90min);
  CHECK(text.find(", expired 0 s ago (at ") != std::string::npos);
}

TEST_CASE("people are shown the most urgent of many, and told how many more there are") {
  const sandbox box;
  fill(box, 300, [&](pending_item& item) {
    item.since = now();
    if (item.id == "s299:c3")
      item.expires_at = now() + 1min;
  });
  const auto shown = box.run_plainly({"pending"}).out;
  CHECK(shown.starts_with("s299:c3 "));
  CHECK(shown.find("700 more wait") != std::string::npos);
  const auto one = box.run_plainly({"pending", "--limit", "1"}).out;
  CHECK(one.find("899 more wait") != std::string::npos);
  CHECK(one.find("s0:c1 ") == std::string::npos);
  const auto all = box.run_plainly({"pending", "--limit", "900"}).out;
  CHECK(all.find("more wait") == std::string::npos);
  CHECK(all.find("s298:c1 ") != std::string::npos);
}

TEST_CASE("everything that waits is listed once and in order, over many pages") {
  const sandbox box;
  fill(box, 500);
  const auto all = box.run({"pending"});
  CHECK(all.status == 0);
  REQUIRE(all.lines.size() == 500 * items_each);
  for (std::size_t i = 0; i < all.lines.size(); ++i)
    CHECK(all.lines[i]["id"]
          == "s" + std::to_string(i / items_each) + ":c" + std::to_string(i % items_each + 1));
}

TEST_CASE("pending --limit prints so many and no more") {
  const sandbox box;
  fill(box, 200);
  CHECK(box.run({"pending", "--limit", "1"}).lines.size() == 1);
  CHECK(box.run({"pending", "--limit", "256"}).lines.size() == 256);
  CHECK(box.run({"pending", "--limit", "300"}).lines.size() == 300);
  CHECK(box.run({"pending", "--limit", "10000"}).lines.size() == 200 * items_each);
  CHECK(box.run({"pending", "s7", "--limit", "2"}).lines.size() == 2);
}

TEST_CASE("each call is shown in the workspace of its own session") {
  const sandbox box;
  for (const auto* folder : {"0", "1"}) {
    std::filesystem::create_directory(box.workspace() / folder);
    box.write(std::string{folder} + "/a.txt", std::string{"of "} + folder + "\n");
  }
  fill(box, 4);
  const auto listed = box.run_plainly({"pending"});
  const auto& shown = listed.out;
  INFO(shown << listed.err);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto from = shown.find("s" + std::to_string(i) + ":c1 ");
    REQUIRE(from != std::string::npos);
    const auto removed = shown.find("  | -of ", from);
    CHECK(shown.substr(removed, 9) == "  | -of " + std::to_string(i % 2));
  }
}

TEST_CASE("a reader that has seen enough stops the listing early") {
  const sandbox box;
  fill(box, 2'000);
  auto options = box.invocation({});
  options.argv = {"/bin/sh", "-c", std::string{FERMATA_COMMAND} + " pending --json | head -n 2"};
  child process{options};
  CHECK(process.wait() == 0);
  CHECK(process.output().find("\"s0:c2\"") != std::string::npos);
}

} // namespace pending_test
