#include <fermata/actors/core/call_rules.hpp>
#include <fermata/actors/core/decide.hpp>
#include <fermata/actors/core/plan_rules.hpp>
#include <fermata/messages/digest.hpp>

#include <algorithm>
#include <cassert>

/// What follows from a session's state by itself, and from what its tools report.
namespace fermata::core {

std::optional<event_body> advance(const session_data& data, timestamp now) {
  if (!data.active || data.draft || data.head.suspended)
    return std::nullopt;
  const auto& plan = *data.active;
  if (plan.record.status == plan_status::approved) {
    plan_started fact;
    fact.revision = plan.record.revision;
    return fact;
  }
  if (plan.record.status != plan_status::in_progress || data.head.running)
    return std::nullopt;
  if (const auto ready = plan.first_ready()) {
    const auto& spec = plan.specs()[*ready];
    const auto& subtask = plan.subtasks()[*ready];
    subtask_started fact;
    fact.subtask = spec.id;
    fact.attempt = subtask.attempts + 1;
    if (spec.time_limit.count() > 0)
      fact.deadline = now + spec.time_limit;
    return fact;
  }
  if (plan.count(subtask_status::done) + plan.count(subtask_status::skipped)
      == plan.specs().size()) {
    plan_ended fact;
    fact.revision = plan.record.revision;
    fact.status = plan_status::completed;
    return fact;
  }
  return std::nullopt;
}

namespace {

/// The first open call of the running attempt that may have an effect which nobody knows of.
/// Another attempt would repeat it under another key, so an idempotent tool's counts as well, also
/// between two of its runs (P8).
std::optional<std::uint64_t> first_open_effect(const session_data& data) {
  const auto& subtask = data.running_subtask();
  for (auto number = subtask.first_call; number < subtask.first_call + subtask.calls; ++number) {
    const auto& call = data.calls.at(number);
    if (call.status == call_status::claimed || call.status == call_status::awaiting_outcome
        || (call.status != call_status::answered && call.may_have_happened))
      return number;
  }
  return std::nullopt;
}

std::vector<event_body> fire_subtask(const session_data& data, std::uint32_t position,
                                     const environment& env) {
  std::vector<event_body> events;
  const auto& subtask = data.active->subtasks()[position];
  const auto& id = data.active->specs()[position].id;
  const bool deadline = subtask.deadline && *subtask.deadline <= env.now;
  const bool runs = data.head.running == position;
  if (deadline || (runs && subtask.attempt_ends && *subtask.attempt_ends <= env.now)) {
    std::string reason = deadline ? "deadline_passed: it was not over at its deadline"
                                  : "deadline_passed: the attempt took longer than time_limit_ms";
    const auto open_effect = runs ? first_open_effect(data) : std::nullopt;
    if (runs)
      end_open_calls(data, call_outcome::expired, reason, events);
    if (open_effect)
      reason += "; its call " + call_id{data.head.id, *open_effect}.str()
                + " may have taken effect, so nothing is tried again by itself";
    // Another attempt has a time of its own; a deadline holds for all of them.
    fail_subtask(data, position, std::move(reason), !deadline && !open_effect, env, events);
  } else if (subtask.status == subtask_status::backing_off) {
    subtask_retried fact;
    fact.subtask = id;
    fact.by = "backoff";
    events.emplace_back(std::move(fact));
  } else {
    subtask_woke fact;
    fact.subtask = id;
    events.emplace_back(std::move(fact));
  }
  return events;
}

/// What an agent is told of a call that did not succeed, and of its earlier runs.
json with_warning(const call_record& call, json content) {
  if (call.may_have_happened)
    content["may_have_taken_effect"] = true;
  return content;
}

event_body fire_call(const call_record& call) {
  if (call.status == call_status::backing_off) {
    call_requeued fact;
    fact.call = call.number;
    return fact;
  }
  return answered(call.number,
                  {call_outcome::expired,
                   with_warning(call, synthetic_content(call_outcome::expired,
                                                        "nobody answered before it expired"))});
}

} // namespace

std::optional<history_trimmed> trimmed_to(const session_data& data, std::uint64_t keep,
                                          std::string by) {
  if (keep >= data.head.events || data.head.events - keep < data.first_event)
    return std::nullopt;
  history_trimmed fact;
  fact.first_event = data.head.events - keep + 1;
  fact.by = std::move(by);
  return fact;
}

namespace {

/// When a deletion that a running tool holds up is tried again.
constexpr std::chrono::milliseconds least_held_up_interval{60'000};
constexpr std::chrono::milliseconds held_up_interval{3'600'000};

constexpr std::string_view by_retention = "retention";

event_body fire_deletion(const session_data& data, const environment& env) {
  deletion_scheduled later;
  if (!env.retention.delete_finished_after)
    return later;
  const auto after = std::min(*env.retention.delete_finished_after, env.limits.timer_horizon);
  if (env.runs_tools) {
    later.at = env.now + std::clamp(after, least_held_up_interval, held_up_interval);
    return later;
  }
  // The timer was armed by a runtime that may have kept sessions for a shorter time.
  if (const auto until = data.last_change.value_or(env.now) + after; until > env.now) {
    later.at = std::min(until, env.now + after);
    return later;
  }
  session_deleted fact;
  fact.by = by_retention;
  return fact;
}

} // namespace

std::vector<event_body> retain(const session_data& data, const recorded_events& recorded,
                               const environment& env) {
  std::vector<event_body> events;
  if (!data.exists() || data.deleted || !data.is_over() || data.head.last_revision == 0)
    return events;
  if (env.retention.keep_events) {
    const auto keep = std::max<std::uint64_t>(*env.retention.keep_events, 1);
    const auto kept = data.head.events + 1 - data.first_event;
    // Not for a few: the journal goes through what is kept to find what is dropped.
    if ((recorded.ends_plan() && kept > keep + keep / 4) || kept / 2 > keep)
      if (auto fact = trimmed_to(data, keep, std::string{by_retention}))
        events.emplace_back(std::move(*fact));
  }
  // What was just said of it holds.
  const auto changes = !recorded.empty() && !recorded.schedules_deletion();
  if (env.retention.delete_finished_after && (changes || !data.head.delete_at)) {
    deletion_scheduled fact;
    fact.at = env.now + std::min(*env.retention.delete_finished_after, env.limits.timer_horizon);
    events.emplace_back(fact);
  }
  return events;
}

std::vector<event_body> fire_due(const session_data& data, const environment& env) {
  std::vector<event_body> events;
  const auto due = next_due(data);
  if (!due || due->at > env.now)
    return events;
  switch (due->what) {
  case due_item::kind::end_of_suspension: {
    session_resumed fact;
    fact.by = "timer";
    events.emplace_back(std::move(fact));
    break;
  }
  case due_item::kind::draft_expiry: {
    plan_ended fact;
    fact.revision = data.draft->record.revision;
    fact.status = plan_status::cancelled;
    fact.reason = "expired: nobody decided on it in time";
    fact.by = "timer";
    events.emplace_back(std::move(fact));
    break;
  }
  case due_item::kind::plan_deadline: {
    const std::string reason = "deadline_passed: the plan was not over at its deadline";
    end_open_calls(data, call_outcome::expired, reason, events);
    end_plans(data, plan_status::failed, reason, "timer", events);
    break;
  }
  case due_item::kind::subtask:
    return fire_subtask(data, static_cast<std::uint32_t>(due->of), env);
  case due_item::kind::call:
    events.push_back(fire_call(data.calls.at(due->of)));
    break;
  case due_item::kind::deletion:
    events.push_back(fire_deletion(data, env));
    break;
  }
  return events;
}

event_body claim(const session_data& data, std::uint64_t call) {
  assert(data.queued.contains(call));
  call_claimed fact;
  fact.call = call;
  fact.run = data.calls.at(call).runs + 1;
  return fact;
}

std::optional<event_body> ask_again(const session_data& data, std::uint64_t number,
                                    const environment& env) {
  const auto& call = data.calls.at(number);
  const auto* tool = env.tools.find(call.tool);
  if (tool == nullptr)
    return std::nullopt;
  // What a decision that is remembered allowed holds for the version that it was made on; what the
  // policy allowed, for any.
  if (!call.verdict && !(is_remembered(call.ruled_by) && tool->version != call.tool_version))
    return std::nullopt;
  const auto revision = data.active->record.revision;
  if (approval_digest(data, number, revision, call.tool, tool->version, call.arguments,
                      call.fingerprint)
      == call.digest)
    return std::nullopt;
  return asked_again(data, call, revision,
                     tool->version == call.tool_version
                         ? "the plan is now revision " + std::to_string(revision)
                         : "the tool is now version " + std::to_string(tool->version) + "; version "
                               + std::to_string(call.tool_version) + " was approved",
                     env);
}

std::vector<event_body> give_up_on(const session_data& data, std::uint64_t number,
                                   std::uint32_t run) {
  std::vector<event_body> events;
  const auto* call = data.find_call(number);
  if (call == nullptr || call->status != call_status::claimed || call->runs != run)
    return events;
  outcome_unknown fact;
  fact.call = number;
  fact.reason = "its time is up, it was told to stop, and it still runs";
  events.emplace_back(std::move(fact));
  return events;
}

namespace {

event_body resolved(std::uint64_t call, outcome_resolution how, std::string by) {
  outcome_resolved fact;
  fact.call = call;
  fact.resolution = how;
  fact.by = std::move(by);
  return fact;
}

event_body unknown_outcome(std::uint64_t call, std::string reason = {}) {
  outcome_unknown fact;
  fact.call = call;
  fact.reason = std::move(reason);
  return fact;
}

tool_answer failure(const caf::error& why, const call_record& call, const environment& env) {
  return {call_outcome::failed, with_warning(call, error_content(why, env))};
}

} // namespace

std::vector<event_body> reconcile(const session_data& data, std::uint64_t number, std::uint32_t run,
                                  result<reconciliation> found, const environment& env) {
  std::vector<event_body> events;
  const auto* call = data.find_call(number);
  if (call == nullptr || call->status != call_status::claimed || call->runs != run)
    return events;
  if (found && found->found == reconciliation::verdict::happened)
    if (auto error = check_result(found->content, env, env.tools.find(call->tool)))
      found = std::move(error);
  if (!found) {
    events.push_back(unknown_outcome(
        number, shortened("the tool's reconcile failed: " + message_of(found.error()), env)));
    return events;
  }
  switch (found->found) {
  case reconciliation::verdict::unknown:
    events.push_back(unknown_outcome(number, "the tool's reconcile could not tell"));
    break;
  case reconciliation::verdict::happened:
    events.push_back(resolved(number, outcome_resolution::happened, "reconcile"));
    events.push_back(answered(number, {call_outcome::succeeded, std::move(found->content)}));
    break;
  case reconciliation::verdict::did_not_happen:
    events.push_back(resolved(number, outcome_resolution::rerun, "reconcile"));
    break;
  }
  return events;
}

std::vector<event_body> finish_call(const session_data& data, std::uint64_t number,
                                    std::uint32_t run, result<json> outcome,
                                    const environment& env) {
  std::vector<event_body> events;
  const auto* call = data.find_call(number);
  if (call == nullptr)
    return events;
  const auto* tool = env.tools.find(call->tool);
  if (outcome)
    if (auto error = check_result(*outcome, env, tool))
      outcome = std::move(error);
  if (call->status == call_status::awaiting_outcome && call->runs == run) {
    // It was given up on, and has ended after all.
    events.push_back(resolved(
        number, outcome ? outcome_resolution::happened : outcome_resolution::failed, "tool"));
    events.push_back(
        answered(number, outcome ? tool_answer{call_outcome::succeeded, std::move(*outcome)}
                                 : failure(outcome.error(), *call, env)));
    return events;
  }
  if (call->status != call_status::claimed || call->runs != run) {
    if (call->status != call_status::answered || call->late == env.limits.late_results)
      return events;
    const auto answer = outcome ? tool_answer{call_outcome::succeeded, std::move(*outcome)}
                                : failure(outcome.error(), *call, env);
    // Unless it is the call's own answer, of whose commit the session did not hear.
    if (digest_of_answer(answer) != call->answer_digest) {
      late_result fact;
      fact.call = number;
      fact.digest = digest_of(answer.content);
      events.emplace_back(std::move(fact));
    }
    return events;
  }
  if (outcome) {
    events.push_back(answered(number, {call_outcome::succeeded, std::move(*outcome)}));
    return events;
  }
  const auto& why = outcome.error();
  if (is(why, errc::stale_approval)) {
    events.push_back(asked_again(data, *call, data.active->record.revision, message_of(why), env));
    return events;
  }
  const bool may_pass =
      is(why, errc::tool_unavailable) || (is(why, errc::tool_timed_out) && call->idempotent);
  if (tool != nullptr && may_pass && call->runs < tool->retry.max_attempts) {
    call_backed_off fact;
    fact.call = number;
    fact.run = run;
    fact.reason = shortened(message_of(why), env);
    fact.may_have_happened = is(why, errc::tool_timed_out);
    fact.retry_at = env.now + backoff_after(tool->retry, call->runs, env.random);
    events.emplace_back(std::move(fact));
    return events;
  }
  events.push_back(answered(number, failure(why, *call, env)));
  return events;
}

std::vector<event_body> recover(const session_data& data,
                                const std::function<bool(std::uint64_t)>& is_running,
                                const environment& env) {
  std::vector<event_body> events;
  for (const auto number : data.claimed) {
    const auto& call = data.calls.at(number);
    if (is_running(number))
      continue;
    if (call.idempotent) {
      events.push_back(resolved(number, outcome_resolution::rerun, "idempotent"));
      continue;
    }
    const auto* tool = env.tools.find(call.tool);
    if (tool == nullptr || !tool->reconcile)
      events.push_back(unknown_outcome(number));
  }
  for (const auto& [number, call] : data.calls) {
    const auto* tool = env.tools.find(call.tool);
    if (call.status == call_status::awaiting_decision && tool != nullptr
        && tool->version != call.tool_version)
      events.push_back(asked_again(data, call, data.active->record.revision,
                                   "the tool is now version " + std::to_string(tool->version),
                                   env));
  }
  if (step_due(data)) {
    step_restarted fact;
    fact.subtask = data.running_spec().id;
    events.emplace_back(std::move(fact));
  }
  if (!events.empty() || data.head.state == session_state::running)
    events.insert(events.begin(), session_activated{});
  return events;
}

} // namespace fermata::core
