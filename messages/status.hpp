#pragma once

#include <fermata/messages/events.hpp>
#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/session_state.hpp>
#include <fermata/messages/tool_call.hpp>

/// What queries answer. These are the documented objects of `fermata --json`.
namespace fermata {

/// Open things of a session, by what they wait for.
struct waiting_counts {
  std::uint32_t outcome = 0;  ///< Somebody must say what became of a call.
  std::uint32_t decision = 0; ///< A person must decide.
  std::uint32_t answer = 0;   ///< A person must answer a question.
  std::uint32_t result = 0;   ///< A host must post the result of a client tool.
  std::uint32_t backoff = 0;  ///< A timer must fire: something backs off, or an agent sleeps.

  waiting_counts() = default;
  friend bool operator==(const waiting_counts&, const waiting_counts&) = default;
  [[nodiscard]] std::uint32_t total() const noexcept {
    return outcome + decision + answer + result + backoff;
  }
  static constexpr auto fields() {
    return field_list{
        field("outcome", &waiting_counts::outcome), field("decision", &waiting_counts::decision),
        field("answer", &waiting_counts::answer), field("result", &waiting_counts::result),
        field("backoff", &waiting_counts::backoff)};
  }
};

struct plan_summary {
  plan_status status = plan_status::draft;
  std::uint32_t revision = 0;
  std::string goal;
  std::string feedback; ///< What was said when it was rejected, sent back, failed or cancelled.
  std::optional<timestamp> deadline; ///< Of the plan as a whole.

  plan_summary() = default;
  friend bool operator==(const plan_summary&, const plan_summary&) = default;
  static constexpr auto fields() {
    return field_list{
        field("status", &plan_summary::status), field("revision", &plan_summary::revision),
        field("goal", &plan_summary::goal), optional_field("feedback", &plan_summary::feedback),
        optional_field("deadline", &plan_summary::deadline)};
  }
};

struct subtask_summary {
  subtask_id id;
  subtask_status status = subtask_status::pending;
  std::uint32_t attempts = 0;
  json result;
  std::string error; ///< Why it failed, was skipped or is blocked.
  std::string description;
  agent_name agent; ///< Who works on it; of one handed over, who has it now.
  std::vector<subtask_id> depends_on;
  std::optional<timestamp> deadline;
  std::optional<timestamp> next_step; ///< Of one that sleeps or backs off.

  subtask_summary() = default;
  friend bool operator==(const subtask_summary&, const subtask_summary&) = default;
  static constexpr auto fields() {
    return field_list{field("id", &subtask_summary::id),
                      field("status", &subtask_summary::status),
                      field("attempts", &subtask_summary::attempts),
                      field("result", &subtask_summary::result),
                      optional_field("error", &subtask_summary::error),
                      optional_field("description", &subtask_summary::description),
                      optional_field("agent", &subtask_summary::agent),
                      optional_field("depends_on", &subtask_summary::depends_on),
                      optional_field("deadline", &subtask_summary::deadline),
                      optional_field("next_step", &subtask_summary::next_step)};
  }
};

/// How far a plan is. The counts add up to `total`.
struct plan_progress {
  std::uint32_t total = 0; ///< Subtasks of the plan.
  std::uint32_t done = 0;  ///< Those that are done, or were skipped.
  std::uint32_t failed = 0;
  std::uint32_t running = 0;
  std::uint32_t pending = 0; ///< Also those that are blocked or back off.
  std::uint32_t cancelled = 0;
  std::uint32_t percent = 0; ///< Of `total` that is done, rounded down.

  plan_progress() = default;
  friend bool operator==(const plan_progress&, const plan_progress&) = default;
  static constexpr auto fields() {
    return field_list{
        field("total", &plan_progress::total),     field("done", &plan_progress::done),
        field("failed", &plan_progress::failed),   field("running", &plan_progress::running),
        field("pending", &plan_progress::pending), field("cancelled", &plan_progress::cancelled),
        field("percent", &plan_progress::percent)};
  }
};

/// The `status` object.
struct session_status {
  static constexpr const char* wire_name = "fermata::session_status";
  session_id session;
  session_state state = session_state::idle;
  waiting_counts waiting;
  std::optional<plan_summary>
      plan; ///< Of the draft that waits for a decision, else of the active or last plan.
  std::vector<subtask_summary> subtasks;
  std::string workspace;
  std::uint64_t events = 0;
  std::optional<timestamp> next_timer; ///< When the session goes on by itself at the latest.
  std::optional<timestamp> suspended_until;
  model_usage usage;                  ///< Of all steps so far.
  plan_progress progress;             ///< Of `plan`.
  std::uint64_t first_event = 1;      ///< Those before it were dropped.
  std::optional<timestamp> delete_at; ///< When it is deleted, if nothing happens to it before.

  session_status() = default;
  friend bool operator==(const session_status&, const session_status&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &session_status::session),
                      field("state", &session_status::state),
                      field("waiting", &session_status::waiting),
                      field("plan", &session_status::plan),
                      field("subtasks", &session_status::subtasks),
                      optional_field("workspace", &session_status::workspace),
                      field("events", &session_status::events),
                      optional_field("next_timer", &session_status::next_timer),
                      optional_field("suspended_until", &session_status::suspended_until),
                      optional_field("usage", &session_status::usage),
                      optional_field("progress", &session_status::progress),
                      optional_field("first_event", &session_status::first_event),
                      optional_field("delete_at", &session_status::delete_at)};
  }
};

