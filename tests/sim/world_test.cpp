// What a simulated world does with nodes, time and faults, seen from outside.

#include "../actors/faults.hpp"

#include <set>

namespace world_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Notes all that a witness is told, in words.
struct notebook final : sim::witness {
  void stored(sim::world&, const sim::stored_commit& what) override {
    for (const auto& one : what.events)
      lines.push_back(what.node + " stored " + std::string{name_of(one.body)});
  }
  void sent(sim::world&, const sim::sent_command& what) override {
    lines.push_back(what.node + " sent " + std::string{name_of(what.body)});
  }
  void answered(sim::world&, const sim::command_answer& what) override {
    lines.push_back(
        "answered " + std::string{name_of(what.body)}
        + (what.answer ? "" : " " + std::string{name_of(code_of(what.answer.error()))}));
  }
  void run_began(sim::world&, const sim::tool_run& what) override {
    lines.push_back("run of " + what.what.name.str());
  }
  void run_ended(sim::world&, const sim::ended_tool_run& what) override {
    lines.push_back(what.cut_off ? "run cut off" : what.content ? "run succeeded" : "run failed");
  }
  void node_down(sim::world&, const std::string& node) override { lines.push_back(node + " down"); }
  void node_up(sim::world&, const std::string& node) override { lines.push_back(node + " up"); }
  void fault_hit(sim::world&, const std::string&, sim::fault_kind kind) override {
    hits.insert(kind);
  }
  [[nodiscard]] bool has(std::string_view line) const {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }
  [[nodiscard]] std::size_t count(std::string_view line) const {
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line));
  }

  std::vector<std::string> lines;
  std::set<sim::fault_kind> hits;
};

sim::fault make_fault(sim::fault_kind kind, std::chrono::milliseconds at,
                      std::chrono::milliseconds duration = 0ms, std::string node = "n1") {
  sim::fault made;
  made.kind = kind;
  made.node = std::move(node);
  made.at = at;
  made.duration = duration;
  return made;
}

sim::world_options allowing_options() {
  sim::world_options options;
  options.policy = approval_policy::allow_everything();
  return options;
}

coro::task<json> paid() {
  co_return "paid";
}

/// Nodes n1 and n2, of which n2 is the home of `sid()`.
void add_two(sim::world& world) {
  world.add_cluster({{"n1", {}}, {"n2", {}}});
  REQUIRE(world.home(sid()) == "n2");
}

/// A person and a host on some node, who answer what is pending again and again.
void answer_all(sim::world& world, const session_id& session, const std::string& from) {
  for (const auto& item : world.pending(session))
    (void)world.send(session,
                     item.kind == pending_kind::plan
                         ? command{approve_plan(plan_id::parse(item.id)->revision())}
                     : item.waiting_for == wait_cause::decision
                         ? command{decide_call{*call_id::parse(item.id), call_verdict::approve}}
                         : command{tool_result{*call_id::parse(item.id), "said"}},
                     from);
}

session_state state(const sim::world& world, const session_id& session) {
  const auto status = world.status(session);
  return status ? status->state : session_state::idle;
}

/// Lets a session come to its end, looked after from node `from`.
bool finish(sim::world& world, const session_id& session, const std::string& from) {
  for (int round = 0; round < 200; ++round) {
    if (!world.status(session))
      (void)world.send(session, propose_plan{seed_plan()}, from);
    answer_all(world, session, from);
    world.advance(1min);
    if (state(world, session) == session_state::completed)
      return true;
  }
  return false;
}

} // namespace

TEST_CASE("a witness sees what is sent, stored and answered, in this order") {
  sim::world world{1, {}};
  auto& seen = world.add(std::make_unique<notebook>());
  accept(world, propose_plan{seed_plan()});
  CHECK(seen.lines
        == std::vector<std::string>{"n1 sent propose_plan", "n1 stored session_created",
                                    "n1 stored plan_proposed", "n1 stored state_changed",
                                    "answered propose_plan"});
  (void)refuse(world, approve_plan(7));
  CHECK(seen.lines.back() == "answered decide_plan unknown_approval");
}

