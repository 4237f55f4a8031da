// What an observer is told, and that what it does with it is no session's business.
#include "support.hpp"

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/send.hpp>

namespace observer_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Throws whatever it is told.
class bad_observer final : public runtime_observer {
public:
  void started(const std::function<std::optional<runtime_load>()>& of) override {
    load = of;
    throw std::runtime_error("no");
  }
  void committed(const session_id&, std::span<const event>, std::span<const event_note>) override {
    throw std::runtime_error("no");
  }
  void commit_failed(const session_id&, const caf::error&) override { throw 1; }
  void answered(const answered_command&) override { throw std::runtime_error("no"); }
  void written(const written_transaction&) override { throw std::runtime_error("no"); }
  void activated(const session_id&, std::size_t) override { throw std::runtime_error("no"); }
  void passivated(const session_id&, std::size_t) override { throw std::runtime_error("no"); }
  void activation_failed(const session_id&, const caf::error&) override { throw 1; }
  void damage_found(const caf::error&) override { throw 1; }
  void step_ended(const ended_step&) override { throw std::runtime_error("no"); }
  void run_ended(const ended_run&) override { throw std::runtime_error("no"); }

  std::function<std::optional<runtime_load>()> load;
};

/// From the proposal to the end: a decision, a result, a refused command.
void live(sim::world& world) {
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  accept(world, approve(1));
  accept(world, tool_result{cid(1), "tea"});
  CHECK(is(refuse(world, tool_result{cid(1), "coffee"}), errc::already_answered));
  world.advance(1h);
}

coro::task<json> wait_an_hour(caf::event_based_actor* self, const tool_context&) {
  co_await coro::delay(self, 1h);
  co_return json("done");
}

tool tool_called(std::string_view name, decltype(tool::run) run,
                 std::chrono::milliseconds limit = 0ms) {
  tool made;
  made.name = tid(name);
  made.run = std::move(run);
  made.time_limit = limit;
  return made;
}

coro::task<step> sleepless(step_context& ctx) {
  co_await coro::delay(ctx.self, 90s);
  co_return step::finish("done");
}

coro::task<step> thrower(step_context&) {
  throw std::runtime_error("no");
  co_return step::finish("never");
}

} // namespace

TEST_CASE("an observer that throws whenever it is told something changes nothing for sessions") {
  const auto bad = std::make_shared<bad_observer>();
  sim::world with{7, observed(bad)};
  sim::world without{7, {}};
  live(with);
  live(without);
  CHECK(state_of(with) == "completed");
  CHECK(with.store().fingerprint() == without.store().fingerprint());
  CHECK(bad->load()->observer_failures > 10);
}

TEST_CASE("what one observer throws keeps nothing from the others") {
  const auto before = std::make_shared<recorder>();
  const auto after = std::make_shared<recorder>();
  sim::world world{
      1, observed(observe_with({before, nullptr, std::make_shared<bad_observer>(), after}))};
  live(world);
  CHECK(before->facts.size() == world.events(sid()).size());
  CHECK(after->facts.size() == world.events(sid()).size());
  CHECK(after->answers.size() == before->answers.size());
  CHECK(observe_with({nullptr}) == nullptr);
}

TEST_CASE("each event is told of once and in order, with its plan, subtask, call and tool") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  live(world);
  const auto events = world.events(sid());
  REQUIRE(seen->facts.size() == events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    CHECK(seen->facts[i].session == sid());
    CHECK(seen->facts[i].happened.number == events[i].number);
    CHECK(name_of(seen->facts[i].happened.body) == name_of(events[i].body));
  }
  CHECK(seen->first("session_created").note.revision == 0);
  CHECK(seen->first("plan_proposed").note.revision == 1);
  for (const auto* type : {"call_proposed", "call_decided", "call_answered"}) {
    const auto& note = seen->first(type).note;
    CHECK(note.revision == 1);
    CHECK(note.subtask == stid("first"));
    CHECK(note.tool == tid("ask_shop"));
  }
  CHECK(seen->first("subtask_finished").note.subtask == stid("first"));
  CHECK_FALSE(seen->first("subtask_finished").note.tool);
}

TEST_CASE("what is not durable is told of as failed, and never as an event") {
  for (const auto fault : {memory_fault::disk_full, memory_fault::io_error}) {
    const auto seen = std::make_shared<recorder>();
    sim::world world{1, observed(seen)};
    accept(world, propose_plan{seed_plan()});
    world.store().fail_next(fault);
    refuse(world, approve_plan());
    CHECK(seen->facts.size() == world.events(sid()).size());
    REQUIRE(seen->failures.size() == 1);
    CHECK(seen->transactions.back().failed == 1);
    CHECK(seen->failures[0] == std::string{name_of(code_of(seen->transactions.back().error))});
  }
}

