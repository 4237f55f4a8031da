// Nodes whose wall clocks differ by an hour, in both kinds of cluster: timers go by the clock of
// the node that has the session, nothing is lost, and nothing happens twice.

#include "support.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/actors/sim/campaign.hpp>
#include <fermata/storage/session_export.hpp>

#include <algorithm>
#include <set>
#include <sstream>

namespace clock_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds lease = 1min;
constexpr std::chrono::milliseconds takeover = lease + 2 * (lease / 4) + 1s;

sim::node_options allowing() {
  sim::node_options options;
  options.policy = approval_policy::allow_everything();
  return options;
}

sim::fault off_by(std::chrono::milliseconds offset, std::string node) {
  sim::fault made;
  made.kind = sim::fault_kind::clock_offset;
  made.node = std::move(node);
  made.duration = offset;
  return made;
}

/// Nodes n1, n2 and n3 with all monitors. `sid()` lives on n2 in both kinds of cluster.
void add_three(sim::world& world, bool share_store) {
  const std::map<std::string, sim::node_options> nodes{
      {"n1", allowing()}, {"n2", allowing()}, {"n3", allowing()}};
  if (share_store)
    world.add_cluster(nodes, sim::shared_store{lease});
  else
    world.add_cluster(nodes);
  world.watch_promises();
  world.run();
  world.advance(takeover);
}

/// A session of that node.
session_id session_on(const sim::world& world, const std::string& node) {
  for (int number = 1;; ++number)
    if (const auto id = sid("s" + std::to_string(number)); world.home(id) == node)
      return id;
}

plan_spec shop_plan(std::string_view subtask) {
  return plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [)"
              + std::string{subtask} + "]}");
}

/// Something that happens by itself two hours after it began.
struct waiting {
  const char* name;
  const char* subtask;
  /// How often it has happened.
  std::function<std::ptrdiff_t(const std::vector<event>&)> fired;
};

template <class Fact>
std::ptrdiff_t count(const std::vector<event>& events) {
  return std::count_if(events.begin(), events.end(),
                       [](const event& one) { return std::holds_alternative<Fact>(one.body); });
}

std::vector<waiting> kinds_of_waiting() {
  return {
      {"time limit", R"({"id": "t", "time_limit_ms": 7200000, "steps": [{"tool": "ask"}]})",
       count<subtask_failed>},
      {"expiry",
       R"({"id": "t", "steps": [{"tool": "ask", "expires_after_ms": 7200000, "on_error": "continue"}]})",
       count<call_answered>},
      {"sleep", R"({"id": "t", "steps": [{"sleep_ms": 7200000}]})", count<subtask_woke>},
      {"suspension", R"({"id": "t", "steps": [{"tool": "ask"}]})", count<session_resumed>},
      {"plan deadline", R"({"id": "t", "steps": [{"tool": "ask"}]})", count<plan_ended>}};
}

void accept(sim::world& world, const session_id& session, command body, const std::string& by) {
  const auto sent = world.send(session, std::move(body), by);
  world.advance(5s);
  REQUIRE(sent.answer());
  INFO((sent.accepted() ? "" : message_of(sent.answer()->error())));
  REQUIRE(sent.accepted());
}

/// By the clock of its node.
void begin_waiting(sim::world& world, const session_id& session, const waiting& what) {
  accept(world, session, propose_plan{shop_plan(what.subtask)}, "n1");
  const auto now = world.now(world.home(session));
  if (what.name == std::string_view{"suspension"}) {
    suspend_session held{"lunch"};
    held.until = now + 2h;
    accept(world, session, held, "n1");
  }
  if (what.name == std::string_view{"plan deadline"})
    accept(world, session, set_deadline{now + 2h}, "n1");
}

bool is_in_order_of_time(const std::vector<event>& events) {
  return std::is_sorted(events.begin(), events.end(),
                        [](const event& one, const event& other) { return one.at < other.at; });
}

std::string exported(store& from, const session_id& session) {
  std::ostringstream text;
  must(export_session(from, session, [&](std::string_view line) -> caf::error {
    text << line;
    return {};
  }));
  return text.str();
}

} // namespace

