#include "storage_helpers.hpp"

#include <fermata/storage/memory_store.hpp>

#include <fermata_catch.hpp>

#include <atomic>
#include <thread>

namespace memory_store_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const record_key head_key{record_kind::head, 0, 0};
const record_key entry_key{record_kind::entry, 1, 1};

} // namespace

TEST_CASE("a failed write of a memory store stores nothing and says why") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1"));
  const auto before = target.fingerprint();
  target.fail_next(memory_fault::disk_full);
  CHECK(is(write(target, change{a}.event("2")).error, errc::disk_full));
  target.fail_next(memory_fault::io_error);
  CHECK(is(write(target, change{a}.event("2")).error, errc::io_error));
  CHECK(target.fingerprint() == before);
  CHECK_FALSE(write(target, change{a}.event("2")).error);
  CHECK(target.writes() == 4);
}

TEST_CASE("a failed write does not hide which commits of its batch conflict anyway") {
  memory_store target;
  must_write(target, change{"a"}.event("1"));
  target.fail_next(memory_fault::disk_full);
  const std::vector<commit> batch{change{"a"}, change{"b"}};
  const auto outcomes = target.write(batch);
  CHECK(is(outcomes[0].error, errc::conflict));
  CHECK(is(outcomes[1].error, errc::disk_full));
  CHECK(outcomes[1].number == 0);
}

TEST_CASE("a write whose acknowledgement is lost is stored all the same") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1"));
  target.fail_next(memory_fault::lose_ack);
  CHECK(is(write(target, change{a}.event("2")).error, errc::io_error));
  CHECK(events_of(target, a.number) == "1 2");
  CHECK(is(write(target, change{a}.event("2")).error, errc::conflict));
}

TEST_CASE("a crashed memory store refuses everything until it is restarted") {
  memory_store target;
  must_write(target, change{"a"}.event("1"));
  const auto view = must(target.read());
  target.crash();
  CHECK(target.crashed());
  CHECK(is(target.find(named("a")).error(), errc::store_unavailable));
  CHECK(is(target.read().error(), errc::store_unavailable));
  CHECK(is(view->find(named("a")).error(), errc::store_unavailable));
  CHECK(is(view->sessions(std::nullopt, 0, 1).error(), errc::store_unavailable));
  CHECK(is(write(target, change{"b"}).error, errc::store_unavailable));
  CHECK(target.writes() == 1);
  target.restart();
  CHECK(is(view->find(named("a")).error(), errc::store_unavailable));
  CHECK(must_find(target, "a").events == 1);
}

TEST_CASE("a hook crashes a memory store at any write, before or after it is stored") {
  for (const auto fault : {memory_fault::crash_before, memory_fault::crash_after})
    for (std::uint64_t at_write = 1; at_write <= 3; ++at_write) {
      memory_store target;
      target.on_write(
          [=](std::uint64_t number) { return number == at_write ? fault : memory_fault::none; });
      std::uint64_t acknowledged = 0;
      for (const auto* name : {"a", "b", "c"}) {
        const auto outcome = write(target, change{name});
        if (!outcome.error)
          ++acknowledged;
        else
          CHECK(is(outcome.error, errc::store_unavailable));
      }
      CHECK(acknowledged == at_write - 1);
      target.restart();
      const auto stored = must(must(target.read())->sessions(std::nullopt, 0, 10)).size();
      CHECK(stored == at_write - (fault == memory_fault::crash_before ? 1 : 0));
    }
}

TEST_CASE("what a crash has torn inside of a write is not believed: the write before it holds") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1").put(entry_key, "old entry"));
  const auto before = target.fingerprint();
  for (int round = 0; round < 3; ++round) {
    target.fail_next(memory_fault::crash_inside);
    CHECK(is(write(target, change{a}.event("2").put(entry_key, "new entry")).error,
             errc::store_unavailable));
    target.restart();
    CHECK(target.fingerprint() == before);
    CHECK(target.verify().sound());
  }
  CHECK_FALSE(write(target, change{a}.event("2").put(entry_key, "new entry")).error);
  target.crash();
  target.restart();
  CHECK(events_of(target, a.number) == "1 2");
}

