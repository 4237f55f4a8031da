#pragma once

#include "support.hpp"

#include <map>
#include <memory>
#include <set>

/// Runs a scenario to its end while the process dies, or a commit fails, at every single commit.
namespace fermata::test {

/// The effects of server tools, as the world outside of the process sees them: how often each
/// idempotency key was used.
using effects = std::map<std::string, int>;

/// Adds one to what is counted for a run.
inline void count_effect(effects& of, const tool_context& context) {
  ++of[context.idempotency_key];
}

/// A whole life of session s1, with everybody who takes part in it. Made anew for each run.
struct scenario {
  sim::world_options options;
  command first;           ///< Creates the session.
  std::string end;         ///< The state in which it is over.
  std::uint64_t calls = 0; ///< How many calls there are in the end; each has one result.
  /// What somebody does of his own accord. Called once a round; says what to send, looking only at
  /// what is committed, so that it says it again if the process died before it was.
  std::function<std::optional<command>(sim::world&)> act;
  /// What a person or host says to a pending item; nothing: it is left alone. Absent: plans and
  /// calls are approved, results and answers are numbers, and unknown outcomes are `rerun`.
  std::function<std::optional<command>(const pending_item&)> answer;
  /// How much time passes in each round.
  std::chrono::milliseconds pass = std::chrono::minutes{30};
  std::shared_ptr<effects> counted; ///< Of server tools, or null.
  /// What else must be true in the end, whatever went wrong.
  std::function<void(sim::world&)> check;

  scenario() = default;
};

inline command default_answer(const pending_item& item) {
  if (item.kind == pending_kind::plan)
    return approve_plan(plan_id::parse(item.id)->revision());
  const auto call = *call_id::parse(item.id);
  switch (item.waiting_for) {
  case wait_cause::decision:
    return decide_call{call, call_verdict::approve};
  case wait_cause::result:
    return tool_result{call, call.number()};
  case wait_cause::answer:
    return answer_question{call, call.number()};
  default:
    return resolve_outcome{call, outcome_resolution::rerun};
  }
}

inline void send_and_run(sim::world& world, command body, std::vector<receipt>& receipts) {
  const auto sent = world.send(sid(), std::move(body));
  world.run();
  if (sent.accepted())
    receipts.push_back(**sent.answer());
}

/// In rounds: somebody opens the session, does what he wants to do, answers what is pending, and
/// lets time pass.
inline std::vector<receipt> drive(sim::world& world, const scenario& story) {
  std::vector<receipt> receipts;
  for (int round = 0; round < 60; ++round) {
    const auto status = world.status(sid());
    if (!status) {
      send_and_run(world, story.first, receipts);
      continue;
    }
    if (enum_name(status->state) == story.end)
      break;
    const auto woken = world.wake(sid());
    world.run();
    if (story.act)
      if (auto body = story.act(world))
        send_and_run(world, std::move(*body), receipts);
    if (const auto pending = query_pending(world.store(), sid()))
      for (const auto& item : *pending)
        if (auto body = story.answer ? story.answer(item) : default_answer(item))
          send_and_run(world, std::move(*body), receipts);
    world.advance(story.pass);
  }
  return receipts;
}

/// What holds at the end of every story.
inline void check_end(sim::world& world, const scenario& story,
                      const std::vector<receipt>& receipts) {
  REQUIRE(state_of(world) == story.end);
  const auto events = world.events(sid());
  for (const auto& given : receipts) {
    CHECK(given.event >= 1);
    CHECK(given.event <= events.size()); // P1
  }
  std::map<std::uint64_t, int> answers;
  std::map<std::uint64_t, int> runs;
  for (const auto& one : facts<call_answered>(world))
    ++answers[one.call];
  CHECK(answers.size() == story.calls);
  for (const auto& [call, count] : answers)
    CHECK(count == 1); // P4
  if (story.counted) {
    for (const auto& one : facts<outcome_resolved>(world))
      runs[one.call] += one.resolution == outcome_resolution::rerun;
    for (const auto& one : facts<call_requeued>(world))
      ++runs[one.call];
    for (const auto& one : facts<call_asked_again>(world))
      ++runs[one.call];
    for (const auto& [key, times] : *story.counted) {
      const auto call = call_id::parse(key.substr(key.find('/') + 1));
      REQUIRE(call);
      CHECK(times <= 1 + runs[call->number()]); // P8
    }
  }
  check_no_dead_end(world); // P6
  CHECK(world.store().verify().sound());
  CHECK(coro::live_frames() == 0);
  if (story.check)
    story.check(world);
}

/// Runs the story without a fault, and then once for each of its commits and each fault. `make` is
/// called for every run.
inline void with_a_fault_at_every_commit(const std::function<scenario()>& make,
                                         std::initializer_list<std::uint64_t> seeds = {1, 2},
                                         std::uint64_t at_least = 5) {
  for (const auto seed : seeds) {
    std::uint64_t writes = 0;
    {
      CAPTURE(seed);
      const auto story = make();
      sim::world world{seed, story.options};
      const auto receipts = drive(world, story);
      writes = world.store().writes();
      check_end(world, story, receipts);
      REQUIRE(writes >= at_least);
    }
    for (std::uint64_t write = 1; write <= writes; ++write)
      for (const auto fault : {memory_fault::crash_before, memory_fault::crash_after,
                               memory_fault::lose_ack, memory_fault::io_error}) {
        CAPTURE(seed, write, static_cast<int>(fault));
        const auto story = make();
        sim::world world{seed, story.options};
        world.store().on_write(
            [=](std::uint64_t number) { return number == write ? fault : memory_fault::none; });
        const auto receipts = drive(world, story);
        world.store().on_write({});
        check_end(world, story, receipts);
      }
  }
}

/// Keeps what a simulated node shows while it happens.
struct live_log {
  std::vector<live_update> updates;
  [[nodiscard]] live_observer observer() {
    return [this](const live_update& update) { updates.push_back(update); };
  }
  live_log() = default;
};

/// Every plan and call is approved by the policy.
inline sim::world_options unattended(setup_function setup) {
  auto options = options_with(std::move(setup));
  options.policy = approval_policy::allow_everything();
  return options;
}

/// One subtask `w` of the agent `script` that takes these steps.
inline plan_spec script_plan(std::string_view steps, std::string_view more = "") {
  return plan(
      R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [{"id": "w", "steps": [)"
      + std::string{steps} + "]" + std::string{more} + "}]}");
}

/// Subtasks of agents, as JSON.
inline plan_spec agent_plan(std::string_view subtasks) {
  return plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [)"
              + std::string{subtasks} + "]}");
}

inline agent_name agent_called(std::string_view name) {
  return *agent_name::parse(name);
}

} // namespace fermata::test
