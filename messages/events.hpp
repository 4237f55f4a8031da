#pragma once

#include <fermata/messages/commands.hpp>
#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/session_state.hpp>
#include <fermata/messages/tool_call.hpp>

#include <variant>

/// The facts of a session, as the journal keeps them and `fermata events` prints them.
namespace fermata {

/// What language models were asked for. Counts of tokens are the models' own.
struct model_usage {
  std::uint64_t requests = 0;
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;

  model_usage() = default;
  model_usage(std::uint64_t count, std::uint64_t input, std::uint64_t output)
      : requests{count}, input_tokens{input}, output_tokens{output} {}
  friend bool operator==(const model_usage&, const model_usage&) = default;
  model_usage& operator+=(const model_usage& more) {
    requests += more.requests;
    input_tokens += more.input_tokens;
    output_tokens += more.output_tokens;
    return *this;
  }
  static constexpr auto fields() {
    return field_list{optional_field("requests", &model_usage::requests),
                      optional_field("input_tokens", &model_usage::input_tokens),
                      optional_field("output_tokens", &model_usage::output_tokens)};
  }
};

/// The first event of every session.
struct session_created {
  static constexpr std::string_view type = "session_created";
  std::string incarnation; ///< Differs when a session is deleted and created again under one id.
  std::string workspace;
  session_created() = default;
  friend bool operator==(const session_created&, const session_created&) = default;
  static constexpr auto fields() {
    return field_list{field("incarnation", &session_created::incarnation),
                      optional_field("workspace", &session_created::workspace)};
  }
};

struct plan_proposed {
  static constexpr std::string_view type = "plan_proposed";
  std::uint32_t revision = 0;
  plan_spec plan; ///< In memory and for `apply`; the journal keeps its digest, the plan's records
                  ///< keep the rest.
  std::string goal;
  std::uint32_t subtasks = 0;
  std::string digest;
  std::uint32_t replaces = 0; ///< The revision that a replan will replace; 0: none.
  /// True: it only plans. Its one subtask is the planner's, who turns a message into a plan.
  bool planning = false;
  agent_name planner;                  ///< The agent that proposed it; empty: a host.
  std::uint64_t first_message = 1;     ///< The first message of users that its agents see.
  std::optional<timestamp> expires_at; ///< When the wait for a decision ends in a cancellation.
  std::string prompt;                  ///< What the policy tells the person who decides.
  plan_proposed() = default;
  friend bool operator==(const plan_proposed&, const plan_proposed&) = default;
  static constexpr auto fields() {
    return field_list{field("revision", &plan_proposed::revision),
                      field("goal", &plan_proposed::goal),
                      field("subtasks", &plan_proposed::subtasks),
                      field("digest", &plan_proposed::digest),
                      optional_field("replaces", &plan_proposed::replaces),
                      optional_field("planning", &plan_proposed::planning),
                      optional_field("planner", &plan_proposed::planner),
                      optional_field("first_message", &plan_proposed::first_message),
                      optional_field("expires_at", &plan_proposed::expires_at),
                      optional_field("prompt", &plan_proposed::prompt)};
  }
};

struct plan_decided {
  static constexpr std::string_view type = "plan_decided";
  std::uint32_t revision = 0;
  plan_verdict verdict = plan_verdict::approve;
  std::string feedback;
  std::string by;
  plan_decided() = default;
  friend bool operator==(const plan_decided&, const plan_decided&) = default;
  static constexpr auto fields() {
    return field_list{field("revision", &plan_decided::revision),
                      field("verdict", &plan_decided::verdict),
                      optional_field("feedback", &plan_decided::feedback),
                      optional_field("by", &plan_decided::by)};
  }
};

struct plan_started {
  static constexpr std::string_view type = "plan_started";
  std::uint32_t revision = 0;
  plan_started() = default;
  friend bool operator==(const plan_started&, const plan_started&) = default;
  static constexpr auto fields() { return field_list{field("revision", &plan_started::revision)}; }
};

/// The plan ended: completed, failed or cancelled. Open subtasks of it are cancelled with it.
struct plan_ended {
  static constexpr std::string_view type = "plan_ended";
  std::uint32_t revision = 0;
  plan_status status = plan_status::completed;
  std::string reason;
  std::string by;
  plan_ended() = default;
  friend bool operator==(const plan_ended&, const plan_ended&) = default;
  static constexpr auto fields() {
    return field_list{
        field("revision", &plan_ended::revision), field("status", &plan_ended::status),
        optional_field("reason", &plan_ended::reason), optional_field("by", &plan_ended::by)};
  }
};

struct subtask_started {
  static constexpr std::string_view type = "subtask_started";
  subtask_id subtask;
  std::uint32_t attempt = 0;         ///< From 1.
  std::optional<timestamp> deadline; ///< Where the attempt's time is limited.
  subtask_started() = default;
  friend bool operator==(const subtask_started&, const subtask_started&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_started::subtask),
                      field("attempt", &subtask_started::attempt),
                      optional_field("deadline", &subtask_started::deadline)};
  }
};

