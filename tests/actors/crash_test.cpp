// The node dies before and after every single commit of whole plans, in random schedules. What was
// acknowledged must be there afterwards, every plan must end, and no tool may run twice without
// anybody having said so.

#include "support.hpp"

#include <map>

namespace crash_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// Counts the effects of a server tool outside of the simulated process, as the world would see
/// them.
struct shop {
  std::map<std::string, int> effects; // by idempotency key
};

tool buy_tool(shop& of, bool idempotent = false) {
  tool buy;
  buy.name = tid("buy");
  buy.idempotent = idempotent;
  buy.run = blocking_tool{[&of](const tool_context& context) -> result<json> {
    ++of.effects[context.idempotency_key];
    return json{{"bought", context.arguments.at("item")}};
  }};
  return buy;
}

sim::world_options with_tool(tool added) {
  sim::world_options options;
  options.setup = [added](agent_registry&, tool_registry& tools) {
    if (auto error = tools.add(added))
      throw std::logic_error(message_of(error));
  };
  return options;
}

plan_spec shopping_plan() {
  return plan(R"({"goal": "shopping", "tools": {"pay": {"kind": "client"}}, "subtasks": [
    {"id": "tea", "steps": [{"tool": "buy", "arguments": {"item": "tea"}}]},
    {"id": "both", "steps": [{"calls": [{"tool": "buy", "arguments": {"item": "milk"}},
                                        {"tool": "pay", "arguments": {}}]}]},
    {"id": "report", "depends_on": ["tea", "both"], "result": {"tea": {"$ref": "/results/tea"}}}]})");
}

/// A person and a host that answer whatever is pending, once each round; what they say is
/// deterministic. Returns the receipts' event numbers, which must all be durable.
void answer_everything(sim::world& world, std::vector<receipt>& receipts,
                       std::map<std::string, int>& reruns) {
  const auto pending = query_pending(world.store(), sid());
  if (!pending)
    return;
  for (const auto& item : *pending) {
    command body;
    if (item.kind == pending_kind::plan)
      body = approve_plan(plan_id::parse(item.id)->revision());
    else if (item.waiting_for == wait_cause::decision)
      body = decide_call{*call_id::parse(item.id), call_verdict::approve};
    else if (item.waiting_for == wait_cause::result)
      body = tool_result{*call_id::parse(item.id), "paid"};
    else {
      ++reruns[item.id];
      body = resolve_outcome{*call_id::parse(item.id), outcome_resolution::rerun};
    }
    const auto sent = world.send(sid(), body);
    world.run();
    if (sent.accepted())
      receipts.push_back(**sent.answer());
  }
}

struct run_result {
  std::vector<event> events;
  std::uint64_t writes = 0;
  std::vector<receipt> receipts;
  std::map<std::string, int> reruns;
};

/// Runs the plan to its end, with whatever faults the store has armed.
run_result run_plan(sim::world& world, const plan_spec& plan) {
  run_result ran;
  for (int round = 0; round < 50; ++round) {
    const auto status = world.status(sid());
    if (!status) {
      const auto sent = world.send(sid(), propose_plan{plan});
      world.run();
      if (sent.accepted())
        ran.receipts.push_back(**sent.answer());
      continue;
    }
    if (status->state == session_state::completed)
      break;
    // A person who comes back opens the session, and sees what it needs.
    const auto woken = world.wake(sid());
    world.run();
    answer_everything(world, ran.receipts, ran.reruns);
  }
  ran.events = world.events(sid());
  ran.writes = world.store().writes();
  return ran;
}

memory_fault_hook crash_at(std::uint64_t write, memory_fault fault) {
  return [=](std::uint64_t number) { return number == write ? fault : memory_fault::none; };
}

/// The events that tell what was decided and done; how often a process died is not part of the
/// story.
std::vector<json> story(const std::vector<event>& events) {
  std::vector<json> facts;
  for (const auto& one : events) {
    const auto type = name_of(one.body);
    if (type == session_activated::type || type == step_restarted::type)
      continue;
    facts.push_back(to_json(one.body));
  }
  return facts;
}

} // namespace