TEST_CASE("each node of a cluster has a clock of its own, which passes as fast and outlives it") {
  sim::world world{1};
  add_three(world, false);
  const auto before = world.now();
  world.plan_faults({off_by(1h, "n1"), off_by(-1h, "n2")});
  world.advance(1min);
  CHECK(world.now() == before + 1min);
  CHECK(world.now("n1") == world.now() + 1h);
  CHECK(world.now("n2") == world.now() - 1h);
  CHECK(world.now("n3") == world.now());
  CHECK(world.latest_now() == world.now("n1"));
  world.set_clock("n3", world.now() + 2h);
  world.crash("n1");
  world.set_clock(world.now() + 10min);
  world.advance(1min);
  CHECK(world.now() == before + 12min);
  CHECK(world.now("n1") == world.now() + 1h);
  CHECK(world.latest_now() == world.now("n3"));
  CHECK(world.now("n3") == world.now() + 2h);
}

TEST_CASE("where sessions stay, what one waits for comes as late as its node's clock says") {
  for (const auto& what : kinds_of_waiting())
    for (const auto offset : {-1h, 1h}) {
      CAPTURE(what.name, offset.count());
      sim::world world{1};
      add_three(world, false);
      const auto session = session_on(world, "n2");
      world.plan_faults({off_by(-offset, "n1"), off_by(offset, "n2"), off_by(-offset, "n3")});
      world.advance(1s);
      begin_waiting(world, session, what);
      world.advance(2h - 1min);
      CHECK(what.fired(world.events(session)) == 0);
      world.advance(1min);
      CHECK(what.fired(world.events(session)) == 1);
      world.advance(48h);
      CHECK(what.fired(world.events(session)) == 1);
      CHECK(is_in_order_of_time(world.events(session)));
      world.end();
    }
}

TEST_CASE("after a takeover what a session waits for is early or late by what the clocks differ") {
  for (const auto& what : kinds_of_waiting())
    for (const auto offset : {-1h, 1h}) {
      CAPTURE(what.name, offset.count());
      sim::world world{1};
      add_three(world, true);
      const auto session = session_on(world, "n2");
      world.plan_faults({off_by(-offset, "n1"), off_by(offset, "n2"), off_by(-offset, "n3")});
      world.advance(1s);
      begin_waiting(world, session, what);
      world.take_down("n2");
      world.advance(takeover);
      REQUIRE(world.home(session) != "n2");
      // A clock that is two hours further: at once; one that is two hours behind: in four.
      if (offset > 0h) {
        world.advance(3h + 55min);
        CHECK(what.fired(world.events(session)) == 0);
        world.advance(5min);
      } else {
        world.advance(1min);
      }
      CHECK(what.fired(world.events(session)) == 1);
      world.bring_up("n2"); // and home again, perhaps
      world.advance(5h);
      CHECK(what.fired(world.events(session)) == 1);
      world.end();
    }
}

TEST_CASE("a session whose events are not in the order of their times is as good as any other") {
  sim::world world{1};
  add_three(world, true);
  const auto session = session_on(world, "n2");
  world.plan_faults({off_by(1h, "n2"), off_by(-1h, "n1"), off_by(-1h, "n3")});
  world.advance(1s);
  accept(world, session,
         propose_plan{shop_plan(R"({"id": "t", "steps": [{"tool": "ask"}, {"tool": "ask"}]})")},
         "n1");
  accept(world, session, tool_result{call_id{session, 1}, "tea"}, "n3");
  world.take_down("n2");
  world.advance(takeover);
  accept(world, session, tool_result{call_id{session, 2}, "milk"}, "n3");
  const auto again = world.send(session, tool_result{call_id{session, 1}, "tea"}, "n1");
  world.run();
  REQUIRE(again.accepted());
  CHECK((*again.answer())->kind == receipt_kind::duplicate);
  const auto events = world.events(session);
  REQUIRE_FALSE(is_in_order_of_time(events));
  CHECK(must(world.status(session)).state == session_state::completed);

  auto& store = world.store("n1");
  const auto moves = must(query_history(store, session)).moves;
  CHECK(std::is_sorted(moves.begin(), moves.end(), [](const auto& one, const auto& other) {
    return one.number < other.number;
  }));
  memory_store elsewhere;
  const auto text = exported(store, session);
  std::istringstream lines{text};
  must(import_session(elsewhere, lines_of(lines)));
  CHECK(exported(elsewhere, session) == text);
  CHECK(elsewhere.verify().problems == std::vector<std::string>{});
  CHECK(store.verify().problems == std::vector<std::string>{});
  world.end();
}