struct subtask_finished {
  static constexpr std::string_view type = "subtask_finished";
  subtask_id subtask;
  json result;
  subtask_finished() = default;
  friend bool operator==(const subtask_finished&, const subtask_finished&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_finished::subtask),
                      field("result", &subtask_finished::result)};
  }
};

/// With `retry_at` the subtask backs off until then, and what depends on it waits.
struct subtask_failed {
  static constexpr std::string_view type = "subtask_failed";
  subtask_id subtask;
  std::string reason;
  std::optional<timestamp> retry_at;
  subtask_failed() = default;
  friend bool operator==(const subtask_failed&, const subtask_failed&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_failed::subtask),
                      field("reason", &subtask_failed::reason),
                      optional_field("retry_at", &subtask_failed::retry_at)};
  }
};

struct subtask_blocked {
  static constexpr std::string_view type = "subtask_blocked";
  subtask_id subtask;
  subtask_id by; ///< The dependency that failed or is blocked itself.
  subtask_blocked() = default;
  friend bool operator==(const subtask_blocked&, const subtask_blocked&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_blocked::subtask),
                      field("by", &subtask_blocked::by)};
  }
};

struct subtask_unblocked {
  static constexpr std::string_view type = "subtask_unblocked";
  subtask_id subtask;
  subtask_unblocked() = default;
  friend bool operator==(const subtask_unblocked&, const subtask_unblocked&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_unblocked::subtask)};
  }
};

struct subtask_retried {
  static constexpr std::string_view type = "subtask_retried";
  subtask_id subtask;
  std::string by; ///< `backoff`: its timer fired.
  subtask_retried() = default;
  friend bool operator==(const subtask_retried&, const subtask_retried&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_retried::subtask),
                      optional_field("by", &subtask_retried::by)};
  }
};

struct subtask_skipped {
  static constexpr std::string_view type = "subtask_skipped";
  subtask_id subtask;
  std::string reason;
  std::string by;
  subtask_skipped() = default;
  friend bool operator==(const subtask_skipped&, const subtask_skipped&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_skipped::subtask),
                      optional_field("reason", &subtask_skipped::reason),
                      optional_field("by", &subtask_skipped::by)};
  }
};

struct subtask_cancelled {
  static constexpr std::string_view type = "subtask_cancelled";
  subtask_id subtask;
  std::string reason;
  std::string by;
  subtask_cancelled() = default;
  friend bool operator==(const subtask_cancelled&, const subtask_cancelled&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_cancelled::subtask),
                      optional_field("reason", &subtask_cancelled::reason),
                      optional_field("by", &subtask_cancelled::by)};
  }
};

/// An agent wants its next step at a point in time. Until then nothing but the timer exists.
struct subtask_slept {
  static constexpr std::string_view type = "subtask_slept";
  subtask_id subtask;
  timestamp until;
  subtask_slept() = default;
  friend bool operator==(const subtask_slept&, const subtask_slept&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_slept::subtask),
                      field("until", &subtask_slept::until)};
  }
};

struct subtask_woke {
  static constexpr std::string_view type = "subtask_woke";
  subtask_id subtask;
  subtask_woke() = default;
  friend bool operator==(const subtask_woke&, const subtask_woke&) = default;
  static constexpr auto fields() { return field_list{field("subtask", &subtask_woke::subtask)}; }
};

