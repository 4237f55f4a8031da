// Deletion and retention: a session is gone at once and for good, a long history is cut, and what
// was answered stays answered.

#include "faults.hpp"

#include <caf/event_based_actor.hpp>

namespace retention_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// A tool that runs until the test lets it end, and does not hear that it is to stop.
sim::world_options deaf() {
  return unattended([](agent_registry&, tool_registry& tools) {
    tool made;
    made.name = tid("dig");
    made.run = blocking_tool{[](const tool_context&) -> result<json> { return json("dug"); }};
    must(tools.add(std::move(made)));
  });
}

sim::world_options keeping(std::optional<std::chrono::milliseconds> after,
                           std::optional<std::uint64_t> events = {}) {
  auto options = unattended({});
  options.setup = [](agent_registry&, tool_registry&) {};
  options.retention.delete_finished_after = after;
  options.retention.keep_events = events;
  return options;
}

/// One question to a client tool.
plan_spec question() {
  return script_plan(R"({"tool": "ask"})");
}

/// A session whose plan is over, with one call that was answered.
void finish(sim::world& world, std::string_view session = "s1") {
  accept(world, propose_plan{question()}, session);
  const auto call = status_of(world, session).waiting.result;
  REQUIRE(call == 1);
  const auto pending = pending_of(world, session);
  accept(world, tool_result{*call_id::parse(pending.front().id), "tea"}, session);
  REQUIRE(state_of(world, session) == "completed");
}

bool exists(sim::world& world, std::string_view session = "s1") {
  const auto found = world.status(sid(session));
  if (!found)
    CHECK(is(found.error(), errc::unknown_session));
  return bool{found};
}

std::size_t armed_timers(sim::world& world) {
  return query_timers(world.store(), {})->size();
}

} // namespace

TEST_CASE("a deleted session is gone, with all that was stored of it, and its id is free") {
  sim::world world{1, keeping({})};
  finish(world);
  finish(world, "s2");
  const auto last = status_of(world).events;
  const auto incarnation = facts<session_created>(world).front().incarnation;
  const auto given = accept(world, delete_session{"old"});
  CHECK(given.kind == receipt_kind::accepted);
  CHECK(given.event == last + 1);
  CHECK(given.state == session_state::completed);
  CHECK_FALSE(exists(world));
  CHECK(pending_of(world, "s2").empty());
  CHECK(query_sessions(world.store(), {}, 9)->size() == 1);
  // The journal erases what it had when nobody has anything to write.
  CHECK(world.store().verify().garbage == 0);
  CHECK(world.store().verify().sessions == 1);
  for (const command& body : {command{delete_session{}}, command{trim_history{1}},
                              command{cancel_plan{}}, command{tool_result{cid(1), "tea"}}})
    CHECK(is(refuse_unchanged(world, body), errc::unknown_session));
  finish(world);
  CHECK(facts<session_created>(world).front().incarnation != incarnation);
  CHECK(facts<session_created>(world).size() == 1);
  CHECK(world.store().verify().sound());
}

TEST_CASE("a session with a live plan is not deleted, and what is possible is said") {
  sim::world world{1, options_with({})};
  accept(world, propose_plan{question()});
  CHECK(state_of(world) == "awaiting_plan_decision");
  const auto refused = refuse_unchanged(world, delete_session{});
  CHECK(is(refused, errc::not_allowed));
  CHECK(contains(message_of(refused), "the session is awaiting_plan_decision"));
  CHECK(contains(message_of(refused), "cancel_plan"));
  CHECK(is(refuse_unchanged(world, trim_history{1}), errc::not_allowed));
  accept(world, approve_plan());
  CHECK(state_of(world) == "waiting");
  CHECK(is(refuse_unchanged(world, delete_session{}), errc::not_allowed));
  accept(world, cancel_plan{"enough"});
  accept(world, delete_session{});
  CHECK_FALSE(exists(world));
}

TEST_CASE("P8: a session is not deleted while a run of its tools has not ended") {
  sim::world world{1, deaf()};
  world.hold_tools(true);
  accept(world, propose_plan{script_plan(R"({"tool": "dig"})")});
  accept(world, cancel_plan{"enough"});
  CHECK(state_of(world) == "cancelled");
  const auto refused = refuse_unchanged(world, delete_session{});
  CHECK(is(refused, errc::not_allowed));
  CHECK(contains(message_of(refused), "has not ended"));
  world.hold_tools(false);
  world.run();
  CHECK(facts<late_result>(world).size() == 1);
  accept(world, delete_session{});
  CHECK_FALSE(exists(world));
}