/// One line of a session's history: it moved from one state to another.
struct state_transition {
  std::uint64_t number = 0; ///< Of the `state_changed` event.
  timestamp at;
  session_state from = session_state::idle;
  session_state to = session_state::idle;
  std::string cause;  ///< The type of the event that brought it about; empty: not known.
  std::string by;     ///< Who did that, as the host asserts; empty: nobody, or not known.
  std::string reason; ///< What was said with it.

  state_transition() = default;
  friend bool operator==(const state_transition&, const state_transition&) = default;
  static constexpr auto fields() {
    return field_list{field("number", &state_transition::number),
                      field("at", &state_transition::at),
                      field("from", &state_transition::from),
                      field("to", &state_transition::to),
                      field("cause", &state_transition::cause),
                      optional_field("by", &state_transition::by),
                      optional_field("reason", &state_transition::reason)};
  }
};

/// One line of the audit log: something that somebody decided.
struct audit_entry {
  session_id session;
  std::uint64_t number = 0; ///< Of the event.
  timestamp at;
  std::string action;  ///< The type of the event.
  std::string subject; ///< The call, plan or subtask that it is about; empty: the session.
  std::string verdict; ///< approve, edit, happened, ...; empty: the action says it all.
  std::string by;      ///< As the host asserts; empty: not said.
  std::string reason;  ///< What was said with it.
  std::string digest;  ///< What was approved.
  json details;        ///< What the action is about: of a call its `arguments`.

  audit_entry() = default;
  friend bool operator==(const audit_entry&, const audit_entry&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &audit_entry::session),
                      field("number", &audit_entry::number),
                      field("at", &audit_entry::at),
                      field("action", &audit_entry::action),
                      optional_field("subject", &audit_entry::subject),
                      optional_field("verdict", &audit_entry::verdict),
                      optional_field("by", &audit_entry::by),
                      optional_field("reason", &audit_entry::reason),
                      optional_field("digest", &audit_entry::digest),
                      optional_field("details", &audit_entry::details)};
  }
};

enum class pending_kind : std::uint8_t { plan, call, input };
constexpr std::array<std::string_view, 3> enum_names(pending_kind) {
  return {"plan", "call", "input"};
}

enum class wait_cause : std::uint8_t { outcome, decision, answer, result, backoff };
constexpr std::array<std::string_view, 5> enum_names(wait_cause) {
  return {"outcome", "decision", "answer", "result", "backoff"};
}

/// One thing that somebody outside must do.
struct pending_item {
  std::string id; ///< `<session>:p<revision>` or `<session>:c<number>`.
  session_id session;
  pending_kind kind = pending_kind::call;
  wait_cause waiting_for = wait_cause::decision;
  std::optional<tool_name> tool;
  json arguments;
  std::optional<subtask_id> subtask;
  std::string digest;      ///< What an approval of it approves.
  std::string fingerprint; ///< Of the thing that the call changes; empty: none.
  std::string goal;        ///< For a plan.
  std::string prompt;      ///< What the policy tells the person who decides.
  timestamp since;
  std::optional<timestamp> expires_at;

  pending_item() = default;
  friend bool operator==(const pending_item&, const pending_item&) = default;
  static constexpr auto fields() {
    return field_list{field("id", &pending_item::id),
                      field("session", &pending_item::session),
                      field("kind", &pending_item::kind),
                      field("waiting_for", &pending_item::waiting_for),
                      field("tool", &pending_item::tool),
                      field("arguments", &pending_item::arguments),
                      field("subtask", &pending_item::subtask),
                      optional_field("digest", &pending_item::digest),
                      optional_field("fingerprint", &pending_item::fingerprint),
                      optional_field("goal", &pending_item::goal),
                      optional_field("prompt", &pending_item::prompt),
                      field("since", &pending_item::since),
                      optional_field("expires_at", &pending_item::expires_at)};
  }
};

/// A session whose earliest timer is armed: a line of `fermata timers`.
struct armed_timer {
  session_id session; ///< Empty where `damage` is not.
  timestamp due;
  std::string damage; ///< Why it cannot be told whose timer it is.

  armed_timer() = default;
  friend bool operator==(const armed_timer&, const armed_timer&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &armed_timer::session), field("due", &armed_timer::due),
                      optional_field("damage", &armed_timer::damage)};
  }
};

/// One line of `fermata sessions`.
struct session_summary {
  session_id session;
  session_state state = session_state::idle;

  session_summary() = default;
  friend bool operator==(const session_summary&, const session_summary&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &session_summary::session),
                      field("state", &session_summary::state)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<waiting_counts>;
extern template struct struct_codec<plan_summary>;
extern template struct struct_codec<subtask_summary>;
extern template struct struct_codec<plan_progress>;
extern template struct struct_codec<session_status>;
extern template struct struct_codec<state_transition>;
extern template struct struct_codec<audit_entry>;
extern template struct struct_codec<pending_item>;
extern template struct struct_codec<armed_timer>;
extern template struct struct_codec<session_summary>;

} // namespace fermata::detail
