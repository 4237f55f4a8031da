// Turns: more commands than can be dealt with at a time wait in the directory, and whoever was
// served longest ago goes first.

#include "support.hpp"

#include <fermata/actors/detail/turns.hpp>

#include <fermata/actors/sim/random.hpp>

#include <algorithm>
#include <cmath>

namespace turns_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock::time_point;
using detail::transaction_pace;
using detail::turn;
using detail::turn_gate;
using detail::turn_queue;

namespace {

detail::delivery_ptr command_for(std::string_view session) {
  auto made = std::make_shared<detail::delivery>();
  made->session = sid(session);
  made->body = command{post_message{"hi"}};
  return made;
}

std::string name(int i) {
  return "s" + std::to_string(i);
}

sim::world_options options_with_turns(std::uint32_t at_once) {
  auto options = options_with([](agent_registry&, tool_registry&) {});
  options.random_schedule = false;
  options.limits.commands_at_once = at_once;
  return options;
}

/// Proposes plans, which await their decisions; after that commits take seconds.
void slow_down(sim::world& world, const std::vector<std::string>& sessions) {
  for (const auto& one : sessions)
    accept(world, propose_plan{seed_plan()}, one);
  sim::fault slow;
  slow.kind = sim::fault_kind::slow_commits;
  slow.node = "n1";
  slow.at = world.elapsed();
  slow.duration = 10h;
  world.plan_faults({slow});
  world.advance(1ms);
}

} // namespace

TEST_CASE("of the sessions that wait, the one that was served longest ago is next") {
  turn_queue queue;
  CHECK(queue.empty());
  queue.push(command_for("late"), 7);
  queue.push(command_for("early"), 3);
  queue.push(command_for("late"), 7);
  queue.push(command_for("early-too"), 3);
  CHECK(queue.waiting_for(sid("late")) == 2);
  CHECK(queue.waiting_for(sid("nobody")) == 0);
  std::vector<std::string> order;
  for (std::uint64_t turn = 8; !queue.empty(); ++turn)
    order.push_back(queue.pop(turn)->session.str());
  CHECK(order == std::vector<std::string>{"early", "early-too", "late", "late"});
  CHECK(queue.waiting_for(sid("late")) == 0);
}

TEST_CASE("a session with many commands takes turns with the others") {
  turn_queue queue;
  for (int i = 0; i < 3; ++i)
    queue.push(command_for("eager"), 0);
  queue.push(command_for("b"), 1);
  queue.push(command_for("c"), 2);
  std::vector<std::string> order;
  for (std::uint64_t turn = 3; !queue.empty(); ++turn)
    order.push_back(queue.pop(turn)->session.str());
  CHECK(order == std::vector<std::string>{"eager", "b", "c", "eager", "eager"});
}

TEST_CASE("a turn is given back when it ends, once, wherever it was moved to") {
  turn_gate gate{2};
  REQUIRE(gate.take_or_ask());
  REQUIRE(gate.take_or_ask());
  CHECK_FALSE(gate.take_or_ask());
  {
    turn first{gate};
    turn moved{std::move(first)};
    turn last;
    last = std::move(moved);
    CHECK_FALSE(gate.take_or_ask());
  }
  CHECK(gate.take_or_ask());
  CHECK_FALSE(gate.take_or_ask());
  gate.set_limit(3);
  CHECK(gate.take_or_ask());
}

namespace {

/// Sessions without end that commit as soon as they are let, over a disk: a closed loop.
struct busy_disk {
  std::chrono::microseconds of_any;  ///< What any transaction takes,
  std::chrono::microseconds of_each; ///< what each commit adds,
  std::chrono::microseconds work;    ///< and what the processor has to do for it before.
  double spread = 0.2;               ///< By how much of itself the disk is faster or slower.

