// The directory: sessions come into memory when they are addressed, leave it when they are idle,
// and are never too many.

#include "support.hpp"

#include <fermata/actors/detail/reply.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/system_seams.hpp>

namespace directory_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

coro::task<step> sleeper(step_context& ctx) {
  co_await coro::delay(ctx.self, 1h);
  co_return step::finish("slept");
}

/// Is no coroutine, and breaks a promise that the runtime relies on.
caf::error break_down(const subtask_spec& subtask) {
  if (subtask.parameters == "defect")
    throw std::logic_error("a defect in a check");
  return caf::none;
}

sim::world_options small_options() {
  auto options = options_with([](agent_registry& agents, tool_registry&) {
    must(agents.add("sleeper", sleeper));
    agent fragile;
    fragile.run = sleeper;
    fragile.check = break_down;
    must(agents.add("fragile", std::move(fragile)));
  });
  options.passivate_after = 1s;
  return options;
}

plan_spec plan_for(std::string_view agent, json parameters = nullptr) {
  plan_spec made;
  made.goal = "g";
  made.subtasks.resize(1);
  made.subtasks[0].id = stid("a");
  made.subtasks[0].agent = *agent_name::parse(agent);
  made.subtasks[0].parameters = std::move(parameters);
  return made;
}

std::string name(int i) {
  return "s" + std::to_string(i);
}

} // namespace

TEST_CASE(
    "P2: an idle session leaves memory, and comes back with all it had when it is addressed") {
  sim::world world{1, small_options()};
  accept(world, propose_plan{seed_plan()});
  accept(world, approve_plan());
  for (int round = 0; round < 3; ++round) {
    world.advance(10s);
    CHECK(world.resident_sessions() == 0);
    CHECK(coro::live_frames() == 0);
    const auto before = world.store().fingerprint();
    wake(world);
    CHECK(world.resident_sessions() == 1);
    CHECK(world.store().fingerprint() == before); // nothing was left unfinished
  }
  world.advance(10s);
  accept(world, approve(1));
  world.advance(10s);
  accept(world, tool_result{cid(1), 1});
  CHECK(state_of(world) == "completed");
  world.advance(10s);
  CHECK(world.actors() == 3);
}

TEST_CASE("a session whose agent or tool is at work is not passivated") {
  sim::world world{1, small_options()};
  accept(world, propose_plan{plan_for("sleeper")});
  accept(world, approve_plan());
  world.advance(59min);
  CHECK(world.resident_sessions() == 1);
  world.advance(2min);
  CHECK(state_of(world) == "completed");
  CHECK(world.resident_sessions() == 0);
}

TEST_CASE("P2: a message that races a passivation is delivered, and answered once, whatever the "
          "schedule") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    auto options = small_options();
    options.passivate_after = 1ms;
    sim::world world{seed, options};
    accept(world, propose_plan{seed_plan()});
    // The timers fire in the middle of everything: messages are in the session's mailbox when it
    // leaves.
    std::vector<sim::ticket> sent;
    sent.push_back(world.send(sid(), approve_plan()));
    for (int i = 0; i < 6; ++i) {
      world.advance(20ms);
      sent.push_back(world.send(sid(), approve_plan()));
      sent.push_back(world.wake(sid()));
    }
    sent.push_back(world.send(sid(), approve(1)));
    world.advance(20ms);
    sent.push_back(world.send(sid(), tool_result{cid(1), 7}));
    world.run();
    for (const auto& one : sent)
      CHECK(one.accepted());
    CHECK(state_of(world) == "completed");
    CHECK(facts<call_answered>(world).size() == 1);
    world.advance(1s);
    CHECK(world.resident_sessions() == 0);
  }
  CHECK(coro::live_frames() == 0);
}

