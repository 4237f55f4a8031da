#include "plain_store.hpp"

#include <store_harness.hpp>

#include <fermata/storage/memory_store.hpp>

#include <fermata_catch.hpp>

#include <limits>
#include <random>
#include <set>

namespace store_model_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// Batches of random commits, some of which conflict, delete a session or drop its events.
class random_history {
public:
  explicit random_history(std::uint64_t seed) : random_{seed} {}

  std::vector<commit> batch(store& target) {
    std::vector<commit> commits;
    changed_.clear();
    const auto size = 1 + random_() % 4;
    for (std::size_t i = 0; i < size; ++i)
      commits.push_back(one(target));
    return commits;
  }

  /// How much to reclaim after a batch.
  std::size_t reclaims() { return random_() % 3 == 0 ? random_() % 8 : 0; }

private:
  commit one(store& target) {
    const auto name = "s" + std::to_string(random_() % 12);
    const auto first_change = changed_.insert(name).second;
    const auto stored = must(target.find(named(name)));
    auto next = stored ? change{*stored} : change{name};
    if (random_() % 8 == 0)
      next.expecting(random_() % 5);
    if (stored && first_change && random_() % 8 == 0)
      return removal(target, *stored);
    if (stored && random_() % 6 == 0)
      next.drop_below(1 + random_() % (stored->events + 3));
    for (auto events = random_() % 4; events > 0; --events)
      next.event(value());
    next.status(static_cast<std::uint8_t>(random_() % 3));
    for (auto records = random_() % 4; records > 0; --records) {
      const record_key key{static_cast<record_kind>(1 + random_() % 3),
                           static_cast<std::uint32_t>(random_() % 2), random_() % 3};
      if (random_() % 3 == 0)
        next.erase(key);
      else
        next.put(key, value());
    }
    const auto item = random_() % 3;
    if (random_() % 2 == 0)
      next.pend(item, "p" + std::to_string(random_() % 9));
    else
      next.settle(item);
    const auto due = static_cast<std::int64_t>(random_() % 5) - 2;
    if (random_() % 2 == 0)
      next.arm(due, item);
    else
      next.disarm(due, item);
    return next;
  }

  /// Deletes a session with its timers, as who deletes one has to.
  static commit removal(store& target, const session_anchor& of) {
    auto next = change{of}.remove();
    const auto all = at(std::numeric_limits<std::int64_t>::max());
    for (const auto& timer : must(must(target.read())->due(all, 1'000)))
      if (timer.number == of.number)
        next.disarm(timer.due.time_since_epoch().count(), timer.timer);
    return next;
  }

  bytes value() {
    // Some values are larger than a page of LMDB.
    const auto size = random_() % 10 == 0 ? random_() % 9000 : random_() % 60;
    return data(size, static_cast<std::uint8_t>('a' + random_() % 26));
  }

  std::mt19937_64 random_;
  std::set<std::string> changed_; ///< In this batch.
};

} // namespace

TEMPLATE_TEST_CASE("a store holds what a plain model does after a random history, and it verifies",
                   "[model]", DURABLE_STORES) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const auto memory = std::make_shared<memory_store>();
    TestType durable;
    plain_store model;
    random_history history{seed};
    for (int step = 0; step < 60; ++step) {
      const auto batch = history.batch(*memory);
      const auto expected = memory->write(batch);
      const auto got = durable.get().write(batch);
      REQUIRE(got.size() == expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        REQUIRE(got[i].number == expected[i].number);
        REQUIRE(got[i].error == expected[i].error);
        REQUIRE(model.write(batch[i]) == !got[i].error);
      }
      if (const auto limit = history.reclaims(); limit > 0) {
        const auto done = must(durable.get().reclaim(limit));
        REQUIRE(must(memory->reclaim(limit)).erased == done.erased);
        REQUIRE(done.erased <= limit);
      }
      if (step % 20 == 0) {
        REQUIRE(dump(durable.get()) == model.dump());
        REQUIRE(memory->verify().problems == std::vector<std::string>{});
        durable.reopen();
      }
    }
    CHECK(dump(durable.get()) == model.dump());
    CHECK(dump(*memory) == model.dump());
    const verify_report report = durable.verify();
    CHECK(report.problems == std::vector<std::string>{});
    const auto memory_report = memory->verify();
    CHECK(memory_report.problems == std::vector<std::string>{});
    CHECK(report.events == memory_report.events);
    CHECK(report.records == memory_report.records);
    CHECK(report.garbage == memory_report.garbage);
    CHECK(reclaim_all(durable.get()) == report.garbage);
    CHECK(dump(durable.get()) == model.dump());
    CHECK(durable.verify().garbage == 0);
  }
}

} // namespace store_model_test