  /// How many commits are worthwhile after so many transactions.
  [[nodiscard]] std::uint32_t learned_after(int transactions) const {
    transaction_pace pace;
    sim::seeded_random random{1, "disk"};
    clock_type now;
    double ready = 32;
    for (int i = 0; i < transactions; ++i) {
      const auto limit = 2.0 * pace.worthwhile_commits();
      const auto commits = std::max(1.0, std::min(std::floor(ready), limit));
      const auto any =
          static_cast<double>(of_any.count())
          * (1 - spread + 2 * spread * static_cast<double>(random.below(1'000)) / 1'000);
      const auto took = any + static_cast<double>(of_each.count()) * commits;
      pace.observe(static_cast<std::size_t>(commits), now,
                   std::chrono::microseconds{static_cast<int>(took)});
      // Meanwhile the others get ready, as many as may be and the processor can.
      const auto pace_of_processor = 1.0 / std::max(1.0, static_cast<double>(work.count()));
      ready = std::min(limit - commits, took * pace_of_processor);
      const auto waited = ready < 1 ? static_cast<double>(work.count()) : 0;
      now += std::chrono::microseconds{static_cast<int>(took + waited)};
    }
    return pace.worthwhile_commits();
  }
};

} // namespace

TEST_CASE("where the disk is slow, half of a transaction is what any costs") {
  for (const auto spread : {0.0, 0.2, 0.6}) {
    CAPTURE(spread);
    CHECK(busy_disk{1'000us, 25us, 1us, spread}.learned_after(2'000) == Approx(40).margin(15));
    CHECK(busy_disk{20'000us, 25us, 1us, spread}.learned_after(2'000) == 512);
    CHECK(busy_disk{20us, 25us, 1us, spread}.learned_after(2'000) == 16);
  }
}

TEST_CASE("where the processor is slow, transactions hold what it can do meanwhile") {
  for (const auto spread : {0.0, 0.2, 0.6}) {
    CAPTURE(spread);
    const auto learned = busy_disk{400us, 4us, 30us, spread}.learned_after(2'000);
    CHECK(learned >= 16);
    CHECK(learned <= 32);
    // A disk that takes its time has more of them in one.
    CHECK(busy_disk{5'000us, 4us, 30us, spread}.learned_after(2'000) > 150);
  }
}

TEST_CASE("what is learned of transactions does not hang on one that hung, nor on a pause") {
  transaction_pace pace;
  CHECK(pace.worthwhile_commits() == 32);
  clock_type now;
  const auto observe = [&](int count, std::chrono::microseconds of_any) {
    for (int i = 0; i < count; ++i) {
      const auto took = of_any + 25us * (40 + i % 20);
      pace.observe(40 + i % 20, now, took);
      now += took;
    }
  };
  observe(400, 1'000us);
  pace.observe(50, now, 30s);
  observe(400, 1'000us);
  now += 1h;
  observe(400, 1'000us);
  CHECK(pace.worthwhile_commits() == Approx(40).margin(2));
  observe(400, 2'000us);
  // Half of one would be 80; but there were 49 or 50 in each, and the journal was always at work.
  CHECK(pace.worthwhile_commits() == Approx(55).margin(3));
  transaction_pace young;
  now = {};
  const auto begin = [&] {
    young.observe(32, now, 1'000us);
    now += 1'000us;
  };
  for (int i = 0; i < 4; ++i)
    begin();
  now += 1h;
  for (int i = 0; i < 60; ++i)
    begin();
  CHECK(young.worthwhile_commits() > 32);
}

TEST_CASE("a session that says little does not wait behind those that say much") {
  constexpr auto sessions = 10;
  sim::world world{1, options_with_turns(1)};
  std::vector<std::string> names;
  for (int i = 0; i < sessions; ++i)
    names.push_back(name(i));
  slow_down(world, names);
  // s0 was served first, and so longest ago; it comes last.
  std::vector<sim::ticket> sent(sessions);
  for (int i = sessions - 1; i >= 0; --i)
    sent[i] = world.send(sid(name(i)), approve_plan());
  std::vector<int> order;
  for (auto left = 100'000; left > 0 && order.size() < static_cast<std::size_t>(sessions); --left) {
    world.advance(10ms);
    for (int i = 0; i < sessions; ++i)
      if (sent[i].accepted() && std::find(order.begin(), order.end(), i) == order.end())
        order.push_back(i);
  }
  // The first to come found nobody there.
  CHECK(order == std::vector<int>{9, 0, 1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("P6: no stream of newcomers keeps a command waiting for ever") {
  constexpr std::uint32_t queue = 8;
  auto options = options_with_turns(1);
  options.limits.runtime_queue = queue;
  sim::world world{1, options};
  slow_down(world, {"old"});
  int newcomers = 0;
  std::vector<sim::ticket> waiting;
  const auto fill_up = [&](std::size_t up_to) {
    std::erase_if(waiting, [](const auto& one) { return one.answer().has_value(); });
    while (waiting.size() < up_to)
      waiting.push_back(
          world.send(sid("new" + std::to_string(++newcomers)), propose_plan{seed_plan()}));
  };
  fill_up(4);
  const auto old = world.send(sid("old"), approve_plan());
  while (!old.answer() && newcomers < 100) {
    world.advance(100ms);
    fill_up(4);
  }
  CHECK(old.accepted());
  CHECK(newcomers > 8); // they did overtake it
  CHECK(newcomers <= 3 * static_cast<int>(queue));
}

TEST_CASE("commands that wait for a turn count against their session's queue, and are refused when "
          "the runtime stops") {
  sim::world world{1, options_with_turns(1)};
  slow_down(world, {name(0), name(1)});
  const auto first = world.send(sid(name(0)), approve_plan());
  std::vector<sim::ticket> sent;
  for (std::uint32_t i = 0; i <= limits{}.session_queue; ++i)
    sent.push_back(world.send(sid(name(1)), approve_plan()));
  world.run();
  REQUIRE(sent.back().answer());
  CHECK(is(sent.back().answer()->error(), errc::overloaded));
  CHECK(contains(message_of(sent.back().answer()->error()), "session_queue"));
  CHECK_FALSE(sent.front().answer());
  CHECK(world.load("n1")->commands_under_way == 1 + limits{}.session_queue);
  sim::fault stop;
  stop.kind = sim::fault_kind::stop;
  stop.node = "n1";
  stop.at = world.elapsed();
  world.plan_faults({stop});
  world.advance(5min);
  REQUIRE(sent.front().answer());
  CHECK(is(sent.front().answer()->error(), errc::shutting_down));
}

TEST_CASE("P2: a command that races a passivation keeps its turn") {
  auto options = options_with_turns(1);
  options.random_schedule = true;
  options.passivate_after = 1ms;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    sim::world world{seed, options};
    accept(world, propose_plan{seed_plan()});
    for (int i = 0; i < 20; ++i) {
      world.advance(std::chrono::milliseconds{i});
      accept(world, approve_plan());
    }
  }
}

TEST_CASE("a runtime without turns is refused") {
  runtime_options options;
  options.store = std::make_shared<memory_store>();
  options.limits.commands_at_once = 0;
  CHECK_THROWS_WITH(runtime{std::move(options)}, Catch::Contains("commands_at_once"));
}

} // namespace turns_test
