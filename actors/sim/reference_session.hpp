#pragma once

#include <fermata/actors/sim/reference_plan.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/limits.hpp>
#include <fermata/messages/status.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

/// What a session is by its documents alone: a second, simpler implementation of its rules, against
/// which the real one is held. It shares no code with the session's core; `messages/` says what the
/// events and the errors of commands mean, ARCHITECTURE.md has the diagrams of states.
namespace fermata::sim {

/// Something in a session's journal that must not be there.
struct contradiction {
  std::string promise;     ///< "P1" to "P12"; "reference" for a rule that belongs to none of them.
  std::uint64_t event = 0; ///< The number of the event.
  std::string text;        ///< What was expected, and what is there.

  contradiction() = default;
};

struct reference_call {
  std::uint64_t number = 0;
  std::uint32_t revision = 0; ///< The plan's that it was proposed in.
  /// The plan's that its digest covers; another one when it was asked again.
  std::uint32_t shown_revision = 0;
  subtask_id subtask;
  tool_name tool;
  tool_kind kind = tool_kind::client;
  std::uint32_t tool_version = 0;
  bool idempotent = false;
  json arguments;          ///< What runs.
  json proposed_arguments; ///< What the agent had asked for, where a person edited it.
  call_status status = call_status::awaiting_decision;
  std::string digest;
  std::string fingerprint;
  std::string prompt;
  std::string ruled_by;
  timestamp since;
  std::optional<timestamp> expires_at;
  std::optional<timestamp> retry_at; ///< While it backs off.
  std::optional<call_verdict> verdict;
  std::uint64_t decision_event = 0;
  decision_scope remembered = decision_scope::once;
  std::uint32_t runs = 0; ///< The number of the last one that was claimed.
  std::optional<tool_answer> answer;
  std::uint64_t answer_event = 0;
  /// A run had been claimed and its end was not known when the call was answered, by a cancellation
  /// or an expiry: that run may begin and end afterwards, and is late.
  bool cut_off = false;
  /// A run before the last one may have taken effect, and nobody was asked.
  bool may_have_happened = false;
  std::uint32_t late = 0;
  std::uint64_t asked_again_event = 0; ///< The last time; 0: never.

  reference_call() = default;
};

/// A plan revision as something to decide on.
struct reference_revision {
  plan_status status = plan_status::draft;
  bool sent_back = false;
  std::optional<plan_verdict> verdict; ///< The last one.
  std::uint64_t decision_event = 0;
  std::string goal;
  std::string digest;
  std::string prompt;
  agent_name planner;
  bool planning = false;
  std::uint32_t replaces = 0;
  std::uint64_t first_message = 1;
  timestamp proposed;
  std::optional<timestamp> expires_at;
  std::optional<timestamp> deadline;

  reference_revision() = default;
};

/// The attempt of the running subtask.
struct reference_attempt {
  std::uint64_t first_call = 0;
  std::uint64_t first_entry = 0;    ///< Entries of the session before it.
  std::uint32_t steps = 0;          ///< Steps that called or slept.
  bool slept = false;               ///< The last of them.
  std::uint64_t last_step_call = 0; ///< The first call of the last one; 0: it slept.
  std::uint32_t last_step_calls = 0;
  bool said = false; ///< In the step that has begun, besides what it does.
  /// The number of a call that expired while a run of it, or one before, had no known end; 0: none
  /// did.
  std::uint64_t cut_off = 0;
  /// Its agent was taking a step when the transaction began that is being applied.
  bool step_under_way = false;
  bool unheard = false; ///< A message has come since that step began.

  reference_attempt() = default;
};

/// A session's state as its events tell it; small plain data, which `apply` alone changes.
struct reference_session {
  session_id id;
  fermata::limits limits;

  std::uint64_t events = 0;
  std::string incarnation;
  std::string workspace;
  session_state recorded = session_state::idle; ///< As the last `state_changed` says.
  std::optional<reference_plan> active;         ///< The plan in force, or that ended last.
  std::optional<reference_plan> draft;          ///< Awaits its decision, or was sent back.
  std::map<std::uint32_t, reference_revision> revisions;
  std::optional<std::uint32_t> running; ///< Position within `active`.
  reference_attempt attempt;            ///< Of that one.
  std::deque<reference_call> calls;     ///< All there ever were, in the order of their numbers.
  std::vector<std::uint64_t> open;      ///< The calls without an answer.
  std::uint64_t entries = 0;            ///< Of all transcripts.
  std::uint64_t messages = 0;
  model_usage usage;
  bool suspended = false;
  std::optional<timestamp> suspended_until;
  std::map<std::uint64_t, decision_remembered> remembered; ///< Those that hold.
  std::uint64_t decisions = 0; ///< How many were remembered, also those forgotten since.
  /// The call that the next event has to answer; 0: whatever may follow.
  std::uint64_t owes_answer = 0;
  std::uint64_t first_event = 1;      ///< Those before it were dropped.
  std::optional<timestamp> delete_at; ///< When it is to be deleted, if nothing happens to it.
  bool deleted = false;               ///< Nothing follows.
  std::uint64_t transaction = 0; ///< The last event before the transaction that is being applied.
  std::unordered_map<std::string, std::uint64_t> digests; ///< What was shown, and of which call.

  reference_session() = default;
  explicit reference_session(session_id of, fermata::limits with = {})
      : id{std::move(of)}, limits{with} {}

  [[nodiscard]] bool exists() const noexcept { return events > 0; }
  /// Null: there is none of that number.
  [[nodiscard]] const reference_call* find_call(std::uint64_t number) const;
  [[nodiscard]] const reference_revision& facts_of(const reference_plan& plan) const {
    return revisions.at(plan.revision());
  }
  /// True when an approved plan is not over.
  [[nodiscard]] bool has_plan_in_force() const;
  /// True when a plan is live: one in force, or a draft.
  [[nodiscard]] bool is_live() const { return draft || has_plan_in_force(); }
  /// True when the running subtask's agent has proposed a plan that is not decided on.
  [[nodiscard]] bool awaits_own_proposal() const;
  /// True when the running subtask's agent is to take its next step.
  [[nodiscard]] bool is_step_due() const;
  /// Open calls in this status.
  [[nodiscard]] std::uint32_t count_open(call_status status) const;

  /// The state that follows from the rest.
  [[nodiscard]] session_state state() const;
  [[nodiscard]] waiting_counts waiting() const;
  /// What somebody outside must do, in the order of the pending index: calls, then the draft.
  [[nodiscard]] std::vector<pending_item> pending() const;
  [[nodiscard]] std::optional<pending_item> pending_call(std::uint64_t number) const;
  [[nodiscard]] std::optional<pending_item> pending_draft() const;
  /// When it goes on by itself at the latest.
  [[nodiscard]] std::optional<timestamp> next_timer() const;
  /// Who works on a subtask of the active plan.
  [[nodiscard]] agent_name agent_of(std::uint32_t position) const;
};

/// Replays one event of a transaction. A `plan_proposed` must carry its plan, as in memory. Says
/// what is impossible, after which the session is not to be used any more.
[[nodiscard]] std::optional<contradiction> apply(reference_session& to, const event& fact);

/// Around the events of a transaction. The second says what must not be so between two of them.
void begin_transaction(reference_session& of);
[[nodiscard]] std::optional<contradiction> end_transaction(const reference_session& of);

/// Replays one whole transaction.
[[nodiscard]] std::optional<contradiction> apply(reference_session& to,
                                                 std::span<const event> facts);

} // namespace fermata::sim
