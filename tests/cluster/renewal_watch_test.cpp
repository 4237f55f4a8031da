// Which slots a node finds forsaken, by what it sees and when: without actors or stores.

#include <fermata/actors/cluster/detail/renewal_watch.hpp>

#include <fermata_catch.hpp>

namespace renewal_watch_test {

using namespace fermata;
using namespace fermata::detail;
using namespace std::chrono_literals;

namespace {

constexpr auto lease = 20s;
const auto start = renewal_watch::time{} + 1h;

/// Slot 0 is a's, slot 1 is b's, and slot 2 is nobody's.
class table_of_two {
public:
  table_of_two() {
    table_.slots.resize(3);
    table_.slots[0].node = *node_name::parse("a");
    table_.slots[1].node = *node_name::parse("b");
    for (auto& slot : table_.slots)
      slot.lease = lease;
  }
  void renew(std::size_t slot) { ++table_.slots[slot].renewal; }
  void set_length(std::size_t slot, std::chrono::milliseconds of_lease) {
    table_.slots[slot].lease = of_lease;
  }
  /// As the store's clock says.
  void set_lease(std::size_t slot, bool has_lease) { table_.slots[slot].has_lease = has_lease; }

  std::vector<std::uint32_t> forsaken(renewal_watch& by, renewal_watch::time at) const {
    return listed(by.look_at(table_, at));
  }

private:
  ownership_table table_;
};

using slots = std::vector<std::uint32_t>;

} // namespace

TEST_CASE("a slot is forsaken when its owner is seen not to renew his lease for its length") {
  renewal_watch watch{lease};
  table_of_two table;
  table.set_lease(1, true);
  CHECK(table.forsaken(watch, start).empty());
  CHECK(watch.next() == start + lease);
  CHECK(table.forsaken(watch, start + 15s).empty());
  CHECK(table.forsaken(watch, start + lease - 1ms).empty());
  CHECK(table.forsaken(watch, start + lease) == slots{0}); // and b still has a lease
  CHECK_FALSE(watch.next());
  table.renew(0);
  CHECK(table.forsaken(watch, start + 25s).empty());
  CHECK(watch.next() == start + 25s + lease);
}

TEST_CASE("who renews his lease is left alone, whatever the store's clock says of it") {
  renewal_watch watch{lease};
  table_of_two table;
  for (auto at = start; at < start + 10 * lease; at += 5s) {
    table.renew(1);
    CHECK(table.forsaken(watch, at) == (at < start + lease ? slots{} : slots{0}));
  }
}

TEST_CASE("who has not looked for the length of a lease leaves all slots alone for one more") {
  renewal_watch watch{lease};
  table_of_two table;
  CHECK(table.forsaken(watch, start).empty());
  const auto back = start + lease + GENERATE(0ms, 1min);
  CHECK(table.forsaken(watch, back).empty());
  CHECK(watch.next() == back + lease);
  CHECK(table.forsaken(watch, back + lease - 1ms).empty());
  CHECK(table.forsaken(watch, back + lease) == slots{0, 1});
}

TEST_CASE("a lease is as long as its owner's, whatever that of who looks is") {
  renewal_watch watch{2 * lease};
  table_of_two table;
  table.set_length(0, lease / 2);
  table.set_length(1, 3 * lease);
  CHECK(table.forsaken(watch, start).empty());
  CHECK(watch.next() == start + lease / 2);
  CHECK(table.forsaken(watch, start + lease / 2) == slots{0});
  CHECK(watch.next() == start + 3 * lease);
  CHECK(table.forsaken(watch, start + 2 * lease) == slots{0});
  CHECK(table.forsaken(watch, start + 3 * lease) == slots{0, 1});
}

TEST_CASE("another owner of a slot has a lease of his own") {
  renewal_watch watch{lease};
  table_of_two table;
  CHECK(table.forsaken(watch, start).empty());
  ownership_table moved;
  moved.slots.resize(1);
  moved.slots[0].node = *node_name::parse("c");
  moved.slots[0].lease = lease;
  CHECK_FALSE(watch.look_at(moved, start + 19s).any());
  CHECK_FALSE(watch.look_at(moved, start + 38s).any());
  CHECK(watch.look_at(moved, start + 39s).any());
}

} // namespace renewal_watch_test
