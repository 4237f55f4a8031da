#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/session_state.hpp>
#include <fermata/messages/tool_call.hpp>

#include <variant>

/// What hosts and people tell a session. Each is answered with a `receipt` or an error.
namespace fermata {

/// Proposes a plan; creates the session if there is none of that id. Errors: `session_busy` while a
/// plan is live, all of `check_plan`, `unknown_agent`, `unknown_tool`.
struct propose_plan {
  static constexpr std::string_view type = "propose_plan";
  plan_spec plan;
  std::string workspace; ///< Absolute path of the folder that workspace tools work in; empty: none.

  propose_plan() = default;
  explicit propose_plan(plan_spec proposed, std::string folder = {})
      : plan{std::move(proposed)}, workspace{std::move(folder)} {}
  friend bool operator==(const propose_plan&, const propose_plan&) = default;
  static constexpr auto fields() {
    return field_list{field("plan", &propose_plan::plan),
                      optional_field("workspace", &propose_plan::workspace)};
  }
};

/// Proposes a new revision of a live plan: a draft that awaits a decision or was sent back, or a
/// plan in progress (a replan: subtasks that are unchanged, with all they depend on, keep what they
/// have done; `compare_plans` tells which). It supersedes the revision before once it is approved;
/// until then nothing new is started, and what runs goes on.
struct revise_plan {
  static constexpr std::string_view type = "revise_plan";
  plan_spec plan;

  revise_plan() = default;
  explicit revise_plan(plan_spec proposed) : plan{std::move(proposed)} {}
  friend bool operator==(const revise_plan&, const revise_plan&) = default;
  static constexpr auto fields() { return field_list{field("plan", &revise_plan::plan)}; }
};

enum class plan_verdict : std::uint8_t { approve, reject, modify };
constexpr std::array<std::string_view, 3> enum_names(plan_verdict) {
  return {"approve", "reject", "modify"};
}

/// Decides on a plan revision. Errors: `unknown_approval`, `superseded`, `already_decided`.
struct decide_plan {
  static constexpr std::string_view type = "decide_plan";
  std::uint32_t revision = 0;
  plan_verdict verdict = plan_verdict::approve;
  std::string feedback; ///< For reject and modify: what the planner is told.
  std::string by;       ///< Who decided, as the host asserts.

  decide_plan() = default;
  decide_plan(std::uint32_t of_revision, plan_verdict decided)
      : revision{of_revision}, verdict{decided} {}
  friend bool operator==(const decide_plan&, const decide_plan&) = default;
  static constexpr auto fields() {
    return field_list{
        field("revision", &decide_plan::revision), field("verdict", &decide_plan::verdict),
        optional_field("feedback", &decide_plan::feedback), optional_field("by", &decide_plan::by)};
  }
};

/// respond: the tool does not run; what the person says is the call's result.
enum class call_verdict : std::uint8_t { approve, edit, reject, respond };
constexpr std::array<std::string_view, 4> enum_names(call_verdict) {
  return {"approve", "edit", "reject", "respond"};
}

/// What a decision on a call holds for.
enum class decision_scope : std::uint8_t {
  once, ///< This call.
  call, ///< Also, in this session, later calls of the same tool with exactly the same arguments.
  tool, ///< Also, in this session, later calls of the same tool, whatever their arguments.
};
constexpr std::array<std::string_view, 3> enum_names(decision_scope) {
  return {"once", "call", "tool"};
}

/// Decides on a tool call. Errors: `unknown_call`, `already_decided`, `superseded` (the call was
/// cancelled with its plan, or has expired), `stale_approval`; for edited arguments
/// `invalid_arguments` and `denied_by_policy`; to remember it `invalid_field` (only approve and
/// reject can be), `not_allowed` (the policy wants each call decided), `limit_exceeded`
/// (remembered_decisions).
///
/// A remembered decision holds where the policy says `ask`, for the version of the tool that it was
/// made on, until `forget_decision`; one for exactly a call goes before one for its tool. What is
/// denied stays denied.
struct decide_call {
  static constexpr std::string_view type = "decide_call";
  call_id call;
  call_verdict verdict = call_verdict::approve;
  json arguments;       ///< For edit: the new arguments.
  json content;         ///< For respond: the call's result.
  std::string feedback; ///< For reject: what the agent sees.
  std::string by;       ///< Who decided, as the host asserts.
  std::string digest;   ///< What was shown; empty: the recorded proposal.
  decision_scope remember = decision_scope::once;