TEST_CASE("a witness sees runs of tools begin and end, also those that a crash cuts off") {
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    tool slow;
    slow.name = tid("slow");
    slow.run =
        coroutine_tool{[](caf::event_based_actor* self, const tool_context&) -> coro::task<json> {
          co_await coro::delay(self, 1min);
          co_return "done";
        }};
    must(tools.add(slow));
  });
  sim::world world{1, options};
  auto& seen = world.add(std::make_unique<notebook>());
  accept(world, propose_plan{script_plan(R"({"tool": "slow"})")});
  CHECK(seen.count("run of slow") == 1);
  world.crash();
  CHECK(seen.has("run cut off"));
  wake(world);
  accept(world, resolve_outcome{cid(1), outcome_resolution::rerun});
  world.advance(2min);
  CHECK(seen.count("run of slow") == 2);
  CHECK(seen.has("run succeeded"));
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P12: the trace of a seed equals itself, and differs from that of another seed") {
  const auto run = [](std::uint64_t seed) {
    sim::world world{seed};
    add_two(world);
    world.keep_trace();
    world.faults(sim::fault_mix{5min}, 3h);
    CHECK(finish(world, sid(), "n1"));
    return sim::to_text(world.trace());
  };
  const auto once = run(3);
  CHECK(once.size() > 1'000);
  CHECK(once == run(3));
  CHECK(once != run(4));
}

TEST_CASE("each fault that is planned hits, and no session is lost by it") {
  for (std::size_t kind = 0; kind < enum_names(sim::fault_kind{}).size(); ++kind) {
    const auto fault = static_cast<sim::fault_kind>(kind);
    if (needs_shared_store(fault))
      continue; // shared_store_test.cpp
    CAPTURE(enum_names(fault)[kind]);
    sim::world world{kind + 1};
    add_two(world);
    auto& seen = world.add(std::make_unique<notebook>());
    world.plan_faults({make_fault(fault, 30s, 5min, "n2")});
    CHECK(finish(world, sid(), "n1"));
    CHECK(seen.hits == std::set{fault});
    CHECK(world.store("n2").verify().sound());
  }
}

TEST_CASE("a node of a cluster takes what is for another one, and says when that is down") {
  sim::world world{1};
  add_two(world);
  const auto proposed = world.send(sid(), propose_plan{seed_plan()}, "n1");
  world.run();
  CHECK(proposed.accepted());
  world.take_down("n2");
  world.run();
  const auto approved = world.send(sid(), approve_plan(), "n1");
  world.run();
  REQUIRE(approved.answer());
  CHECK(is(approved.answer()->error(), errc::node_unavailable));
  CHECK(state(world, sid()) == session_state::awaiting_plan_decision);
  world.bring_up("n2");
  world.advance(2min);
  const auto again = world.send(sid(), approve_plan(), "n1");
  world.run();
  CHECK(again.accepted());
}

TEST_CASE("what a partition keeps back is carried out when it is mended, as its sender was told") {
  sim::world world{1};
  add_two(world);
  const auto proposed = world.send(sid(), propose_plan{seed_plan()}, "n1");
  world.run();
  REQUIRE(proposed.accepted());
  world.plan_faults({make_fault(sim::fault_kind::partition, world.elapsed(), 30s, "n1")});
  world.advance(1s);
  const auto approved = world.send(sid(), approve_plan(), "n1");
  world.advance(20s);
  REQUIRE(approved.answer());
  CHECK(is(approved.answer()->error(), errc::timed_out));
  const auto refused = world.send(sid(), approve_plan(), "n1");
  world.run();
  REQUIRE(refused.answer());
  CHECK(is(refused.answer()->error(), errc::node_unavailable));
  CHECK(state(world, sid()) == session_state::awaiting_plan_decision);
  world.advance(20s);
  CHECK(state(world, sid()) == session_state::waiting);
  const auto again = world.send(sid(), approve_plan(), "n1");
  world.run();
  REQUIRE(again.accepted());
  CHECK((*again.answer())->kind == receipt_kind::duplicate);
}

TEST_CASE("a world has a cluster or nodes that reach nobody, and says so") {
  sim::world world{1};
  world.add_node("n1");
  CHECK_THROWS_WITH(world.add_cluster({{"n2", {}}, {"n3", {}}}),
                    "the world has nodes already, and a cluster has all from the beginning");
  CHECK_THROWS_WITH(world.send(sid(), propose_plan{seed_plan()}, "n2"),
                    "node n2 reaches no other one: it is in no cluster");
  sim::world clustered{1};
  add_two(clustered);
  CHECK_THROWS_WITH(clustered.add_node("n3"), "the world's nodes are those of its cluster");
}