TEST_CASE("whatever hits a memory store while it reclaims, it goes on from what was stored") {
  for (const auto fault :
       {memory_fault::disk_full, memory_fault::io_error, memory_fault::lose_ack,
        memory_fault::crash_before, memory_fault::crash_inside, memory_fault::crash_after}) {
    CAPTURE(fault);
    memory_store target;
    auto a = must_write(target, change{"a"}.event("1").put(entry_key, "e"));
    for (int i = 0; i < 5; ++i)
      a = must_write(target, change{a}.event("x"));
    must_write(target, change{"b"}.event("1").put(entry_key, "e"));
    CHECK(must(target.reclaim(2)).erased == 0);
    const auto writes = target.writes();
    must_delete(target, "a");
    const auto before = target.fingerprint();
    target.fail_next(fault);
    const auto failed = target.reclaim(2);
    REQUIRE_FALSE(failed);
    CHECK(target.writes() == writes + 2);
    target.restart();
    const auto stored = fault == memory_fault::lose_ack || fault == memory_fault::crash_after;
    CHECK((target.fingerprint() != before) == stored);
    CHECK(target.verify().problems == std::vector<std::string>{});
    CHECK(reclaim_all(target, 2) == (stored ? 5 : 7));
    CHECK(target.verify().garbage == 0);
    CHECK(events_of(target, 2) == "1");
  }
}

TEST_CASE("a lasting fault fails every write until it is taken back") {
  memory_store target;
  target.fail_writes(memory_fault::disk_full);
  for (int round = 0; round < 3; ++round)
    CHECK(is(write(target, change{"a"}).error, errc::disk_full));
  target.fail_writes({});
  CHECK_FALSE(write(target, change{"a"}).error);
}

TEST_CASE("a read that fails once says so, and the next one succeeds") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1").put(entry_key, "e"));
  const auto view = must(target.read());
  target.fail_next_read(memory_read_fault::io_error);
  CHECK(is(view->read(a.number, entry_key).error(), errc::io_error));
  CHECK(must(view->read(a.number, entry_key)));
}

TEST_CASE("whichever bit a read flips, it is reported and not believed") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1").put(entry_key, "e"));
  const auto view = must(target.read());
  const auto right = must(view->read(a.number, entry_key));
  for (std::uint64_t bit = 0; bit < 48; ++bit) { // checksum, format and payload
    target.fail_next_read(memory_read_fault::flipped_bit, bit);
    const auto read = view->read(a.number, entry_key);
    REQUIRE_FALSE(read);
    CHECK((is(read.error(), errc::store_corrupt) || is(read.error(), errc::store_too_new)));
  }
  CHECK(must(view->read(a.number, entry_key)) == right);
}

TEST_CASE("disarmed faults do not happen") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.put(entry_key, "e"));
  target.fail_next(memory_fault::crash_before);
  target.fail_next_read(memory_read_fault::io_error);
  target.disarm();
  CHECK(must(must(target.read())->read(a.number, entry_key)));
  CHECK_FALSE(write(target, change{"b"}).error);
}