TEST_CASE("a transaction is told of with what is in it") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  REQUIRE(seen->transactions.size() == 1);
  CHECK(seen->transactions[0].commits == 1);
  CHECK(seen->transactions[0].failed == 0);
  CHECK_FALSE(seen->transactions[0].error);
  CHECK(seen->transactions[0].events == world.events(sid()).size());
  CHECK(seen->transactions[0].size_bytes > 100);
}

TEST_CASE("a command is told of with its type and its result") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  accept(world, approve_plan());
  wake(world);
  refuse(world, tool_result{cid(1), "tea"});
  std::vector<std::string> told;
  for (const auto& one : seen->answers)
    told.push_back(one.type + " " + one.result);
  CHECK(told
        == std::vector<std::string>{"propose_plan accepted", "decide_plan accepted",
                                    "decide_plan duplicate", "wake accepted",
                                    "tool_result not_approved"});
}

TEST_CASE("a command's duration includes the time that it waited for room") {
  const auto seen = std::make_shared<recorder>();
  auto options = unattended([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("sleepless", sleepless));
    must(tools.add(tool_called("nothing", coroutine_tool{wait_an_hour})));
  });
  options.limits.resident_sessions = 1;
  sim::world world{1, observed(seen, std::move(options))};
  // The one that is there is busy for 90 s, and the other waits for its place.
  accept(world, propose_plan{agent_plan(R"({"id": "a", "agent": "sleepless"})")}, "busy");
  const auto by_host = world.send(sid("other"), propose_plan{seed_plan()});
  caf::anon_send(world.directory(), session_command{sid("third"), propose_plan{seed_plan()}});
  world.run();
  CHECK(seen->load()->parked_messages == 2);
  CHECK(seen->load()->commands_under_way == 2); // of a host and of an actor
  world.advance(10min);
  CHECK(seen->load()->parked_messages == 0);
  REQUIRE(by_host.accepted());
  REQUIRE(seen->answers.size() == 3);
  for (std::size_t i = 1; i < 3; ++i) {
    CHECK(seen->answers[i].type == "propose_plan");
    CHECK(seen->answers[i].result == "accepted");
    CHECK(seen->answers[i].duration >= 80s);
    CHECK(seen->answers[i].duration < 10min);
  }
}

TEST_CASE("a wait is as long as it was, though another process did the waiting") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  world.advance(5min);
  accept(world, approve_plan());
  world.advance(2h);
  world.restart();
  accept(world, approve(1));
  world.advance(3h);
  world.crash();
  accept(world, tool_result{cid(1), "tea"});
  const auto check = [](const event_note& note, wait_cause cause, pending_kind item,
                        std::chrono::milliseconds duration) {
    REQUIRE(note.waited);
    CHECK(note.waited->cause == cause);
    CHECK(note.waited->item == item);
    CHECK(note.waited->duration == duration);
  };
  check(seen->first("plan_decided").note, wait_cause::decision, pending_kind::plan, 5min);
  check(seen->first("call_decided").note, wait_cause::decision, pending_kind::call, 2h);
  check(seen->first("call_answered").note, wait_cause::result, pending_kind::call, 3h);
  for (const auto& one : seen->facts)
    if (one.note.waited)
      CHECK(one.note.waited->duration > 0ms);
}

TEST_CASE("nobody was waited for where the runtime decided by itself") {
  const auto seen = std::make_shared<recorder>();
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(tool_called(
        "hanging", blocking_tool{[](const tool_context&) -> result<json> { return json("late"); }},
        1min)));
  });
  sim::world world{1, observed(seen, std::move(options))};
  world.hold_tools(true);
  accept(world, propose_plan{script_plan(R"({"tool": "hanging"})")});
  world.advance(10min);
  world.hold_tools(false);
  world.run(); // it ends after all
  REQUIRE(facts<outcome_resolved>(world).size() == 1);
  CHECK_FALSE(seen->first("plan_decided").note.waited);
  CHECK_FALSE(seen->first("outcome_resolved").note.waited);
}

TEST_CASE("a session is told of before it can do anything") {
  class looker final : public runtime_observer {
  public:
    void activated(const session_id&, std::size_t resident) override {
      actors_before = world->system().registry().running();
      resident_sessions = resident;
    }
    void committed(const session_id&, std::span<const event>,
                   std::span<const event_note>) override {
      actors_with_session = world->system().registry().running();
    }
    sim::world* world = nullptr;
    std::size_t actors_before = 0;
    std::size_t actors_with_session = 0;
    std::size_t resident_sessions = 0;
  };
  const auto looks = std::make_shared<looker>();
  sim::world world{1, observed(looks)};
  looks->world = &world;
  accept(world, propose_plan{seed_plan()});
  CHECK(looks->actors_before + 1 == looks->actors_with_session);
  CHECK(looks->resident_sessions == 1);
}