TEST_CASE("a frozen node does nothing, and goes on where it stood") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  world.plan_faults({make_fault(sim::fault_kind::freeze, world.elapsed(), 10min)});
  world.advance(1s);
  const auto approved = world.send(sid(), approve_plan());
  world.advance(5min);
  CHECK_FALSE(approved.answer());
  world.advance(6min);
  CHECK(approved.accepted());
}

TEST_CASE("a full disk lasts as long as was planned") {
  sim::world world{1, {}};
  world.plan_faults({make_fault(sim::fault_kind::disk_full, 0ms, 10min)});
  world.advance(1s);
  CHECK(is(refuse(world, propose_plan{seed_plan()}), errc::disk_full));
  world.advance(9min);
  CHECK(is(refuse(world, propose_plan{seed_plan()}), errc::disk_full));
  world.advance(1min);
  accept(world, propose_plan{seed_plan()});
}

TEST_CASE("a fault that is left out does not happen, and the others do") {
  const auto crashes_without = [](std::set<std::size_t> left_out) {
    sim::world world{1, {}};
    world.leave_out(std::move(left_out));
    world.plan_faults({make_fault(sim::fault_kind::crash, 1min),
                       make_fault(sim::fault_kind::crash, 2min),
                       make_fault(sim::fault_kind::crash, 3min)});
    world.advance(10min);
    return world.crashes();
  };
  CHECK(crashes_without({}) == 3);
  CHECK(crashes_without({1}) == 2);
  CHECK(crashes_without({0, 1, 2}) == 0);
}

TEST_CASE("stop_faults ends what lasts, and what was planned for later") {
  sim::world world{1, {}};
  world.plan_faults({make_fault(sim::fault_kind::disk_full, 0ms, 100h),
                     make_fault(sim::fault_kind::crash, 1min, 100h),
                     make_fault(sim::fault_kind::crash, 1h)});
  world.advance(2min);
  CHECK_FALSE(world.is_up("n1"));
  world.stop_faults();
  CHECK(world.is_up("n1"));
  accept(world, propose_plan{seed_plan()});
  world.advance(2h);
  CHECK(world.crashes() == 1);
}

TEST_CASE("an invariant of one's own is asked after each turn, and what it says is thrown") {
  sim::world world{1, {}};
  world.invariant("few events", [](sim::world& of) {
    return of.events(sid()).size() > 5 ? std::string{"more than 5 events"} : std::string{};
  });
  accept(world, propose_plan{seed_plan()});
  try {
    (void)world.send(sid(), approve_plan());
    world.run();
    FAIL("nothing was thrown");
  } catch (const sim::violation& broken) {
    CHECK(broken.promise() == "few events");
    CHECK(broken.text() == "more than 5 events");
  }
}

TEST_CASE("a node starts with a copy of the store that it is given") {
  sim::world_options options;
  const auto store = std::make_shared<memory_store>();
  options.store = store;
  const auto empty = store->fingerprint();
  for (const std::uint64_t seed : {1, 2}) {
    sim::world world{seed, options};
    CHECK(world.events(sid()).empty());
    accept(world, propose_plan{seed_plan()});
  }
  CHECK(store->fingerprint() == empty);
}

TEST_CASE("the trace has the faults that hit, and the node that a command was answered by") {
  sim::world world{1, {}};
  world.keep_trace();
  world.plan_faults({make_fault(sim::fault_kind::crash_after, 0ms),
                     make_fault(sim::fault_kind::crash, 1min, 2min),
                     make_fault(sim::fault_kind::freeze, 2min, 1min),
                     make_fault(sim::fault_kind::crash_before, 4min)});
  world.advance(1s);
  (void)world.send(sid(), propose_plan{seed_plan()});
  world.advance(5min);
  (void)refuse(world, approve_plan(7));
  const auto text = sim::timeline(world.trace());
  INFO(text);
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  CHECK(has("n1  -   fault: hit by crash_after"));
  CHECK(has("n1  -   fault: n1 crashes"));
  CHECK_FALSE(has("frozen"));       // it was down
  CHECK_FALSE(has("crash_before")); // nothing was committed
  CHECK(has("n1  s1  answered decide_plan: unknown_approval"));
}

TEST_CASE("faults are not drawn for a world that has no node") {
  sim::world world{1};
  CHECK_THROWS_WITH(world.faults(sim::fault_mix{5min}, 3h), "the world has no node; add one");
}

