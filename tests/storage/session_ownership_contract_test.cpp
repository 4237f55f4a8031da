// What every ownership promises: `session_ownership.hpp` as tests, over several nodes of one store.
// Each runs over all shared stores of the test program.

#include <store_harness.hpp>

#include <fermata_catch.hpp>

#include <map>
#include <mutex>
#include <random>
#include <thread>

namespace session_ownership_contract_test {

using namespace fermata;
using namespace fermata::test;

using namespace std::chrono_literals;

#define CONTRACT(claim) TEMPLATE_TEST_CASE(claim, "[ownership]", SHARED_STORES)

CONTRACT("a node writes the sessions of its slots, and conflicts with their owner elsewhere") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  CHECK(is(write(*a.store, change{"s"}.event("1")).error, errc::conflict));
  CHECK(must(a.sessions->acquire(slot_list(named("s")))) == slot_list(named("s")));
  const auto s = must_write(*a.store, change{"s"}.event("1"));
  // What somebody owns, nobody else gets.
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  const auto refused = write(*b.store, change{must_find(*b.store, "s")}.event("2"));
  CHECK(is(refused.error, errc::conflict));
  CHECK(says(refused.error, "node a in epoch 1"));
  CHECK(must(b.sessions->acquire(all_slots())).size() == session_slots - 1);
  const auto t = must_write(*b.store, change{"t"}.event("1"));
  CHECK(t.number == s.number + 1);
  // Both see both.
  CHECK(must_find(*a.store, "t").number == t.number);
}

CONTRACT(
    "all nodes know a store by one identity, also when they join again, and others by another") {
  TestType nodes;
  std::string identity;
  {
    const auto a = nodes.join("a");
    identity = a.sessions->identity().str();
    CHECK(identity.size() == store_identity::size_digits);
    CHECK(nodes.join("b").sessions->identity().str() == identity);
  }
  CHECK(nodes.join("a").sessions->identity().str() == identity);
  TestType others;
  CHECK(others.join("a").sessions->identity().str() != identity);
}

CONTRACT("of a batch, the commits of sessions that moved away are skipped, and no other") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(all_slots()));
  const auto s = must_write(*a.store, change{"s"}.event("1"));
  const auto t = must_write(*a.store, change{"t"}.event("1"));
  REQUIRE(slot_of(named("s")) != slot_of(named("t")));
  nodes.end_lease_of("a");
  REQUIRE(must(b.sessions->acquire(slot_list(named("s")))).size() == 1);
  const std::vector<commit> batch{change{s}.event("stale"), change{t}.event("2"),
                                  change{"u"}.event("1")};
  const auto outcomes = a.store->write(batch);
  CHECK(is(outcomes[0].error, errc::conflict));
  CHECK(says(outcomes[0].error, "node b in epoch 2"));
  CHECK(outcomes[0].number == 0);
  CHECK_FALSE(outcomes[1].error);
  CHECK_FALSE(outcomes[2].error);
  CHECK(events_of(*b.store, s.number) == "1");
  CHECK(events_of(*b.store, t.number) == "1 2");
  must_write(*b.store, change{s}.event("2"));
}

CONTRACT("an epoch that is over stays over, also when the slot has come back") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(slot_list(named("s"))));
  const auto s = must_write(*a.store, change{"s"}.event("1"));
  nodes.end_lease_of("a");
  must(b.sessions->acquire(slot_list(named("s"))));
  must(a.sessions->renew()); // it learns of it
  CHECK_FALSE(b.sessions->move(slot_list(named("s")), node("a")));
  // It is a's again, but a has not acquired it: what it has in memory may be of before.
  CHECK(is(write(*a.store, change{s}.event("2")).error, errc::conflict));
  CHECK(must(a.sessions->renew()).offered == slot_list(named("s")));
  must(a.sessions->acquire(slot_list(named("s"))));
  must_write(*a.store, change{s}.event("2"));
}