TEST_CASE("P1 P6 P8: a crash before or after any commit loses nothing acknowledged, repeats no "
          "effect silently, and every "
          "plan ends") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    shop reference_shop;
    sim::world reference{seed, with_tool(buy_tool(reference_shop))};
    const auto whole = run_plan(reference, shopping_plan());
    REQUIRE(state_of(reference) == "completed");
    REQUIRE(whole.writes >= 8);

    for (std::uint64_t write = 1; write <= whole.writes; ++write) {
      for (const auto fault : {memory_fault::crash_before, memory_fault::crash_after,
                               memory_fault::lose_ack, memory_fault::io_error}) {
        CAPTURE(seed, write, static_cast<int>(fault));
        shop store_of_goods;
        sim::world world{seed, with_tool(buy_tool(store_of_goods))};
        world.store().on_write(crash_at(write, fault));
        const auto ran = run_plan(world, shopping_plan());

        CHECK(state_of(world) == "completed");
        for (const auto& given : ran.receipts) {
          // The receipt's event is in the journal.
          CHECK(given.event >= 1);
          CHECK(given.event <= ran.events.size());
        }
        for (const auto& [key, times] : store_of_goods.effects) {
          const auto call = key.substr(key.find('/') + 1);
          const auto said = ran.reruns.contains(call) ? ran.reruns.at(call) : 0;
          CHECK(times <= 1 + said);
        }
        // Exactly one result for each call (P4).
        std::map<std::uint64_t, int> answers;
        for (const auto& one : ran.events)
          if (const auto* answered = std::get_if<call_answered>(&one.body))
            ++answers[answered->call];
        CHECK(answers.size() == 3);
        for (const auto& [call, count] : answers)
          CHECK(count == 1);
        CHECK(coro::live_frames() == 0);
      }
    }
  }
}

TEST_CASE("P8: an open claim found at recovery waits for somebody to say what became of it") {
  shop goods;
  auto options = with_tool(buy_tool(goods));
  sim::world world{7, options};
  accept(world, propose_plan{shopping_plan()});
  accept(world, approve_plan());
  CHECK(goods.effects.empty());
  // The commit that claims the call is durable, and then the process dies.
  const auto claim = world.store().writes() + 1;
  world.store().on_write(crash_at(claim, memory_fault::crash_after));
  const auto decision = world.send(sid(), approve(1));
  world.run();
  REQUIRE(world.crashes() == 1);
  CHECK_FALSE(decision.answer());
  const auto woken = world.wake(sid());
  world.run();
  CHECK(state_of(world) == "waiting");
  CHECK(status_of(world).waiting.outcome == 1);
  CHECK(is(refuse(world, tool_result{cid(1), "x"}), errc::not_allowed));

  SECTION("it happened: the given result is the call's result, and nothing runs") {
    accept(world,
           resolve_outcome{cid(1), outcome_resolution::happened, json{{"bought", "by hand"}}});
    CHECK(goods.effects.empty());
    CHECK(query_call(world.store(), cid(1))->answer->content == json{{"bought", "by hand"}});
  }
  SECTION("it failed: the agent sees a failed call") {
    accept(world, resolve_outcome{cid(1), outcome_resolution::failed});
    CHECK(goods.effects.empty());
    CHECK(query_call(world.store(), cid(1))->answer->outcome == call_outcome::failed);
    CHECK(status_of(world).subtasks[0].status == subtask_status::failed);
  }
  SECTION("rerun: it runs again, once, with the same key") {
    accept(world, resolve_outcome{cid(1), outcome_resolution::rerun});
    CHECK(goods.effects.size() == 1);
    CHECK(goods.effects.begin()->second == 1);
    CHECK(query_call(world.store(), cid(1))->runs == 2);
  }
}

TEST_CASE("P8: an idempotent tool's open claim is re-run without asking, with the same key") {
  shop goods;
  auto options = with_tool(buy_tool(goods, true));
  sim::world world{7, options};
  accept(world, propose_plan{shopping_plan()});
  accept(world, approve_plan());
  const auto finish = world.store().writes() + 2; // the claim is one write, the outcome the next
  world.store().on_write(crash_at(finish, memory_fault::crash_before));
  accept(world, approve(1));
  REQUIRE(world.crashes() == 1);
  const auto woken = world.wake(sid());
  world.run();
  CHECK(status_of(world).waiting.outcome == 0);
  CHECK(status_of(world).subtasks[0].status == subtask_status::done);
  CHECK(goods.effects.size() == 1);
  CHECK(goods.effects.begin()->second == 2);
}

TEST_CASE("an outcome whose commit failed is kept by the process, and nobody is asked about it") {
  shop goods;
  auto options = with_tool(buy_tool(goods));
  sim::world world{7, options};
  accept(world, propose_plan{shopping_plan()});
  accept(world, approve_plan());
  const auto finish = world.store().writes() + 2;
  world.store().on_write(crash_at(finish, memory_fault::disk_full));
  accept(world, approve(1));
  const auto woken = world.wake(sid());
  world.run();
  CHECK(world.crashes() == 0);
  CHECK(status_of(world).subtasks[0].status == subtask_status::done);
  CHECK(goods.effects.begin()->second == 1);
}

TEST_CASE(
    "P1: a full disk fails the command, changes nothing, and works again when there is room") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  const auto before = world.store().fingerprint();
  world.store().fail_next(memory_fault::disk_full);
  CHECK(is(refuse(world, approve_plan()), errc::disk_full));
  CHECK(world.store().fingerprint() == before);
  CHECK(state_of(world) == "awaiting_plan_decision");
  accept(world, approve_plan());
  CHECK(state_of(world) == "waiting");
}

