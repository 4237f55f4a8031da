// Worlds whose nodes share a store: who owns sessions, and what becomes of them when nodes are
// lost.

#include "support.hpp"

#include <fermata/actors/sim/campaign.hpp>
#include <fermata/actors/sim/expectation.hpp>
#include <fermata/actors/sim/monitors/ownership_monitor.hpp>
#include <fermata/storage/session_slots.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace shared_store_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds lease = 10s;

/// Longer than it takes until others have the sessions of a node that is lost.
constexpr std::chrono::milliseconds takeover = lease + 2 * (lease / 4) + 1s;

/// Notes who gets slots, and which faults hit.
struct slot_log final : sim::witness {
  void slot_changed(sim::world&, const sim::changed_slot& what) override {
    if (what.now.node.empty() || what.now.node == what.before.node)
      return;
    (what.before.has_lease ? handed_over : taken_over).insert(what.slot);
  }
  void fault_hit(sim::world&, const std::string&, sim::fault_kind kind) override {
    hits.insert(kind);
  }

  std::set<std::uint32_t> handed_over;
  std::set<std::uint32_t> taken_over;
  std::set<sim::fault_kind> hits;
};

/// Nodes n1, n2 and n3 over one store, with all monitors.
void add_three(sim::world& world, const sim::node_options& options = {}) {
  world.add_cluster({{"n1", options}, {"n2", options}, {"n3", options}}, sim::shared_store{lease});
  world.watch_promises();
  world.run();
}

std::map<std::string, std::size_t> slots_by_node(const sim::world& world) {
  std::map<std::string, std::size_t> counts;
  for (const auto& slot : world.ownership().slots)
    ++counts[slot.has_lease ? slot.node.str() : ""];
  return counts;
}

/// A session of that node.
session_id session_on(const sim::world& world, const std::string& node) {
  for (int number = 1;; ++number)
    if (const auto id = sid("s" + std::to_string(number)); world.home(id) == node)
      return id;
}

sim::fault fault_at(sim::fault_kind kind, std::chrono::milliseconds at,
                    std::chrono::milliseconds duration, std::string node) {
  sim::fault made;
  made.kind = kind;
  made.node = std::move(node);
  made.at = at;
  made.duration = duration;
  return made;
}

/// Proposes a plan by some node, and expects that it is taken.
void propose(sim::world& world, const session_id& session, const std::string& by) {
  const auto proposed = world.send(session, propose_plan{seed_plan()}, by);
  world.advance(5s);
  REQUIRE(proposed.answer());
  INFO((proposed.accepted() ? "" : message_of(proposed.answer()->error())));
  REQUIRE(proposed.accepted());
}

session_state state(const sim::world& world, const session_id& session) {
  const auto status = world.status(session);
  return status ? status->state : session_state::idle;
}

/// The promise that something breaks, and why.
std::string broken_by(const std::function<void()>& what) {
  try {
    what();
  } catch (const sim::violation& found) {
    return found.what();
  }
  return "nothing";
}

coro::task<json> paid_later(caf::event_based_actor* self) {
  co_await coro::delay(self, 10min);
  co_return "paid";
}

/// A tool that takes long, and whose runs are counted.
sim::node_options paying(const std::shared_ptr<int>& begun, bool idempotent) {
  sim::node_options options;
  options.policy = approval_policy::allow_everything();
  options.setup = [begun, idempotent](agent_registry&, tool_registry& tools) {
    tool pay;
    pay.name = tid("pay");
    pay.idempotent = idempotent;
    pay.run = coroutine_tool{[begun](caf::event_based_actor* self, const tool_context&) {
      ++*begun;
      return paid_later(self);
    }};
    must(tools.add(std::move(pay)));
  };
  return options;
}

propose_plan payment() {
  return propose_plan{
      plan(R"({"goal": "pay", "subtasks": [{"id": "a", "steps": [{"tool": "pay"}]}]})")};
}

} // namespace

TEST_CASE("nodes that share a store own all sessions between them, and each takes commands") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  std::multiset<std::size_t> shares;
  for (const auto& [node, slots] : slots_by_node(world))
    shares.insert(slots);
  CHECK(shares == std::multiset<std::size_t>{85, 85, 86});
  for (const auto& home : world.nodes())
    for (const auto& by : world.nodes()) {
      const auto session = session_on(world, home);
      static_cast<void>(world.send(session, propose_plan{seed_plan()}, by));
      world.run();
      CHECK(state(world, session) == session_state::awaiting_plan_decision);
    }
  world.end();
}