/// An agent gave its subtask to another agent, which goes on from the same transcript.
struct subtask_handed_over {
  static constexpr std::string_view type = "subtask_handed_over";
  subtask_id subtask;
  agent_name agent; ///< Who goes on.
  std::string note; ///< What it is told.
  subtask_handed_over() = default;
  friend bool operator==(const subtask_handed_over&, const subtask_handed_over&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_handed_over::subtask),
                      field("agent", &subtask_handed_over::agent),
                      optional_field("note", &subtask_handed_over::note)};
  }
};

/// An agent proposed a plan that is none; it is told why, and takes another step.
struct proposal_refused {
  static constexpr std::string_view type = "proposal_refused";
  subtask_id subtask;
  std::string reason;
  proposal_refused() = default;
  friend bool operator==(const proposal_refused&, const proposal_refused&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &proposal_refused::subtask),
                      field("reason", &proposal_refused::reason)};
  }
};

/// What language models were asked for in one step.
struct model_used {
  static constexpr std::string_view type = "model_used";
  subtask_id subtask;
  model_usage usage;
  model_used() = default;
  friend bool operator==(const model_used&, const model_used&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &model_used::subtask), field("usage", &model_used::usage)};
  }
};

/// A user said something to the agents.
struct message_received {
  static constexpr std::string_view type = "message_received";
  std::uint64_t number = 0; ///< Within its session, from 1.
  std::string text;
  std::string by;
  message_received() = default;
  friend bool operator==(const message_received&, const message_received&) = default;
  static constexpr auto fields() {
    return field_list{field("number", &message_received::number),
                      field("text", &message_received::text),
                      optional_field("by", &message_received::by)};
  }
};

struct deadline_set {
  static constexpr std::string_view type = "deadline_set";
  std::optional<subtask_id> subtask; ///< Nothing: the plan's.
  std::optional<timestamp> at;       ///< Nothing: cleared.
  std::string by;
  deadline_set() = default;
  friend bool operator==(const deadline_set&, const deadline_set&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("subtask", &deadline_set::subtask),
                      optional_field("at", &deadline_set::at),
                      optional_field("by", &deadline_set::by)};
  }
};

struct session_suspended {
  static constexpr std::string_view type = "session_suspended";
  std::optional<timestamp> until;
  std::string reason;
  std::string by;
  session_suspended() = default;
  friend bool operator==(const session_suspended&, const session_suspended&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("until", &session_suspended::until),
                      optional_field("reason", &session_suspended::reason),
                      optional_field("by", &session_suspended::by)};
  }
};

struct session_resumed {
  static constexpr std::string_view type = "session_resumed";
  std::string by; ///< `timer`: the time it was suspended until has come.
  session_resumed() = default;
  friend bool operator==(const session_resumed&, const session_resumed&) = default;
  static constexpr auto fields() { return field_list{optional_field("by", &session_resumed::by)}; }
};

/// An agent said something without ending its subtask.
struct agent_said {
  static constexpr std::string_view type = "agent_said";
  subtask_id subtask;
  std::string text;
  agent_said() = default;
  friend bool operator==(const agent_said&, const agent_said&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &agent_said::subtask), field("text", &agent_said::text)};
  }
};

/// A step that had begun before a crash runs again from the recorded transcript.
struct step_restarted {
  static constexpr std::string_view type = "step_restarted";
  subtask_id subtask;
  step_restarted() = default;
  friend bool operator==(const step_restarted&, const step_restarted&) = default;
  static constexpr auto fields() { return field_list{field("subtask", &step_restarted::subtask)}; }
};

