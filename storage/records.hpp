#pragma once

#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/status.hpp>
#include <fermata/messages/tool_call.hpp>
#include <fermata/storage/store.hpp>

/// What is stored of a session besides its events. Each keeps the fields that a newer version added
/// (`unknown`).
namespace fermata {

/// One per session; written with every commit, so it is small.
struct head_record {
  session_id id;
  std::string incarnation;
  std::string workspace;
  timestamp created;
  std::uint64_t events = 0;
  session_state state = session_state::idle;
  waiting_counts waiting;
  std::uint32_t active_revision = 0; ///< The plan in force or that ended last; 0: none.
  std::uint32_t draft_revision =
      0; ///< The revision that awaits a decision or was sent back; 0: none.
  std::uint32_t last_revision = 0;
  std::uint64_t calls = 0;              ///< How many tool calls there were.
  std::uint64_t entries = 0;            ///< How many transcript entries there were.
  std::optional<std::uint32_t> running; ///< The position of the running subtask in the active plan.
  std::uint64_t messages = 0;           ///< How many messages of users there were.
  bool suspended = false;
  std::optional<timestamp> suspended_until;
  std::optional<timestamp> armed; ///< Where the session's one entry in the due-time index is.
  model_usage usage;
  std::uint64_t decisions = 0; ///< How many decisions were remembered, also those forgotten since.
  std::optional<timestamp> delete_at; ///< When it is to be deleted.
  /// The event that the other records are as of, where it is not the last one: whoever reads them
  /// has to apply those behind it, the tail, beginning with the head in record `base`. 0: there is
  /// no tail, and no base.
  std::uint64_t recorded = 0;
  json unknown;

  head_record() = default;
  static constexpr auto fields() {
    return field_list{field("id", &head_record::id),
                      field("incarnation", &head_record::incarnation),
                      optional_field("workspace", &head_record::workspace),
                      field("created", &head_record::created),
                      field("events", &head_record::events),
                      field("state", &head_record::state),
                      optional_field("waiting", &head_record::waiting),
                      optional_field("active_revision", &head_record::active_revision),
                      optional_field("draft_revision", &head_record::draft_revision),
                      optional_field("last_revision", &head_record::last_revision),
                      optional_field("calls", &head_record::calls),
                      optional_field("entries", &head_record::entries),
                      optional_field("running", &head_record::running),
                      optional_field("messages", &head_record::messages),
                      optional_field("suspended", &head_record::suspended),
                      optional_field("suspended_until", &head_record::suspended_until),
                      optional_field("armed", &head_record::armed),
                      optional_field("usage", &head_record::usage),
                      optional_field("decisions", &head_record::decisions),
                      optional_field("delete_at", &head_record::delete_at),
                      optional_field("recorded", &head_record::recorded)};
  }
};

struct plan_record {
  std::uint32_t revision = 0;
  plan_status status = plan_status::draft;
  std::string goal;
  std::uint32_t subtasks = 0;
  std::string digest;
  std::uint32_t replaces = 0;
  bool sent_back = false; ///< A draft that was sent back for modification.
  std::string feedback;
  std::string by;
  std::optional<plan_verdict> verdict; ///< The last decision on it.
  std::uint64_t decision_event = 0;
  timestamp proposed;
  std::map<std::string, tool_declaration> tools;
  bool planning = false;               ///< Its one subtask is a planner's.
  agent_name planner;                  ///< The agent that proposed it; empty: a host.
  std::uint64_t first_message = 1;     ///< The first message of users that its agents see.
  std::optional<timestamp> expires_at; ///< Of the wait for a decision.
  std::optional<timestamp> deadline;
  std::string prompt; ///< What the policy tells the person who decides.
  json unknown;