TEST_CASE("the sessions of a node that has died go on elsewhere within a lease and two renewals") {
  sim::world world{1};
  add_three(world);
  auto& seen = world.add(std::make_unique<slot_log>());
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  propose(world, session, "n1");
  world.take_down("n2");
  seen = {};
  world.advance(takeover);
  CHECK(seen.taken_over.size() >= 85);
  CHECK(world.home(session) != "n2");
  CHECK_FALSE(slots_by_node(world).contains("n2"));
  const auto approved = world.send(session, approve_plan(), "n1");
  world.run();
  CHECK(approved.accepted());
  world.bring_up("n2");
  world.advance(takeover);
  CHECK(slots_by_node(world).at("n2") >= 85);
  CHECK_FALSE(seen.handed_over.empty());
  world.end();
}

TEST_CASE("a node that is drained gives all away, and no command is refused meanwhile") {
  sim::world world{3};
  add_three(world);
  world.advance(takeover);
  std::vector<sim::ticket> sent;
  std::optional<caf::error> drained;
  world.drain("n2", [&](const caf::error& how) { drained = how; });
  for (int number = 1; number <= 40; ++number) {
    sent.push_back(world.send(sid("s" + std::to_string(number)), propose_plan{seed_plan()},
                              "n" + std::to_string(1 + number % 3)));
    world.advance(25ms);
  }
  world.advance(lease);
  REQUIRE(drained);
  INFO(message_of(*drained));
  CHECK_FALSE(*drained);
  CHECK_FALSE(slots_by_node(world).contains("n2"));
  for (const auto& one : sent) {
    INFO((one.answer() && !*one.answer() ? message_of(one.answer()->error()) : ""));
    CHECK(one.accepted());
  }
  world.restart("n2");
  world.advance(takeover);
  CHECK(slots_by_node(world).at("n2") >= 85);
  world.end();
}

TEST_CASE("a node that wakes after its sessions were taken over stores nothing of them") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  propose(world, session, "n1");
  world.plan_faults({fault_at(sim::fault_kind::freeze, world.elapsed(), 5min, "n2")});
  world.advance(1s);
  const auto approved = world.send(session, approve_plan(), "n2");
  world.advance(1min);
  CHECK(world.home(session) != "n2");
  CHECK(state(world, session) == session_state::awaiting_plan_decision);
  CHECK_FALSE(approved.answer());
  // What it had been told while it stood still is for whoever has the session then.
  world.advance(5min);
  CHECK(approved.answer());
  world.end();
}

TEST_CASE(
    "P8: somebody is asked for the outcome of a run whose node was lost, without being called") {
  const auto begun = std::make_shared<int>(0);
  sim::world world{1};
  add_three(world, paying(begun, false));
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  static_cast<void>(world.send(session, payment(), "n2"));
  world.advance(1s);
  REQUIRE(*begun == 1);
  world.take_down("n2");
  world.advance(takeover);
  const auto waiting = world.pending(session);
  REQUIRE(waiting.size() == 1);
  CHECK(waiting.front().waiting_for == wait_cause::outcome);
  CHECK(*begun == 1);
}

TEST_CASE("P8: a run whose node was lost begins again elsewhere if its tool is idempotent") {
  const auto begun = std::make_shared<int>(0);
  sim::world world{1};
  add_three(world, paying(begun, true));
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  static_cast<void>(world.send(session, payment(), "n2"));
  world.advance(1s);
  REQUIRE(*begun == 1);
  world.take_down("n2");
  world.advance(takeover + 11min);
  CHECK(*begun == 2);
  CHECK(state(world, session) == session_state::completed);
  world.end();
}

TEST_CASE("P8: a claimed run does not begin on a node whose lease has run out in front of it") {
  const auto begun = std::make_shared<int>(0);
  sim::node_options options;
  options.policy = approval_policy::allow_everything();
  options.setup = [begun](agent_registry&, tool_registry& tools) {
    tool pay;
    pay.name = tid("pay");
    pay.run = blocking_tool{[begun](const tool_context&) {
      ++*begun;
      return json("paid");
    }};
    must(tools.add(std::move(pay)));
  };
  sim::world world{1};
  add_three(world, options);
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  world.hold_tools("n2", true);
  static_cast<void>(world.send(session, payment(), "n2"));
  world.run();
  REQUIRE(world.waiting_functions("n2") == 1);
  world.plan_faults({fault_at(sim::fault_kind::cut_from_store, world.elapsed(), 5min, "n2")});
  world.advance(takeover);
  REQUIRE(world.home(session) != "n2");
  world.hold_tools("n2", false);
  world.advance(1min);
  CHECK(*begun == 0);
  const auto waiting = world.pending(session);
  REQUIRE(waiting.size() == 1);
  CHECK(waiting.front().waiting_for == wait_cause::outcome);
  world.advance(5min);
  CHECK(*begun == 0);
}

