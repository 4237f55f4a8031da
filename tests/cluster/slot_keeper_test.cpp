// Nodes' keepers of slots over one table, in virtual time: directories and links are actors of the
// test.

#include <fermata/actors/cluster/detail/slot_keeper.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/memory_ownership.hpp>

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <fermata_catch.hpp>
#include <testing_config.hpp>

#include <algorithm>
#include <map>

namespace slot_keeper_test {

using namespace fermata;
using namespace fermata::detail;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds lease{10s};
constexpr auto moment = 50ms; // no timer of a keeper is due more often
constexpr auto one_tick = lease / 4 + moment;

node_name node(std::string_view text) {
  return *node_name::parse(text);
}

/// What a node's fake directory has in memory, and does.
struct directory_script {
  bool clears = true; ///< At once; otherwise the test does.
  slot_set arrived;
  std::vector<std::function<void()>> held;
};

caf::behavior fake_directory(caf::event_based_actor*, std::shared_ptr<directory_script> script,
                             std::shared_ptr<slot_map> map) {
  return {
      [script](const sessions_arrived& what) { script->arrived |= set_of(what.slots); },
      [script, map](const sessions_departed& what) {
        const auto clear = [script, map, cleared = what.cleared] {
          script->arrived &= map->served();
          cleared();
        };
        if (script->clears)
          clear();
        else
          script->held.push_back(clear);
      },
  };
}

/// Tells of calls before they are made.
class told_ownership final : public session_ownership {
public:
  explicit told_ownership(std::unique_ptr<session_ownership> behind) : behind_{std::move(behind)} {}

  std::function<void()> before_look;
  std::function<void()> before_acquire;

  const node_name& node() const noexcept override { return behind_->node(); }
  std::chrono::milliseconds lease() const noexcept override { return behind_->lease(); }
  const store_identity& identity() const noexcept override { return behind_->identity(); }
  result<ownership_news> renew(slot_wish wish) override { return behind_->renew(wish); }
  result<std::vector<std::uint32_t>> acquire(std::span<const std::uint32_t> slots) override {
    if (before_acquire)
      before_acquire();
    return behind_->acquire(slots);
  }
  caf::error release(std::span<const std::uint32_t> slots) override {
    return behind_->release(slots);
  }
  caf::error move(std::span<const std::uint32_t> slots, const node_name& to) override {
    return behind_->move(slots, to);
  }
  caf::error leave() override { return behind_->leave(); }
  result<ownership_table> look() override {
    if (before_look)
      before_look();
    return behind_->look();
  }
  result<bool> holds_lease(const session_id& session, std::chrono::milliseconds least) override {
    return behind_->holds_lease(session, least);
  }
  std::vector<std::uint32_t> acquired() const override { return behind_->acquired(); }

private:
  std::unique_ptr<session_ownership> behind_;
};

class world;

/// One node: its keeper, and what that deals with.
struct test_keeper {
  std::shared_ptr<memory_store> store;
  std::shared_ptr<told_ownership> ownership;
  std::shared_ptr<slot_map> map;
  std::shared_ptr<directory_script> script = std::make_shared<directory_script>();
  std::vector<std::string> reports;
  std::vector<peer_report> peers; ///< As it stands with them, if `world::start` says so.
  caf::actor directory;
  caf::actor links;
  caf::actor keeper;
  slot_set busy;

  [[nodiscard]] std::size_t served() const { return map->served().count(); }
  [[nodiscard]] bool reported(const std::string& what) const {
    return std::find(reports.begin(), reports.end(), what) != reports.end();
  }
};

class world {
public:
  ~world() {
    for (auto& [name, one] : keepers_)
      stop(one);
    run();
    for (auto& [name, one] : keepers_)
      for (auto* actor : {&one.directory, &one.links})
        caf::anon_send_exit(std::exchange(*actor, {}), caf::exit_reason::kill);
    for (auto& [name, one] : keepers_)
      one.script->held.clear();
    run();
    CHECK(system_.registry().running() == 0);
  }

