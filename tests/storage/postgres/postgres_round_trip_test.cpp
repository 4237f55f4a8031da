// What the database is asked: how often, and how much at a time.

#include "postgres_proxy.hpp"
#include "store_harness.hpp"

#include <fermata_catch.hpp>

namespace postgres_round_trip_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const record_key head_key{record_kind::head, 0, 0};

record_key entry_key(std::uint64_t index) {
  return {record_kind::entry, 0, index};
}

/// A store whose traffic is counted.
class counted_store {
public:
  counted_store() {
    options_.connection = proxy.connection();
    store_ = must(postgres_store::open(options_));
  }

  postgres_store& get() { return *store_; }

  struct cost {
    int round_trips = 0;
    int statements = 0;
    bool operator==(const cost&) const = default;
  };
  template <class Body>
  cost of(Body body) {
    proxy.round_trips = 0;
    proxy.statements = 0;
    body();
    return {proxy.round_trips, proxy.statements};
  }

  postgres_proxy proxy{postgres_server::get()};

private:
  postgres_options options_ = postgres_server::get().new_store();
  std::shared_ptr<postgres_store> store_;
};

/// So many commits that create, change or delete a session each, and touch every table.
std::vector<commit> batch_of(store& target, std::size_t size, bool deletes) {
  std::vector<commit> batch;
  for (std::size_t i = 0; i < size; ++i) {
    const auto name = "s" + std::to_string(i);
    const auto stored = must(target.find(named(name)));
    auto next = stored ? change{*stored} : change{name};
    if (stored && deletes) {
      batch.push_back(next.remove().disarm(7, 1));
      continue;
    }
    next.event("event").event("another").status(stored ? 2 : 1).put(head_key, "head");
    next.put(entry_key(1), "entry").put(entry_key(2), "entry").erase(entry_key(3));
    batch.push_back(next.pend(1, "please").settle(2).arm(7, 1).disarm(8, 1));
  }
  return batch;
}

} // namespace

TEST_CASE("a batch takes two round trips, and as many statements, whatever its size") {
  std::vector<counted_store::cost> costs;
  for (const std::size_t size : {2, 20, 400}) {
    counted_store target;
    for (const auto deletes : {false, false, true}) {
      const auto batch = batch_of(target.get(), size, deletes);
      const auto cost = target.of([&] {
        for (const auto& outcome : target.get().write(batch))
          CHECK_FALSE(outcome.error);
      });
      CHECK(cost.round_trips == 2);
      costs.push_back(cost);
    }
  }
  for (std::size_t i = 3; i < costs.size(); ++i)
    CHECK(costs[i] == costs[i - 3]);
  CHECK(costs[0].statements < 30);
}

TEST_CASE("a batch of nothing but conflicts writes nothing, in one round trip") {
  counted_store target;
  must_write(target.get(), change{"a"}.event("1"));
  const auto before = dump(target.get());
  caf::error refused;
  CHECK(target.of([&] { refused = write(target.get(), change{"a"}).error; }).round_trips == 1);
  CHECK(is(refused, errc::conflict));
  CHECK(dump(target.get()) == before);
}

TEST_CASE("a session is found in two round trips, and a view reads each record in one") {
  counted_store target;
  auto a =
      must_write(target.get(), change{"a"}.event("1").put(head_key, "h").put(entry_key(1), "e"));
  CHECK(target.of([&] { must_find(target.get(), "a"); }).round_trips == 2);
  std::unique_ptr<store::view> view;
  CHECK(target.of([&] { view = must(target.get().read()); }).round_trips == 1);
  CHECK(target.of([&] { must(view->find(named("a"))); }).round_trips == 2);
  CHECK(target.of([&] { must(view->read(a.number, head_key)); }).round_trips == 0);
  CHECK(target.of([&] { must(view->read(a.number, entry_key(1))); }).round_trips == 1);
  CHECK(target.of([&] { must(view->scan(a.number, entry_key(0), entry_key(9), 9)); }).round_trips
        == 1);
}

TEST_CASE("a session's events are read in one round trip for each of its commits") {
  counted_store target;
  auto a = must_write(target.get(), change{"a"}.event("1").put(head_key, "h"));
  for (int i = 0; i < 9; ++i)
    a = must_write(target.get(), change{a}.event("more").event("and more"));
  const auto view = must(target.get().read());
  must(view->find(named("a")));
  std::vector<stored_event> found;
  CHECK(target.of([&] { found = must(view->events(a.number, 1, 100)); }).round_trips == 10);
  CHECK(found.size() == 19);
}

TEST_CASE("a range is read in pages that grow, and that large values end early") {
  counted_store target;
  change writing{"a"};
  for (std::uint64_t i = 0; i < 1'000; ++i)
    writing.put(entry_key(i), "small");
  auto a = must_write(target.get(), writing);
  change growing{a};
  for (std::uint64_t i = 0; i < 12; ++i)
    growing.put({record_kind::message, 0, i}, data(3'000'000, 'x'));
  must_write(target.get(), growing);
  const auto view = must(target.get().read());
  std::vector<record> found;
  const auto scan = [&](record_kind kind) {
    return target.of([&] {
      found = must(view->scan(a.number, {kind, 0, 0}, {kind, 9, 9'999}, 9'999));
    });
  };
  // 16, 64, then 256 at a time.
  CHECK(scan(record_kind::entry).round_trips == 6);
  REQUIRE(found.size() == 1'000);
  CHECK(found.back().key.index == 999);
  // A page ends behind 4 MiB: two values.
  CHECK(scan(record_kind::message).round_trips == 7);
  REQUIRE(found.size() == 12);
  for (const auto& one : found)
    CHECK(one.value == data(3'000'000, 'x'));
}

TEST_CASE("reclaiming where nothing is left only looks") {
  counted_store target;
  must_write(target.get(), change{"a"}.event("1"));
  CHECK(target.of([&] { CHECK_FALSE(must(target.get().reclaim(100)).more); }).statements == 3);
}

} // namespace postgres_round_trip_test
