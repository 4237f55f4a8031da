#include <fermata/actors/core/session_data.hpp>

#include <fermata/actors/core/transitions.hpp>

#include <cassert>

namespace fermata::core {

plan_data::plan_data(plan_record of, std::vector<subtask_spec> proposed,
                     std::vector<subtask_record> states)
    : record{std::move(of)}, specs{std::move(proposed)}, subtasks_{std::move(states)} {
  assert(specs.size() == subtasks_.size());
  const auto size = static_cast<std::uint32_t>(specs.size());
  positions_.reserve(size);
  for (std::uint32_t i = 0; i < size; ++i)
    positions_.emplace(specs[i].id, i);
  dependents_.resize(size);
  unmet_.resize(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    for (const auto& dependency : specs[i].depends_on) {
      const auto on = positions_.at(dependency);
      dependents_[on].push_back(i);
      if (!satisfies(subtasks_[on].status))
        ++unmet_[i];
    }
    ++counts_[static_cast<std::size_t>(subtasks_[i].status)];
    if (subtasks_[i].status == subtask_status::pending && unmet_[i] == 0)
      ready_.insert(i);
  }
}

std::optional<std::uint32_t> plan_data::find(const subtask_id& id) const {
  const auto found = positions_.find(id);
  return found == positions_.end() ? std::nullopt : std::optional{found->second};
}

std::optional<std::uint32_t> plan_data::first_ready() const {
  return ready_.empty() ? std::nullopt : std::optional{*ready_.begin()};
}

void plan_data::set_status(std::uint32_t position, subtask_status status) {
  auto& subtask = subtasks_[position];
  assert(allows(subtask_transitions, subtask.status, status));
  const bool satisfied_before = satisfies(subtask.status);
  --counts_[static_cast<std::size_t>(subtask.status)];
  ++counts_[static_cast<std::size_t>(status)];
  subtask.status = status;
  if (status == subtask_status::pending && unmet_[position] == 0)
    ready_.insert(position);
  else
    ready_.erase(position);
  if (satisfied_before == satisfies(status))
    return;
  // Done and skipped are terminal, so dependencies only ever become satisfied.
  for (const auto dependent : dependents_[position])
    if (--unmet_[dependent] == 0 && subtasks_[dependent].status == subtask_status::pending)
      ready_.insert(dependent);
}

void plan_data::set_plan_status(plan_status status) {
  assert(allows(plan_transitions, record.status, status));
  record.status = status;
}

const call_record* session_data::find_call(std::uint64_t number) const {
  const auto found = calls.find(number);
  return found == calls.end() ? nullptr : &found->second;
}

namespace {

/// The count that a call in this status belongs to, if it waits for somebody.
std::uint32_t* waiting_count(waiting_counts& counts, call_status status) {
  switch (status) {
  case call_status::awaiting_decision:
    return &counts.decision;
  case call_status::awaiting_result:
    return &counts.result;
  case call_status::awaiting_outcome:
    return &counts.outcome;
  case call_status::queued:
  case call_status::claimed:
  case call_status::answered:
    break;
  }
  return nullptr;
}

} // namespace

void session_data::count_call(const call_record& call, bool also_waiting) {
  if (call.status == call_status::queued)
    queued.insert(call.number);
  if (call.status == call_status::claimed)
    claimed.insert(call.number);
  if (also_waiting)
    if (auto* count = waiting_count(head.waiting, call.status))
      ++*count;
}

void session_data::set_call_status(call_record& call, call_status status) {
  assert(allows(call_transitions, call.status, status));
  if (auto* count = waiting_count(head.waiting, call.status))
    --*count;
  queued.erase(call.number);
  claimed.erase(call.number);
  call.status = status;
  count_call(call, true);
  changed.insert(call_key(call.number));
}

session_state derive_state(const session_data& data) {
  if (data.draft)
    return data.draft->record.sent_back ? session_state::planning
                                        : session_state::awaiting_plan_decision;
  if (!data.active)
    return session_state::idle;
  switch (data.active->record.status) {
  case plan_status::draft:
    break;
  case plan_status::completed:
    return session_state::completed;
  case plan_status::failed:
    return session_state::failed;
  case plan_status::cancelled:
    return session_state::cancelled;
  case plan_status::rejected:
    return session_state::rejected;
  case plan_status::approved:
    return session_state::running;
  case plan_status::in_progress:
    if (!data.head.running)
      return data.active->first_ready() ? session_state::running : session_state::needs_attention;
    if (step_due(data) || !data.queued.empty() || !data.claimed.empty())
      return session_state::running;
    return session_state::waiting;
  }
  assert(false && "an active plan is never a draft");
  return session_state::idle;
}

bool step_due(const session_data& data) {
  return data.in_progress() && data.head.running && data.running_subtask().open_calls == 0;
}

} // namespace fermata::core