  /// One that is to be started.
  test_keeper& prepare(const std::string& name) { return keepers_[name]; }
  /// As it stands with the only other member, b.
  void set_peer(test_keeper& of, contact_state state, bool has_other_store = false) {
    of.peers.resize(1);
    of.peers[0].member.name = node("b");
    of.peers[0].state = state;
    of.peers[0].reason = has_other_store ? "b has another store" : "";
    of.peers[0].has_other_store = has_other_store;
  }
  test_keeper& start(const std::string& name, bool looks_for_peers = false) {
    auto& one = keepers_[name];
    one.store = data_->beside();
    one.ownership = std::make_shared<told_ownership>(
        std::move(*memory_ownership::join(table, node(name), one.store, lease)));
    one.map = std::make_shared<slot_map>(node(name), members(), clock_);
    one.directory = system_.spawn(fake_directory, one.script, one.map);
    one.links = system_.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[](homes_changed) {},
              [this](const slots_offered& what) {
                caf::anon_send(keepers_.at(what.to.str()).keeper, look_at_slots{});
              }};
    });
    keeper_options options;
    options.ownership = one.ownership;
    options.map = one.map;
    options.clock = clock_;
    options.directory = one.directory;
    options.links = one.links;
    options.busy = [&one] { return one.busy; };
    if (looks_for_peers)
      options.peers = [&one] { return one.peers; };
    options.on_slots = [&one](const slot_report& report) {
      one.reports.push_back(enum_name(report.change));
    };
    one.keeper = system_.spawn(slot_keeper_actor, std::move(options));
    run();
    return one;
  }

  void stop(test_keeper& one) {
    if (one.keeper)
      caf::anon_send(std::exchange(one.keeper, {}), close_down{});
    run();
  }

  std::shared_ptr<std::optional<caf::error>> drain(const test_keeper& one) {
    auto ended = std::make_shared<std::optional<caf::error>>();
    caf::anon_send(one.keeper, drain_order{[ended](const caf::error& how) { *ended = how; }});
    run();
    return ended;
  }

  /// Sees all the while that no slot is served twice, unless its store could not be reached.
  void advance(std::chrono::milliseconds duration) {
    for (auto passed = 0ms; passed < duration; passed += moment) {
      scheduler().advance_time(moment);
      run();
      slot_set effects;
      for (const auto& [name, one] : keepers_) {
        slot_set begins;
        for (std::uint32_t slot = 0; slot < session_slots; ++slot)
          begins.set(slot, one.map->may_begin_effect(sessions_[slot]));
        if ((effects & begins).any())
          FAIL("two nodes begin effects of one session");
        effects |= begins;
      }
    }
  }
  void run() { scheduler().run(); }

  [[nodiscard]] bool may_begin(const test_keeper& one) const {
    return one.map->may_begin_effect(sessions_[listed(one.map->served()).at(0)]);
  }

  static member_list members() {
    member_list list;
    list.cluster = node("shop");
    for (const auto* name : {"a", "b", "c"})
      list.members.emplace_back(node(name), "localhost", std::uint16_t{1});
    return list;
  }

  std::chrono::milliseconds store_ahead{0}; ///< How far its clock was set forward.
  std::shared_ptr<memory_ownership_table> table = std::make_shared<memory_ownership_table>(
      [this] { return scheduler().clock().now() + store_ahead; });

private:
  struct virtual_clock final : wall_clock {
    explicit virtual_clock(world& in) : of{&in} {}
    timestamp now() override { return {}; }
    std::chrono::steady_clock::time_point steady() override {
      return of->scheduler().clock().now();
    }
    world* of;
  };

  static std::vector<session_id> one_of_each_slot() {
    std::vector<session_id> sessions(session_slots);
    slot_set found;
    for (int number = 0; !found.all(); ++number) {
      auto id = *session_id::parse("s" + std::to_string(number));
      const auto slot = slot_of(id);
      found.set(slot);
      sessions[slot] = std::move(id);
    }
    return sessions;
  }

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  }

  test::testing_config config_;
  caf::actor_system system_{config_};
  std::shared_ptr<memory_store> data_ = std::make_shared<memory_store>();
  std::shared_ptr<virtual_clock> clock_ = std::make_shared<virtual_clock>(*this);
  std::vector<session_id> sessions_ = one_of_each_slot();
  std::map<std::string, test_keeper> keepers_;
};

} // namespace