  decide_call() = default;
  decide_call(call_id of_call, call_verdict decided) : call{std::move(of_call)}, verdict{decided} {}
  friend bool operator==(const decide_call&, const decide_call&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &decide_call::call),
                      field("verdict", &decide_call::verdict),
                      optional_field("arguments", &decide_call::arguments),
                      optional_field("content", &decide_call::content),
                      optional_field("feedback", &decide_call::feedback),
                      optional_field("by", &decide_call::by),
                      optional_field("digest", &decide_call::digest),
                      optional_field("remember", &decide_call::remember)};
  }
};

/// Decides on several calls of a session in one transaction: on all of them, or, where one decision
/// is refused, on none. What was decided before in the same way counts as decided. Errors: those of
/// `decide_call`, with the decision's place in front; `invalid_field` for a call that is decided
/// twice or for none at all, `limit_exceeded` (calls_per_step).
struct decide_calls {
  static constexpr std::string_view type = "decide_calls";
  std::vector<decide_call> decisions;

  decide_calls() = default;
  explicit decide_calls(std::vector<decide_call> all) : decisions{std::move(all)} {}
  friend bool operator==(const decide_calls&, const decide_calls&) = default;
  static constexpr auto fields() {
    return field_list{field("decisions", &decide_calls::decisions)};
  }
};

/// Revokes a remembered decision: later calls are asked for again. Errors: `unknown_decision`.
struct forget_decision {
  static constexpr std::string_view type = "forget_decision";
  std::uint64_t decision = 0; ///< Its number within the session.
  std::string by;

  forget_decision() = default;
  explicit forget_decision(std::uint64_t number) : decision{number} {}
  friend bool operator==(const forget_decision&, const forget_decision&) = default;
  static constexpr auto fields() {
    return field_list{field("decision", &forget_decision::decision),
                      optional_field("by", &forget_decision::by)};
  }
};

/// The result of a client tool. Errors: `unknown_call`, `not_approved`, `already_answered` (with
/// other content; the same content gets the first receipt again), `not_allowed` for a server tool's
/// call.
struct tool_result {
  static constexpr std::string_view type = "tool_result";
  call_id call;
  json content;
  bool is_error = false;

  tool_result() = default;
  tool_result(call_id of_call, json result, bool error = false)
      : call{std::move(of_call)}, content(std::move(result)), is_error{error} {}
  friend bool operator==(const tool_result&, const tool_result&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &tool_result::call), field("content", &tool_result::content),
                      optional_field("is_error", &tool_result::is_error)};
  }
};

/// A person's answer to a question (the call of `question_tool`). Errors: `unknown_call`,
/// `invalid_answer` when it does not fit the question's schema, `already_answered`, `not_allowed`
/// for a call that is no question.
struct answer_question {
  static constexpr std::string_view type = "answer_question";
  call_id call;
  json content;
  std::string by;

  answer_question() = default;
  answer_question(call_id of_call, json answer)
      : call{std::move(of_call)}, content(std::move(answer)) {}
  friend bool operator==(const answer_question&, const answer_question&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &answer_question::call),
                      field("content", &answer_question::content),
                      optional_field("by", &answer_question::by)};
  }
};

enum class outcome_resolution : std::uint8_t { happened, rerun, failed };
constexpr std::array<std::string_view, 3> enum_names(outcome_resolution) {
  return {"happened", "rerun", "failed"};
}

