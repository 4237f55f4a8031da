// The monitors are silent over true stories: everything that sessions can do, with a fault at every
// single commit, crashes between events, and clocks that jump.

#include "../actors/support.hpp"

#include <fermata/actors/sim/random.hpp>

namespace watched_story_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Says something, calls two tools at once, hands the subtask over, and finishes with what it got.
coro::task<step> talker(step_context& ctx) {
  switch (ctx.transcript.size()) {
  case 0:
    co_return step::say("Let me see.");
  case 1: {
    std::vector<tool_request> requests;
    requests.emplace_back(tid("look"), json{{"at", "tea"}});
    requests.emplace_back(tid("ask"), json::object());
    co_return step::calls("Two at once.", std::move(requests));
  }
  case 3:
    co_await coro::delay(ctx.self, 10s);
    co_return step::hand_over("closer", "your turn");
  default:
    co_return step::fail_retryable("lost the thread");
  }
}

coro::task<step> closer(step_context& ctx) {
  co_return step::finish(ctx.transcript.size());
}

/// Turns a message into a plan.
coro::task<step> planner(step_context& ctx) {
  if (ctx.transcript.empty())
    co_return step::propose(plan_spec{});
  co_return step::propose(plan(R"({"goal": "small", "subtasks": [{"id": "only", "result": 1}]})"));
}

/// Proposes a plan in which its own subtask goes on.
coro::task<step> extender(step_context& ctx) {
  if (ctx.transcript.size() > 1)
    co_return step::finish(ctx.transcript.size());
  plan_spec more;
  more.goal = "more";
  more.subtasks.push_back(ctx.subtask);
  more.subtasks.emplace_back().id = stid("added");
  co_return step::propose(std::move(more));
}

tool coroutine(std::string_view name, bool idempotent) {
  tool made;
  made.name = tid(name);
  made.idempotent = idempotent;
  made.time_limit = 1min;
  made.retry = {4, 1s, 10s};
  made.run = coroutine_tool{
      [](caf::event_based_actor* self, const tool_context& context) -> coro::task<json> {
        const auto run = context.run;
        co_await coro::delay(self, 5s);
        if (run == 1)
          throw coro::failure{make_error(errc::tool_unavailable, "not now")};
        if (run == 2)
          co_await coro::delay(self, 1h); // longer than it may take
        co_return json(run);
      }};
  return made;
}

tool blocking(std::string_view name, bool reconciles) {
  tool made;
  made.name = tid(name);
  made.run = blocking_tool{[](const tool_context& context) -> result<json> {
    return json{{"bought", context.arguments}};
  }};
  if (reconciles)
    made.reconcile = [](const tool_context& context) -> result<reconciliation> {
      return context.call.number() % 2 == 0 ? reconciliation::did_not_happen()
                                            : reconciliation::happened("found out");
    };
  return made;
}

sim::world_options everything() {
  auto options = options_with([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("talker", talker));
    must(agents.add("closer", closer));
    must(agents.add("planner", planner));
    must(agents.add("extender", extender));
    must(tools.add(coroutine("look", true)));
    must(tools.add(coroutine("fetch", false)));
    must(tools.add(blocking("buy", false)));
    must(tools.add(blocking("pay", true)));
  });
  options.planner = *agent_name::parse("planner");
  options.policy = *approval_policy::parse(R"({"rules": [
    {"match": {"kind": "plan", "agent": "planner"}, "action": "allow"},
    {"match": {"kind": "plan"}, "action": "ask", "expires_after_ms": 864000000},
    {"match": {"tool": "look"}, "action": "allow"},
    {"match": {"tool": "buy", "arguments": {"/item": {"equals": "rum"}}}, "action": "deny"}],
    "default": "ask"})");
  return options;
}

plan_spec big_plan() {
  return plan(R"({"goal": "everything", "tools": {"ask": {"kind": "client"}}, "subtasks": [
    {"id": "tea", "steps": [{"tool": "buy", "arguments": {"item": "tea"}},
                            {"tool": "buy", "arguments": {"item": "rum"}},
                            {"tool": "ask"}], "retry": {"max_attempts": 2}},
    {"id": "both", "depends_on": ["tea"], "steps": [
      {"calls": [{"tool": "pay", "arguments": {"sum": 1}}, {"tool": "ask"},
                 {"tool": "ask_human", "arguments": {"question": "how many?",
                    "schema": {"type": "integer"}}}], "on_error": "continue"},
      {"sleep_ms": 7200000}, {"tool": "fetch"}]},
    {"id": "talk", "agent": "talker", "retry": {"max_attempts": 3}, "time_limit_ms": 7200000},
    {"id": "late", "steps": [{"tool": "ask", "expires_after_ms": 60000}]},
    {"id": "more", "agent": "extender"},
    {"id": "end", "depends_on": ["both", "talk"], "result": {"$ref": "/results/both"}}]})");
}

/// People, hosts and operators who say all sorts of things, drawn from the world's seed.
class crowd {
public:
  explicit crowd(sim::world& world) : world_{world}, random_{world.random("crowd")} {}

  /// One round: somebody says something, time passes.
  void act() {
    const auto pending = world_.pending(sid());
    for (const auto& item : pending)
      if (random_.chance(0.8))
        answer(item);
    if (random_.chance(0.4))
      meddle();
    if (random_.chance(0.5))
      world_.run();
    world_.advance(random_.between(1ms, random_.chance(0.7) ? 90s : 5h));
  }

private:
  void say(command body) {
    const int times = random_.chance(0.3) ? 2 : 1;
    for (int i = 0; i < times; ++i)
      (void)world_.send(sid(), body);
  }