TEST_CASE("a wait that ends by itself, or for a rejected call's answer, is none") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  world.advance(1h);
  accept(world, reject(1, "no"));
  CHECK(seen->first("call_decided").note.waited);
  CHECK_FALSE(seen->first("call_answered").note.waited);
  accept(world, propose_plan{seed_plan()}, "s2");
  accept(world, approve_plan(), "s2");
  seen->facts.clear();
  accept(world, cancel_call{cid(1, "s2"), "late"}, "s2");
  CHECK_FALSE(seen->first("call_answered").note.waited);
}

TEST_CASE("a run is told of once, with how it ended and how long it took") {
  const auto seen = std::make_shared<recorder>();
  const auto plan_with = [](std::string_view name) {
    return script_plan(R"({"tool": ")" + std::string{name} + R"(", "on_error": "continue"})");
  };
  auto options = unattended([](agent_registry&, tool_registry& tools) {
    must(tools.add(tool_called(
        "good", blocking_tool{[](const tool_context&) -> result<json> { return json("done"); }})));
    must(tools.add(tool_called("bad", blocking_tool{[](const tool_context&) -> result<json> {
                                 return make_error(errc::tool_failed, "no");
                               }})));
    must(tools.add(tool_called(
        "hanging", blocking_tool{[](const tool_context&) -> result<json> { return json("late"); }},
        1min)));
    must(tools.add(tool_called("slow", coroutine_tool{wait_an_hour})));
    must(tools.add(tool_called("limited", coroutine_tool{wait_an_hour}, 1min)));
  });
  sim::world world{1, observed(seen, std::move(options))};
  for (const auto* name : {"good", "bad", "slow", "limited"})
    accept(world, propose_plan{plan_with(name)}, name);
  CHECK(seen->load()->runs_under_way == 2);
  world.advance(5min);
  accept(world, cancel_call{cid(1, "slow"), "enough"}, "slow");
  world.hold_tools(true);
  accept(world, propose_plan{plan_with("hanging")}, "hanging");
  world.advance(10min);
  world.hold_tools(false);
  world.run(); // it ends after all
  CHECK(seen->load()->runs_under_way == 0);
  std::vector<std::string> told;
  for (const auto& one : seen->runs)
    told.push_back(
        one.name + " " + one.ending + " "
        + std::to_string(std::chrono::floor<std::chrono::seconds>(one.duration).count()));
  std::sort(told.begin(), told.end());
  CHECK(told
        == std::vector<std::string>{"bad failed 0", "good succeeded 0", "hanging unknown 70",
                                    "limited failed 60", "slow cancelled 300"});
}

TEST_CASE("a step is told of with its agent, its ending and how long it took") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen, unattended([](agent_registry& agents, tool_registry&) {
                                 must(agents.add("sleepless", sleepless));
                                 must(agents.add("thrower", thrower));
                               }))};
  accept(world, propose_plan{agent_plan(R"({"id": "a", "agent": "sleepless"})")});
  world.advance(5min);
  accept(world, propose_plan{agent_plan(R"({"id": "a", "agent": "thrower"})")}, "s2");
  accept(world, propose_plan{agent_plan(R"({"id": "a", "agent": "sleepless"})")}, "s3");
  world.advance(30s);
  accept(world, cancel_plan{"enough"}, "s3");
  std::vector<std::string> told;
  for (const auto& one : seen->steps)
    told.push_back(
        one.name + " " + one.ending + " "
        + std::to_string(std::chrono::floor<std::chrono::seconds>(one.duration).count()));
  CHECK(told
        == std::vector<std::string>{"sleepless returned 90", "thrower failed 0",
                                    "sleepless cancelled 30"});
}

TEST_CASE("sessions are counted as they come to memory and leave it") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  accept(world, propose_plan{seed_plan()}, "s2");
  CHECK(seen->load()->resident_sessions == 2);
  CHECK(world.resident_sessions() == 2);
  world.advance(10min);
  CHECK(seen->load()->resident_sessions == 0);
  CHECK(seen->residents == std::vector<std::size_t>{1, 2, 1, 0});
}

TEST_CASE("a session that cannot be loaded is told of") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  world.restart();
  REQUIRE(world.store().corrupt_record(1, plan_key(1)));
  CHECK(is(refuse(world, approve_plan()), errc::store_corrupt));
  CHECK(seen->activation_failures == std::vector<std::string>{"store_corrupt"});
}

TEST_CASE("what a dying process would still say is told to nobody") {
  const auto seen = std::make_shared<recorder>();
  sim::world world{1, observed(seen)};
  accept(world, propose_plan{seed_plan()});
  static_cast<void>(world.send(sid(), approve_plan())); // under way when it dies
  world.crash();
  world.run();
  CHECK(seen->answers.size() == 1);
  CHECK(seen->steps.empty());
  accept(world, approve_plan());
  CHECK(seen->answers.size() == 2);
}

TEST_CASE("the load of a runtime that is gone is nothing") {
  const auto seen = std::make_shared<recorder>();
  {
    sim::world world{1, observed(seen)};
    CHECK(seen->load());
  }
  CHECK_FALSE(seen->load());
}

} // namespace observer_test