  plan_record() = default;
  static constexpr auto fields() {
    return field_list{field("revision", &plan_record::revision),
                      field("status", &plan_record::status),
                      field("goal", &plan_record::goal),
                      field("subtasks", &plan_record::subtasks),
                      field("digest", &plan_record::digest),
                      optional_field("replaces", &plan_record::replaces),
                      optional_field("sent_back", &plan_record::sent_back),
                      optional_field("feedback", &plan_record::feedback),
                      optional_field("by", &plan_record::by),
                      optional_field("verdict", &plan_record::verdict),
                      optional_field("decision_event", &plan_record::decision_event),
                      field("proposed", &plan_record::proposed),
                      optional_field("tools", &plan_record::tools),
                      optional_field("planning", &plan_record::planning),
                      optional_field("planner", &plan_record::planner),
                      optional_field("first_message", &plan_record::first_message),
                      optional_field("expires_at", &plan_record::expires_at),
                      optional_field("deadline", &plan_record::deadline),
                      optional_field("prompt", &plan_record::prompt)};
  }
};

/// State of a subtask. Only one subtask runs at a time, so the calls and transcript entries of an
/// attempt have consecutive numbers.
struct subtask_record {
  subtask_status status = subtask_status::pending;
  std::uint32_t attempts = 0;
  json result;
  std::string error;             ///< Why it failed, was skipped or is blocked.
  std::uint64_t first_call = 0;  ///< Of the last attempt.
  std::uint32_t calls = 0;       ///< Of the last attempt.
  std::uint32_t open_calls = 0;  ///< Those that have no answer yet.
  std::uint64_t first_entry = 0; ///< Of the last attempt.
  std::uint32_t entries = 0;     ///< Of the last attempt.
  std::uint64_t started = 0; ///< The event that started the last attempt; names it in the session.
  std::uint64_t messages_before = 0;     ///< How many messages of users there were at its start.
  std::optional<timestamp> deadline;     ///< That somebody has set; over all attempts.
  std::optional<timestamp> attempt_ends; ///< Where the running attempt's time is limited.
  std::optional<timestamp> next_step;    ///< When it wakes from a sleep, or its backoff is over.
  agent_name agent; ///< Who has it since it was handed over; empty: the spec's.
  json unknown;

  subtask_record() = default;
  static constexpr auto fields() {
    return field_list{field("status", &subtask_record::status),
                      optional_field("attempts", &subtask_record::attempts),
                      optional_field("result", &subtask_record::result),
                      optional_field("error", &subtask_record::error),
                      optional_field("first_call", &subtask_record::first_call),
                      optional_field("calls", &subtask_record::calls),
                      optional_field("open_calls", &subtask_record::open_calls),
                      optional_field("first_entry", &subtask_record::first_entry),
                      optional_field("entries", &subtask_record::entries),
                      optional_field("started", &subtask_record::started),
                      optional_field("messages_before", &subtask_record::messages_before),
                      optional_field("deadline", &subtask_record::deadline),
                      optional_field("attempt_ends", &subtask_record::attempt_ends),
                      optional_field("next_step", &subtask_record::next_step),
                      optional_field("agent", &subtask_record::agent)};
  }
};

struct call_record {
  std::uint64_t number = 0;
  std::uint32_t revision = 0; ///< The plan's.
  subtask_id subtask;
  tool_name tool;
  tool_kind kind = tool_kind::client;
  std::uint32_t tool_version = 0;
  bool idempotent = false;
  json arguments;
  json proposed_arguments; ///< What the agent had asked for, where a person edited it.
  call_status status = call_status::awaiting_decision;
  std::string digest;
  std::string fingerprint;
  timestamp since;
  std::optional<call_verdict> verdict; ///< What a person decided; nothing: the policy allowed it.
  std::string feedback;
  std::string by;
  std::uint64_t decision_event = 0;
  std::uint32_t runs = 0;
  /// A run before the last one may have taken effect: nobody has said what became of it.
  bool may_have_happened = false;
  std::optional<tool_answer> answer;
  std::string answer_digest;
  std::uint64_t answer_event = 0;
  std::uint32_t late = 0;
  std::optional<timestamp> expires_at;
  std::optional<timestamp> retry_at; ///< While it backs off.
  std::string prompt;                ///< What the policy tells the person who decides.
  std::string ruled_by;              ///< As in `call_proposed`.
  decision_scope remembered = decision_scope::once; ///< What the decision on it was remembered for.
  json unknown;

  call_record() = default;
  static constexpr auto fields() {
    return field_list{field("number", &call_record::number),
                      field("revision", &call_record::revision),
                      field("subtask", &call_record::subtask),
                      field("tool", &call_record::tool),
                      field("kind", &call_record::kind),
                      optional_field("tool_version", &call_record::tool_version),
                      optional_field("idempotent", &call_record::idempotent),
                      field("arguments", &call_record::arguments),
                      optional_field("proposed_arguments", &call_record::proposed_arguments),
                      field("status", &call_record::status),
                      field("digest", &call_record::digest),
                      optional_field("fingerprint", &call_record::fingerprint),
                      field("since", &call_record::since),
                      optional_field("verdict", &call_record::verdict),
                      optional_field("feedback", &call_record::feedback),
                      optional_field("by", &call_record::by),
                      optional_field("decision_event", &call_record::decision_event),
                      optional_field("runs", &call_record::runs),
                      optional_field("may_have_happened", &call_record::may_have_happened),
                      optional_field("answer", &call_record::answer),
                      optional_field("answer_digest", &call_record::answer_digest),
                      optional_field("answer_event", &call_record::answer_event),
                      optional_field("late", &call_record::late),
                      optional_field("expires_at", &call_record::expires_at),
                      optional_field("retry_at", &call_record::retry_at),
                      optional_field("prompt", &call_record::prompt),
                      optional_field("ruled_by", &call_record::ruled_by),
                      optional_field("remembered", &call_record::remembered)};
  }
};

/// Who a text of a transcript is by.
enum class entry_source : std::uint8_t {
  agent,    ///< The subtask's agent said it.
  user,     ///< A user's message.
  handover, ///< A note of the agent that handed the subtask over.
  runtime,  ///< The runtime tells what became of a proposed plan.
  refusal,  ///< The runtime tells why what was proposed is no plan.
  timer     ///< The agent slept; `until` says until when. There is no text.
};
constexpr std::array<std::string_view, 6> enum_names(entry_source) {
  return {"agent", "user", "handover", "runtime", "refusal", "timer"};
}

/// One entry of a subtask's transcript: a text, or the calls that the agent asked for in one step.
struct entry_record {
  entry_source source = entry_source::agent;
  std::string text;
  std::optional<timestamp> until;
  std::uint64_t first_call = 0;
  std::uint32_t calls = 0;
  json unknown;