  void answer(const pending_item& item) {
    if (item.kind == pending_kind::plan)
      return say(decide_plan{plan_id::parse(item.id)->revision(),
                             random_.chance(0.8) ? plan_verdict::approve : plan_verdict::reject});
    const auto call = *call_id::parse(item.id);
    switch (item.waiting_for) {
    case wait_cause::decision:
      return decide(item, call);
    case wait_cause::result:
      (void)world_.send(sid(), answer_question{call, 1});
      return say(tool_result{call, random_.below(3), random_.chance(0.2)});
    case wait_cause::answer:
      (void)world_.send(sid(), answer_question{call, "many"});
      return say(answer_question{call, random_.below(3)});
    default:
      return say(resolve_outcome{call, static_cast<outcome_resolution>(random_.below(3)),
                                 random_.below(2)});
    }
  }

  void decide(const pending_item& item, const call_id& call) {
    decide_call decision{call, static_cast<call_verdict>(random_.below(4))};
    if (random_.chance(0.5))
      decision.digest = random_.chance(0.8) ? item.digest : "stale";
    if (decision.verdict == call_verdict::edit)
      decision.arguments = {{"item", random_.chance(0.5) ? "gin" : "rum"}};
    if (decision.verdict == call_verdict::respond)
      decision.content = "by hand";
    if (random_.chance(0.2))
      decision.remember = random_.chance(0.5) ? decision_scope::call : decision_scope::tool;
    if (random_.chance(0.3))
      return say(decide_calls{{decision}});
    say(std::move(decision));
  }

  void meddle() {
    const auto status = world_.status(sid());
    if (!status)
      return;
    const auto subtask = status->subtasks.empty()
                             ? stid("none")
                             : status->subtasks[random_.below(status->subtasks.size())].id;
    const call_id call{sid(), random_.below(12)};
    const auto soon = world_.now() + random_.between(1min, 10h);
    switch (random_.below(14)) {
    case 0:
      return say(suspend_session{"wait"});
    case 1: {
      suspend_session until{"wait"};
      until.until = soon;
      return say(until);
    }
    case 2:
    case 3:
      return say(resume_session{});
    case 4:
      return say(cancel_call{call, "no"});
    case 5:
      return say(cancel_subtask{subtask, "no"});
    case 6:
      return say(set_deadline{soon, random_.chance(0.7) ? std::optional{subtask} : std::nullopt});
    case 7:
      return say(post_message{"how is it?"});
    case 8:
    case 9:
      return say(retry_subtask{subtask});
    case 10:
      return say(skip_subtask{subtask});
    case 11: {
      auto other = big_plan();
      other.subtasks[random_.below(other.subtasks.size())].description = "otherwise";
      return say(random_.chance(0.5) ? command{revise_plan{other}} : command{propose_plan{other}});
    }
    case 12:
      return say(tool_result{call, 0});
    default:
      return say(random_.chance(0.3) ? command{cancel_plan{"enough"}}
                                     : command{forget_decision{1 + random_.below(3)}});
    }
  }

  sim::world& world_;
  sim::seeded_random random_;
};

/// A session's life of some rounds, with whatever faults there are. Ends without any.
void live(sim::world& world, int rounds) {
  crowd people{world};
  (void)world.send(sid(), propose_plan{big_plan()});
  for (int round = 0; round < rounds; ++round) {
    people.act();
    if (round % 7 == 0)
      (void)world.send(sid(), propose_plan{big_plan()});
  }
  world.store().on_write({});
  world.stop_faults();
  (void)world.send(sid(), resume_session{});
  world.advance(100h);
  world.end();
}

} // namespace

TEST_CASE("the monitors are silent over sessions that do all there is") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    sim::world world{seed, everything()};
    world.watch_promises();
    CHECK_NOTHROW(live(world, 60));
    CHECK(coro::live_frames() == 0);
  }
}

TEST_CASE("the monitors are silent where any single commit fails, or the process dies at it") {
  std::uint64_t writes = 0;
  {
    sim::world world{1, everything()};
    world.watch_promises();
    live(world, 15);
    writes = world.store().writes();
  }
  REQUIRE(writes > 10);
  for (std::uint64_t write = 1; write <= writes; ++write)
    for (const auto fault :
         {memory_fault::crash_before, memory_fault::crash_inside, memory_fault::crash_after,
          memory_fault::lose_ack, memory_fault::io_error, memory_fault::disk_full}) {
      CAPTURE(write, static_cast<int>(fault));
      sim::world world{1, everything()};
      world.store().on_write(
          [=](std::uint64_t number) { return number == write ? fault : memory_fault::none; });
      world.watch_promises();
      CHECK_NOTHROW(live(world, 15));
    }
}

TEST_CASE("the monitors are silent over worlds in which everything goes wrong") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    sim::world world{seed, everything()};
    world.watch_promises();
    sim::fault_mix mix{20min};
    mix.longest = 1h;
    world.faults(mix, 200h);
    CHECK_NOTHROW(live(world, 60));
  }
}

TEST_CASE("monitors that are added in the middle of a story replay what was before") {
  sim::world world{3, everything()};
  crowd people{world};
  (void)world.send(sid(), propose_plan{big_plan()});
  for (int round = 0; round < 20; ++round)
    people.act();
  REQUIRE(world.events(sid()).size() > 10);
  world.watch_promises();
  CHECK_NOTHROW(live(world, 40));
}

} // namespace watched_story_test