TEST_CASE("P6: what goes on for ever while no time passes is a violation") {
  sim::world world{1, {}};
  std::function<void()> again = [&] { world.after(0ms, again); };
  again();
  try {
    world.advance(1s);
    FAIL("nothing was thrown");
  } catch (const sim::violation& broken) {
    CHECK(broken.promise() == "P6");
    CHECK(broken.text() == "1000000 turns were taken, and no time has passed");
  }
}

TEST_CASE("years of virtual time pass in no time") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  world.advance(std::chrono::hours{24 * 365 * 3});
  CHECK(world.now().time_since_epoch() > std::chrono::hours{24 * 365 * 62});
  accept(world, approve_plan());
}

TEST_CASE("a fault that waits for turns comes into the middle of things") {
  sim::world in{1, allowing_options()};
  auto fault = make_fault(sim::fault_kind::crash, 1min);
  fault.turns = 2;
  in.plan_faults({fault});
  in.advance(1h);
  CHECK(in.crashes() == 0); // nothing moves
  const auto sent =
      in.send(sid(), propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a"}]})")});
  in.run();
  CHECK(in.crashes() == 1);
  CHECK(sent.lost());
  in.plan_faults({fault});
  in.advance(1h);
  in.stop_faults();
  accept(in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a"}]})")});
  CHECK(in.crashes() == 1);
}

TEST_CASE("a node whose disk was slow for a moment is calm behind it") {
  sim::world in{1, allowing_options()};
  in.plan_faults({make_fault(sim::fault_kind::slow_commits, 0ms, 1ms)});
  const auto sent =
      in.send(sid(), propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a"}]})")});
  in.advance(1s);
  CHECK(sent.accepted());
  CHECK(in.is_calm("n1"));
}

TEST_CASE("a process whose store dies while it stops has crashed") {
  sim::world in{1, allowing_options()};
  const auto sent =
      in.send(sid(), propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a"}]})")});
  in.store().fail_next(memory_fault::crash_after);
  in.restart();
  CHECK(in.crashes() == 1);
  CHECK(sent.lost());
  CHECK(facts<plan_proposed>(in).size() == 1);
}

TEST_CASE("a dead process begins no tool") {
  std::size_t began = 0;
  for (std::uint64_t turns = 1; turns <= 60; ++turns) {
    sim::world* seen = nullptr;
    auto options = allowing_options();
    options.setup = [&](agent_registry&, tool_registry& tools) {
      tool made;
      made.name = *tool_name::parse("pay");
      made.idempotent = true;
      made.run =
          coroutine_tool{[&](caf::event_based_actor*, const tool_context&) -> coro::task<json> {
            ++began;
            CHECK(seen->is_up("n1"));
            return paid();
          }};
      REQUIRE_FALSE(tools.add(std::move(made)));
    };
    sim::world in{turns, options};
    seen = &in;
    auto fault = make_fault(sim::fault_kind::crash, 0ms);
    fault.turns = turns;
    in.plan_faults({fault});
    in.advance(1ms);
    static_cast<void>(in.send(sid(), propose_plan{plan(R"({"goal": "g", "subtasks":
        [{"id": "a", "steps": [{"tool": "pay", "arguments": {}}]}]})")}));
    in.advance(1h);
  }
  CHECK(began > 0);
}

TEST_CASE("no faults are drawn where none of the kinds that are wanted can be") {
  sim::fault_mix mix{1min};
  mix.weights = {{sim::fault_kind::partition, 1}};
  sim::seeded_random random{1, "faults"};
  CHECK(sim::draw_faults(mix, {"n1"}, 24h, random).empty());
  CHECK_FALSE(sim::draw_faults(mix, {"n1", "n2"}, 24h, random).empty());
}

TEST_CASE("half of the faults that are drawn come into the middle of things") {
  sim::seeded_random random{1, "faults"};
  const auto drawn = sim::draw_faults(sim::fault_mix{1min}, {"n1"}, 24h, random);
  const auto waiting =
      std::count_if(drawn.begin(), drawn.end(), [](const auto& one) { return one.turns > 0; });
  CHECK(waiting > static_cast<std::ptrdiff_t>(drawn.size()) / 3);
  CHECK(waiting < static_cast<std::ptrdiff_t>(drawn.size()) * 2 / 3);
}

} // namespace world_test