TEST_CASE("P4 P10: a run whose end was not recorded, or was without the session knowing, keeps no "
          "session for ever") {
  sim::world world{1, deaf()};
  SECTION("it was late, and the disk was full") {
    world.hold_tools(true);
    accept(world, propose_plan{script_plan(R"({"tool": "dig"})")});
    accept(world, cancel_plan{"enough"});
    world.store().fail_next(memory_fault::disk_full);
    world.hold_tools(false);
    world.run();
    world.advance(1h);
    CHECK(facts<late_result>(world).size() == 1);
  }
  SECTION("its answer was stored, and that was not acknowledged") {
    const auto answer = world.store().writes() + 2;
    world.store().on_write([=](std::uint64_t number) {
      return number == answer ? memory_fault::lose_ack : memory_fault::none;
    });
    accept(world, propose_plan{script_plan(R"({"tool": "dig"})")});
    world.advance(1h);
    CHECK(state_of(world) == "completed");
    CHECK(facts<late_result>(world).empty());
  }
  accept(world, delete_session{});
  CHECK_FALSE(exists(world));
}

TEST_CASE("what races a deletion finds no session, or makes another one") {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    CAPTURE(seed);
    sim::world world{seed, keeping({})};
    finish(world);
    const auto deleted = world.send(sid(), delete_session{});
    const auto late = world.send(sid(), tool_result{cid(1), "tea"});
    const auto again = world.send(sid(), propose_plan{question()});
    const auto behind = world.send(sid(), trim_history{1});
    world.run();
    REQUIRE(deleted.accepted());
    CHECK(is(late.answer()->error(), errc::unknown_session));
    CHECK(again.accepted());
    // What waited for the old one is delivered again, and may come to the new one late.
    CHECK((is(behind.answer()->error(), errc::not_allowed)
           || is(behind.answer()->error(), errc::unknown_session)));
    CHECK(state_of(world) == "waiting");
    CHECK(facts<session_created>(world).size() == 1);
    CHECK(world.store().verify().sound());
  }
}

TEST_CASE("P1: a deletion that is not stored did not happen, and one that is did") {
  for (const auto fault :
       {memory_fault::disk_full, memory_fault::io_error, memory_fault::lose_ack,
        memory_fault::crash_before, memory_fault::crash_inside, memory_fault::crash_after}) {
    CAPTURE(fault);
    sim::world world{1, keeping({})};
    finish(world);
    world.store().fail_next(fault);
    const auto said = world.send(sid(), delete_session{});
    world.run();
    world.advance(1min);
    CHECK_FALSE(said.accepted());
    const auto stored = fault == memory_fault::lose_ack || fault == memory_fault::crash_after;
    CHECK(exists(world) == !stored);
    if (!stored)
      accept(world, delete_session{});
    CHECK_FALSE(exists(world));
    world.advance(1min);
    finish(world, "s2"); // whoever writes next takes the rest along
    CHECK(world.store().verify().garbage == 0);
    CHECK(world.store().verify().sound());
  }
}

TEST_CASE("P1: who follows a session hears of its deletion, also if its acknowledgement is lost") {
  for (const auto fault : std::vector<std::optional<memory_fault>>{
           {}, memory_fault::lose_ack, memory_fault::disk_full}) {
    CAPTURE(fault);
    sim::world world{1, keeping({})};
    finish(world);
    std::optional<errc> heard;
    world.system().spawn(
        [&](caf::event_based_actor* self, const caf::actor& directory) {
          const follow_chunks rest{sid(), status_of(world).events + 1};
          self->request(directory, caf::infinite, rest)
              .then([](const chunk_batch&) {},
                    [&](const caf::error& why) { heard = code_of(why); });
        },
        world.directory());
    world.run();
    CHECK_FALSE(heard);
    if (fault)
      world.store().fail_next(*fault);
    const auto said = world.send(sid(), delete_session{});
    world.run();
    world.advance(1min);
    CHECK(said.accepted() == !fault);
    if (fault == memory_fault::disk_full) {
      CHECK_FALSE(heard);
      accept(world, delete_session{});
    }
    CHECK(heard == errc::unknown_session);
  }
}