TEST_CASE(
    "P8: a node that is frozen between a claim and its run begins it only if it owns it still") {
  for (const auto duration : std::vector<std::chrono::milliseconds>{1s, 1h})
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(duration.count(), seed);
      const auto begun = std::make_shared<int>(0);
      sim::world world{seed};
      add_three(world, paying(begun, false));
      auto& seen = world.add(std::make_unique<slot_log>());
      world.advance(takeover);
      const auto session = session_on(world, "n2");
      world.plan_faults(
          {fault_at(sim::fault_kind::freeze_claimed, world.elapsed(), duration, "n2")});
      world.advance(1ms);
      static_cast<void>(world.send(session, payment(), "n1"));
      world.run();
      CHECK(seen.hits == std::set{sim::fault_kind::freeze_claimed});
      CHECK(*begun == 0);
      world.advance(duration + takeover);
      CHECK(*begun == (duration < lease ? 1 : 0));
      if (duration > lease) {
        const auto waiting = world.pending(session);
        REQUIRE(waiting.size() == 1);
        CHECK(waiting.front().waiting_for == wait_cause::outcome);
      }
    }
}

TEST_CASE("nothing is lost while the store is away for all nodes for a minute") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  propose(world, session, "n1");
  const auto before = world.events(session).size();
  world.plan_faults({fault_at(sim::fault_kind::store_away, world.elapsed(), 1min, "n1")});
  world.advance(30s);
  const auto refused = world.send(session, approve_plan(), "n1");
  world.advance(20s);
  CHECK(refused.answer());
  CHECK_FALSE(refused.accepted());
  CHECK(world.events(session).size() == before);
  world.advance(10s + takeover);
  const auto approved = world.send(session, approve_plan(), "n1");
  world.run();
  CHECK(approved.accepted());
  world.end();
}

TEST_CASE("a node that is cut off from the store alone is taken over, and comes back") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  world.plan_faults({fault_at(sim::fault_kind::cut_from_store, world.elapsed(), 2min, "n2")});
  world.advance(takeover);
  CHECK(world.home(session) != "n2");
  CHECK_FALSE(world.reaches_store("n2"));
  propose(world, session, "n1");
  world.advance(2min + takeover);
  CHECK(world.reaches_store("n2"));
  CHECK(slots_by_node(world).at("n2") >= 85);
  world.end();
}

TEST_CASE("a node whose lease has run out refuses nothing by what it remembers of a session") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  propose(world, session, "n2");
  world.plan_faults({fault_at(sim::fault_kind::cut_from_store, world.elapsed(), 5min, "n2")});
  world.advance(takeover);
  REQUIRE(world.home(session) != "n2");
  const auto approved = world.send(session, approve_plan(), "n1");
  world.run();
  REQUIRE(approved.accepted());
  REQUIRE(world.resident_sessions() == 2); // n2 has it in memory still, as it was
  // There is this call by now, which n2 has not heard of.
  const auto answered = world.send(session, tool_result{call_id{session, 1}, "tea"}, "n2");
  world.advance(30s);
  REQUIRE(answered.answer());
  if (!answered.accepted())
    CHECK(is((*answered.answer()).error(), errc::node_unavailable));
  world.end();
}

TEST_CASE("nodes that reach the store and not each other own no session twice") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  world.plan_faults({fault_at(sim::fault_kind::partition, world.elapsed(), 10min, "n2")});
  world.advance(1min);
  const auto here = session_on(world, "n2");
  const auto elsewhere = session_on(world, "n1");
  propose(world, here, "n2");
  propose(world, elsewhere, "n3");
  const auto refused = world.send(elsewhere, approve_plan(), "n2");
  world.advance(20s);
  REQUIRE(refused.answer());
  REQUIRE_FALSE(refused.accepted());
  CHECK(sim::is_environmental(code_of(refused.answer()->error())));
  world.advance(10min);
  world.end();
}

