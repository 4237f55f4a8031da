#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/core/recorded_events.hpp>
#include <fermata/actors/core/session_data.hpp>
#include <fermata/actors/policy.hpp>
#include <fermata/actors/retention.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/limits.hpp>

#include <functional>
#include <string>
#include <vector>

/// What a session decides: plain code over plain data. The shell adds numbers and times to the
/// events, and says what time it is.
namespace fermata::core {

/// What a decision may look at besides the session. Borrowed.
struct environment {
  const fermata::limits& limits;
  const approval_policy& policy;
  const agent_registry& agents;
  const tool_registry& tools;
  agent_name planner;          ///< Who turns messages into plans; empty: nobody.
  std::string new_incarnation; ///< For a session that is created by the command.
  timestamp now;
  std::uint64_t random = 0; ///< Another one for each decision: jitter.
  fermata::retention retention;
  bool runs_tools =
      false; ///< A run of one of its tools has not ended, whether or not anybody waits.

  environment(const fermata::limits& with_limits, const approval_policy& with_policy,
              const agent_registry& with_agents, const tool_registry& with_tools)
      : limits{with_limits}, policy{with_policy}, agents{with_agents}, tools{with_tools} {}
};

/// What becomes of a command: events to apply and commit; none for a duplicate.
struct verdict {
  std::vector<event_body> events;
  receipt_kind kind = receipt_kind::accepted;
  std::uint64_t first_event = 0; ///< For a duplicate: the event of the first time.

  verdict() = default;
};

/// Decides on a command. `recall` must have been done for it. An error leaves everything as it is.
[[nodiscard]] result<verdict> decide(const session_data& data, command body,
                                     const environment& env);

/// Turns what an agent returned into events. Total: a step that cannot be taken fails its subtask.
[[nodiscard]] std::vector<event_body> take_step(const session_data& data, step taken,
                                                const environment& env);

/// The agent threw or cannot be run; the subtask's `retry` applies if that may pass.
[[nodiscard]] std::vector<event_body> fail_step(const session_data& data, std::string reason,
                                                bool retryable, const environment& env);

/// What follows from the state by itself: a plan starts, the next subtask starts, the plan is
/// completed. At most one event; nothing when the session must wait or its agent must take a step.
[[nodiscard]] std::optional<event_body> advance(const session_data& data, timestamp now);

/// What retention asks for at the end of a transaction with these events: that a session whose plan
/// is over drops events, or that its deletion is scheduled, or later than it was.
[[nodiscard]] std::vector<event_body>
retain(const session_data& data, const recorded_events& recorded, const environment& env);

/// What the session's earliest alarm brings about, if it is due. Afterwards there may be another.
[[nodiscard]] std::vector<event_body> fire_due(const session_data& data, const environment& env);

/// A worker is free for a queued call.
[[nodiscard]] event_body claim(const session_data& data, std::uint64_t call);

/// Why a queued call must not start as it is: its tool has another version than the one that was
/// approved (P9). Nothing: it may.
[[nodiscard]] std::optional<event_body> ask_again(const session_data& data, std::uint64_t call,
                                                  const environment& env);

/// A run does not end although its time is up and it was told to: its outcome is unknown, for now.
[[nodiscard]] std::vector<event_body> give_up_on(const session_data& data, std::uint64_t call,
                                                 std::uint32_t run);

/// What a tool's `reconcile` found out about a claim that was open at recovery.
[[nodiscard]] std::vector<event_body> reconcile(const session_data& data, std::uint64_t call,
                                                std::uint32_t run, result<reconciliation> found,
                                                const environment& env);

/// A worker's report on run number `run` of a call: its answer, that it may be tried again, or that
/// what was approved has changed (`stale_approval`). A report on a run that was given up on
/// resolves its outcome; on one that is not open any more it is audited as late.
[[nodiscard]] std::vector<event_body> finish_call(const session_data& data, std::uint64_t call,
                                                  std::uint32_t run, result<json> outcome,
                                                  const environment& env);

/// What an activation finds: claims that nobody runs any more, calls that are approved for another
/// version of their tool, and a step that was cut off. A claim whose tool has a `reconcile` stays
/// as it is: the shell lets the hook look. `is_running` says whether a call still runs in this
/// process.
[[nodiscard]] std::vector<event_body> recover(const session_data& data,
                                              const std::function<bool(std::uint64_t)>& is_running,
                                              const environment& env);

/// What an approval of a call approves (P9).
[[nodiscard]] std::string approval_digest(const session_data& data, std::uint64_t call,
                                          const tool_name& tool, std::uint32_t tool_version,
                                          const json& arguments, const std::string& fingerprint);

} // namespace fermata::core