/// Says what became of a call whose outcome is unknown (P8). Errors: `unknown_call`,
/// `already_answered`, `not_allowed`.
struct resolve_outcome {
  static constexpr std::string_view type = "resolve_outcome";
  call_id call;
  outcome_resolution resolution = outcome_resolution::failed;
  json content;       ///< For happened: the tool's result.
  std::string reason; ///< For failed: what the agent sees.
  std::string by;

  resolve_outcome() = default;
  resolve_outcome(call_id of_call, outcome_resolution resolved, json result = nullptr)
      : call{std::move(of_call)}, resolution{resolved}, content(std::move(result)) {}
  friend bool operator==(const resolve_outcome&, const resolve_outcome&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &resolve_outcome::call),
                      field("resolution", &resolve_outcome::resolution),
                      optional_field("content", &resolve_outcome::content),
                      optional_field("reason", &resolve_outcome::reason),
                      optional_field("by", &resolve_outcome::by)};
  }
};

/// Starts a failed or cancelled subtask again, or one that backs off at once. Errors:
/// `unknown_subtask`, `not_allowed`, `limit_exceeded` (subtask_attempts).
struct retry_subtask {
  static constexpr std::string_view type = "retry_subtask";
  subtask_id subtask;
  std::string by;

  retry_subtask() = default;
  explicit retry_subtask(subtask_id retried) : subtask{std::move(retried)} {}
  friend bool operator==(const retry_subtask&, const retry_subtask&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &retry_subtask::subtask),
                      optional_field("by", &retry_subtask::by)};
  }
};

/// Gives a failed or cancelled subtask up; those that depend on it run, with null as its result.
/// Errors: `unknown_subtask`, `not_allowed`.
struct skip_subtask {
  static constexpr std::string_view type = "skip_subtask";
  subtask_id subtask;
  std::string reason;
  std::string by;

  skip_subtask() = default;
  explicit skip_subtask(subtask_id skipped) : subtask{std::move(skipped)} {}
  friend bool operator==(const skip_subtask&, const skip_subtask&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &skip_subtask::subtask),
                      optional_field("reason", &skip_subtask::reason),
                      optional_field("by", &skip_subtask::by)};
  }
};

/// Ends a plan that needs attention as failed. Errors: `not_allowed`.
struct fail_plan {
  static constexpr std::string_view type = "fail_plan";
  std::string reason;
  std::string by;

  fail_plan() = default;
  explicit fail_plan(std::string why) : reason{std::move(why)} {}
  friend bool operator==(const fail_plan&, const fail_plan&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("reason", &fail_plan::reason),
                      optional_field("by", &fail_plan::by)};
  }
};

/// Ends all that a session has under way, its draft and the plan in force, as cancelled: open calls
/// get their synthetic result, running tools are told. Errors: `not_allowed`.
struct cancel_plan {
  static constexpr std::string_view type = "cancel_plan";
  std::string reason;
  std::string by;

  cancel_plan() = default;
  explicit cancel_plan(std::string why) : reason{std::move(why)} {}
  friend bool operator==(const cancel_plan&, const cancel_plan&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("reason", &cancel_plan::reason),
                      optional_field("by", &cancel_plan::by)};
  }
};

/// Ends an open call as cancelled: its agent sees that, and why. A run of its tool is asked to
/// stop; what it still reports is late. Errors: `unknown_call`, `already_answered`.
struct cancel_call {
  static constexpr std::string_view type = "cancel_call";
  call_id call;
  std::string reason;
  std::string by;

  cancel_call() = default;
  cancel_call(call_id of_call, std::string why)
      : call{std::move(of_call)}, reason{std::move(why)} {}
  friend bool operator==(const cancel_call&, const cancel_call&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &cancel_call::call),
                      optional_field("reason", &cancel_call::reason),
                      optional_field("by", &cancel_call::by)};
  }
};