TEST_CASE(
    "a deadline is judged by the clock of the session's node, and the refusal says its time") {
  sim::world world{1};
  add_three(world, false);
  const auto session = session_on(world, "n2");
  world.plan_faults({off_by(1h, "n2")});
  world.advance(1s);
  accept(world, session, propose_plan{seed_plan()}, "n1");
  const auto refused = world.send(session, set_deadline{world.now() + 30min}, "n1");
  world.run();
  REQUIRE(refused.answer());
  REQUIRE_FALSE(refused.accepted());
  CHECK(is(refused.answer()->error(), errc::invalid_field));
  CHECK(contains(message_of(refused.answer()->error()),
                 std::to_string(world.now("n2").time_since_epoch().count())));
}

TEST_CASE("a clock that jumps is that of one node of a cluster, and of a world without any") {
  sim::fault jump;
  jump.kind = sim::fault_kind::clock_forward;
  jump.duration = 40min;
  jump.node = "n2";
  sim::world world{1};
  add_three(world, false);
  world.plan_faults({jump});
  const auto before = world.now();
  world.advance(1min);
  CHECK(world.now() == before + 1min);
  CHECK(world.now("n2") == world.now() + 40min);
  jump.node = "n1";
  sim::world alone{1, {}};
  alone.plan_faults({jump});
  const auto then = alone.now();
  alone.advance(1min);
  CHECK(alone.now() == then + 41min);
  CHECK(alone.now("n1") == alone.now());
}

TEST_CASE("each node of a cluster is drawn a clock that is off by an hour at most") {
  const auto offsets = [](const sim::fault_mix& mix, const std::vector<std::string>& nodes) {
    std::vector<sim::fault> found;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      sim::seeded_random random{seed, "faults"};
      for (auto& one : sim::draw_faults(mix, nodes, 24h, random))
        if (one.kind == sim::fault_kind::clock_offset)
          found.push_back(std::move(one));
    }
    return found;
  };
  const auto drawn = offsets({}, {"n1", "n2", "n3"});
  REQUIRE(drawn.size() == 300);
  const auto [least, most] =
      std::minmax_element(drawn.begin(), drawn.end(), [](const auto& one, const auto& other) {
        return one.duration < other.duration;
      });
  CHECK((least->duration >= -1h && least->duration < -50min));
  CHECK((most->duration <= 1h && most->duration > 50min));
  CHECK(std::all_of(drawn.begin(), drawn.end(),
                    [](const auto& one) { return one.at == 0ms && one.turns == 0; }));
  CHECK(offsets({}, {"n1"}).empty());
  sim::fault_mix mix;
  mix.weights = {{sim::fault_kind::crash, 1}};
  CHECK(offsets(mix, {"n1", "n2"}).empty());
  mix.weights[sim::fault_kind::clock_offset] = 1;
  CHECK(offsets(mix, {"n1", "n2"}).size() == 200);
  CHECK(describe(off_by(-59min, "n2")) == "n2 has a clock that is 59 min behind");
  CHECK(describe(off_by(59min, "n2")) == "n2 has a clock that is 59 min ahead");
}

TEST_CASE("worlds whose nodes' clocks differ show it in their trace, and break no promise") {
  for (const bool share_store : {false, true}) {
    sim::campaign_options options;
    options.share_store = share_store;
    options.nodes = 3;
    options.faults.emplace(20min).weights = {{sim::fault_kind::clock_offset, 1},
                                             {sim::fault_kind::clock_forward, 1},
                                             {sim::fault_kind::clock_back, 1},
                                             {sim::fault_kind::crash, 1}};
    options.seeds = {1, 5};
    options.on_trace = [](std::uint64_t, const sim::trace& seen) {
      CHECK(contains(sim::to_text(seen), "fault: n1 has a clock that is "));
    };
    const auto report = sim::run_campaign(options);
    INFO((report.failure ? report.failure->text + "\n" + sim::timeline(report.failure->timeline)
                         : ""));
    CHECK(report.passed());
    CHECK(report.reached.at("fault/clock_offset") == 15);
  }
}

} // namespace clock_test