TEST_CASE("who watches a memory store is told what became durable, and of each fault that hit") {
  memory_store target;
  std::vector<std::string> stored;
  std::vector<memory_fault> faults;
  std::vector<memory_read_fault> read_faults;
  target.on_stored([&](std::span<const commit> commits, std::span<const commit_outcome> outcomes) {
    for (std::size_t i = 0; i < commits.size(); ++i)
      if (!outcomes[i].error)
        stored.push_back(commits[i].session.str());
  });
  target.on_fault([&](memory_fault fault) { faults.push_back(fault); },
                  [&](memory_read_fault fault) { read_faults.push_back(fault); });
  must_write(target, change{"a"});
  target.fail_next(memory_fault::disk_full);
  CHECK(write(target, change{"b"}).error);
  target.fail_next(memory_fault::lose_ack);
  CHECK(write(target, change{"c"}).error);
  const std::vector<commit> batch{change{"a"}, change{"d"}};
  (void)target.write(batch);
  target.fail_next(memory_fault::crash_after);
  CHECK(write(target, change{"e"}).error);
  target.restart();
  target.fail_next_read(memory_read_fault::io_error);
  CHECK_FALSE(must(target.read())->find(named("a")));
  CHECK(stored == std::vector<std::string>{"a", "c", "d", "e"});
  CHECK(faults
        == std::vector{memory_fault::disk_full, memory_fault::lose_ack, memory_fault::crash_after});
  CHECK(read_faults == std::vector{memory_read_fault::io_error});
}

TEST_CASE("clones of a memory store go separate ways") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1"));
  const auto clone = target.clone();
  CHECK(clone->fingerprint() == target.fingerprint());
  CHECK(clone->writes() == 1);
  must_write(*clone, change{a}.event("clone"));
  must_write(target, change{a}.event("original"));
  CHECK(events_of(*clone, a.number) == "1 clone");
  CHECK(events_of(target, a.number) == "1 original");
  CHECK(clone->fingerprint() != target.fingerprint());
}

TEST_CASE("a crashed memory store can be cloned into one that serves") {
  memory_store target;
  target.fail_next(memory_fault::crash_after);
  CHECK(is(write(target, change{"a"}.event("1")).error, errc::store_unavailable));
  CHECK(must_find(*target.clone(), "a").events == 1);
}

TEST_CASE("what one opening of the same data stores, the others see, in one order") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1"));
  const auto other = target.beside();
  const auto third = other->beside();
  CHECK(must_find(*other, "a").events == 1);
  must_write(*other, change{a}.event("2"));
  const auto before = must(third->read());
  CHECK(is(write(target, change{a}.event("3")).error, errc::conflict));
  const auto b = must_write(target, change{"b"});
  CHECK(b.number == a.number + 1);
  CHECK_FALSE(must(before->find(named("b"))));
  CHECK(must_find(*third, "b").number == b.number);
  CHECK(events_of(target, a.number) == "1 2");
  CHECK(third->fingerprint() == target.fingerprint());
  // Each counts what it has written.
  CHECK(target.writes() == 3);
  CHECK(other->writes() == 1);
  CHECK(third->writes() == 0);
}

TEST_CASE("faults and hooks of one opening do not hit the others") {
  memory_store target;
  const auto other = target.beside();
  std::vector<std::string> told;
  target.on_stored([&](auto commits, auto) { told.push_back(commits[0].session.str()); });
  target.on_commit([](const session_id&) { return make_error(errc::conflict, "all are"); });
  target.on_write([](std::uint64_t) { return memory_fault::io_error; });
  target.fail_next_read(memory_read_fault::io_error);
  must_write(*other, change{"a"});
  other->fail_writes(memory_fault::disk_full);
  target.on_write({});
  target.on_commit({});
  CHECK_FALSE(target.find(named("a")));
  must_write(target, change{"b"});
  CHECK(is(write(*other, change{"c"}).error, errc::disk_full));
  CHECK(told == std::vector<std::string>{"b"});
}

TEST_CASE("a crash of one opening ends its views, and nothing of the others") {
  memory_store target;
  const auto other = target.beside();
  must_write(*other, change{"a"});
  const auto view = must(target.read());
  const auto view_of_other = must(other->read());
  target.crash();
  CHECK(is(view->find(named("a")).error(), errc::store_unavailable));
  CHECK(must(view_of_other->find(named("a"))));
  CHECK_FALSE(other->crashed());
  must_write(*other, change{"b"});
  const auto third = target.beside();
  must_write(*third, change{"c"});
  target.restart();
  CHECK(must_find(target, "b").number == 2);
  CHECK(must_find(target, "c").number == 3);
  CHECK(is(view->find(named("a")).error(), errc::store_unavailable));
}