/// An agent asked for a tool. `status` is where the policy put the call.
struct call_proposed {
  static constexpr std::string_view type = "call_proposed";
  std::uint64_t call = 0;
  subtask_id subtask;
  tool_name tool;
  tool_kind kind = tool_kind::client;
  std::uint32_t tool_version = 0;
  bool idempotent = false;
  json arguments;
  call_status status = call_status::awaiting_decision;
  std::string digest;        ///< What an approval of this call approves (P9).
  std::string fingerprint;   ///< Of the thing that the call changes, as it is now; empty: none.
  bool first_of_step = true; ///< False: it belongs to the same step as the call before it.
  std::optional<timestamp> expires_at;
  std::string prompt; ///< What the policy tells the person who decides.
  /// What put it there: `rule N` or `default` of the policy, or the remembered `decision N`. Empty:
  /// it cannot run at all.
  std::string ruled_by;
  call_proposed() = default;
  friend bool operator==(const call_proposed&, const call_proposed&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &call_proposed::call),
                      field("subtask", &call_proposed::subtask),
                      field("tool", &call_proposed::tool),
                      field("kind", &call_proposed::kind),
                      optional_field("tool_version", &call_proposed::tool_version),
                      optional_field("idempotent", &call_proposed::idempotent),
                      field("arguments", &call_proposed::arguments),
                      field("status", &call_proposed::status),
                      field("digest", &call_proposed::digest),
                      optional_field("fingerprint", &call_proposed::fingerprint),
                      optional_field("first_of_step", &call_proposed::first_of_step),
                      optional_field("expires_at", &call_proposed::expires_at),
                      optional_field("prompt", &call_proposed::prompt),
                      optional_field("ruled_by", &call_proposed::ruled_by)};
  }
};

/// A person decided on a call. `status` is where the call goes; a rejection and a response are
/// followed by `call_answered`.
struct call_decided {
  static constexpr std::string_view type = "call_decided";
  std::uint64_t call = 0;
  call_verdict verdict = call_verdict::approve;
  json arguments; ///< For edit: what runs instead.
  std::string feedback;
  std::string by;
  std::string digest;      ///< What was approved.
  std::string fingerprint; ///< What was approved.
  call_status status = call_status::awaiting_result;
  call_decided() = default;
  friend bool operator==(const call_decided&, const call_decided&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &call_decided::call),
                      field("verdict", &call_decided::verdict),
                      optional_field("arguments", &call_decided::arguments),
                      optional_field("feedback", &call_decided::feedback),
                      optional_field("by", &call_decided::by),
                      field("digest", &call_decided::digest),
                      optional_field("fingerprint", &call_decided::fingerprint),
                      field("status", &call_decided::status)};
  }
};

/// A decision holds for later calls of the session as well.
struct decision_remembered {
  static constexpr std::string_view type = "decision_remembered";
  std::uint64_t decision = 0;                   ///< Counted from 1 within the session.
  std::uint64_t call = 0;                       ///< The call that it was made on.
  call_verdict verdict = call_verdict::approve; ///< approve or reject.
  decision_scope scope = decision_scope::call;  ///< call or tool.
  tool_name tool;
  std::uint32_t tool_version = 0;
  std::string declaration; ///< Digest of the plan's declaration of the tool; empty: it has none.
  std::string arguments_digest; ///< For scope call: of those that it holds for.
  json arguments;       ///< The same for people, where they are short; the call has them anyway.
  std::string feedback; ///< For reject: what the agent sees.
  std::string by;
  decision_remembered() = default;
  friend bool operator==(const decision_remembered&, const decision_remembered&) = default;
  static constexpr auto fields() {
    return field_list{field("decision", &decision_remembered::decision),
                      field("call", &decision_remembered::call),
                      field("verdict", &decision_remembered::verdict),
                      field("scope", &decision_remembered::scope),
                      field("tool", &decision_remembered::tool),
                      optional_field("tool_version", &decision_remembered::tool_version),
                      optional_field("declaration", &decision_remembered::declaration),
                      optional_field("arguments_digest", &decision_remembered::arguments_digest),
                      optional_field("arguments", &decision_remembered::arguments),
                      optional_field("feedback", &decision_remembered::feedback),
                      optional_field("by", &decision_remembered::by)};
  }
};

