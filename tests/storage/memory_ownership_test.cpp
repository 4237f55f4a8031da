// What only nodes in memory have: a clock of their own, and a way to lose what they share.

#include "storage_helpers.hpp"

#include <fermata/storage/memory_ownership.hpp>

#include <fermata_catch.hpp>

namespace memory_ownership_test {

using namespace fermata;
using namespace fermata::test;

using namespace std::chrono_literals;

namespace {

/// Two nodes with leases of 10 s, and time that passes when they are told.
struct two_nodes {
  std::unique_ptr<memory_ownership> join(std::string_view name,
                                         const std::shared_ptr<memory_store>& store) const {
    auto joined = must(memory_ownership::join(table, node(name), store, 10s));
    must(joined->renew());
    return joined;
  }

  std::chrono::steady_clock::time_point now;
  std::shared_ptr<memory_ownership_table> table =
      std::make_shared<memory_ownership_table>([this] { return now; });
  std::shared_ptr<memory_store> store_of_a = std::make_shared<memory_store>();
  std::shared_ptr<memory_store> store_of_b = store_of_a->beside();
  std::unique_ptr<memory_ownership> a = join("a", store_of_a);
  std::unique_ptr<memory_ownership> b = join("b", store_of_b);
};

} // namespace

TEST_CASE("a table that is given its identity draws none") {
  const auto table = std::make_shared<memory_ownership_table>(std::chrono::steady_clock::now,
                                                              store_identity{1, 2});
  const auto joined =
      must(memory_ownership::join(table, node("a"), std::make_shared<memory_store>(), 1s));
  CHECK(joined->identity().str() == "00000000000000010000000000000002");
}

TEST_CASE("a lease lasts until the clock of the table says that it has run out") {
  two_nodes nodes;
  must(nodes.a->acquire(all_slots()));
  nodes.now += 4s;
  CHECK(must(nodes.a->holds_lease(named("s"), 6s)));
  CHECK_FALSE(must(nodes.a->holds_lease(named("s"), 6001ms)));
  must(nodes.b->renew());
  nodes.now += 6s - 1ms;
  CHECK(must(nodes.a->holds_lease(named("s"), 0s)));
  CHECK(must(nodes.b->acquire(all_slots())).empty());
  nodes.now += 1ms;
  CHECK_FALSE(must(nodes.a->holds_lease(named("s"), 0s)));
  CHECK(must(nodes.b->look()).nodes == std::vector{node("b")});
  CHECK(must(nodes.b->acquire(all_slots())).size() == session_slots);
}

TEST_CASE("a node that cannot reach the table does nothing, and finds out later what it has lost") {
  two_nodes nodes;
  must(nodes.a->acquire(all_slots()));
  must_write(*nodes.store_of_a, change{"s"}.event("1"));
  nodes.store_of_a->set_reachable(false);
  CHECK(is(nodes.a->renew().error(), errc::io_error));
  CHECK(is(nodes.a->acquire(slot_list(named("s"))).error(), errc::io_error));
  CHECK(is(nodes.a->release(slot_list(named("s"))), errc::io_error));
  CHECK(is(nodes.a->move(slot_list(named("s")), node("b")), errc::io_error));
  CHECK(is(nodes.a->leave(), errc::io_error));
  CHECK(is(nodes.a->look().error(), errc::io_error));
  CHECK(is(nodes.a->holds_lease(named("s"), 0s).error(), errc::io_error));
  CHECK(nodes.a->acquired() == all_slots());
  nodes.now += 9s;
  must(nodes.b->renew());
  CHECK(must(nodes.b->acquire(all_slots())).empty());
  nodes.now += 1s;
  CHECK(must(nodes.b->acquire(slot_list(named("s")))) == slot_list(named("s")));
  nodes.store_of_a->set_reachable(true);
  CHECK(is(write(*nodes.store_of_a, change{must_find(*nodes.store_of_a, "s")}.event("2")).error,
           errc::conflict));
  CHECK(must(nodes.a->renew()).lost == slot_list(named("s")));
}

TEST_CASE("a node that has crashed comes again over the same opening, and owns nothing yet") {
  two_nodes nodes;
  must(nodes.a->acquire(all_slots()));
  nodes.store_of_a->crash();
  CHECK(is(nodes.a->renew().error(), errc::store_unavailable));
  const auto refused = memory_ownership::join(nodes.table, node("a"), nodes.store_of_a, 10s);
  CHECK(is(refused.error(), errc::store_unavailable));
  nodes.store_of_a->restart();
  nodes.a = nodes.join("a", nodes.store_of_a);
  CHECK(is(write(*nodes.store_of_a, change{"s"}).error, errc::conflict));
  must(nodes.a->acquire(all_slots()));
  must_write(*nodes.store_of_a, change{"s"});
}

TEST_CASE(
    "commits of a life before conflict, also while nobody owns its slots, or after the next") {
  two_nodes nodes;
  must(nodes.a->acquire(all_slots()));
  const auto next_store = nodes.store_of_b->beside();
  const auto next = nodes.join("a", next_store);
  const auto refused = write(*nodes.store_of_a, change{"s"}).error;
  CHECK(is(refused, errc::conflict));
  CHECK(says(refused, "owned by nobody in epoch 1"));
  CHECK_FALSE(next->leave());
  CHECK(is(write(*nodes.store_of_a, change{"s"}).error, errc::conflict));
}

TEST_CASE("a node in memory joins with a name, and a lease of a length that makes sense") {
  const auto table = std::make_shared<memory_ownership_table>();
  const auto store = std::make_shared<memory_store>();
  CHECK(is(memory_ownership::join(table, {}, store, 1s).error(), errc::invalid_field));
  CHECK(is(memory_ownership::join(table, node("a"), store, 99ms).error(), errc::invalid_field));
  CHECK(is(memory_ownership::join(table, node("a"), store, 61min).error(), errc::invalid_field));
}

TEST_CASE("who watches the table is told of each slot that gets another owner, and of no other") {
  two_nodes nodes;
  std::vector<std::string> told;
  nodes.table->on_change([&](std::uint32_t slot, const slot_owner& before, const slot_owner& now) {
    told.push_back(std::to_string(slot) + " " + before.node.str()
                   + (before.has_lease ? "" : " lost") + " " + now.node.str() + " "
                   + std::to_string(now.epoch - before.epoch));
  });
  const std::vector<std::uint32_t> slots{3, 5};
  must(nodes.a->acquire(slots));
  must(nodes.a->acquire(slots));
  REQUIRE_FALSE(nodes.a->move(std::vector<std::uint32_t>{5}, node("b")));
  nodes.now += 5s;
  must(nodes.b->renew());
  nodes.now += 6s;
  must(nodes.b->acquire(slots));
  CHECK(told
        == std::vector<std::string>{"3  lost a 1", "5  lost a 1", "5 a b 1", "3 a lost b 1",
                                    "5 b b 1"});
  CHECK(nodes.table->look().slots[3].node == node("b"));
  CHECK(nodes.table->look().nodes == std::vector{node("b")});
}

} // namespace memory_ownership_test