  entry_record() = default;
  static constexpr auto fields() {
    return field_list{optional_field("source", &entry_record::source),
                      optional_field("text", &entry_record::text),
                      optional_field("until", &entry_record::until),
                      optional_field("first_call", &entry_record::first_call),
                      optional_field("calls", &entry_record::calls)};
  }
};

/// A user's message.
struct message_record {
  std::uint64_t number = 0;
  std::string text;
  std::string by;
  timestamp at;
  json unknown;

  message_record() = default;
  static constexpr auto fields() {
    return field_list{field("number", &message_record::number),
                      field("text", &message_record::text),
                      optional_field("by", &message_record::by), field("at", &message_record::at)};
  }
};

/// A decision that holds for later calls of its session, as in `decision_remembered`.
struct remembered_record {
  std::uint64_t number = 0;
  std::uint64_t call = 0;
  call_verdict verdict = call_verdict::approve;
  decision_scope scope = decision_scope::call;
  tool_name tool;
  std::uint32_t tool_version = 0;
  std::string declaration;
  std::string arguments_digest;
  json arguments;
  std::string feedback;
  std::string by;
  timestamp at;
  json unknown;

  remembered_record() = default;
  static constexpr auto fields() {
    return field_list{field("number", &remembered_record::number),
                      field("call", &remembered_record::call),
                      field("verdict", &remembered_record::verdict),
                      field("scope", &remembered_record::scope),
                      field("tool", &remembered_record::tool),
                      optional_field("tool_version", &remembered_record::tool_version),
                      optional_field("declaration", &remembered_record::declaration),
                      optional_field("arguments_digest", &remembered_record::arguments_digest),
                      optional_field("arguments", &remembered_record::arguments),
                      optional_field("feedback", &remembered_record::feedback),
                      optional_field("by", &remembered_record::by),
                      field("at", &remembered_record::at)};
  }
};

/// Where records are kept.
[[nodiscard]] inline record_key head_key() {
  return {record_kind::head, 0, 0};
}
[[nodiscard]] inline record_key base_key() {
  return {record_kind::base, 0, 0};
}
[[nodiscard]] inline record_key plan_key(std::uint32_t revision) {
  return {record_kind::plan, revision, 0};
}
[[nodiscard]] inline record_key spec_key(std::uint32_t revision, std::uint32_t position) {
  return {record_kind::subtask_spec, revision, position};
}
[[nodiscard]] inline record_key subtask_key(std::uint32_t revision, std::uint32_t position) {
  return {record_kind::subtask, revision, position};
}
[[nodiscard]] inline record_key call_key(std::uint64_t number) {
  return {record_kind::call, 0, number};
}
[[nodiscard]] inline record_key entry_key(std::uint64_t number) {
  return {record_kind::entry, 0, number};
}
[[nodiscard]] inline record_key message_key(std::uint64_t number) {
  return {record_kind::message, 0, number};
}

[[nodiscard]] inline record_key remembered_key(std::uint64_t number) {
  return {record_kind::remembered, 0, number};
}

/// The number of a session's one timer in the due-time index: its earliest.
inline constexpr std::uint64_t session_timer = 0;

/// Item numbers of the pending index: calls by their number, plans by their revision above all
/// calls.
inline constexpr std::uint64_t pending_plan_base = std::uint64_t{1} << 63;

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<head_record>;
extern template struct struct_codec<plan_record>;
extern template struct struct_codec<subtask_record>;
extern template struct struct_codec<call_record>;
extern template struct struct_codec<entry_record>;
extern template struct struct_codec<message_record>;
extern template struct struct_codec<remembered_record>;

} // namespace fermata::detail