CONTRACT(
    "a lease that was renewed is kept, and one that has run out is only lost to who takes it") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(all_slots()));
  CHECK(must(a.sessions->holds_lease(named("s"), 30min)));
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 2h)));
  CHECK_FALSE(must(b.sessions->holds_lease(named("s"), 0s)));
  nodes.end_lease_of("a");
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
  must_write(*a.store, change{"s"}.event("1"));
  // Who has no lease acquires nothing.
  nodes.end_lease_of("b");
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  must(a.sessions->renew());
  must(b.sessions->renew());
  CHECK(must(a.sessions->holds_lease(named("s"), 30min)));
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  nodes.end_lease_of("a");
  must(b.sessions->acquire(slot_list(named("s"))));
  CHECK(must(b.sessions->holds_lease(named("s"), 30min)));
  // A lease does not bring a slot back.
  const auto news = must(a.sessions->renew());
  CHECK(news.lost == slot_list(named("s")));
  CHECK(news.offered.empty());
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
  CHECK(a.sessions->acquired().size() == session_slots - 1);
}

CONTRACT("who has joined, and not renewed its lease, takes no share of the slots from anybody") {
  TestType nodes;
  auto a = nodes.join("a");
  must(a.sessions->acquire(slot_list(named("s"))));
  auto b = nodes.join_without_lease("b");
  CHECK(must(a.sessions->look()).nodes == std::vector{node("a")});
  CHECK(must(b.sessions->acquire(all_slots())).empty());
  CHECK(is(a.sessions->move(slot_list(named("s")), node("b")), errc::not_allowed));
  CHECK(must(b.sessions->renew()).offered.empty());
  CHECK(must(a.sessions->look()).takers() == std::vector{node("a"), node("b")});
  CHECK(must(b.sessions->acquire(all_slots())).size() == session_slots - 1);
}

CONTRACT("a slot that is moved is refused at once, and written by the next one once acquired") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(all_slots()));
  const auto slot = slot_of(named("s"));
  must_write(*a.store, change{"s"}.event("1"));
  CHECK(is(a.sessions->move(std::vector{slot}, node("nobody")), errc::not_allowed));
  nodes.end_lease_of("b");
  CHECK(is(a.sessions->move(std::vector{slot}, node("b")), errc::not_allowed));
  must(b.sessions->renew());
  CHECK(is(b.sessions->move(std::vector{slot}, node("a")), errc::not_allowed));
  CHECK(is(a.sessions->move(std::vector{session_slots}, node("b")), errc::invalid_field));
  CHECK_FALSE(a.sessions->move(std::vector{slot}, node("b")));
  CHECK(is(write(*a.store, change{must_find(*a.store, "s")}.event("2")).error, errc::conflict));
  CHECK(is(write(*b.store, change{must_find(*b.store, "s")}.event("2")).error, errc::conflict));
  CHECK(must(b.sessions->renew()).offered == std::vector{slot});
  CHECK(must(b.sessions->acquire({&slot, 1})) == std::vector{slot});
  must_write(*b.store, change{must_find(*b.store, "s")}.event("2"));
}

CONTRACT("what is released, or was owned by who has left, is free at once") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(all_slots()));
  CHECK_FALSE(a.sessions->release(slot_list(named("s"))));
  CHECK(is(write(*a.store, change{"s"}.event("1")).error, errc::conflict));
  CHECK(must(b.sessions->acquire(all_slots())) == slot_list(named("s")));
  // Releasing what is another's changes nothing.
  CHECK_FALSE(a.sessions->release(slot_list(named("s"))));
  CHECK(must(b.sessions->renew()).lost.empty());
  CHECK_FALSE(a.sessions->leave());
  CHECK(a.sessions->acquired().empty());
  CHECK(must(b.sessions->acquire(all_slots())).size() == session_slots - 1);
  CHECK(is(a.sessions->renew().error(), errc::store_busy));
  CHECK(must(a.sessions->acquire(all_slots())).empty());
}

CONTRACT("the table says who owns what, and fair shares are reached from it") {
  TestType nodes;
  auto a = nodes.join("a");
  auto table = must(a.sessions->look());
  REQUIRE(table.slots.size() == session_slots);
  CHECK(table.slots[0].node.empty());
  CHECK(table.nodes == std::vector{node("a")});
  must(a.sessions->acquire(all_slots()));
  auto b = nodes.join("b");
  table = must(b.sessions->look());
  CHECK(table.nodes == std::vector{node("a"), node("b")});
  CHECK(table.slots[7].node == node("a"));
  CHECK(table.slots[7].epoch == 1);
  CHECK(table.slots[7].has_lease);
  const auto fair = fair_owners(table.owners(), table.takers());
  std::vector<std::uint32_t> for_b;
  for (std::uint32_t slot = 0; slot < session_slots; ++slot)
    if (fair[slot] == node("b"))
      for_b.push_back(slot);
  REQUIRE_FALSE(a.sessions->move(for_b, node("b")));
  CHECK(must(b.sessions->acquire(must(b.sessions->renew()).offered)).size() == session_slots / 2);
  CHECK(must(a.sessions->look()).owners() == fair);
  nodes.end_lease_of("a");
  CHECK_FALSE(must(b.sessions->look()).slots[7].has_lease);
  CHECK(must(b.sessions->look()).nodes == std::vector{node("b")});
}