/// Ends a subtask that is not over as cancelled, with its open calls; those that depend on it
/// become blocked. It can be retried or skipped. Errors: `unknown_subtask`, `not_allowed`.
struct cancel_subtask {
  static constexpr std::string_view type = "cancel_subtask";
  subtask_id subtask;
  std::string reason;
  std::string by;

  cancel_subtask() = default;
  cancel_subtask(subtask_id cancelled, std::string why)
      : subtask{std::move(cancelled)}, reason{std::move(why)} {}
  friend bool operator==(const cancel_subtask&, const cancel_subtask&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &cancel_subtask::subtask),
                      optional_field("reason", &cancel_subtask::reason),
                      optional_field("by", &cancel_subtask::by)};
  }
};

/// Holds a session: no step, no tool and no subtask starts until `resume_session`, or until a point
/// in time. What runs already ends and is recorded, decisions and results are taken, timers fire.
/// Again while it is suspended: changes `until`. Errors: `not_allowed`, `invalid_field` for a time
/// that has passed, `limit_exceeded` (timer_horizon).
struct suspend_session {
  static constexpr std::string_view type = "suspend_session";
  std::optional<timestamp> until; ///< Nothing: until `resume_session`.
  std::string reason;
  std::string by;

  suspend_session() = default;
  explicit suspend_session(std::string why) : reason{std::move(why)} {}
  friend bool operator==(const suspend_session&, const suspend_session&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("until", &suspend_session::until),
                      optional_field("reason", &suspend_session::reason),
                      optional_field("by", &suspend_session::by)};
  }
};

/// Lets a suspended session go on. Errors: `not_allowed`.
struct resume_session {
  static constexpr std::string_view type = "resume_session";
  std::string by;

  resume_session() = default;
  explicit resume_session(std::string who) : by{std::move(who)} {}
  friend bool operator==(const resume_session&, const resume_session&) = default;
  static constexpr auto fields() { return field_list{optional_field("by", &resume_session::by)}; }
};

/// Sets, changes or clears the deadline of the plan in progress, or of one of its subtasks that is
/// not over. When it passes, the plan or the subtask fails, and open calls expire. Errors:
/// `not_allowed`, `unknown_subtask`, `invalid_field` for a time that has passed, `limit_exceeded`
/// (timer_horizon).
struct set_deadline {
  static constexpr std::string_view type = "set_deadline";
  std::optional<subtask_id> subtask; ///< Nothing: the plan's.
  std::optional<timestamp> at;       ///< Nothing: clears it.
  std::string by;

  set_deadline() = default;
  explicit set_deadline(std::optional<timestamp> when, std::optional<subtask_id> of = {})
      : subtask{std::move(of)}, at{when} {}
  friend bool operator==(const set_deadline&, const set_deadline&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("subtask", &set_deadline::subtask),
                      optional_field("at", &set_deadline::at),
                      optional_field("by", &set_deadline::by)};
  }
};

/// Says something to the agents. While a plan is live it is kept, and every later step sees it;
/// with no live plan the runtime's planner turns it into a plan (`runtime_options::planner`), in a
/// new session if there is none of that id. Errors: `not_allowed` where there is no planner, and
/// `unknown_session` where there is no session either; `limit_exceeded` (plan_messages,
/// text_size_bytes), `invalid_field` for an empty text.
struct post_message {
  static constexpr std::string_view type = "post_message";
  std::string text;
  std::string by;
  std::string workspace; ///< For a new session: as in `propose_plan`.

  post_message() = default;
  explicit post_message(std::string said) : text{std::move(said)} {}
  friend bool operator==(const post_message&, const post_message&) = default;
  static constexpr auto fields() {
    return field_list{field("text", &post_message::text), optional_field("by", &post_message::by),
                      optional_field("workspace", &post_message::workspace)};
  }
};