/// A remembered decision holds no more.
struct decision_forgotten {
  static constexpr std::string_view type = "decision_forgotten";
  std::uint64_t decision = 0;
  std::string by; ///< `decision N`: a later one about the same took its place.
  decision_forgotten() = default;
  friend bool operator==(const decision_forgotten&, const decision_forgotten&) = default;
  static constexpr auto fields() {
    return field_list{field("decision", &decision_forgotten::decision),
                      optional_field("by", &decision_forgotten::by)};
  }
};

/// A worker is about to run the call: written before it starts (P8).
struct call_claimed {
  static constexpr std::string_view type = "call_claimed";
  std::uint64_t call = 0;
  std::uint32_t run = 0; ///< From 1.
  call_claimed() = default;
  friend bool operator==(const call_claimed&, const call_claimed&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &call_claimed::call), field("run", &call_claimed::run)};
  }
};

/// A run of the call failed and is tried again after a while.
struct call_backed_off {
  static constexpr std::string_view type = "call_backed_off";
  std::uint64_t call = 0;
  std::uint32_t run = 0; ///< The one that failed.
  std::string reason;
  bool may_have_happened = false; ///< It was cut off, and may have taken effect.
  timestamp retry_at;
  call_backed_off() = default;
  friend bool operator==(const call_backed_off&, const call_backed_off&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &call_backed_off::call), field("run", &call_backed_off::run),
                      field("reason", &call_backed_off::reason),
                      optional_field("may_have_happened", &call_backed_off::may_have_happened),
                      field("retry_at", &call_backed_off::retry_at)};
  }
};

/// The backoff is over: the call waits for a worker.
struct call_requeued {
  static constexpr std::string_view type = "call_requeued";
  std::uint64_t call = 0;
  call_requeued() = default;
  friend bool operator==(const call_requeued&, const call_requeued&) = default;
  static constexpr auto fields() { return field_list{field("call", &call_requeued::call)}; }
};

/// What would run is not what had been shown (the thing to change, the tool's version, or the
/// plan's revision has changed): the person is asked again.
struct call_asked_again {
  static constexpr std::string_view type = "call_asked_again";
  std::uint64_t call = 0;
  std::string reason;
  std::string digest;
  std::string fingerprint;
  std::uint32_t tool_version = 0;
  call_asked_again() = default;
  friend bool operator==(const call_asked_again&, const call_asked_again&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &call_asked_again::call),
                      field("reason", &call_asked_again::reason),
                      field("digest", &call_asked_again::digest),
                      optional_field("fingerprint", &call_asked_again::fingerprint),
                      optional_field("tool_version", &call_asked_again::tool_version)};
  }
};

/// A claim was found open at recovery, or a run does not end although it was told to: nobody knows
/// what the tool did.
struct outcome_unknown {
  static constexpr std::string_view type = "outcome_unknown";
  std::uint64_t call = 0;
  std::string reason;
  outcome_unknown() = default;
  friend bool operator==(const outcome_unknown&, const outcome_unknown&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &outcome_unknown::call),
                      optional_field("reason", &outcome_unknown::reason)};
  }
};

/// Somebody said what became of it; for happened and failed `call_answered` follows.
struct outcome_resolved {
  static constexpr std::string_view type = "outcome_resolved";
  std::uint64_t call = 0;
  outcome_resolution resolution = outcome_resolution::failed;
  std::string reason;
  /// `idempotent`: nobody was asked, because the tool is declared so. `reconcile`: the tool's hook
  /// found out. `tool`: the run ended after all.
  std::string by;
  outcome_resolved() = default;
  friend bool operator==(const outcome_resolved&, const outcome_resolved&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &outcome_resolved::call),
                      field("resolution", &outcome_resolved::resolution),
                      optional_field("reason", &outcome_resolved::reason),
                      optional_field("by", &outcome_resolved::by)};
  }
};

/// The one result of a call (P4).
struct call_answered {
  static constexpr std::string_view type = "call_answered";
  std::uint64_t call = 0;
  tool_answer answer;
  std::string digest; ///< Of the answer, to tell a duplicate from a contradiction.
  /// The person who answered or cancelled; `policy` for a call that it denies, `decision N` for one
  /// that a remembered decision rejects. Empty: nobody did.
  std::string by;
  call_answered() = default;
  friend bool operator==(const call_answered&, const call_answered&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &call_answered::call), field("answer", &call_answered::answer),
                      field("digest", &call_answered::digest),
                      optional_field("by", &call_answered::by)};
  }
};