TEST_CASE("P7: reclaiming goes on behind a crash at any of its writes") {
  for (std::uint64_t write = 1; write <= 4; ++write)
    for (const auto fault : {memory_fault::crash_before, memory_fault::crash_inside,
                             memory_fault::crash_after, memory_fault::io_error}) {
      CAPTURE(write, fault);
      sim::world world{1, keeping({})};
      for (int i = 0; i < 30; ++i)
        accept(world, propose_plan{agent_plan(R"({"id": "a", "result": 1}, {"id": "b", "result": 2},
                                                {"id": "c", "result": 3})")});
      finish(world, "s2");
      const auto begin = world.store().writes();
      world.store().on_write([=](std::uint64_t number) {
        return number == begin + 1 + write ? fault : memory_fault::none;
      });
      accept(world, delete_session{});
      world.advance(1min);
      world.store().on_write({});
      finish(world, "s3");
      // What failed is tried again after some batches.
      for (int i = 0; i < 16 && fault == memory_fault::io_error; ++i)
        accept(world, propose_plan{agent_plan(R"({"id": "a", "result": 1})")}, "s3");
      CHECK(world.store().verify().problems == std::vector<std::string>{});
      CHECK(world.store().verify().garbage == 0);
      CHECK(world.store().verify().sessions == 2);
    }
}

TEST_CASE("the journal reclaims also where somebody always has something to write") {
  sim::world world{1, keeping({})};
  for (int i = 0; i < 40; ++i)
    accept(world, propose_plan{agent_plan(R"({"id": "a", "result": 1})")});
  std::uint64_t garbage = 0;
  std::vector<sim::ticket> sent;
  sent.push_back(world.send(sid(), delete_session{}));
  // A chain of commands, so that each batch has one.
  for (int i = 0; i < 60; ++i)
    sent.push_back(world.send(sid("s2"), propose_plan{agent_plan(R"({"id": "a", "result": 1})")}));
  world.run();
  for (const auto& one : sent)
    CHECK(one.accepted());
  garbage = world.store().verify().garbage;
  CHECK(garbage == 0);
}

TEST_CASE("what is damaged is told of once, and the rest is reclaimed") {
  struct listener final : runtime_observer {
    void reclaimed(const reclaimed_space& what) override { told += what.error ? 1 : 0; }
    int told = 0;
  };
  auto options = keeping({});
  const auto observer = std::make_shared<listener>();
  options.observer = observer;
  sim::world world{1, options};
  finish(world, "s1");
  finish(world, "s2");
  REQUIRE(world.store().corrupt_event(1, 1));
  accept(world, delete_session{}, "s1");
  CHECK(observer->told == 1);
  const auto left = world.store().verify().garbage;
  accept(world, delete_session{}, "s2");
  CHECK(world.store().verify().garbage == left);
  CHECK(observer->told == 1);
}

TEST_CASE("P4: dropped events are gone, and what was answered stays answered") {
  sim::world world{1, keeping({})};
  finish(world);
  finish(world); // another plan, whose call is c2
  const auto before = world.events(sid());
  const auto first = facts<call_answered>(world);
  const auto last = before.size();
  const auto answered = accept(world, tool_result{cid(1), "tea"});
  CHECK(answered.kind == receipt_kind::duplicate);
  const auto trimmed = accept(world, trim_history{3});
  CHECK(trimmed.event == last + 1);
  const auto check = [&] {
    const auto kept = world.events(sid());
    REQUIRE(kept.size() == 4);
    CHECK(kept.front().number == last - 2);
    CHECK(kept.back().number == last + 1);
    CHECK(std::get<history_trimmed>(kept.back().body).first_event == last - 2);
    CHECK(status_of(world).first_event == last - 2);
    CHECK(status_of(world).events == last + 1);
    const auto again = accept(world, tool_result{cid(1), "tea"});
    CHECK(again.kind == receipt_kind::duplicate);
    CHECK(again.event == answered.event);
    CHECK(is(refuse_unchanged(world, tool_result{cid(1), "coffee"}), errc::already_answered));
    const auto nothing = accept(world, trim_history{4});
    CHECK(nothing.kind == receipt_kind::duplicate);
    CHECK(nothing.event == last + 1);
  };
  check();
  CHECK(world.store().verify().garbage == 0);
  world.restart();
  check();
  CHECK(is(refuse_unchanged(world, trim_history{0}), errc::invalid_field));
  // Histories begin with what is kept, and say so by their numbers.
  const auto moves = query_history(world.store(), sid(), 1, 100)->moves;
  REQUIRE(moves.size() == 1);
  CHECK(moves.front().number >= last - 2);
  const auto audit = query_audit(world.store(), sid(), {}, 100);
  REQUIRE(audit);
  CHECK(audit->entries.size() == 1);
  CHECK(audit->entries.front().action == "history_trimmed");
  finish(world);
  CHECK(world.store().verify().sound());
}

TEST_CASE("a finished session deletes itself when it is old enough, whatever happens meanwhile") {
  for (const bool crashes : {false, true}) {
    CAPTURE(crashes);
    sim::world world{1, keeping(72h)};
    finish(world);
    const auto ended = world.now();
    CHECK(status_of(world).delete_at == ended + 72h);
    CHECK(status_of(world).next_timer == ended + 72h);
    CHECK(armed_timers(world) == 1);
    world.advance(71h);
    CHECK(world.resident_sessions() == 0);
    if (crashes)
      world.crash();
    world.run();
    CHECK(exists(world));
    world.advance(1h);
    CHECK_FALSE(exists(world));
    CHECK(armed_timers(world) == 0);
    world.advance(1min);
    CHECK(world.resident_sessions() == 0);
    CHECK(world.store().verify().sound());
    CHECK(world.store().verify().garbage == 0);
  }
}

TEST_CASE("a new plan ends the wait for deletion, and whatever is recorded moves it") {
  sim::world world{1, keeping(72h)};
  accept(world, propose_plan{question()});
  CHECK_FALSE(status_of(world).delete_at);
  accept(world, cancel_plan{"enough"});
  CHECK(status_of(world).delete_at == world.now() + 72h);
  world.advance(70h);
  const auto late = accept(world, tool_result{cid(1), "tea"});
  CHECK(late.kind == receipt_kind::late);
  CHECK(status_of(world).delete_at == world.now() + 72h);
  world.advance(71h);
  accept(world, propose_plan{question()});
  CHECK_FALSE(status_of(world).delete_at);
  CHECK(armed_timers(world) == 0);
  world.advance(200h);
  CHECK(state_of(world) == "waiting");
  accept(world, cancel_plan{"enough"});
  world.advance(72h);
  CHECK_FALSE(exists(world));
}

TEST_CASE("what comes when a session's time is up is for another one") {
  for (const auto stays : {1min, 600min}) {
    CAPTURE(stays.count());
    auto options = keeping(1h);
    options.fire_timers = false;     // it fires with the next command,
    options.passivate_after = stays; // which finds the session in memory, or not
    sim::world world{1, options};
    finish(world);
    const auto incarnation = facts<session_created>(world).front().incarnation;
    world.advance(2h);
    CHECK(exists(world));
    CHECK(is(refuse(world, cancel_plan{}), errc::unknown_session));
    CHECK_FALSE(exists(world));
    finish(world);
    world.advance(2h);
    accept(world, propose_plan{question()});
    REQUIRE(facts<session_created>(world).size() == 1);
    CHECK(facts<session_created>(world).front().incarnation != incarnation);
    CHECK(status_of(world).plan->revision == 1);
  }
}

TEST_CASE("P8: a deletion waits for a run that has not ended") {
  auto options = deaf();
  options.retention.delete_finished_after = 1h;
  sim::world world{1, options};
  world.hold_tools(true);
  accept(world, propose_plan{script_plan(R"({"tool": "dig"})")});
  accept(world, cancel_plan{"enough"});
  world.advance(3h);
  CHECK(exists(world));
  world.hold_tools(false);
  world.run();
  world.advance(2h);
  CHECK_FALSE(exists(world));
}

TEST_CASE(
    "retention that is set later holds for what is addressed, and is taken back in the same way") {
  auto options = keeping({});
  options.store = std::make_shared<memory_store>();
  sim::world before{1, options};
  finish(before);
  finish(before, "s2");
  CHECK(armed_timers(before) == 0);
  options.store = before.store().clone();
  options.retention.delete_finished_after = 1h;
  sim::world with{1, options};
  with.advance(10h);
  CHECK(exists(with));
  wake(with);
  with.advance(1h);
  CHECK_FALSE(exists(with));
  CHECK(exists(with, "s2"));
  wake(with, "s2");
  options.store = with.store().clone();
  options.retention.delete_finished_after.reset();
  sim::world without{1, options};
  without.advance(20h);
  CHECK(exists(without, "s2"));
  CHECK_FALSE(status_of(without, "s2").delete_at);
  CHECK(armed_timers(without) == 0);
}

TEST_CASE("a longer retention holds for what a shorter one has scheduled") {
  auto options = keeping(1h);
  options.store = std::make_shared<memory_store>();
  sim::world before{1, options};
  finish(before);
  options.store = before.store().clone();
  options.retention.delete_finished_after = 30h;
  sim::world with{1, options};
  for (const auto passed : {2h, 27h}) {
    with.advance(passed);
    REQUIRE(exists(with));
  }
  with.advance(2h);
  CHECK_FALSE(exists(with));
}

TEST_CASE("a longer retention holds, however often a shorter one has scheduled it before") {
  auto options = keeping(1h);
  options.store = std::make_shared<memory_store>();
  timestamp over;
  {
    sim::world world{1, options};
    finish(world);
    over = world.events(sid()).back().at;
    options.store = world.store().clone();
  }
  const auto live = [&](std::chrono::hours longer, std::chrono::hours at) {
    options.retention.delete_finished_after = longer;
    options.store = options.store->clone();
    sim::world world{1, options};
    world.set_clock(over + at - 1min);
    world.advance(2min);
    options.store = world.store().clone();
    return exists(world);
  };
  for (int times = 1; times <= 40; ++times)
    REQUIRE(live(std::chrono::hours{times + 1}, std::chrono::hours{times}));
  CHECK(live(100h, 41h));
  CHECK_FALSE(live(100h, 100h));
}

TEST_CASE("retention for as long as can be said deletes nothing, and a negative one is refused") {
  sim::world world{1, keeping(std::chrono::milliseconds::max())};
  finish(world);
  world.advance(24h * 366);
  CHECK(exists(world));
  runtime_options negative;
  negative.store = std::make_shared<memory_store>();
  negative.retention.delete_finished_after = -1ms;
  CHECK_THROWS_WITH(runtime{std::move(negative)}, Catch::Contains("delete_finished_after"));
}

TEST_CASE("P8: a plan that a timer ends under a delete keeps its session while a tool still runs") {
  auto options = deaf();
  options.fire_timers = false; // it fires with the next command
  sim::world world{1, options};
  world.hold_tools(true);
  accept(world, propose_plan{script_plan(R"({"tool": "dig"})")});
  accept(world, set_deadline{world.now() + 1min});
  world.advance(2min);
  const auto refused = refuse(world, delete_session{});
  CHECK(is(refused, errc::not_allowed));
  CHECK(contains(message_of(refused), "has not ended"));
  world.hold_tools(false);
  world.run();
  accept(world, delete_session{});
}

TEST_CASE("at the end of a plan only the last events are kept, where that is wanted") {
  sim::world world{1, keeping({}, 5)};
  finish(world);
  const auto kept = world.events(sid());
  CHECK(kept.size() == 6); // and the one that says so
  CHECK(std::holds_alternative<history_trimmed>(kept.back().body));
  CHECK(status_of(world).first_event == kept.front().number);
  // While a plan is live nothing is dropped.
  accept(world, propose_plan{question()});
  const auto first = status_of(world).first_event;
  CHECK(first == kept.front().number);
  CHECK(world.events(sid()).size() > 10);
  accept(world, tool_result{cid(2), "tea"});
  CHECK(world.events(sid()).size() == 6);
  CHECK(accept(world, tool_result{cid(1), "tea"}).kind == receipt_kind::duplicate);
  CHECK(world.store().verify().garbage == 0);
  CHECK(world.store().verify().sound());
}

TEST_CASE("P1 P4 P7: deletion by retention is whole with a fault at every commit") {
  for (const std::uint64_t seed : {1, 2})
    for (std::uint64_t write = 1; write <= 12; ++write)
      for (const auto fault : {memory_fault::crash_before, memory_fault::crash_after,
                               memory_fault::lose_ack, memory_fault::io_error}) {
        CAPTURE(seed, write, fault);
        sim::world world{seed, keeping(1h, 4)};
        world.store().on_write(
            [=](std::uint64_t number) { return number == write ? fault : memory_fault::none; });
        for (int round = 0; round < 40; ++round) {
          const auto status = world.status(sid());
          if (!status && round > 20)
            break;
          if (!status && round == 0)
            static_cast<void>(world.send(sid(), propose_plan{question()}));
          if (status && status->waiting.result > 0)
            static_cast<void>(world.send(sid(), tool_result{cid(1), "tea"}));
          world.run();
          world.advance(10min);
        }
        CHECK_FALSE(exists(world));
        CHECK(armed_timers(world) == 0);
        CHECK(world.store().verify().problems == std::vector<std::string>{});
      }
}

} // namespace retention_test
