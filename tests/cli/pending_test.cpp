// Much that waits is printed as it is read.
#include "sandbox.hpp"

#include <fermata/messages/status.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/records.hpp>

#include <fermata_catch.hpp>

using namespace fermata;
using namespace fermata::test;

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
void fill(const sandbox& box, std::size_t sessions) {
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
      waits.value = to_record(waiting_call(one.session, k));
      one.pending.push_back(std::move(waits));
    }
  }
  for (const auto& outcome : (*store)->write(commits))
    REQUIRE_FALSE(outcome.error);
}

} // namespace

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