CONTRACT("a node that drains says so to the others, until it takes slots again") {
  TestType nodes;
  auto a = nodes.join("a");
  const auto b = nodes.join("b");
  must(a.sessions->renew(slot_wish::give));
  auto table = must(b.sessions->look());
  CHECK(table.nodes == std::vector{node("a"), node("b")});
  CHECK(table.draining == std::vector{node("a")});
  CHECK(table.takers() == std::vector{node("b")});
  must(a.sessions->renew());
  table = must(b.sessions->look());
  CHECK(table.draining.empty());
  CHECK(table.takers() == table.nodes);
}

CONTRACT("slots are moved together, or none of them") {
  TestType nodes;
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(std::vector<std::uint32_t>{1, 2}));
  must(b.sessions->acquire(std::vector<std::uint32_t>{3}));
  CHECK(is(a.sessions->move(std::vector<std::uint32_t>{1, 3}, node("b")), errc::not_allowed));
  CHECK(a.sessions->acquired() == std::vector<std::uint32_t>{1, 2});
  CHECK(must(b.sessions->renew()).offered.empty());
  CHECK_FALSE(a.sessions->move(std::vector<std::uint32_t>{1, 2}, node("b")));
  CHECK(a.sessions->acquired().empty());
  CHECK(must(b.sessions->renew()).offered == std::vector<std::uint32_t>{1, 2});
}

CONTRACT("who comes again under its name owns nothing yet, and need not wait for its lease") {
  TestType nodes;
  {
    auto first = nodes.join("a");
    must(first.sessions->acquire(all_slots()));
    must_write(*first.store, change{"s"}.event("1"));
  }
  auto again = nodes.join("a");
  CHECK(again.sessions->acquired().empty());
  CHECK(is(write(*again.store, change{must_find(*again.store, "s")}.event("2")).error,
           errc::conflict));
  CHECK(must(again.sessions->acquire(all_slots())).size() == session_slots);
  CHECK(must(again.sessions->look()).slots[slot_of(named("s"))].epoch == 2);
  must_write(*again.store, change{must_find(*again.store, "s")}.event("2"));
}

CONTRACT("a node whose name another process has taken has no lease any more, and changes nothing") {
  TestType nodes;
  auto first = nodes.join_replaceable("a");
  must(first.sessions->acquire(all_slots()));
  const auto s = must_write(*first.store, change{"s"}.event("1"));
  auto second = nodes.replace("a");
  CHECK_FALSE(must(first.sessions->holds_lease(named("s"), 0s)));
  CHECK(is(first.sessions->renew().error(), errc::store_busy));
  CHECK(is(first.sessions->release(all_slots()), errc::store_busy));
  CHECK(is(first.sessions->leave(), errc::store_busy));
  CHECK(write(*first.store, change{s}.event("of the first")).error);
  CHECK(must(second.sessions->acquire(all_slots())).size() == session_slots);
  CHECK(must(second.sessions->look()).nodes == std::vector{node("a")});
  CHECK(events_of(*second.store, s.number) == "1");
}

CONTRACT("a clock that is set back makes no lease longer than from the next renewal of anybody") {
  TestType nodes;
  nodes.use_clock_to_set();
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(slot_list(named("s"))));
  nodes.set_clock_forward(-2h);
  // Nobody is told that the lease, of one hour, lasts for three.
  CHECK(must(a.sessions->holds_lease(named("s"), 59min)));
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 61min)));
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  must(b.sessions->renew());
  nodes.set_clock_forward(59min);
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
  CHECK(must(b.sessions->look()).slots[slot_of(named("s"))].has_lease);
  must(b.sessions->renew());
  nodes.set_clock_forward(2min);
  CHECK(must(b.sessions->look()).nodes == std::vector{node("b")});
  CHECK(must(b.sessions->acquire(slot_list(named("s")))) == slot_list(named("s")));
}