TEST_CASE("a crash inside of a write tears nothing that others have opened, too") {
  memory_store target;
  must_write(target, change{"a"});
  target.fail_next(memory_fault::crash_inside); // torn, but not in force
  CHECK(write(target, change{"torn"}).error);
  const auto other = target.beside();
  auto b = must_write(*other, change{"b"}.event("1").put(entry_key, "e"));
  for (int round = 0; round < 3; ++round) {
    const auto before = other->fingerprint();
    target.restart();
    target.fail_next(memory_fault::crash_inside);
    CHECK(
        is(write(target, change{b}.event("x").put(entry_key, "f")).error, errc::store_unavailable));
    CHECK(other->fingerprint() == before);
    b = must_write(*other, change{b}.event("2"));
  }
  must_delete(*other, "b");
  target.restart();
  target.fail_next(memory_fault::crash_inside);
  CHECK(is(target.reclaim(1).error(), errc::store_unavailable));
  CHECK(other->verify().problems == std::vector<std::string>{});
  CHECK(must_find(*other, "a").number == 1);
}

TEST_CASE("a commit that the guard refuses is left out, and the rest of its batch is written") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1"));
  target.on_commit([](const session_id& session) {
    return session == named("a") ? make_error(errc::conflict, "not a") : caf::error{};
  });
  const std::vector<commit> batch{change{a}.event("2"), change{"b"}};
  const auto outcomes = target.write(batch);
  CHECK(message_of(outcomes[0].error) == "not a");
  CHECK(outcomes[0].number == 0);
  CHECK_FALSE(outcomes[1].error);
  CHECK(events_of(target, a.number) == "1");
  must_write(*target.clone(), change{a}.event("2"));
  target.on_commit({});
  must_write(target, change{a}.event("2"));
}

TEST_CASE("a memory store that cannot be reached does nothing, and loses nothing") {
  memory_store target;
  must_write(target, change{"a"});
  const auto other = target.beside();
  const auto view = must(target.read());
  target.set_reachable(false);
  const std::vector<commit> batch{change{"a"}, change{"b"}};
  for (const auto& outcome : target.write(batch))
    CHECK(is(outcome.error, errc::io_error));
  CHECK(is(target.reclaim(1).error(), errc::io_error));
  CHECK(is(target.find(named("a")).error(), errc::io_error));
  CHECK(is(view->find(named("a")).error(), errc::io_error));
  auto is_run = false;
  const auto run = [&] {
    is_run = true;
    return caf::error{};
  };
  CHECK(is(target.between_writes(run), errc::io_error));
  CHECK_FALSE(is_run);
  must_write(*other, change{"c"});
  target.set_reachable(true);
  CHECK(target.writes() == 1);
  CHECK(must_find(target, "c").number == 2);
  CHECK(must(view->find(named("a"))));
  CHECK_FALSE(target.between_writes(run));
  CHECK(is_run);
}

TEST_CASE("what runs between writes sees each of them stored, or not begun") {
  memory_store target;
  const auto other = target.beside();
  // As an owner that may change at any time, and must not amid a write.
  auto is_owner = true;
  auto is_told = true;
  target.on_commit([&](const session_id&) {
    return is_owner ? caf::error{} : make_error(errc::conflict, "not the owner");
  });
  target.on_stored([&](auto, auto outcomes) { is_told &= !outcomes[0].error == is_owner; });
  std::atomic<bool> ends = false;
  std::thread changing{[&] {
    while (!ends)
      if (other->between_writes([&] {
            is_owner = !is_owner;
            return caf::error{};
          }))
        break;
  }};
  int refused = 0;
  int stored = 0;
  for (int i = 0; i < 1'000'000 && (refused < 100 || stored < 100); ++i)
    ++(write(target, change{"s" + std::to_string(i)}).error ? refused : stored);
  ends = true;
  changing.join();
  CHECK(refused >= 100);
  CHECK(stored >= 100);
  CHECK(is_told);
}

