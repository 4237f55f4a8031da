#include <fermata/actors/core/session_data.hpp>

#include <fermata/actors/core/transitions.hpp>

#include <algorithm>
#include <cassert>
#include <numeric>

namespace fermata::core {

void alarms::set(std::uint64_t of, std::optional<timestamp> at) {
  if (const auto found = times_.find(of); found != times_.end()) {
    ordered_.erase({found->second, of});
    times_.erase(found);
  }
  if (!at)
    return;
  times_.emplace(of, *at);
  ordered_.insert({*at, of});
}

std::optional<alarms::alarm> alarms::first() const {
  return ordered_.empty() ? std::nullopt : std::optional{*ordered_.begin()};
}

namespace {

std::optional<timestamp> earlier(std::optional<timestamp> one, std::optional<timestamp> other) {
  if (!one || !other)
    return one ? one : other;
  return std::min(*one, *other);
}

} // namespace

std::vector<subtask_status> statuses_of(std::span<const subtask_record> subtasks) {
  std::vector<subtask_status> statuses;
  statuses.reserve(subtasks.size());
  for (const auto& subtask : subtasks)
    statuses.push_back(subtask.status);
  return statuses;
}

plan_data::plan_data(plan_record of, std::vector<subtask_spec> proposed,
                     std::vector<subtask_record> states)
    : record{std::move(of)}, subtasks_{std::move(states)} {
  specs_ = std::make_shared<std::vector<subtask_spec>>(std::move(proposed));
  assert(specs().size() == subtasks_.size());
  const auto size = static_cast<std::uint32_t>(specs().size());
  by_id_.resize(size);
  std::iota(by_id_.begin(), by_id_.end(), 0);
  std::ranges::sort(by_id_, {}, id_at());
  dependents_.resize(size);
  unmet_.resize(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    for (const auto& dependency : specs()[i].depends_on) {
      const auto on = position(dependency);
      dependents_[on].push_back(i);
      if (!satisfies(subtasks_[on].status))
        ++unmet_[i];
    }
    ++counts_[static_cast<std::size_t>(subtasks_[i].status)];
    note_alarm(i);
    if (subtasks_[i].status == subtask_status::pending && unmet_[i] == 0)
      ready_.insert(i);
  }
}

std::optional<std::uint32_t> plan_data::find(const subtask_id& id) const {
  const auto found = std::ranges::lower_bound(by_id_, id, {}, id_at());
  if (found == by_id_.end() || specs()[*found].id != id)
    return std::nullopt;
  return *found;
}

std::optional<std::uint32_t> plan_data::first_ready() const {
  return ready_.empty() ? std::nullopt : std::optional{*ready_.begin()};
}

void plan_data::set_status(std::uint32_t position, subtask_status status) {
  auto& subtask = subtasks_[position];
  assert(allows(subtask_transitions, subtask.status, status));
  const bool satisfied_before = satisfies(subtask.status);
  const bool ready_before = subtask.status == subtask_status::pending && unmet_[position] == 0;
  const bool is_ready = status == subtask_status::pending && unmet_[position] == 0;
  --counts_[static_cast<std::size_t>(subtask.status)];
  ++counts_[static_cast<std::size_t>(status)];
  subtask.status = status;
  note_alarm(position);
  if (is_ready && !ready_before)
    ready_.insert(position);
  else if (ready_before && !is_ready)
    ready_.erase(position);
  if (satisfied_before == satisfies(status))
    return;
  // Done and skipped are terminal, so dependencies only ever become satisfied.
  for (const auto dependent : dependents_[position])
    if (--unmet_[dependent] == 0 && subtasks_[dependent].status == subtask_status::pending)
      ready_.insert(dependent);
}

void plan_data::set_deadline(std::uint32_t position, std::optional<timestamp> at) {
  subtasks_[position].deadline = at;
  note_alarm(position);
}

void plan_data::set_next_step(std::uint32_t position, std::optional<timestamp> at) {
  subtasks_[position].next_step = at;
  note_alarm(position);
}

void plan_data::note_alarm(std::uint32_t position) {
  const auto& subtask = subtasks_[position];
  switch (subtask.status) {
  case subtask_status::pending:
  case subtask_status::blocked:
    return alarms_.set(position, subtask.deadline);
  case subtask_status::running:
    return alarms_.set(position,
                       earlier(earlier(subtask.deadline, subtask.attempt_ends), subtask.next_step));
  case subtask_status::backing_off:
    return alarms_.set(position, earlier(subtask.deadline, subtask.next_step));
  case subtask_status::done:
  case subtask_status::failed:
  case subtask_status::skipped:
  case subtask_status::cancelled:
    return alarms_.set(position, std::nullopt);
  }
}

void plan_data::set_plan_status(plan_status status) {
  assert(allows(plan_transitions, record.status, status));
  record.status = status;
}

const plan_data* session_data::find_plan(std::uint32_t revision) const {
  if (active && active->record.revision == revision)
    return &*active;
  if (draft && draft->record.revision == revision)
    return &*draft;
  const auto found = retired.find(revision);
  return found == retired.end() ? nullptr : &found->second;
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
  case call_status::awaiting_answer:
    return &counts.answer;
  case call_status::backing_off:
    return &counts.backoff;
  case call_status::queued:
  case call_status::claimed:
  case call_status::answered:
    break;
  }
  return nullptr;
}

