#include <fermata/actors/sim/reference_session.hpp>

#include <algorithm>

namespace fermata::sim {

const reference_call* reference_session::find_call(std::uint64_t number) const {
  return number == 0 || number > calls.size() ? nullptr : &calls[number - 1];
}

bool reference_session::has_plan_in_force() const {
  if (!active)
    return false;
  const auto status = facts_of(*active).status;
  return status == plan_status::approved || status == plan_status::in_progress;
}

bool reference_session::awaits_own_proposal() const {
  return draft && running && !facts_of(*draft).planner.empty();
}

bool reference_session::is_step_due() const {
  return running && !suspended && open.empty() && !(*active)[*running].next_step
         && !awaits_own_proposal();
}

std::uint32_t reference_session::count_open(call_status status) const {
  return static_cast<std::uint32_t>(
      std::count_if(open.begin(), open.end(),
                    [&](std::uint64_t number) { return calls[number - 1].status == status; }));
}

session_state reference_session::state() const {
  if (suspended)
    return session_state::suspended;
  const bool moves =
      is_step_due() || count_open(call_status::queued) > 0 || count_open(call_status::claimed) > 0;
  if (draft && !moves)
    return facts_of(*draft).sent_back ? session_state::planning
                                      : session_state::awaiting_plan_decision;
  if (!active)
    return session_state::idle;
  switch (facts_of(*active).status) {
  case plan_status::completed:
    return session_state::completed;
  case plan_status::failed:
    return session_state::failed;
  case plan_status::cancelled:
    return session_state::cancelled;
  case plan_status::rejected:
    return session_state::rejected;
  case plan_status::draft:
  case plan_status::approved:
    return session_state::running;
  case plan_status::in_progress:
    break;
  }
  if (moves)
    return session_state::running;
  if (running)
    return session_state::waiting;
  if (active->first_ready())
    return session_state::running;
  return active->count(subtask_status::backing_off) > 0 ? session_state::waiting
                                                        : session_state::needs_attention;
}

waiting_counts reference_session::waiting() const {
  waiting_counts counts;
  counts.outcome = count_open(call_status::awaiting_outcome);
  counts.decision = count_open(call_status::awaiting_decision);
  counts.answer = count_open(call_status::awaiting_answer);
  counts.result = count_open(call_status::awaiting_result);
  counts.backoff = count_open(call_status::backing_off);
  if (draft && !facts_of(*draft).sent_back)
    ++counts.decision;
  if (has_plan_in_force())
    counts.backoff += active->count(subtask_status::backing_off);
  if (running && (*active)[*running].next_step)
    ++counts.backoff;
  return counts;
}

std::vector<pending_item> reference_session::pending() const {
  std::vector<pending_item> items;
  for (const auto number : open)
    if (auto item = pending_call(number))
      items.push_back(std::move(*item));
  if (auto item = pending_draft())
    items.push_back(std::move(*item));
  return items;
}

std::optional<pending_item> reference_session::pending_call(std::uint64_t number) const {
  const auto* call = find_call(number);
  if (call == nullptr)
    return std::nullopt;
  pending_item item;
  switch (call->status) {
  case call_status::awaiting_decision:
    item.waiting_for = wait_cause::decision;
    break;
  case call_status::awaiting_result:
    item.waiting_for = wait_cause::result;
    break;
  case call_status::awaiting_outcome:
    item.waiting_for = wait_cause::outcome;
    break;
  case call_status::awaiting_answer:
    item.waiting_for = wait_cause::answer;
    break;
  default:
    return std::nullopt;
  }
  item.id = call_id{id, number}.str();
  item.session = id;
  item.kind = call->kind == tool_kind::person ? pending_kind::input : pending_kind::call;
  item.tool = call->tool;
  item.arguments = call->arguments;
  item.subtask = call->subtask;
  item.digest = call->digest;
  item.fingerprint = call->fingerprint;
  item.prompt = call->prompt;
  item.since = call->since;
  if (call->status != call_status::awaiting_outcome) // an unknown outcome does not expire
    item.expires_at = call->expires_at;
  return item;
}

std::optional<pending_item> reference_session::pending_draft() const {
  if (!draft || facts_of(*draft).sent_back)
    return std::nullopt;
  const auto& facts = facts_of(*draft);
  pending_item item;
  item.id = plan_id{id, draft->revision()}.str();
  item.session = id;
  item.kind = pending_kind::plan;
  item.waiting_for = wait_cause::decision;
  item.digest = facts.digest;
  item.goal = facts.goal;
  item.prompt = facts.prompt;
  item.since = facts.proposed;
  item.expires_at = facts.expires_at;
  return item;
}

std::optional<timestamp> reference_session::next_timer() const {
  std::optional<timestamp> first;
  const auto consider = [&](std::optional<timestamp> at) {
    if (at && (!first || *at < *first))
      first = at;
  };
  if (suspended)
    consider(suspended_until);
  if (draft && !facts_of(*draft).sent_back)
    consider(facts_of(*draft).expires_at);
  consider(delete_at);
  if (!has_plan_in_force())
    return first;
  consider(facts_of(*active).deadline);
  consider(active->next_timer());
  for (const auto number : open) {
    const auto& call = calls[number - 1];
    if (call.status == call_status::backing_off)
      consider(call.retry_at);
    else if (call.status == call_status::awaiting_decision
             || call.status == call_status::awaiting_result
             || call.status == call_status::awaiting_answer)
      consider(call.expires_at);
  }
  return first;
}

agent_name reference_session::agent_of(std::uint32_t position) const {
  const auto& subtask = (*active)[position];
  if (!subtask.handed_to.empty())
    return subtask.handed_to;
  static const auto script = *agent_name::parse("script"); // the default of `subtask_spec::agent`
  return subtask.spec.agent.empty() ? script : subtask.spec.agent;
}

} // namespace fermata::sim