TEST_CASE(
    "P2: commands to sessions that others push out of memory are all answered, in their order") {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    CAPTURE(seed);
    auto options = small_options();
    options.limits.resident_sessions = 2;
    sim::world world{seed, options};
    std::vector<sim::ticket> sent;
    for (int i = 0; i < 8; ++i)
      sent.push_back(world.send(sid(name(i)), propose_plan{seed_plan()}));
    // One sender's messages keep their order: each of these needs the one before.
    for (int i = 0; i < 8; ++i) {
      sent.push_back(world.send(sid(name(i)), approve_plan()));
      sent.push_back(world.send(sid(name(i)), decide_call{cid(1, name(i)), call_verdict::approve}));
      sent.push_back(world.send(sid(name(i)), tool_result{cid(1, name(i)), i}));
    }
    for (int i = 0; i < 100; ++i) {
      world.advance(20ms);
      CHECK(world.resident_sessions() <= 2);
    }
    for (const auto& one : sent)
      CHECK(one.accepted());
    for (int i = 0; i < 8; ++i)
      CHECK(state_of(world, name(i)) == "completed");
  }
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("P10: no more than resident_sessions are in memory, and more than that are served") {
  auto options = small_options();
  options.limits.resident_sessions = 3;
  options.passivate_after = 1h; // room is made because it is needed
  sim::world world{1, options};
  for (int i = 0; i < 20; ++i) {
    const auto sent = world.send(sid(name(i)), propose_plan{seed_plan()});
    world.advance(100ms);
    CHECK(sent.accepted());
    CHECK(world.resident_sessions() <= 3);
  }
  for (int i = 0; i < 20; ++i)
    CHECK(state_of(world, name(i)) == "awaiting_plan_decision");
}

TEST_CASE("P10: what waits for room is served soon after there is room, not when the next "
          "passivation is due") {
  auto options = small_options();
  options.limits.resident_sessions = 2;
  options.passivate_after = 10h;
  sim::world world{1, options};
  for (int i = 0; i < 2; ++i) {
    accept(world, propose_plan{plan_for("sleeper")}, name(i));
    accept(world, approve_plan(), name(i));
  }
  const auto waiting = world.send(sid("late"), propose_plan{seed_plan()});
  const auto next = world.send(sid("late"), approve_plan());
  world.advance(30min);
  CHECK_FALSE(waiting.answer()); // both are busy
  // A resident session is still reached.
  accept(world, cancel_plan{"enough"}, name(0));
  world.advance(1s);
  CHECK(waiting.accepted());
  CHECK(next.accepted());
  CHECK(state_of(world, "late") == "waiting");
}

TEST_CASE("P10: more commands than runtime_queue are refused, naming it") {
  auto options = small_options();
  options.limits.resident_sessions = 1;
  options.limits.runtime_queue = 2;
  sim::world world{1, options};
  accept(world, propose_plan{plan_for("sleeper")});
  accept(world, approve_plan());
  std::vector<sim::ticket> sent;
  for (int i = 0; i < 4; ++i)
    sent.push_back(world.send(sid("other" + std::to_string(i)), propose_plan{seed_plan()}));
  world.run();
  int refused = 0;
  for (const auto& one : sent)
    if (one.answer()) {
      REQUIRE_FALSE(one.accepted());
      CHECK(is(one.answer()->error(), errc::overloaded));
      CHECK(contains(message_of(one.answer()->error()), "runtime_queue"));
      ++refused;
    }
  CHECK(refused == 2);
  world.advance(2h);
  for (const auto& one : sent)
    CHECK(one.answer());
}

TEST_CASE("P10: commands of actors count against runtime_queue until they are answered, also while "
          "there is no room for their sessions") {
  struct refusals final : runtime_observer {
    void answered(const answered_command& what) override {
      if (!what.answer)
        seen.push_back(message_of(what.answer.error()));
    }
    std::vector<std::string> seen;
  };
  auto options = small_options();
  const auto refused = std::make_shared<refusals>();
  options.observer = refused;
  options.limits.resident_sessions = 1;
  options.limits.runtime_queue = 2;
  sim::world world{1, options};
  accept(world, propose_plan{plan_for("sleeper")});
  accept(world, approve_plan());
  for (int i = 0; i < 4; ++i)
    caf::anon_send(world.directory(),
                   session_command{sid("other" + std::to_string(i)), propose_plan{seed_plan()}});
  world.run();
  REQUIRE(refused->seen.size() == 2);
  for (const auto& message : refused->seen)
    CHECK(contains(message, "runtime_queue"));
  CHECK(world.load("n1")->commands_under_way == 2);
  world.advance(2h);
  CHECK(world.load("n1")->commands_under_way == 0);
}