TEST_CASE("each fault of a shared store hits, and takes no session with it") {
  for (std::size_t number = 0; number < enum_names(sim::fault_kind{}).size(); ++number) {
    const auto kind = static_cast<sim::fault_kind>(number);
    if (!needs_shared_store(kind) || kind == sim::fault_kind::freeze_claimed)
      continue; // nothing is claimed here
    CAPTURE(enum_name(kind));
    sim::world world{number};
    add_three(world);
    auto& seen = world.add(std::make_unique<slot_log>());
    world.advance(takeover);
    const auto session = session_on(world, "n2");
    propose(world, session, "n1");
    world.plan_faults({fault_at(kind, world.elapsed(), 5min, "n2")});
    world.advance(5min + takeover + lease);
    CHECK(seen.hits == std::set{kind});
    const auto approved = world.send(session, approve_plan(), "n3");
    world.run();
    CHECK(approved.accepted());
    world.end();
  }
}

TEST_CASE("a clock of the store that is set takes no session from a node that lives") {
  for (const auto kind : {sim::fault_kind::store_clock_forward, sim::fault_kind::store_clock_back})
    for (const auto by : std::vector<std::chrono::milliseconds>{5s, lease - 1s, 1h})
      for (auto at = 0ms; at < lease / 4; at += 500ms) {
        CAPTURE(enum_name(kind), by.count(), at.count());
        sim::world world{1};
        add_three(world);
        world.advance(takeover);
        auto& seen = world.add(std::make_unique<slot_log>());
        world.plan_faults({fault_at(kind, world.elapsed() + at, by, "n2")});
        world.advance(2 * takeover);
        CHECK(seen.hits == std::set{kind});
        CHECK(seen.taken_over.empty());
        CHECK(seen.handed_over.empty());
        const auto session = session_on(world, "n2");
        propose(world, session, "n1");
        world.end();
      }
}

TEST_CASE("a node that dies when the store's clock is set is taken over a lease later at most") {
  for (const auto kind :
       {sim::fault_kind::store_clock_forward, sim::fault_kind::store_clock_back}) {
    CAPTURE(enum_name(kind));
    sim::world world{1};
    add_three(world);
    world.advance(takeover);
    const auto session = session_on(world, "n2");
    world.take_down("n2");
    world.plan_faults({fault_at(kind, world.elapsed(), 1h, "n1")});
    world.advance(takeover);
    CHECK(world.home(session) != "n2");
    propose(world, session, "n1");
    world.end();
  }
}

TEST_CASE(
    "P8: no effect begins on two nodes though the store's clock ends the lease of the first") {
  const auto begun = std::make_shared<int>(0);
  sim::node_options options;
  options.policy = approval_policy::allow_everything();
  options.setup = [begun](agent_registry&, tool_registry& tools) {
    tool pay;
    pay.name = tid("pay");
    pay.run = blocking_tool{[begun](const tool_context&) {
      ++*begun;
      return json("paid");
    }};
    must(tools.add(std::move(pay)));
  };
  sim::world world{1};
  add_three(world, options);
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  world.hold_tools("n2", true);
  static_cast<void>(world.send(session, payment(), "n2"));
  world.run();
  REQUIRE(world.waiting_functions("n2") == 1);
  // It has claimed the call, and does not hear of what follows.
  world.plan_faults({fault_at(sim::fault_kind::cut_from_store, world.elapsed(), 5min, "n2"),
                     fault_at(sim::fault_kind::store_clock_forward, world.elapsed(), 1h, "n1")});
  world.advance(lease / 2);
  CHECK(world.home(session) == "n2");
  world.hold_tools("n2", false);
  world.run(); // the monitors look
  CHECK(*begun == 1);
  world.advance(5min + takeover);
  CHECK(*begun == 1);
  world.end();
}

TEST_CASE("a node that starts while the store is away comes up when that is back") {
  sim::world world{1};
  add_three(world);
  world.plan_faults({fault_at(sim::fault_kind::cut_from_store, world.elapsed(), 1min, "n2")});
  world.advance(1s);
  world.crash("n2");
  CHECK_FALSE(world.is_up("n2"));
  world.advance(1min);
  CHECK(world.is_up("n2"));
}

