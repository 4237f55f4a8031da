// Who should own what: plain functions over plain data.

#include "storage_helpers.hpp"

#include <fermata/storage/session_slots.hpp>

#include <fermata_catch.hpp>

#include <algorithm>
#include <map>
#include <random>

namespace session_slots_test {

using namespace fermata;
using namespace fermata::test;

namespace {

std::vector<node_name> nodes(std::size_t count) {
  std::vector<node_name> names;
  for (std::size_t i = 0; i < count; ++i)
    names.push_back(node("n" + std::to_string(i)));
  return names;
}

std::map<node_name, std::size_t> counts(const std::vector<node_name>& owners) {
  std::map<node_name, std::size_t> found;
  for (const auto& owner : owners)
    ++found[owner];
  return found;
}

std::size_t moved(const std::vector<node_name>& before, const std::vector<node_name>& after) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    count += !before[i].empty() && before[i] != after[i];
  return count;
}

} // namespace

TEST_CASE("the slot of a session follows from its id, and never changes") {
  CHECK(slot_of(named("a")) == 248);
  CHECK(slot_of(named("release-42")) == 245);
  std::map<std::uint32_t, int> used;
  for (int i = 0; i < 25'600; ++i)
    ++used[slot_of(named("session-" + std::to_string(i)))];
  CHECK(used.size() == session_slots);
  CHECK(used.rbegin()->first == session_slots - 1);
  for (const auto& [slot, times] : used)
    CHECK((times > 50 && times < 160));
}

TEST_CASE("fair owners: each node has as many slots as the others, give or take one") {
  for (const std::size_t count : {1, 2, 3, 7, 255, 256, 300}) {
    const auto owners = fair_owners(std::vector<node_name>(256), nodes(count));
    const auto found = counts(owners);
    CHECK(found.size() == std::min<std::size_t>(count, 256));
    for (const auto& [name, slots] : found) {
      CHECK_FALSE(name.empty());
      CHECK((slots == 256 / count || slots == 256 / count + 1));
    }
  }
}

TEST_CASE("fair owners: nothing moves that need not, whoever joins or leaves") {
  std::mt19937_64 random{1};
  auto all = nodes(9);
  std::vector<node_name> owners(256);
  std::vector<node_name> present{all[0]};
  for (int step = 0; step < 200; ++step) {
    std::shuffle(all.begin(), all.end(), random);
    present.assign(all.begin(), all.begin() + 1 + static_cast<std::ptrdiff_t>(random() % 9));
    const auto next = fair_owners(owners, present);
    // What has to move: of those who are still there, what they have above their shares.
    const auto before = counts(owners);
    std::vector<std::size_t> kept;
    for (const auto& name : present)
      kept.push_back(before.contains(name) ? before.at(name) : 0);
    std::sort(kept.rbegin(), kept.rend());
    std::size_t has_to = 0;
    for (const auto& [name, slots] : before)
      if (!name.empty() && std::find(present.begin(), present.end(), name) == present.end())
        has_to += slots;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto share = 256 / kept.size() + (i < 256 % kept.size() ? 1 : 0);
      has_to += kept[i] > share ? kept[i] - share : 0;
    }
    CHECK(moved(owners, next) == has_to);
    std::shuffle(present.begin(), present.end(), random);
    CHECK(fair_owners(owners, present) == next);
    CHECK(fair_owners(next, present) == next);
    owners = next;
  }
}

TEST_CASE("fair owners: where there are no nodes, nobody owns anything") {
  CHECK(fair_owners(std::vector<node_name>(3, node("gone")), {}) == std::vector<node_name>(3));
}

} // namespace session_slots_test