namespace {

/// Notes when a session could not be loaded.
struct failed_loads final : runtime_observer {
  void activation_failed(const session_id&, const caf::error&) override {
    at.push_back(of->elapsed());
  }
  const sim::world* of = nullptr;
  std::vector<std::chrono::milliseconds> at;
};

sim::world_options with_late_agent(std::shared_ptr<failed_loads> noted) {
  auto options = options_with([](agent_registry& agents, tool_registry&) {
    must(agents.add("late", [](step_context& context) -> coro::task<step> {
      co_await coro::delay(context.self, std::chrono::minutes{1});
      co_return step::finish("done");
    }));
  });
  options.observer = std::move(noted);
  return options;
}

plan_spec late_plan() {
  return plan(R"({"goal": "g", "subtasks": [{"id": "w", "agent": "late"}]})");
}

/// The only session's head: damaged by the first call, and sound again after the second.
void flip_head(sim::world& world) {
  REQUIRE(world.store().corrupt_record(1, {record_kind::head, 0, 0}));
}

} // namespace

TEST_CASE(
    "P6: a session that was under way and cannot be read after a failed commit goes on by itself "
    "once it can be read") {
  sim::world world{1, with_late_agent(nullptr)};
  accept(world, propose_plan{late_plan()});
  world.store().fail_next(memory_fault::lose_ack);
  CHECK(is(refuse(world, approve_plan()), errc::io_error));
  for (int failures = 0; failures < 4; ++failures) {
    world.store().fail_next_read(memory_read_fault::flipped_bit);
    world.advance(std::chrono::seconds{1 << failures});
    CHECK(state_of(world) == "running");
    CHECK(world.actors() == 3); // it has left memory
  }
  world.advance(std::chrono::minutes{2});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P6: one that stays unreadable is tried again after 1 s, then after twice as long each "
          "time, at most 10 min") {
  const auto noted = std::make_shared<failed_loads>();
  sim::world world{1, with_late_agent(noted)};
  noted->of = &world;
  accept(world, propose_plan{late_plan()});
  world.store().fail_next(memory_fault::lose_ack);
  CHECK(is(refuse(world, approve_plan()), errc::io_error));
  const auto begin = world.elapsed();
  flip_head(world);
  world.advance(std::chrono::hours{2});
  REQUIRE(noted->at.size() > 14);
  auto expected = begin;
  auto interval = std::chrono::milliseconds{1'000};
  for (const auto at : noted->at) {
    expected += interval;
    CHECK(at == expected);
    interval = std::min(2 * interval, std::chrono::milliseconds{600'000});
  }
  flip_head(world);
  world.advance(std::chrono::minutes{12});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("one that somebody addresses in vain is not tried again for his sake") {
  const auto noted = std::make_shared<failed_loads>();
  sim::world world{1, with_late_agent(noted)};
  noted->of = &world;
  accept(world, propose_plan{late_plan()});
  world.restart();
  flip_head(world);
  CHECK(is(refuse(world, approve_plan()), errc::store_corrupt));
  const auto woken = world.wake(sid());
  world.run();
  REQUIRE(woken.answer());
  CHECK(is(woken.answer()->error(), errc::store_corrupt));
  world.advance(std::chrono::hours{2});
  CHECK(noted->at.size() == 2);
}

TEST_CASE("P1: a commit whose acknowledgement is lost is found by the next command, which is told "
          "that it was made") {
  sim::world world{1, {}};
  accept(world, propose_plan{seed_plan()});
  world.store().fail_next(memory_fault::lose_ack);
  CHECK(is(refuse(world, approve_plan()), errc::io_error));
  CHECK(accept(world, approve_plan()).kind == receipt_kind::duplicate);
  CHECK(state_of(world) == "waiting");
}

TEST_CASE(
    "P7: the story of a plan is the same in one process and with a new process for every command") {
  const auto run = [](bool restart, bool crash) {
    shop goods;
    sim::world world{5, with_tool(buy_tool(goods))};
    const std::vector<command> commands{
        propose_plan{shopping_plan()}, approve_plan(), approve(1), approve(2), approve(3),
        tool_result{cid(3), "paid"}};
    for (const auto& one : commands) {
      accept(world, one);
      if (restart)
        world.restart();
      if (crash)
        world.crash();
    }
    CHECK(state_of(world) == "completed");
    return story(world.events(sid()));
  };
  const auto in_one = run(false, false);
  CHECK(in_one.size() > 20);
  CHECK(in_one == run(true, false));
  CHECK(in_one == run(false, true));
}

TEST_CASE("P12: the same seed is the same run, and another seed is another") {
  const auto run = [](std::uint64_t seed) {
    shop goods;
    sim::world world{seed, with_tool(buy_tool(goods))};
    for (int i = 0; i < 5; ++i)
      (void)world.send(sid("s" + std::to_string(i)), propose_plan{shopping_plan()});
    world.run();
    return world.store().fingerprint();
  };
  CHECK(run(11) == run(11));
  CHECK(run(11) != run(12));
}

} // namespace crash_test