TEST_CASE("the first node has all slots, and those that join get their shares at once") {
  world w;
  auto& a = w.start("a");
  CHECK(a.served() == session_slots);
  CHECK(a.script->arrived.all());
  auto& b = w.start("b");
  CHECK(b.served() == 0);
  w.advance(one_tick + 1s); // until a looks, which then goes on
  CHECK(a.served() == 128);
  CHECK(b.served() == 128);
  CHECK(a.script->arrived == a.map->served());
  CHECK(b.script->arrived == b.map->served());
  auto& c = w.start("c");
  w.advance(one_tick + 1s);
  for (const auto* one : {&a, &b, &c})
    CHECK((one->served() == 85 || one->served() == 86));
}

TEST_CASE("the first node of a store begins when it has tried to reach the other members") {
  world w;
  auto& a = w.prepare("a");
  w.set_peer(a, contact_state::connecting);
  w.start("a", true);
  w.advance(2s);
  CHECK(a.served() == 0);
  CHECK(w.table->look().nodes.empty()); // it is not taken for one that works
  w.set_peer(a, GENERATE(contact_state::apart, contact_state::connected, contact_state::refused));
  w.advance(200ms);
  CHECK(a.served() == session_slots);
  CHECK_FALSE(a.reported("withheld"));
}

TEST_CASE("a node whose store nobody else has serves nothing while a member has another one") {
  world w;
  auto& a = w.prepare("a");
  w.set_peer(a, contact_state::refused, true);
  w.start("a", true);
  w.advance(one_tick);
  CHECK(a.served() == 0);
  CHECK(a.reports == std::vector<std::string>{"withheld"}); // once
  const auto drained = w.drain(a);
  REQUIRE(*drained);
  CHECK(is(**drained, errc::not_allowed));
  CHECK(message_of(**drained) == "the node serves nothing: b has another store");
  // It may be about to come back with it.
  w.set_peer(a, contact_state::apart);
  w.advance(2 * lease);
  CHECK(a.served() == 0);
  CHECK(a.reports == std::vector<std::string>{"withheld"});
  SECTION("until that one has this store") {
    w.set_peer(a, contact_state::connected);
  }
  SECTION("until another node of this store is there") {
    w.start("c");
  }
  w.advance(one_tick + 1s);
  CHECK(a.served() >= 128);
  CHECK_FALSE(a.map->is_draining());
  // Now it can drain, if there is another.
  const auto drained_later = w.drain(a);
  w.advance(2 * one_tick);
  REQUIRE(*drained_later);
  CHECK(is(**drained_later, errc::not_allowed) == (a.served() == session_slots));
}

TEST_CASE("a drain that came before the first look ends where the node may not begin") {
  world w;
  auto& a = w.prepare("a");
  w.set_peer(a, contact_state::connecting);
  w.start("a", true);
  const auto drained = w.drain(a);
  CHECK_FALSE(*drained);
  w.set_peer(a, contact_state::refused, true);
  w.advance(200ms);
  REQUIRE(*drained);
  CHECK(is(**drained, errc::not_allowed));
  CHECK(message_of(**drained) == "the node serves nothing: b has another store");
  CHECK_FALSE(a.map->is_draining());
}

TEST_CASE("a node begins beside another one of its store, whoever has a third") {
  world w;
  w.start("c");
  auto& a = w.prepare("a");
  w.set_peer(a, contact_state::refused, true);
  w.start("a", true);
  w.advance(one_tick + 1s);
  CHECK(a.served() == 128);
  CHECK_FALSE(a.reported("withheld"));
}

TEST_CASE("a node that has begun goes on, whoever comes with another store") {
  world w;
  auto& a = w.prepare("a");
  w.set_peer(a, contact_state::apart);
  w.start("a", true);
  w.advance(200ms);
  REQUIRE(a.served() == session_slots);
  w.set_peer(a, contact_state::refused, true);
  w.advance(2 * lease);
  CHECK(a.served() == session_slots);
  CHECK_FALSE(a.reported("withheld"));
}

TEST_CASE("a slot is moved only when its sessions have left") {
  world w;
  auto& a = w.start("a");
  a.script->clears = false;
  auto& b = w.start("b");
  w.advance(one_tick);
  CHECK(a.served() == session_slots - slot_planner::given_at_once);
  w.advance(lease); // however long it takes
  CHECK(a.served() == session_slots - slot_planner::given_at_once);
  CHECK(b.served() == 0);
  REQUIRE(a.script->held.size() == 1);
  a.script->clears = true;
  a.script->held.at(0)();
  w.advance(moment);
  CHECK(b.served() == slot_planner::given_at_once);
}