/// When something happens to a call by itself: it expires while it waits for somebody, or is tried
/// again.
std::optional<timestamp> alarm_of(const call_record& call) {
  switch (call.status) {
  case call_status::awaiting_decision:
  case call_status::awaiting_result:
  case call_status::awaiting_answer:
    return call.expires_at;
  case call_status::backing_off:
    return call.retry_at;
  case call_status::queued:
  case call_status::claimed:
  case call_status::awaiting_outcome:
  case call_status::answered:
    break;
  }
  return std::nullopt;
}

} // namespace

void session_data::count_call(const call_record& call, bool also_waiting) {
  if (call.status == call_status::queued)
    queued.insert(call.number);
  if (call.status == call_status::claimed)
    claimed.insert(call.number);
  call_alarms.set(call.number, alarm_of(call));
  if (also_waiting)
    if (auto* count = waiting_count(head.waiting, call.status))
      ++*count;
}

void session_data::set_call_status(call_record& call, call_status status,
                                   std::optional<timestamp> retry_at) {
  assert(allows(call_transitions, call.status, status));
  if (auto* count = waiting_count(head.waiting, call.status))
    --*count;
  queued.erase(call.number);
  claimed.erase(call.number);
  call.status = status;
  call.retry_at = retry_at;
  count_call(call, true);
  changed.insert(call_key(call.number));
}

std::optional<due_item> next_due(const session_data& data) {
  std::optional<due_item> first;
  const auto consider = [&](std::optional<timestamp> at, due_item::kind what, std::uint64_t of) {
    if (at && (!first || *at < first->at))
      first = due_item{*at, what, of};
  };
  if (data.head.suspended)
    consider(data.head.suspended_until, due_item::kind::end_of_suspension, 0);
  if (data.draft && !data.draft->record.sent_back)
    consider(data.draft->record.expires_at, due_item::kind::draft_expiry, 0);
  consider(data.head.delete_at, due_item::kind::deletion, 0);
  if (!data.has_plan_in_force())
    return first;
  consider(data.active->record.deadline, due_item::kind::plan_deadline, 0);
  if (const auto alarm = data.active->first_alarm())
    consider(alarm->at, due_item::kind::subtask, alarm->of);
  if (const auto alarm = data.call_alarms.first())
    consider(alarm->at, due_item::kind::call, alarm->of);
  return first;
}

namespace {

/// True when a step, or a tool that the runtime runs, is under way or about to be.
bool is_moving(const session_data& data) {
  return step_due(data) || !data.queued.empty() || !data.claimed.empty();
}

} // namespace

session_state derive_state(const session_data& data) {
  if (data.head.suspended)
    return session_state::suspended;
  // What runs goes on while a replan waits for its decision.
  if (data.draft && !is_moving(data))
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
    if (is_moving(data))
      return session_state::running;
    if (data.head.running)
      return session_state::waiting;
    if (data.active->first_ready())
      return session_state::running;
    return data.active->count(subtask_status::backing_off) > 0 ? session_state::waiting
                                                               : session_state::needs_attention;
  }
  assert(false && "an active plan is never a draft");
  return session_state::idle;
}

bool step_due(const session_data& data) {
  return data.active && data.head.running && !data.head.suspended
         && data.running_subtask().open_calls == 0 && !data.running_subtask().next_step
         && !data.awaits_own_proposal();
}

} // namespace fermata::core
