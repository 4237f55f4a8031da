#include "storage_helpers.hpp"

#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/verify_store.hpp>

#include <fermata_catch.hpp>

#include <random>

namespace lmdb_kill_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const record_key head_key{record_kind::head, 0, 0};

/// Writes to a few sessions in turn, and says after each write how many events were acknowledged in
/// all.
void write_until_killed(const std::filesystem::path& directory, int output) {
  const auto target = must(lmdb_store::open(directory));
  std::int64_t acknowledged = 0;
  for (std::uint64_t round = 0;; ++round) {
    std::vector<commit> batch;
    for (const auto* name : {"a", "b", "c"}) {
      const auto stored = must(target->find(named(name)));
      auto next = stored ? change{*stored} : change{name};
      const auto total = (stored ? stored->events : 0) + 1;
      next.event(std::to_string(total)).put(head_key, std::to_string(total));
      next.put({record_kind::entry, 0, round % 50}, data(round * 37 % 5000, 'x'));
      batch.push_back(next);
    }
    for (const auto& outcome : target->write(batch))
      if (outcome.error)
        throw std::runtime_error{message_of(outcome.error)};
    acknowledged += 3;
    send_number(output, acknowledged);
  }
}

/// Makes sessions, drops what they had and deletes them, and reclaims a little at a time; says the
/// number of each session that is complete: those before it are deleted.
void reclaim_until_killed(const std::filesystem::path& directory, int output) {
  const auto target = must(lmdb_store::open(directory));
  for (;;) {
    auto kept = must_find(*target, "kept");
    kept = must_write(*target, change{kept}.event("next").drop_below(kept.events));
    const auto name = "s" + std::to_string(kept.events);
    auto next = must_write(*target, change{name}.event("1").put({record_kind::entry, 0, 1}, "e"));
    for (std::uint64_t i = 2; i <= 10; ++i)
      next = must_write(*target, change{next}.event(data(i * 700, 'x')).drop_below(i / 2));
    send_number(output, static_cast<std::int64_t>(next.number));
    must_delete(*target, name);
    while (must(target->reclaim(3)).more)
      continue;
  }
}

} // namespace

TEST_CASE("killing who reclaims at any moment leaves a store that goes on with it") {
  temporary_directory directory;
  must_write(*must(lmdb_store::open(directory)), change{"kept"}.event("first"));
  std::mt19937_64 random{2};
  std::int64_t last = 1;
  for (int round = 0; round < 15; ++round) {
    CAPTURE(round);
    {
      child_process writer{[&](int, int output) { reclaim_until_killed(directory, output); }};
      for (auto wanted = 1 + random() % 5; wanted > 0; --wanted) {
        last = writer.receive();
        REQUIRE(last > 0);
      }
      for (auto spins = random() % 2'000'000; spins > 0; --spins)
        asm volatile("");
      writer.kill();
      for (auto number = writer.receive(); number > 0; number = writer.receive())
        last = number;
      writer.wait();
    }
    REQUIRE(must(verify_store(directory)).problems == std::vector<std::string>{});
    const auto target = must(lmdb_store::open(directory));
    const auto kept = must_find(*target, "kept");
    CHECK(must(must(target->read())->events(kept.number, 1, 100)).size()
          == kept.events - kept.first_event + 1);
    CHECK(kept.events - kept.first_event <= 1);
    // What was not finished before it was killed is deleted now.
    for (const auto& session : must(must(target->read())->sessions(std::nullopt, 0, 100)))
      if (session.number != kept.number)
        must_delete(*target, session.id.str());
    reclaim_all(*target, 5);
    CHECK(must_write(*target, change{"new"}).number > static_cast<session_number>(last));
    must_delete(*target, "new");
    reclaim_all(*target);
    const auto report = must(verify_store(directory));
    CHECK(report.problems == std::vector<std::string>{});
    CHECK(report.garbage == 0);
    CHECK(report.sessions == 1);
  }
}

TEST_CASE("killing the writer at any moment loses nothing that it had acknowledged") {
  temporary_directory directory;
  std::mt19937_64 random{1};
  std::uint64_t stored = 0;
  for (int round = 0; round < 15; ++round) {
    CAPTURE(round);
    std::int64_t acknowledged = 0;
    {
      child_process writer{[&](int, int output) { write_until_killed(directory, output); }};
      const auto wanted = static_cast<std::int64_t>(1 + random() % 60);
      while (acknowledged < wanted) {
        const auto number = writer.receive();
        REQUIRE(number > 0);
        acknowledged = number;
      }
      // It is writing the next ones at this moment.
      writer.kill();
      for (auto number = writer.receive(); number > 0; number = writer.receive())
        acknowledged = number;
      writer.wait();
    }
    const auto target = must(lmdb_store::open(directory));
    const auto view = must(target->read());
    std::uint64_t found = 0;
    for (const auto* name : {"a", "b", "c"}) {
      const auto session = must(view->find(named(name))).value();
      const auto events = must(view->events(session.number, 1, 1'000'000));
      REQUIRE(events.size() == session.events);
      CHECK(text(events.back().value) == std::to_string(session.events));
      // The record is of the same commit as the last event.
      CHECK(text(must(view->read(session.number, head_key)).value())
            == std::to_string(session.events));
      found += session.events;
    }
    CHECK(found >= stored + static_cast<std::uint64_t>(acknowledged));
    CHECK(found <= stored + static_cast<std::uint64_t>(acknowledged) + 3);
    stored = found;
    CHECK(must(verify_store(directory)).problems == std::vector<std::string>{});
  }
}

} // namespace lmdb_kill_test