TEST_CASE("slots that cannot be moved are served again") {
  world w;
  auto& a = w.start("a");
  a.script->clears = false;
  auto& b = w.start("b");
  w.advance(one_tick);
  REQUIRE(a.script->held.size() == 1);
  b.store->set_reachable(false);
  w.table->end_lease(node("b"));
  a.script->held.at(0)();
  w.advance(moment);
  CHECK(a.served() == session_slots);
  CHECK(a.script->arrived.all());
  CHECK_FALSE(a.reported("given"));
}

TEST_CASE("a node that is cut off from the store begins nothing, and has a successor in time") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  a.store->set_reachable(false);
  const auto had = a.map->served();
  w.advance(lease - lease / 10 - one_tick);
  CHECK(w.may_begin(a));
  CHECK(b.served() == 128);
  w.advance(one_tick);
  CHECK_FALSE(w.may_begin(a));
  CHECK(a.reported("not_renewed"));
  w.advance(lease / 10 + one_tick);
  CHECK(b.served() == session_slots);
  CHECK(b.script->arrived.all());
  CHECK(a.served() == 128); // it does not know
  SECTION("and comes back, when what it had in memory has left") {
    a.script->clears = false;
    a.store->set_reachable(true);
    w.advance(one_tick);
    CHECK(a.reported("lost"));
    CHECK((a.map->served() & had).none());
    w.advance(lease);
    CHECK((a.map->served() & had).none()); // whatever is moved to it meanwhile
    REQUIRE(a.script->held.size() == 1);
    a.script->clears = true;
    a.script->held.at(0)();
    w.advance(one_tick);
    CHECK(a.served() == 128);
    CHECK(a.reported("renewed"));
  }
}

TEST_CASE("a store that is away for all for a minute moves nothing") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  const auto before = a.map->served();
  a.reports.clear();
  b.reports.clear();
  a.store->set_reachable(false);
  b.store->set_reachable(false);
  w.advance(1min);
  CHECK_FALSE(w.may_begin(b));
  b.store->set_reachable(true);
  w.advance(lease - lease / 4); // b has seen that a has no lease
  a.store->set_reachable(true);
  w.advance(2 * lease);
  CHECK(a.map->served() == before);
  CHECK(b.map->served() == ~before);
  CHECK(w.may_begin(a));
  const std::vector<std::string> said{"not_renewed", "renewed"};
  CHECK(a.reports == said);
  CHECK(b.reports == said);
}

TEST_CASE("a store whose clock is set forward moves nothing, however far") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  // Before each of the moments of a round, those of a and of b.
  for (const auto by : {std::chrono::milliseconds{8s}, std::chrono::milliseconds{1h}})
    for (auto offset = 0ms; offset < one_tick; offset += moment) {
      CAPTURE(by.count(), offset.count());
      w.advance(2 * lease + offset);
      w.store_ahead += by;
      w.advance(one_tick);
      CHECK(a.served() == 128);
      CHECK(b.served() == 128);
      CHECK_FALSE(a.reported("lost"));
      CHECK_FALSE(b.reported("lost"));
    }
}

TEST_CASE("a store whose clock is set forward amid a round moves nothing") {
  world w;
  auto& a = w.start("a");
  w.advance(lease / 8); // they do not renew at one moment
  auto& b = w.start("b");
  w.advance(2 * lease);
  const bool leaves_one = GENERATE(false, true);
  auto is_set = false;
  b.ownership->before_look = [&] {
    // By as much as leaves a lease to b alone, which has just renewed its own; or to nobody.
    if (!std::exchange(is_set, true))
      w.store_ahead += leaves_one ? lease - moment : 1h;
  };
  w.advance(lease);
  CHECK(a.served() == 128);
  CHECK(b.served() == 128);
  CHECK_FALSE(a.reported("lost"));
}