CONTRACT("a clock that is set forward ends all leases, and takes nothing from anybody") {
  TestType nodes;
  nodes.use_clock_to_set();
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(slot_list(named("s"))));
  const auto slot = slot_of(named("s"));
  const auto before = must(b.sessions->look()).slots[slot].renewal;
  nodes.set_clock_forward(2h);
  const auto table = must(b.sessions->look());
  CHECK(table.slots[slot].renewal == before); // by which one sees that it was not the owner
  CHECK(table.nodes.empty());
  CHECK(table.slots[slot].node == node("a"));
  CHECK_FALSE(must(a.sessions->holds_lease(named("s"), 0s)));
  must_write(*a.store, change{"s"}.event("1"));
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty()); // it has no lease itself
  must(a.sessions->renew());
  must(b.sessions->renew());
  CHECK(must(a.sessions->holds_lease(named("s"), 30min)));
  CHECK(must(b.sessions->acquire(slot_list(named("s")))).empty());
}

CONTRACT("each renewal of an owner's lease can be seen, also where the clock is set back") {
  TestType nodes;
  nodes.use_clock_to_set();
  auto a = nodes.join("a");
  auto b = nodes.join("b");
  must(a.sessions->acquire(slot_list(named("s"))));
  const auto seen = [&] { return must(b.sessions->look()).slots[slot_of(named("s"))].renewal; };
  CHECK(must(b.sessions->look()).slots[slot_of(named("s"))].lease == a.sessions->lease());
  const auto first = seen();
  must(b.sessions->renew());
  CHECK(seen() == first);
  must(a.sessions->renew());
  const auto second = seen();
  CHECK(second != first);
  nodes.set_clock_forward(-1s);
  must(a.sessions->renew());
  CHECK(seen() != second);
  CHECK(seen() != first);
}

CONTRACT("nodes that write and take slots from each other all the time lose nothing, and agree") {
  TestType nodes;
  std::vector<std::string> failures;
  std::mutex mutex;
  std::map<std::string, std::uint64_t> acknowledged;
  std::vector<std::thread> threads;
  for (int number = 0; number < 3; ++number)
    threads.emplace_back([&, number] {
      try {
        std::mt19937_64 random{static_cast<std::uint64_t>(number)};
        auto self = nodes.join("n" + std::to_string(number));
        for (int step = 0; step < 60; ++step) {
          if (random() % 4 == 0)
            if (auto error = self.sessions->release(self.sessions->acquired()))
              throw std::runtime_error{message_of(error)};
          // A third of the slots, so that several nodes have some.
          std::vector<std::uint32_t> wanted;
          for (auto slot = static_cast<std::uint32_t>(random() % 3); slot < session_slots;
               slot += 3)
            wanted.push_back(slot);
          must(self.sessions->acquire(wanted));
          std::vector<commit> batch;
          for (int i = 0; i < 6; ++i) {
            const auto name = "s" + std::to_string(random() % 12);
            const auto stored = must(self.store->find(named(name)));
            batch.push_back((stored ? change{*stored} : change{name}).event("x"));
          }
          const auto outcomes = self.store->write(batch);
          const std::lock_guard lock{mutex};
          for (std::size_t i = 0; i < batch.size(); ++i)
            if (!outcomes[i].error)
              ++acknowledged[batch[i].session.str()];
            else if (!is(outcomes[i].error, errc::conflict))
              failures.push_back(message_of(outcomes[i].error));
        }
        if (auto error = self.sessions->leave())
          failures.push_back(message_of(error));
      } catch (const std::exception& error) {
        const std::lock_guard lock{mutex};
        failures.emplace_back(error.what());
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(failures == std::vector<std::string>{});
  CHECK(nodes.verify().problems == std::vector<std::string>{});
  const auto store = nodes.join("reader").store;
  CHECK_FALSE(acknowledged.empty());
  std::uint64_t total = 0;
  for (const auto& [name, events] : acknowledged) {
    CHECK(must_find(*store, name).events == events);
    total += events;
  }
  // The journal of all has no gaps.
  std::uint64_t position = 0;
  CHECK(must(must(store->read())->journal(position, 100'000)).size() == total);
  CHECK(position == total);
}

} // namespace session_ownership_contract_test

#undef CONTRACT