/// Deletes a session that has no live plan, with all that is stored of it, for good. Its id is free
/// then: a session that is made under it later is another one, so no answers to the old one should
/// be under way. Errors: `not_allowed` while a plan is live (cancel it first), or while a run of
/// one of its tools has not ended (P8); `unknown_session` when it is gone already.
struct delete_session {
  static constexpr std::string_view type = "delete_session";
  std::string reason;
  std::string by;

  delete_session() = default;
  explicit delete_session(std::string why) : reason{std::move(why)} {}
  friend bool operator==(const delete_session&, const delete_session&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("reason", &delete_session::reason),
                      optional_field("by", &delete_session::by)};
  }
};

/// Drops all events of a session but the last ones, and the one that says so. Records stay, and
/// with them the answers to ids that are known. With nothing to drop it is a duplicate. Errors:
/// `not_allowed` while a plan is live, `invalid_field` for none to keep.
struct trim_history {
  static constexpr std::string_view type = "trim_history";
  std::uint64_t keep = 0; ///< How many; 1 or more.
  std::string by;

  trim_history() = default;
  explicit trim_history(std::uint64_t kept) : keep{kept} {}
  friend bool operator==(const trim_history&, const trim_history&) = default;
  static constexpr auto fields() {
    return field_list{field("keep", &trim_history::keep), optional_field("by", &trim_history::by)};
  }
};

using command =
    std::variant<propose_plan, revise_plan, decide_plan, decide_call, tool_result, resolve_outcome,
                 retry_subtask, skip_subtask, fail_plan, cancel_plan, answer_question, cancel_call,
                 cancel_subtask, suspend_session, resume_session, set_deadline, post_message,
                 decide_calls, forget_decision, delete_session, trim_history>;

/// The name of a command's type, as in its JSON.
[[nodiscard]] std::string_view name_of(const command& value);

/// A command on its way to a session.
struct session_command {
  static constexpr const char* wire_name = "fermata::session_command";
  session_id session;
  command body;
  /// How long it may wait for the session's node where that cannot be reached.
  std::chrono::milliseconds wait_for_node{0};

  session_command() = default;
  session_command(session_id to, command what) : session{std::move(to)}, body{std::move(what)} {}
  friend bool operator==(const session_command&, const session_command&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &session_command::session),
                      field("body", &session_command::body),
                      optional_field("wait_for_node_ms", &session_command::wait_for_node)};
  }
};

/// Wakes a session that has unfinished work; the answer is a `receipt`.
struct wake_session {
  static constexpr const char* wire_name = "fermata::wake_session";
  session_id session;

  wake_session() = default;
  explicit wake_session(session_id which) : session{std::move(which)} {}
  friend bool operator==(const wake_session&, const wake_session&) = default;
  static constexpr auto fields() { return field_list{field("session", &wake_session::session)}; }
};

/// accepted: applied. duplicate: the same was applied before, nothing changed. late: the call was
/// cancelled or expired before; the result is noted in the audit, nothing else changed.
enum class receipt_kind : std::uint8_t { accepted, duplicate, late };
constexpr std::array<std::string_view, 3> enum_names(receipt_kind) {
  return {"accepted", "duplicate", "late"};
}

/// Says that a command is durable (P1).
struct receipt {
  static constexpr const char* wire_name = "fermata::receipt";
  session_id session;
  std::uint64_t event =
      0; ///< The number of the event that the command became; a duplicate's is the first one's.
  receipt_kind kind = receipt_kind::accepted;
  session_state state = session_state::idle; ///< The session's state after the command.

  receipt() = default;
  friend bool operator==(const receipt&, const receipt&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &receipt::session), field("event", &receipt::event),
                      field("kind", &receipt::kind), field("state", &receipt::state)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct codec<command>;
extern template struct struct_codec<session_command>;
extern template struct struct_codec<wake_session>;
extern template struct struct_codec<receipt>;

} // namespace fermata::detail
