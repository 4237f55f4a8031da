#include <fermata/actors/core/call_rules.hpp>
#include <fermata/actors/core/decide.hpp>
#include <fermata/actors/core/plan_rules.hpp>

#include <algorithm>

namespace fermata::core {

namespace {

/// An agent that proposes what is no plan so often in a row does not get anywhere.
constexpr std::size_t max_refusals = 3;

/// The shorter of the request's limit and the policy's counts.
std::optional<timestamp> expiry_of(const tool_request& request, const policy_ruling& ruling,
                                   const environment& env) {
  auto after = request.expires_after;
  if (ruling.expires_after.count() > 0)
    after = after.count() == 0 ? ruling.expires_after : std::min(after, ruling.expires_after);
  if (after.count() <= 0)
    return std::nullopt;
  return env.now + std::min(after, env.limits.timer_horizon);
}

caf::error check_expiry(const tool_request& request, const environment& env) {
  if (request.expires_after.count() < 0 || request.expires_after > env.limits.timer_horizon)
    return make_error(errc::limit_exceeded, "expires_after is from 0 to timer_horizon, which is "
                                                + std::to_string(env.limits.timer_horizon.count())
                                                + " milliseconds");
  return caf::none;
}

/// Turns what an agent returned into events.
class step_taker {
public:
  step_taker(const session_data& data, const environment& env) : data_{data}, env_{env} {}

  void operator()(const step::failed& taken) { fail(taken.reason, taken.retryable); }

  void operator()(step::finished taken) {
    if (auto error = check_result(taken.result, env_))
      return fail("the subtask's result is refused: " + message_of(error));
    subtask_finished fact;
    fact.subtask = subtask();
    fact.result = std::move(taken.result);
    events_.emplace_back(std::move(fact));
  }

  void operator()(const step::said& taken) {
    // It may be all that there is of a result.
    if (has_room())
      say(taken.text, "result_size_bytes", env_.limits.result_size_bytes);
  }

  void operator()(step::called taken) {
    if (!has_room())
      return;
    if (taken.requests.empty())
      return fail("agent_failed: the agent returned a step with no calls");
    if (auto error =
            check_limit("calls_per_step", taken.requests.size(), env_.limits.calls_per_step))
      return fail("the agent called too many tools at once: " + message_of(error));
    if (!taken.text.empty() && !say(taken.text, "text_size_bytes", env_.limits.text_size_bytes))
      return;
    auto number = data_.head.calls;
    for (auto& request : taken.requests)
      call(std::move(request), ++number, &request == &taken.requests.front());
  }

  void operator()(const step::slept& taken) {
    if (!has_room())
      return;
    if (taken.duration.count() < 0)
      return fail("the agent slept for a negative time");
    if (taken.duration > env_.limits.timer_horizon
        || (taken.until && *taken.until > env_.now + env_.limits.timer_horizon))
      return fail("the agent slept too long: timer_horizon is "
                  + std::to_string(env_.limits.timer_horizon.count()) + " milliseconds");
    subtask_slept fact;
    fact.subtask = subtask();
    fact.until = taken.until.value_or(env_.now + taken.duration);
    events_.emplace_back(std::move(fact));
  }

  void operator()(const step::handed_over& taken) {
    if (!has_room())
      return;
    if (env_.agents.find(taken.agent) == nullptr)
      return fail("unknown_agent: the agent handed over to " + taken.agent.str()
                  + ", but no agent is called that");
    if (auto error = check_limit("text_size_bytes", taken.note.size(), env_.limits.text_size_bytes))
      return fail("the note of a handover is too long: " + message_of(error));
    if (!is_utf8(taken.note))
      return fail("the note of a handover is not UTF-8");
    subtask_handed_over fact;
    fact.subtask = subtask();
    fact.agent = taken.agent;
    fact.note = taken.note;
    events_.emplace_back(std::move(fact));
  }

  void operator()(const step::proposed& taken) {
    if (!has_room())
      return;
    if (auto error = check_proposal(taken.plan, current_agent(data_), env_))
      return refuse_proposal(error);
    const auto& active = data_.active->record;
    proposal how;
    how.planner = current_agent(data_);
    how.first_message = active.first_message;
    if (!active.planning) {
      how.replaces = active.revision;
      return propose(data_, taken.plan, how, env_, events_);
    }
    subtask_finished finished;
    finished.subtask = subtask();
    finished.result = {{"proposed_revision", data_.head.last_revision + 1}};
    events_.emplace_back(std::move(finished));
    plan_ended ended;
    ended.revision = active.revision;
    ended.status = plan_status::completed;
    events_.emplace_back(std::move(ended));
    propose(data_, taken.plan, how, env_, events_);
  }

