#include "storage_helpers.hpp"

#include <fermata/storage/memory_store.hpp>

#include <fermata_catch.hpp>

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
    CHECK(is(view->sessions(std::nullopt, 0, 9).error(), errc::store_corrupt));
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
