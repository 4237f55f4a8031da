// What a node decides about slots, and what it lets others know of them: without actors or stores.

#include <fermata/actors/cluster/detail/slot_map.hpp>
#include <fermata/actors/cluster/detail/slot_plan.hpp>

#include <fermata_catch.hpp>

namespace slot_plan_test {

using namespace fermata;
using namespace fermata::detail;
using namespace std::chrono_literals;

namespace {

const auto start = slot_planner::time{} + 1h;

node_name node(std::string_view text) {
  return *node_name::parse(text);
}

/// All slots are owned by the nodes of `owners`, in turn; an empty name: by nobody.
slot_sight owned_by(const std::vector<std::string>& owners, std::vector<std::string> nodes) {
  slot_sight sees;
  sees.table.slots.resize(session_slots);
  for (const auto& name : nodes)
    sees.table.nodes.push_back(node(name));
  for (std::uint32_t slot = 0; slot < session_slots; ++slot) {
    const auto& owner = owners[slot % owners.size()];
    auto& of = sees.table.slots[slot];
    if (!owner.empty())
      of.node = node(owner);
    of.has_lease = std::find(nodes.begin(), nodes.end(), owner) != nodes.end();
    sees.forsaken.set(slot, !owner.empty() && !of.has_lease);
    sees.acquired.set(slot, owner == "a");
  }
  return sees;
}

std::size_t given(const slot_plan& plan, const std::string& to) {
  const auto found = plan.give.find(node(to));
  return found == plan.give.end() ? 0 : found->second.size();
}

class settable_clock final : public wall_clock {
public:
  timestamp now() override { return {}; }
  std::chrono::steady_clock::time_point steady() override { return at; }
  std::chrono::steady_clock::time_point at{};
};

member_list members() {
  member_list list;
  list.cluster = node("shop");
  list.members.emplace_back(node("a"), "localhost", std::uint16_t{1});
  list.members.emplace_back(node("b"), "localhost", std::uint16_t{2});
  return list;
}

session_id session_in(std::uint32_t slot) {
  for (int number = 0;; ++number)
    if (auto id = *session_id::parse("s" + std::to_string(number)); slot_of(id) == slot)
      return id;
}

} // namespace

TEST_CASE("a node that is alone acquires all, and gives nothing") {
  slot_planner planner{node("a"), 30s};
  const auto plan = planner.next(owned_by({""}, {"a"}), start);
  CHECK(plan.acquire.size() == session_slots);
  CHECK(plan.give.empty());
}

TEST_CASE("nodes that see the same acquire different slots, and together all") {
  slot_set all;
  std::size_t count = 0;
  for (const auto* name : {"a", "b", "c"}) {
    slot_planner planner{node(name), 30s};
    const auto plan = planner.next(owned_by({""}, {"a", "b", "c"}), start);
    all |= set_of(plan.acquire);
    count += plan.acquire.size();
    CHECK(plan.acquire.size() >= session_slots / 3);
  }
  CHECK(all.all());
  CHECK(count == session_slots);
}

TEST_CASE("what a dead node had is taken over in equal shares") {
  slot_planner planner{node("a"), 30s};
  auto sees = owned_by({"a", "b", "c", "d"}, {"a", "b"});
  const auto plan = planner.next(sees, start);
  CHECK(plan.acquire.size() == session_slots / 4);
  for (const auto slot : plan.acquire)
    CHECK_FALSE(sees.table.slots[slot].has_lease);
  SECTION("but not before it is seen to be forsaken") {
    sees.forsaken.reset();
    CHECK(planner.next(sees, start).acquire.empty());
    // What nobody owns waits for nobody.
    sees.table.slots[2].node = {};
    sees.table.slots[6].node = {};
    CHECK(planner.next(sees, start).acquire == std::vector<std::uint32_t>{2, 6});
  }
}

TEST_CASE("a node that joins is given its share, a few slots at a time") {
  slot_planner planner{node("a"), 30s};
  auto sees = owned_by({"a"}, {"a", "b"});
  std::size_t rounds = 0;
  for (auto plan = planner.next(sees, start); !plan.give.empty();
       plan = planner.next(sees, start)) {
    CHECK(given(plan, "b") == slot_planner::given_at_once);
    for (const auto slot : plan.give.at(node("b"))) {
      sees.table.slots[slot].node = node("b");
      sees.acquired.reset(slot);
    }
    REQUIRE(++rounds < 100);
  }
  CHECK(sees.acquired.count() == session_slots / 2);
}

TEST_CASE("slots with running tools are given last, and when they have waited long enough") {
  slot_planner planner{node("a"), 30s};
  auto sees = owned_by({"a"}, {"a", "b"});
  sees.table.draining.push_back(node("a"));
  sees.busy.set();
  for (const auto slot : {3, 7})
    sees.busy.reset(static_cast<std::size_t>(slot));
  CHECK(planner.next(sees, start).give.at(node("b")) == std::vector<std::uint32_t>{3, 7});
  CHECK(given(planner.next(sees, start + 29s), "b") == 2);
  const auto late = planner.next(sees, start + 30s).give.at(node("b"));
  CHECK(late.size() == slot_planner::given_at_once);
  CHECK(std::vector(late.begin(), late.begin() + 2) == std::vector<std::uint32_t>{3, 7});
  SECTION("one that was not busy in between begins to wait anew") {
    sees.acquired.reset();
    sees.acquired.set(9);
    sees.busy.reset(9);
    sees.leaving.set(100);
    CHECK(planner.next(sees, start + 31s).give.empty());
    sees.leaving.reset();
    sees.busy.set(9);
    CHECK(planner.next(sees, start + 32s).give.empty());
    CHECK(given(planner.next(sees, start + 62s), "b") == 1);
  }
}

TEST_CASE("a node that drains takes nothing but what was moved to it, and gives all") {
  slot_planner planner{node("a"), 30s};
  auto sees = owned_by({"a", "b", ""}, {"a", "b"});
  sees.table.draining.push_back(node("a"));
  sees.acquired.reset(3);
  const auto plan = planner.next(sees, start);
  CHECK(plan.acquire == std::vector<std::uint32_t>{3});
  CHECK(given(plan, "b") == slot_planner::given_at_once);
  SECTION("unless nobody else takes them") {
    sees.table.draining.push_back(node("b"));
    CHECK(planner.next(sees, start).give.empty());
  }
}

TEST_CASE("what is on its way out is neither acquired nor given") {
  slot_planner planner{node("a"), 30s};
  auto sees = owned_by({""}, {"a"});
  sees.leaving.set(5);
  CHECK(planner.next(sees, start).acquire.size() == session_slots - 1);
  sees = owned_by({"a"}, {"a", "b"});
  sees.leaving.set(5);
  CHECK(planner.next(sees, start).give.empty());
}

TEST_CASE("a map says where a session lives, and of what changes hands that nobody has it") {
  const auto clock = std::make_shared<settable_clock>();
  slot_map map{node("a"), members(), clock};
  const auto here = session_in(0);
  const auto there = session_in(1);
  const auto stranger = session_in(2);
  CHECK_FALSE(map.home_of(here));
  map.show(owned_by({"a", "b", "z"}, {"a", "b", "z"}).table);
  CHECK_FALSE(map.home_of(here)); // not served yet
  CHECK(map.home_of(there) == node("b"));
  CHECK_FALSE(map.home_of(stranger)); // no member
  map.serve(set_of({0, 63, 64, 255}));
  CHECK(map.home_of(here) == node("a"));
  CHECK(listed(map.served()) == std::vector<std::uint32_t>{0, 63, 64, 255});
  map.withdraw(set_of({0, 64}));
  CHECK(listed(map.served()) == std::vector<std::uint32_t>{63, 255});
  CHECK_FALSE(map.home_of(here));
  map.show_given({0}, node("b"));
  CHECK(map.home_of(here) == node("b"));
  map.show(owned_by({"a", "b"}, {"a"}).table);
  CHECK_FALSE(map.home_of(there)); // its owner has no lease
}

TEST_CASE("an effect begins only while the lease certainly lasts, and where its session lives") {
  const auto clock = std::make_shared<settable_clock>();
  clock->at = start;
  slot_map map{node("a"), members(), clock};
  const auto session = session_in(0);
  map.serve(set_of({0}));
  CHECK_FALSE(map.may_begin_effect(session)); // no lease is known of
  map.set_lease(start + 9s);
  CHECK(map.may_begin_effect(session));
  CHECK_FALSE(map.may_begin_effect(session_in(1)));
  clock->at = start + 9s;
  CHECK_FALSE(map.may_begin_effect(session));
  CHECK(map.serves(session)); // commands are the store's to refuse
}

} // namespace slot_plan_test