/// A result came after the call was cancelled or had expired. Audit only; at most
/// `limits::late_results` a call.
struct late_result {
  static constexpr std::string_view type = "late_result";
  std::uint64_t call = 0;
  std::string digest;
  late_result() = default;
  friend bool operator==(const late_result&, const late_result&) = default;
  static constexpr auto fields() {
    return field_list{field("call", &late_result::call), field("digest", &late_result::digest)};
  }
};

/// The session moved from one state to another: the monitoring history.
struct state_changed {
  static constexpr std::string_view type = "state_changed";
  session_state from = session_state::idle;
  session_state to = session_state::idle;
  state_changed() = default;
  friend bool operator==(const state_changed&, const state_changed&) = default;
  static constexpr auto fields() {
    return field_list{field("from", &state_changed::from), field("to", &state_changed::to)};
  }
};

/// A session with unfinished work was activated after its process had ended or its commit had
/// failed.
struct session_activated {
  static constexpr std::string_view type = "session_activated";
  session_activated() = default;
  friend bool operator==(const session_activated&, const session_activated&) = default;
  static constexpr auto fields() { return field_list<>{}; }
};

/// The session is deleted with the commit of this event, which is told to observers and stored
/// nowhere.
struct session_deleted {
  static constexpr std::string_view type = "session_deleted";
  std::string reason;
  std::string by; ///< `retention` where it was the session's own timer.
  session_deleted() = default;
  friend bool operator==(const session_deleted&, const session_deleted&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("reason", &session_deleted::reason),
                      optional_field("by", &session_deleted::by)};
  }
};

/// The events before `first_event` are dropped: it is the first one that can be read.
struct history_trimmed {
  static constexpr std::string_view type = "history_trimmed";
  std::uint64_t first_event = 0;
  std::string by; ///< `retention` where the runtime did it.
  history_trimmed() = default;
  friend bool operator==(const history_trimmed&, const history_trimmed&) = default;
  static constexpr auto fields() {
    return field_list{field("first_event", &history_trimmed::first_event),
                      optional_field("by", &history_trimmed::by)};
  }
};

/// When the session is to be deleted, if nothing happens to it before.
struct deletion_scheduled {
  static constexpr std::string_view type = "deletion_scheduled";
  std::optional<timestamp> at; ///< Nothing: not any more.
  deletion_scheduled() = default;
  friend bool operator==(const deletion_scheduled&, const deletion_scheduled&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("at", &deletion_scheduled::at)};
  }
};

using event_body =
    std::variant<session_created, plan_proposed, plan_decided, plan_started, plan_ended,
                 subtask_started, subtask_finished, subtask_failed, subtask_blocked,
                 subtask_unblocked, subtask_retried, subtask_skipped, agent_said, step_restarted,
                 call_proposed, call_decided, call_claimed, call_asked_again, outcome_unknown,
                 outcome_resolved, call_answered, late_result, state_changed, session_activated,
                 subtask_cancelled, subtask_slept, subtask_woke, subtask_handed_over,
                 proposal_refused, model_used, message_received, deadline_set, session_suspended,
                 session_resumed, call_backed_off, call_requeued, decision_remembered,
                 decision_forgotten, session_deleted, history_trimmed, deletion_scheduled>;

[[nodiscard]] std::string_view name_of(const event_body& body);

/// The number of the call that an event is about; 0: none.
[[nodiscard]] std::uint64_t call_of(const event_body& body);

/// A fact with its place and time.
struct event {
  static constexpr const char* wire_name = "fermata::event";
  std::uint64_t number = 0; ///< Within its session, from 1.
  timestamp at;
  event_body body;

  event() = default;
  friend bool operator==(const event&, const event&) = default;
  static constexpr auto fields() {
    return field_list{field("number", &event::number), field("at", &event::at),
                      field("body", &event::body)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<model_usage>;
extern template struct codec<event_body>;
extern template struct struct_codec<event>;

} // namespace fermata::detail