TEST_CASE("P10: an actor's command counts once from its admission to its answer, whoever has it") {
  auto options = small_options();
  options.limits.runtime_queue = 8;
  sim::world world{1, options};
  const auto send = [&](command body) {
    caf::anon_send(world.directory(), session_command{sid(), std::move(body)});
  };
  const auto under_way = [&] { return world.load("n1")->commands_under_way; };
  accept(world, propose_plan{seed_plan()});
  sim::fault slow;
  slow.kind = sim::fault_kind::slow_commits;
  slow.node = "n1";
  slow.at = world.elapsed();
  slow.duration = 1h;
  world.plan_faults({slow});
  world.advance(1ms);
  // The first one's commit is under way, the others wait in its session.
  for (int i = 0; i < 3; ++i)
    send(approve_plan());
  world.run();
  CHECK(under_way() == 3);
  // One that is refused takes no place; one that is answered gives its place back.
  for (int i = 0; i < 7; ++i)
    send(approve_plan());
  world.run();
  CHECK(under_way() == 8);
  world.advance(10min);
  CHECK(under_way() == 0);
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("P10: a session takes session_queue commands at a time; the others hear overloaded, and "
          "it goes on") {
  auto options = small_options();
  options.limits.session_queue = 3;
  options.random_schedule = false;
  sim::world world{1, options};
  accept(world, propose_plan{seed_plan()});
  std::vector<sim::ticket> sent;
  for (int i = 0; i < 10; ++i)
    sent.push_back(world.send(sid(), approve_plan()));
  world.run();
  int refused = 0;
  for (const auto& one : sent) {
    REQUIRE(one.answer());
    if (one.accepted())
      continue;
    CHECK(is(one.answer()->error(), errc::overloaded));
    CHECK(contains(message_of(one.answer()->error()), "session_queue"));
    ++refused;
  }
  CHECK(refused > 0);
  CHECK(refused <= 7);
  // What was refused is not counted any more.
  for (int i = 0; i < 10; ++i)
    CHECK(accept(world, approve_plan()).kind == receipt_kind::duplicate);
}

TEST_CASE("P10: what waits for room counts against its session's queue") {
  auto options = small_options();
  options.limits.resident_sessions = 1;
  options.limits.session_queue = 3;
  options.passivate_after = 10h;
  sim::world world{1, options};
  // It sleeps, so it does not leave.
  accept(world, propose_plan{plan_for("sleeper")}, "busy");
  accept(world, approve_plan(), "busy");
  std::vector<sim::ticket> sent;
  for (int i = 0; i < 10; ++i)
    sent.push_back(world.send(sid(), approve_plan()));
  world.run();
  const auto refused = std::count_if(sent.begin(), sent.end(), [](const auto& one) {
    return one.answer() && is(one.answer()->error(), errc::overloaded);
  });
  CHECK(refused == 7);
}

TEST_CASE("P10: a passivation that a message races does not eat the session's queue") {
  auto options = small_options();
  options.limits.session_queue = 1;
  options.passivate_after = 1ms;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::world world{seed, options};
    accept(world, propose_plan{seed_plan()});
    for (int i = 0; i < 20; ++i) {
      world.advance(std::chrono::milliseconds{i});
      accept(world, approve_plan());
    }
  }
}

TEST_CASE("P10: commands beyond runtime_queue are refused at admission, by name, and none while "
          "the runtime stops") {
  runtime_options options;
  options.limits.runtime_queue = 2;
  options.pool = thread_pool(1);
  detail::services shared{options};
  CHECK_FALSE(detail::check_admission(shared));
  {
    const detail::admission first{shared.under_way};
    detail::admission second{shared.under_way};
    const auto error = detail::check_admission(shared);
    CHECK(is(error, errc::overloaded));
    CHECK(contains(message_of(error), "runtime_queue"));
    second = {};
    CHECK_FALSE(detail::check_admission(shared));
  }
  CHECK(shared.under_way == 0);
  shared.stopping = true;
  CHECK(is(detail::check_admission(shared), errc::shutting_down));
}

TEST_CASE("P10: ids of sessions that do not exist do not stay in memory") {
  auto options = small_options();
  options.passivate_after = 10h;
  sim::world world{1, options};
  for (int i = 0; i < 20; ++i) {
    CHECK(is(refuse(world, approve_plan(), name(i)), errc::unknown_session));
    CHECK(is(refuse(world, propose_plan{plan_spec{}}, name(i)), errc::empty_plan));
    const auto woken = world.wake(sid(name(i)));
    world.run();
    REQUIRE(woken.answer());
    CHECK(is(woken.answer()->error(), errc::unknown_session));
  }
  CHECK(world.resident_sessions() == 0);
  CHECK(query_sessions(world.store())->empty());
}