TEST_CASE("a flipped bit in a memory store is reported, naming the record, and not believed") {
  memory_store target;
  const auto a = must_write(target, change{"a"}.event("1").put(head_key, "h").put(entry_key, "e"));
  must_write(target, change{a}.event("2"));
  CHECK_FALSE(target.corrupt_record(a.number, {record_kind::plan, 9, 9}));
  CHECK_FALSE(target.corrupt_record(77, head_key));
  CHECK_FALSE(target.corrupt_event(a.number, 3));
  CHECK_FALSE(target.corrupt_event(a.number, 0));

  SECTION("in a record") {
    REQUIRE(target.corrupt_record(a.number, entry_key));
    const auto view = must(target.read());
    const auto read = view->read(a.number, entry_key);
    CHECK(is(read.error(), errc::store_corrupt));
    CHECK(message_of(read.error()).find("kind 6, group 1, index 1 of session number 1")
          != std::string::npos);
    CHECK(is(view->scan(a.number, entry_key, entry_key, 9).error(), errc::store_corrupt));
    CHECK(must(view->events(a.number, 1, 9)).size() == 2);
  }
  SECTION("in a head") {
    REQUIRE(target.corrupt_record(a.number, head_key));
    const auto view = must(target.read());
    CHECK(is(view->read(a.number, head_key).error(), errc::store_corrupt));
    CHECK(is(view->find(named("a")).error(), errc::store_corrupt));
    const auto listed = must(view->sessions(std::nullopt, 0, 9));
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].number == a.number);
    CHECK(is(listed[0].damage, errc::store_corrupt));
    CHECK(is(view->events(a.number, 1, 9).error(), errc::store_corrupt));
  }
  SECTION("in an event: those that are read without it are served") {
    REQUIRE(target.corrupt_event(a.number, 1));
    const auto view = must(target.read());
    CHECK(is(view->events(a.number, 1, 9).error(), errc::store_corrupt));
    CHECK(must(view->events(a.number, 2, 9)).size() == 1);
    std::uint64_t position = 0;
    CHECK(is(view->journal(position, 9).error(), errc::store_corrupt));
    CHECK(position == 1); // and those behind it are, too
    CHECK(must(view->journal(position, 9)).size() == 1);
  }
  CHECK_FALSE(target.verify().sound());
}

TEST_CASE("what is damaged keeps nothing else from being listed") {
  memory_store target;
  std::vector<session_anchor> all;
  for (const auto* name : {"a", "b", "c"})
    all.push_back(must_write(target, change{name}.event("1").pend(1, "p").arm(5, 0).status(2)));
  const auto damage_in = [](const auto& list) {
    std::vector<bool> damaged;
    for (const auto& one : list) {
      damaged.push_back(static_cast<bool>(one.damage));
      CHECK((!one.damage || is(one.damage, errc::store_corrupt)));
    }
    return damaged;
  };
  using flags = std::vector<bool>;
  SECTION("the head of a session, which is in all lists") {
    REQUIRE(target.corrupt_record(all[1].number, head_key));
    const auto view = must(target.read());
    CHECK(damage_in(must(view->sessions(std::nullopt, 0, 9))) == flags{false, true, false});
    CHECK(damage_in(must(view->sessions(2, 0, 9))) == flags{false, true, false});
    CHECK(damage_in(must(view->pending(std::nullopt, 0, 0, 9))) == flags{false, true, false});
    CHECK(damage_in(must(view->due(at(5), 9))) == flags{false, true, false});
    CHECK(must(view->sessions(2, all[1].number, 9)).size() == 1); // how to go on behind it
  }
  SECTION("an entry of what is pending") {
    REQUIRE(target.corrupt_pending(all[1].number, 1));
    const auto view = must(target.read());
    CHECK(damage_in(must(view->pending(std::nullopt, 0, 0, 9))) == flags{false, true, false});
    CHECK(damage_in(must(view->pending(all[1].number, 0, 0, 9))) == flags{true});
    CHECK(damage_in(must(view->sessions(std::nullopt, 0, 9))) == flags{false, false, false});
  }
  SECTION("a timer") {
    REQUIRE(target.corrupt_timer(all[1].number, at(5), 0));
    const auto view = must(target.read());
    const auto due = must(view->due(at(5), 9));
    CHECK(damage_in(due) == flags{false, true, false});
    CHECK(due[1].session == named("b"));
    CHECK(must(view->due(at(5), 9, due[1])).size() == 1);
  }
  CHECK_FALSE(target.verify().sound());
}

