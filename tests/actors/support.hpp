#pragma once

#include <fermata/actors/coro/coro.hpp>
#include <fermata/actors/sim/must.hpp>
#include <fermata/actors/sim/world.hpp>

#include <caf/event_based_actor.hpp>

#include <fermata_catch.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

/// Short ways to say what a test does to a simulated session.
namespace fermata::test {

inline session_id sid(std::string_view text = "s1") {
  return *session_id::parse(text);
}

inline subtask_id stid(std::string_view text) {
  return *subtask_id::parse(text);
}

inline tool_name tid(std::string_view text) {
  return *tool_name::parse(text);
}

inline call_id cid(std::uint64_t number, std::string_view session = "s1") {
  return call_id{sid(session), number};
}

inline plan_spec plan(std::string_view text) {
  return sim::must(parse_plan(text));
}

inline decide_plan approve_plan(std::uint32_t revision = 1) {
  return decide_plan{revision, plan_verdict::approve};
}

inline decide_call approve(std::uint64_t call) {
  return decide_call{cid(call), call_verdict::approve};
}

inline decide_call reject(std::uint64_t call, std::string feedback) {
  decide_call decision{cid(call), call_verdict::reject};
  decision.feedback = std::move(feedback);
  return decision;
}

inline decide_call edit(std::uint64_t call, json arguments) {
  decide_call decision{cid(call), call_verdict::edit};
  decision.arguments = std::move(arguments);
  return decision;
}

/// Two subtasks; the first calls the client tool `ask_shop`, the second depends on it.
inline plan_spec seed_plan() {
  return plan(R"({"goal": "buy", "tools": {"ask_shop": {"kind": "client",
      "schema": {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}}},
    "subtasks": [
      {"id": "first", "steps": [{"tool": "ask_shop", "arguments": {"item": "tea"}}]},
      {"id": "second", "depends_on": ["first"], "result": {"got": {"$ref": "/results/first"}}}]})");
}

/// The types of a session's events, in order.
inline std::vector<std::string> types(const std::vector<event>& events) {
  std::vector<std::string> names;
  for (const auto& one : events)
    names.emplace_back(name_of(one.body));
  return names;
}

/// Sends a command, runs, and expects a receipt.
inline receipt accept(sim::world& world, command body, std::string_view session = "s1") {
  auto sent = world.send(sid(session), std::move(body));
  world.run();
  REQUIRE(sent.answer());
  INFO(message_of(*sent.answer() ? caf::error{} : sent.answer()->error()));
  REQUIRE(sent.accepted());
  return **sent.answer();
}

/// Sends a command, runs, and expects an error.
inline caf::error refuse(sim::world& world, command body, std::string_view session = "s1") {
  auto sent = world.send(sid(session), std::move(body));
  world.run();
  REQUIRE(sent.answer());
  REQUIRE_FALSE(sent.accepted());
  return sent.answer()->error();
}

inline session_status status_of(sim::world& world, std::string_view session = "s1") {
  auto status = world.status(sid(session));
  REQUIRE(status);
  return std::move(*status);
}

inline std::string state_of(sim::world& world, std::string_view session = "s1") {
  return enum_name(status_of(world, session).state);
}

using sim::must;

using setup_function = std::function<void(agent_registry&, tool_registry&)>;

inline sim::world_options options_with(setup_function setup) {
  sim::world_options options;
  options.setup = std::move(setup);
  return options;
}

/// Opens a session, as a person does who comes back.
inline void wake(sim::world& world, std::string_view session = "s1") {
  const auto woken = world.wake(sid(session));
  world.run();
  REQUIRE(woken.accepted());
}

inline std::vector<pending_item> pending_of(sim::world& world, std::string_view session = "s1") {
  auto found = query_pending(world.store(), sid(session));
  REQUIRE(found);
  return std::move(*found);
}

inline call_record call_of(sim::world& world, std::uint64_t number,
                           std::string_view session = "s1") {
  auto found = query_call(world.store(), cid(number, session));
  REQUIRE(found);
  return std::move(*found);
}

inline subtask_summary subtask_of(sim::world& world, std::string_view id,
                                  std::string_view session = "s1") {
  for (auto& one : status_of(world, session).subtasks)
    if (one.id == stid(id))
      return one;
  throw std::logic_error("the plan has no subtask " + std::string{id});
}

/// The statuses of all subtasks, in the order of the plan.
inline std::vector<subtask_status> statuses_of(sim::world& world, std::string_view session = "s1") {
  std::vector<subtask_status> statuses;
  for (const auto& one : status_of(world, session).subtasks)
    statuses.push_back(one.status);
  return statuses;
}

/// A session's events of one type, in order.
template <class Fact>
std::vector<Fact> facts(sim::world& world, std::string_view session = "s1") {
  std::vector<Fact> found;
  for (auto& one : world.events(sid(session)))
    if (auto* fact = std::get_if<Fact>(&one.body))
      found.push_back(std::move(*fact));
  return found;
}

/// Sends a command that must be refused, and leave the store as it is.
inline caf::error refuse_unchanged(sim::world& world, command body,
                                   std::string_view session = "s1") {
  const auto before = world.store().fingerprint();
  auto error = refuse(world, std::move(body), session);
  CHECK(world.store().fingerprint() == before);
  return error;
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// P5 and P6: what `status` counts is what is pending, and a session with unfinished work is
/// running, waiting for somebody who is known, or in need of attention.
inline void check_no_dead_end(sim::world& world, std::string_view session = "s1") {
  const auto status = status_of(world, session);
  waiting_counts pending;
  for (const auto& item : pending_of(world, session))
    ++(item.waiting_for == wait_cause::decision ? pending.decision
       : item.waiting_for == wait_cause::result ? pending.result
       : item.waiting_for == wait_cause::answer ? pending.answer
                                                : pending.outcome);
  // Timers wait for nobody, so the pending index does not have them; the due-time index does.
  pending.backoff = status.waiting.backoff;
  CHECK(status.waiting == pending);
  if (pending.backoff > 0)
    CHECK(status.next_timer);
  std::optional<timestamp> armed;
  auto timers = query_timers(world.store(), {});
  REQUIRE(timers);
  for (const auto& one : *timers)
    if (one.session == sid(session))
      armed = one.due;
  CHECK(armed == status.next_timer);
  if (status.state == session_state::waiting
      || status.state == session_state::awaiting_plan_decision)
    CHECK(status.waiting.total() > 0);
  if (status.state >= session_state::completed)
    CHECK(status.waiting.total() == 0);
}

} // namespace fermata::test
