// A session that others were used after keeps its data packed: less memory, and nothing else.

#include "stories.hpp"

#include <fermata/actors/core/packed_session.hpp>
#include <fermata/actors/core/persistence.hpp>

namespace packed_session_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

std::uint32_t packed_in(const sim::world& world) {
  return world.load("n1").value().packed_sessions;
}

std::vector<std::string> told_by(const make_story& make, std::uint32_t unpacked_sessions) {
  auto story = make();
  story.options.limits.unpacked_sessions = unpacked_sessions;
  story.options.pack_after = 0ms;
  sim::world world{1, story.options};
  const auto receipts = test::drive(world, story);
  test::check_end(world, story, receipts);
  wake(world);
  CHECK(packed_in(world) == (unpacked_sessions == 0 ? 1 : 0));
  auto told = types(world.events(sid()));
  for (const auto& given : receipts)
    told.push_back(to_text(to_json(given)));
  return told;
}

sim::world_options packing_options(std::uint32_t unpacked_sessions,
                                   std::chrono::milliseconds pack_after) {
  sim::world_options options;
  options.limits.unpacked_sessions = unpacked_sessions;
  options.pack_after = pack_after;
  return options;
}

coro::task<step> sleeper(step_context& ctx) {
  co_await coro::delay(ctx.self, 1h);
  co_return step::finish("slept");
}

} // namespace

TEST_CASE("what is unpacked is what was packed, at every commit of every story") {
  std::size_t packed = 0;
  for (const auto& make : all_stories())
    for (const auto& store : stores_of(make)) {
      CAPTURE(++packed);
      auto data = loaded_from(*store);
      data.last_change = timestamp{5s};
      data.first_event = 3;
      const auto before = core::pack(data);
      const auto unpacked = must(core::unpack(before));
      CHECK(core::pack(unpacked).records == before.records);
      CHECK(unpacked.remembered.size() == data.remembered.size());
      CHECK(unpacked.messages.size() == data.messages.size());
      CHECK(unpacked.entries.size() == data.entries.size());
      CHECK(unpacked.calls.size() == data.calls.size());
      CHECK(unpacked.draft.has_value() == data.draft.has_value());
      CHECK(unpacked.last_change == data.last_change);
      CHECK(unpacked.first_event == data.first_event);
      CHECK(core::derive_state(unpacked) == data.head.state);
      const auto due = core::next_due(data);
      const auto still_due = core::next_due(unpacked);
      REQUIRE(still_due.has_value() == due.has_value());
      if (due)
        CHECK(still_due->at == due->at);
    }
  CHECK(packed > 30);
}