TEST_CASE("P10: one page of the journal passes over a bounded number of entries that are gone") {
  memory_store target;
  auto gone = must_write(target, change{"gone"}.event("1"));
  for (int i = 2; i <= 3'000; ++i)
    gone = must_write(target, change{gone}.event("x"));
  must_write(target, change{"kept"}.event("1"));
  must_delete(target, "gone");
  const auto view = must(target.read());
  std::vector<std::size_t> pages;
  for (std::uint64_t position = 0, before = 1; position != before;) {
    before = position;
    pages.push_back(must(view->journal(position, 9)).size());
    CHECK(position <= before + 1'025);
  }
  CHECK(pages == std::vector<std::size_t>{0, 0, 1, 0});
}

TEST_CASE("garbage that is damaged keeps nothing of other sessions from being erased") {
  memory_store target;
  for (const auto* name : {"a", "b", "c"}) {
    const auto one = must_write(target, change{name}.event("1").put(entry_key, "e"));
    must_write(target, change{one}.event("2"));
  }
  const auto first = must(target.find(named("a")))->number;
  const bool in_journal = GENERATE(false, true);
  if (in_journal)
    REQUIRE(target.corrupt_event(first, 1));
  must_delete(target, "a");
  must_delete(target, "b");
  if (!in_journal)
    REQUIRE(target.corrupt_garbage(first));
  // Of the session whose journal is damaged, the later part is erased, and its records.
  auto done = must(target.reclaim(100));
  CHECK(done.erased == (in_journal ? 5 : 3));
  CHECK_FALSE(done.more);
  CHECK(is(done.damage, errc::store_corrupt));
  done = must(target.reclaim(100));
  CHECK(done.erased == 0);
  CHECK(is(done.damage, errc::store_corrupt));

  CHECK(must(must(target.read())->sessions(std::nullopt, 0, 9)).size() == 1);
}

TEST_CASE("the records of a deleted session are erased although what it had dropped is damaged") {
  memory_store target;
  auto one = must_write(target, change{"a"}.event("1").put(entry_key, "e"));
  one = must_write(target, change{one}.event("2"));
  one = must_write(target, change{one}.event("3"));
  must_write(target, change{one}.drop_below(3));
  REQUIRE(target.corrupt_garbage(one.number));
  must_delete(target, "a");
  for (int step = 0; step < 2; ++step) {
    const auto done = must(target.reclaim(100));
    CHECK(done.erased == (step == 0 ? 1 : 0)); // the journal that leads to it stays
    CHECK_FALSE(done.more);
    CHECK(is(done.damage, errc::store_corrupt));
  }
}

TEST_CASE("a corrupt head fails its own commits and not those of others in the batch") {
  memory_store target;
  const auto a = must_write(target, change{"a"});
  const auto b = must_write(target, change{"b"});
  REQUIRE(target.corrupt_record(a.number, head_key));
  const std::vector<commit> batch{change{a}.event("1"), change{b}.event("1")};
  const auto outcomes = target.write(batch);
  CHECK(is(outcomes[0].error, errc::store_corrupt));
  CHECK_FALSE(outcomes[1].error);
  CHECK(events_of(target, b.number) == "1");
}

} // namespace memory_store_test