TEST_CASE(
    "a node that is frozen when the store's clock is set forward keeps its slots for a lease") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(2 * lease);
  w.store_ahead += 1h;
  a.store->set_reachable(false);
  w.advance(lease - lease / 10 - one_tick);
  CHECK(w.may_begin(a));
  CHECK(b.served() == 128);
  w.advance(lease / 10 + 3 * one_tick);
  CHECK_FALSE(w.may_begin(a));
  CHECK(b.served() == session_slots);
}

TEST_CASE("a store whose clock goes ahead bit by bit gives nobody's slots away early") {
  for (auto offset = 0ms; offset < one_tick; offset += lease / 40) {
    CAPTURE(offset.count());
    world w;
    auto& a = w.start("a");
    w.advance(offset); // they look at different moments
    auto& b = w.start("b");
    w.advance(2 * lease);
    a.store->set_reachable(false);
    while (w.may_begin(a)) {
      CHECK(b.served() == 128);
      w.store_ahead += moment * 9 / 50; // so that its lease ends amid what a believes in
      w.advance(moment);
    }
    w.advance(lease);
    CHECK(b.served() == session_slots);
  }
}

TEST_CASE("a store whose clock is set back leaves the slots of a lost node to it for a lease") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(2 * lease);
  a.store->set_reachable(false);
  w.store_ahead -= 1h;
  w.advance(lease - one_tick);
  CHECK(b.served() == 128);
  w.advance(4 * one_tick);
  CHECK(b.served() == session_slots);
}

TEST_CASE("a node that has just come leaves the slots of a lost one to it for a lease") {
  world w;
  auto& a = w.start("a");
  w.advance(lease);
  SECTION("whose lease has run out") {
    w.table->end_lease(node("a"));
  }
  SECTION("which cannot be told from one whose lease a clock has ended") {
    w.store_ahead += 1h;
  }
  a.store->set_reachable(false);
  auto& b = w.start("b");
  w.advance(lease - one_tick);
  CHECK(b.served() == 0);
  w.advance(3 * one_tick);
  CHECK(b.served() == session_slots);
}

TEST_CASE("a node that drains gives all, and takes nothing from then on") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  a.script->clears = false;
  const auto drained = w.drain(a);
  CHECK(a.map->is_draining());
  w.advance(1s);
  CHECK_FALSE(*drained);
  while (!*drained) {
    REQUIRE(a.script->held.size() == 1); // a part after the other
    const auto clear = std::move(a.script->held.at(0));
    a.script->held.clear();
    clear();
    w.advance(moment);
  }
  CHECK_FALSE(**drained);
  CHECK(a.served() == 0);
  CHECK(b.served() == session_slots);
  w.advance(2 * lease);
  CHECK(a.served() == 0);
  const auto again = w.drain(a);
  w.advance(moment);
  REQUIRE(*again);
  CHECK_FALSE(**again);
}

TEST_CASE("a node that nobody takes anything from does not drain") {
  world w;
  auto& a = w.start("a");
  SECTION("as it is alone") {}
  SECTION("as the others drain too") {
    auto& b = w.start("b");
    static_cast<void>(w.drain(b));
    w.advance(lease);
  }
  const auto refused = w.drain(a);
  w.advance(moment);
  REQUIRE(*refused);
  CHECK(is(**refused, errc::not_allowed));
  CHECK(a.served() == session_slots);
  CHECK_FALSE(a.map->is_draining());
  w.start("c");
  w.advance(lease);
  CHECK(a.served() == session_slots / 2); // and not all
}

TEST_CASE("a node that has drained takes slots again when no other node is left") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  const auto drained = w.drain(a);
  w.advance(5s);
  REQUIRE(*drained);
  REQUIRE_FALSE(**drained);
  SECTION("as the last one has died") {
    b.store->set_reachable(false);
    w.advance(lease + one_tick + moment);
    CHECK(a.served() == session_slots);
    CHECK_FALSE(a.map->is_draining());
    b.store->set_reachable(true);
    w.advance(lease);
    CHECK(b.served() == session_slots / 2);
  }
  SECTION("but not where the store was away for all") {
    a.store->set_reachable(false);
    b.store->set_reachable(false);
    w.advance(1min);
    a.store->set_reachable(true);
    w.advance(lease - lease / 4); // a has seen that b has no lease
    b.store->set_reachable(true);
    w.advance(2 * lease);
    CHECK(a.served() == 0);
    CHECK(a.map->is_draining());
    CHECK(b.served() == session_slots);
  }
}