TEST_CASE("a world that shares no store says so") {
  sim::world world{1};
  world.add_cluster({{"n1", {}}, {"n2", {}}});
  CHECK_FALSE(world.shares_store());
  CHECK_THROWS_WITH(world.ownership(), "the nodes of this world share no store");
  CHECK_THROWS_WITH(world.drain("n1"), "the nodes of this world share no store");
  CHECK_THROWS_WITH(world.add_cluster({{"n3", {}}}, sim::shared_store{}),
                    "the world has nodes already, and a cluster has all from the beginning");
  sim::world other{1};
  CHECK_THROWS_AS(other.add_cluster({{"n1", {}}}, sim::shared_store{1ms}), std::runtime_error);
}

TEST_CASE("P12: the trace of a seed of a shared store equals itself, and differs from another's") {
  sim::campaign_options options;
  options.share_store = true;
  options.nodes = 3;
  const auto trace_of = [&](std::uint64_t seed) {
    auto played = sim::replay_seed(options, seed);
    INFO((played.failure ? played.failure->text : ""));
    CHECK_FALSE(played.failure);
    return sim::to_text(played.seen);
  };
  const auto once = trace_of(1);
  CHECK(once == trace_of(1));
  CHECK(once != trace_of(2));
  CHECK(contains(once, "slots acquired"));
}

TEST_CASE("worlds of a shared store break no promise under all faults") {
  sim::campaign_options options;
  options.seeds = {1, 8};
  options.share_store = true;
  options.nodes = 3;
  const auto report = sim::run_campaign(options);
  INFO((report.failure ? report.failure->text + "\n" + sim::timeline(report.failure->timeline)
                       : ""));
  CHECK(report.passed());
  CHECK(report.worlds == 8);
  CHECK(report.reached.at("rare/taken_over") + report.reached.at("rare/handed_over") > 0);
}

// -- the monitor

TEST_CASE("what is stored, or begins, on a node that does not own its session is found") {
  sim::world world{1};
  world.add_cluster({{"n1", {}}, {"n2", {}}}, sim::shared_store{lease});
  world.advance(takeover);
  const auto session = session_on(world, "n2");
  sim::ownership_monitor judge;
  const commit raw;
  const std::string owner = "n2";
  const std::string other = "n1";
  judge.stored(world, {owner, session, {}, raw});
  CHECK_NOTHROW(world.run());
  judge.stored(world, {other, session, {}, raw});
  CHECK(broken_by([&] {
          world.end();
        }).starts_with("owned once: session " + session.str() + " is stored by n1"));
  tool pay;
  pay.name = tid("pay");
  tool_context context;
  context.call = call_id{session, 1};
  judge.run_began(world, {owner, pay, context});
  CHECK_NOTHROW(world.run());
  judge.run_began(world, {other, pay, context});
  CHECK(broken_by([&] { world.end(); }).starts_with("owned once: run "));
}

TEST_CASE("an epoch that does not grow with a new owner is found") {
  sim::world world{1};
  world.add_cluster({{"n1", {}}, {"n2", {}}}, sim::shared_store{lease});
  sim::ownership_monitor judge;
  slot_owner before;
  before.node = must(node_name::parse("n1"));
  before.epoch = 4;
  auto now = before;
  now.node = must(node_name::parse("n2"));
  now.epoch = 5;
  judge.slot_changed(world, {7, before, now, false});
  CHECK_NOTHROW(world.run());
  now.epoch = 4;
  judge.slot_changed(world, {7, before, now, false});
  CHECK(broken_by([&] { world.end(); }).starts_with("owned once: slot 7 "));
}

TEST_CASE("a slot that is taken from a node that still begins effects is found") {
  sim::world world{1};
  world.add_cluster({{"n1", {}}, {"n2", {}}}, sim::shared_store{lease});
  sim::ownership_monitor judge;
  slot_owner before;
  before.node = must(node_name::parse("n1"));
  auto now = before;
  now.epoch = 1;
  judge.slot_changed(world, {7, before, now, true});
  CHECK_NOTHROW(world.run());
  now.node = must(node_name::parse("n2"));
  judge.slot_changed(world, {7, before, now, true});
  CHECK(contains(broken_by([&] { world.end(); }), "while n1 goes by its lease"));
}

TEST_CASE("sessions that nobody takes over although somebody could are found") {
  sim::world world{1};
  add_three(world);
  world.advance(takeover);
  // The others cannot, and the world does not know why.
  world.store("n1").set_reachable(false);
  world.store("n3").set_reachable(false);
  world.take_down("n2");
  CHECK(broken_by([&] { world.advance(2 * takeover + lease); }).starts_with("taken over: slot "));
}

} // namespace shared_store_test