  std::vector<event_body> take() { return std::move(events_); }

private:
  [[nodiscard]] const subtask_id& subtask() const { return data_.running_spec().id; }

  void fail(std::string reason, bool retryable = false) {
    fail_subtask(data_, *data_.head.running, std::move(reason), retryable, env_, events_);
  }

  /// True if one more step can be recorded; else the subtask has failed.
  bool has_room() {
    auto error = check_limit("subtask_entries", data_.running_subtask().entries + 1,
                             env_.limits.subtask_entries);
    if (error)
      fail("the agent takes too many steps: " + message_of(error));
    return !error;
  }

  bool say(const std::string& text, std::string_view limit, std::uint32_t size_bytes) {
    if (auto error = check_limit(limit, text.size(), size_bytes)) {
      fail("the agent said too much: " + message_of(error));
      return false;
    }
    if (!is_utf8(text)) {
      fail("the agent said something that is not UTF-8");
      return false;
    }
    agent_said fact;
    fact.subtask = subtask();
    fact.text = text;
    events_.emplace_back(std::move(fact));
    return true;
  }

  /// Proposes one call of a step: asks, grants, or answers it at once when it cannot run or must
  /// not.
  void call(tool_request request, std::uint64_t number, bool first) {
    call_proposed fact;
    fact.call = number;
    fact.subtask = subtask();
    fact.first_of_step = first;
    const auto tool = find_tool(data_.active->record.tools, request.tool, env_.tools);
    caf::error refusal =
        tool ? check_arguments(*tool, request.arguments, env_) : no_such_tool(request.tool);
    if (tool) {
      fact.kind = tool->kind();
      fact.tool_version = tool->version();
      fact.idempotent = tool->idempotent();
    }
    if (!refusal)
      refusal = check_expiry(request, env_);
    call_ruling ruling;
    if (!refusal) {
      ruling = rule_on(data_, request.tool, *tool, request.arguments, env_);
      fact.ruled_by = ruling.name();
      fact.expires_at = expiry_of(request, ruling.policy, env_);
    }
    const bool denies = !refusal && ruling.action() == policy_action::deny;
    const bool asks = !refusal && !denies && ruling.action() == policy_action::ask
                      && fact.kind != tool_kind::person;
    if (asks) {
      fact.prompt = ruling.policy.prompt;
      auto fingerprint = fingerprint_of(*tool, request.arguments, data_);
      if (fingerprint)
        fact.fingerprint = std::move(*fingerprint);
      else
        refusal = std::move(fingerprint.error());
    }
    fact.digest = approval_digest(data_, number, data_.active->record.revision, request.tool,
                                  fact.tool_version, request.arguments, fact.fingerprint);
    fact.status = refusal || denies ? call_status::answered
                  : asks            ? call_status::awaiting_decision
                                    : granted_status(fact.kind);
    fact.tool = std::move(request.tool);
    fact.arguments = std::move(request.arguments);
    events_.emplace_back(std::move(fact));
    // The agent sees why its call was refused, as the call's result; nobody is asked about it.
    if (refusal)
      events_.push_back(answered(number, {call_outcome::failed, error_content(refusal, env_)}));
    else if (denies)
      deny(number, ruling);
  }

  /// Nobody is asked: the policy, or a decision that is remembered, rejects the call.
  void deny(std::uint64_t number, const call_ruling& ruling) {
    const auto* decision = ruling.remembered;
    events_.push_back(
        answered(number, rejection(decision != nullptr ? decision->feedback : ruling.policy.prompt),
                 decision != nullptr ? ruling.name() : "policy"));
  }

  void refuse_proposal(const caf::error& why) {
    const auto& entries = data_.entries;
    const auto last_other = std::find_if(entries.rbegin(), entries.rend(), [](const auto& entry) {
      return entry.source != entry_source::refusal;
    });
    const auto refused = static_cast<std::size_t>(last_other - entries.rbegin()) + 1;
    if (refused >= max_refusals)
      return fail("the agent proposed what is no plan " + std::to_string(refused)
                      + " times: " + message_of(why),
                  !data_.active->record.planning);
    proposal_refused fact;
    fact.subtask = subtask();
    fact.reason = shortened(message_of(why), env_);
    events_.emplace_back(std::move(fact));
  }

  const session_data& data_;
  const environment& env_;
  std::vector<event_body> events_;
};

} // namespace

std::vector<event_body> fail_step(const session_data& data, std::string reason, bool retryable,
                                  const environment& env) {
  std::vector<event_body> events;
  fail_subtask(data, *data.head.running, std::move(reason), retryable, env, events);
  return events;
}

std::vector<event_body> take_step(const session_data& data, step taken, const environment& env) {
  step_taker taker{data, env};
  std::visit(taker, std::move(taken).what());
  return taker.take();
}

} // namespace fermata::core