TEST_CASE("a session whose records are damaged answers with store_corrupt, and the others go on") {
  const auto damage = [](record_key key) {
    auto options = small_options();
    options.limits.tail_events = 0; // so that there is a record of the call
    sim::world world{1, options};
    for (const auto* id : {"bad", "good"}) {
      accept(world, propose_plan{seed_plan()}, id);
      accept(world, approve_plan(), id);
    }
    world.advance(10s);
    REQUIRE(world.resident_sessions() == 0);
    REQUIRE(world.store().corrupt_record(1, key));
    for (int i = 0; i < 3; ++i) {
      CHECK(is(refuse(world, decide_call{cid(1, "bad"), call_verdict::approve}, "bad"),
               errc::store_corrupt));
      CHECK(world.resident_sessions() == 0);
    }
    const auto woken = world.wake(sid("bad"));
    world.run();
    REQUIRE(woken.answer());
    CHECK(is(woken.answer()->error(), errc::store_corrupt));
    accept(world, decide_call{cid(1, "good"), call_verdict::approve}, "good");
    accept(world, tool_result{cid(1, "good"), 1}, "good");
    CHECK(state_of(world, "good") == "completed");
  };
  damage(head_key());
  damage(plan_key(1));
  damage(spec_key(1, 1));
  damage(subtask_key(1, 0));
  damage(call_key(1));
  damage(entry_key(1));
}

TEST_CASE(
    "a defect in one session's code ends that session only, and its next message finds it again") {
  sim::world world{1, small_options()};
  accept(world, propose_plan{seed_plan()});
  accept(world, propose_plan{seed_plan()}, "s2");
  accept(world, decide_plan{1, plan_verdict::modify});
  accept(world, revise_plan{seed_plan()});
  // Where nothing that a host gives the runtime may throw: it reads what is not in memory.
  world.store().on_fault({}, [](memory_read_fault) { throw std::logic_error("a defect"); });
  world.store().fail_next_read(memory_read_fault::io_error);
  const auto sent = world.send(sid(), approve_plan(1));
  world.run();
  REQUIRE(sent.answer());
  CHECK_FALSE(sent.accepted());
  accept(world, approve_plan(), "s2");
  CHECK(state_of(world, "s2") == "waiting");
  accept(world, approve_plan(2));
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("P6: a check that throws refuses the plan, whoever proposes it") {
  auto options = small_options();
  options.policy = approval_policy::allow_everything();
  const auto before = options.setup;
  options.setup = [before](agent_registry& agents, tool_registry& tools) {
    before(agents, tools);
    must(agents.add("planner", [](step_context&) -> coro::task<step> {
      co_return step::propose(plan_for("fragile", "defect"));
    }));
  };
  sim::world world{1, options};
  const auto refused = refuse(world, propose_plan{plan_for("fragile", "defect")});
  CHECK(is(refused, errc::agent_failed));
  CHECK(contains(message_of(refused), "check of agent \"fragile\" threw: a defect in a check"));
  accept(world, propose_plan{plan_for("planner")});
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(status_of(world).subtasks.at(0).error, "a defect in a check"));
}

TEST_CASE("P1: while the disk is full, a session with unfinished work says so to each command, and "
          "goes on when there is room") {
  sim::world world{1, small_options()};
  accept(world, propose_plan{plan_for("sleeper")});
  accept(world, approve_plan());
  world.crash();
  bool full = true;
  world.store().on_write(
      [&](std::uint64_t) { return full ? memory_fault::disk_full : memory_fault::none; });
  std::vector<sim::ticket> sent;
  for (int i = 0; i < 3; ++i)
    sent.push_back(world.send(sid(), cancel_plan{"enough"}));
  world.run();
  for (const auto& one : sent) {
    REQUIRE(one.answer());
    REQUIRE_FALSE(one.accepted());
    CHECK(is(one.answer()->error(), errc::disk_full));
  }
  const auto attempts = world.store().writes();
  world.advance(1min);
  CHECK(world.store().writes() < attempts + 1'000); // it tries again, but not all the time
  full = false;
  world.advance(1min);
  CHECK(state_of(world) == "running");
  accept(world, cancel_plan{"enough"});
  CHECK(state_of(world) == "cancelled");
}

TEST_CASE("P2: when a node stops, no actor, frame or unanswered command is left") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto options = small_options();
    sim::world world{seed, options};
    std::vector<sim::ticket> sent;
    for (int i = 0; i < 5; ++i) {
      accept(world, propose_plan{i == 0 ? plan_for("sleeper") : seed_plan()}, name(i));
      sent.push_back(world.send(sid(name(i)), approve_plan()));
    }
    world.restart();
    world.run();
    for (const auto& one : sent)
      CHECK(one.answer());
    CHECK(world.resident_sessions() == 0);
    CHECK(coro::live_frames() == 0);
  }
}

} // namespace directory_test