TEST_CASE("sessions with tools that run are given when these have ended, or after a while") {
  world w;
  auto& a = w.start("a");
  a.busy.set(200);
  a.busy.set(201);
  auto& b = w.start("b");
  const auto drained = w.drain(a);
  w.advance(5s);
  CHECK(listed(a.map->served()) == std::vector<std::uint32_t>{200, 201});
  a.busy.reset(200);
  w.advance(one_tick);
  CHECK(listed(a.map->served()) == std::vector<std::uint32_t>{201});
  CHECK_FALSE(*drained);
  w.advance(30s);
  CHECK(*drained);
  CHECK(b.served() == session_slots);
}

TEST_CASE("slots without runs are given before the store is asked for others") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  const auto first = listed(b.map->served()).at(0);
  b.map->withdraw(set_of({first}));
  REQUIRE_FALSE(b.ownership->move(std::vector{first}, node("a")));
  std::size_t served = 0;
  a.ownership->before_acquire = [&] { served = a.served(); };
  static_cast<void>(w.drain(a));
  w.advance(moment);
  CHECK(served == session_slots / 2 - slot_planner::given_at_once);
  a.ownership->before_acquire = {};
}

TEST_CASE("a table that came when the lease had run out moves nothing") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  a.reports.clear();
  const auto ends_lease = [&] { w.table->end_lease(node("a")); };
  SECTION("as if all were for others") {
    a.ownership->before_look = ends_lease;
    caf::anon_send(a.keeper, look_at_slots{});
    w.advance(moment);
  }
  SECTION("and ends no drain") {
    a.busy.set();
    a.ownership->before_look = ends_lease;
    const auto drained = w.drain(a);
    w.advance(moment);
    CHECK_FALSE(*drained);
  }
  CHECK(a.served() == session_slots / 2);
  CHECK_FALSE(a.reported("given"));
  CHECK_FALSE(b.reported("lost"));
  a.ownership->before_look = {};
}

TEST_CASE("what is thrown by who is told of a drain's end ends nothing") {
  world w;
  auto& a = w.start("a");
  caf::anon_send(a.keeper, drain_order{[](const caf::error&) {
                   throw std::runtime_error{"the host's own affair"};
                 }});
  w.advance(2 * lease);
  CHECK(a.served() == session_slots);
  CHECK(w.may_begin(a));
}

TEST_CASE("a node whose directory has ended has a successor at once") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  caf::anon_send_exit(a.directory, caf::exit_reason::kill);
  w.run();
  CHECK(a.served() == 0);
  caf::anon_send(b.keeper, look_at_slots{});
  w.advance(moment);
  CHECK(b.served() == session_slots);
}

TEST_CASE("a node whose keeper has ended serves nothing") {
  world w;
  auto& a = w.start("a");
  REQUIRE(w.may_begin(a));
  caf::anon_send_exit(a.keeper, caf::exit_reason::kill);
  w.run();
  CHECK(a.served() == 0);
  CHECK(a.script->arrived.none());
}

TEST_CASE("what a node gives back when it leaves is free at once") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  w.stop(a);
  CHECK(a.served() == 0);
  caf::anon_send(b.keeper, look_at_slots{}); // as links do that have lost a node
  w.advance(moment);
  CHECK(b.served() == session_slots);
}

TEST_CASE("a node whose name another process has come under serves nothing more, and says so") {
  world w;
  auto& a = w.start("a");
  auto& b = w.start("b");
  w.advance(lease);
  const auto again =
      memory_ownership::join(w.table, node("a"), std::make_shared<memory_store>(), lease);
  REQUIRE(again);
  caf::anon_send(a.keeper, look_at_slots{}); // as it does that has a commit refused
  w.advance(moment);
  CHECK(a.served() == 0);
  CHECK(a.script->arrived.none());
  CHECK(a.reports.back() == "replaced");
  const auto drained = w.drain(a);
  REQUIRE(*drained);
  CHECK(is(**drained, errc::store_busy));
  w.advance(2 * lease);
  CHECK(a.served() == 0);
  CHECK(b.served() == session_slots); // the other process does nothing for its lease here
}

} // namespace slot_keeper_test