TEST_CASE("what is packed is one piece of memory, not much larger than the records") {
  const auto stores = stores_of(long_story);
  const auto view = must(stores.back()->read());
  std::size_t size_bytes = 0;
  const record_key first{static_cast<record_kind>(0), 0, 0};
  for (const auto& one : must(view->scan(1, first, message_key(~std::uint64_t{0}), 10'000)))
    size_bytes += one.value.size();
  const auto packed = core::pack(loaded_from(*stores.back()));
  CHECK(packed.records.size() < size_bytes + size_bytes / 10);
  CHECK(packed.records.capacity() == packed.records.size());
}

TEST_CASE("packed data that is cut short or that is no data is reported as corrupt") {
  auto packed = core::pack(loaded_from(*stores_of(long_story)[3]));
  packed.records.pop_back();
  CHECK(is(core::unpack(packed).error(), errc::store_corrupt));
  packed.records = {0xff, 0xff};
  CHECK(is(core::unpack(packed).error(), errc::store_corrupt));
}

TEST_CASE("a session that is packed whenever it rests goes the same way as one that never is") {
  for (const auto& make : all_stories())
    CHECK(told_by(make, 0) == told_by(make, 1'000));
}

TEST_CASE("P10: unpacked_sessions are kept as objects") {
  sim::world world{1, packing_options(2, 0ms)};
  for (const auto* id : {"s1", "s2", "s3", "s4"})
    accept(world, propose_plan{seed_plan()}, id);
  CHECK(world.resident_sessions() == 4);
  CHECK(packed_in(world) == 2);
  // The other way round: each of them goes on, and pushes another one out.
  for (const auto* id : {"s2", "s1", "s4", "s3"}) {
    accept(world, approve_plan(), id);
    CHECK(state_of(world, id) == "waiting");
    CHECK(packed_in(world) == 2);
  }
  world.advance(1h);
  CHECK(world.resident_sessions() == 0);
  CHECK(packed_in(world) == 0);
}

TEST_CASE("a session that has left memory is none of those that are unpacked") {
  auto options = packing_options(2, 0ms);
  options.passivate_after = 10s;
  sim::world world{1, options};
  for (const auto* id : {"s1", "s2", "s3", "s4"}) {
    accept(world, propose_plan{seed_plan()}, id);
    CHECK(packed_in(world) == 0);
    world.advance(1min);
    CHECK(world.resident_sessions() == 0);
  }
  accept(world, approve_plan(), "s1");
  accept(world, approve_plan(), "s2");
  CHECK(packed_in(world) == 0);
}

TEST_CASE("the sessions that were used last are unpacked, and not the ones that came last") {
  sim::world world{1, packing_options(1, 10s)};
  accept(world, propose_plan{seed_plan()}, "s1");
  world.advance(5s);
  accept(world, propose_plan{seed_plan()}, "s2");
  world.advance(4s);
  accept(world, approve_plan(), "s1");
  world.advance(4s);
  CHECK(packed_in(world) == 0);
  world.advance(10s);
  CHECK(packed_in(world) == 1);
  accept(world, approve_plan(), "s1"); // is not the one
  CHECK(packed_in(world) == 1);
  accept(world, approve_plan(), "s2");
  CHECK(packed_in(world) == 0);
  world.advance(20s);
  CHECK(packed_in(world) == 1); // the other one now
  accept(world, decide_call{cid(1, "s2"), call_verdict::approve}, "s2");
  CHECK(packed_in(world) == 1);
}

TEST_CASE("a session that is told to pack, and addressed before it can, stays unpacked") {
  auto options = options_with(
      [](agent_registry& agents, tool_registry&) { must(agents.add("sleeper", sleeper)); });
  options.limits.unpacked_sessions = 0;
  options.pack_after = 2h;
  options.passivate_after = 24h;
  sim::world world{1, options};
  accept(world, propose_plan{plan(R"({"goal": "g", "subtasks": [
      {"id": "a", "agent": "sleeper"}, {"id": "b", "agent": "sleeper"}, {"id": "c", "agent": "sleeper"}]})")});
  accept(world, approve_plan());
  world.advance(2h + 30min); // it was told to pack meanwhile
  accept(world, suspend_session{"lunch"});
  world.advance(1h);
  CHECK(state_of(world) == "suspended");
  CHECK(packed_in(world) == 0);
  world.advance(2h);
  CHECK(packed_in(world) == 1);
  accept(world, resume_session{});
  CHECK(packed_in(world) == 0);
}

TEST_CASE("a session is packed when it was not used for pack_after, and not before") {
  sim::world world{1, packing_options(0, 10s)};
  accept(world, propose_plan{seed_plan()});
  world.advance(9s);
  CHECK(packed_in(world) == 0);
  accept(world, approve_plan());
  world.advance(9s);
  CHECK(packed_in(world) == 0);
  world.advance(11s);
  CHECK(packed_in(world) == 1);
  accept(world, approve(1));
  CHECK(packed_in(world) == 0);
  CHECK(state_of(world) == "waiting");
}

TEST_CASE("a session is not packed while its agent is at work, but as soon as it rests") {
  auto options = options_with(
      [](agent_registry& agents, tool_registry&) { must(agents.add("sleeper", sleeper)); });
  options.limits.unpacked_sessions = 0;
  options.pack_after = 0ms;
  options.passivate_after = 24h;
  sim::world world{1, options};
  accept(world,
         propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a", "agent": "sleeper"}]})")});
  CHECK(packed_in(world) == 1);
  accept(world, approve_plan());
  CHECK(packed_in(world) == 0);
  world.advance(59min);
  CHECK(packed_in(world) == 0);
  world.advance(2min);
  CHECK(state_of(world) == "completed");
  CHECK(packed_in(world) == 1);
}

} // namespace packed_session_test
