#include <fermata/actors/sim/reference_plan.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

bool satisfies(subtask_status status) {
  return status == subtask_status::done || status == subtask_status::skipped;
}

bool is_under_way(subtask_status status) {
  return status == subtask_status::running || status == subtask_status::backing_off;
}

void keep_earlier(std::optional<timestamp>& first, std::optional<timestamp> other) {
  if (other && (!first || *other < *first))
    first = other;
}

} // namespace

reference_plan::reference_plan(std::uint32_t revision, const std::vector<subtask_spec>& proposed)
    : revision_{revision}, statuses_(proposed.size(), subtask_status::pending) {
  for (const auto& spec : proposed) {
    positions_.emplace(spec.id, static_cast<std::uint32_t>(subtasks_.size()));
    subtasks_.emplace_back().spec = spec;
  }
  for (auto& one : subtasks_)
    for (const auto& id : one.spec.depends_on)
      if (const auto on = find(id))
        one.depends_on.push_back(*on);
  counts_[static_cast<std::size_t>(subtask_status::pending)] = size();
}

std::optional<std::uint32_t> reference_plan::find(const subtask_id& id) const {
  const auto found = positions_.find(id);
  return found == positions_.end() ? std::nullopt : std::optional{found->second};
}

void reference_plan::set_status(std::uint32_t position, subtask_status status,
                                std::optional<timestamp> next_step) {
  --counts_[static_cast<std::size_t>(statuses_[position])];
  ++counts_[static_cast<std::size_t>(status)];
  statuses_[position] = status;
  set_next_step(position, next_step);
}

bool reference_plan::is_ready(std::uint32_t position) const {
  const auto& needed = subtasks_[position].depends_on;
  return std::all_of(needed.begin(), needed.end(),
                     [&](std::uint32_t on) { return satisfies(statuses_[on]); });
}

std::optional<std::uint32_t> reference_plan::first_ready() const {
  for (std::uint32_t i = 0; i < size(); ++i)
    if (statuses_[i] == subtask_status::pending && is_ready(i))
      return i;
  return std::nullopt;
}

bool reference_plan::is_held_up(std::uint32_t position) const {
  const auto& needed = subtasks_[position].depends_on;
  return std::any_of(needed.begin(), needed.end(), [&](std::uint32_t on) {
    return statuses_[on] == subtask_status::failed || statuses_[on] == subtask_status::cancelled
           || statuses_[on] == subtask_status::blocked;
  });
}

bool reference_plan::is_complete() const {
  return count(subtask_status::done) + count(subtask_status::skipped) == size();
}

std::optional<timestamp> reference_plan::timer_of(std::uint32_t position) const {
  const auto& one = subtasks_[position];
  auto first = one.deadline;
  switch (statuses_[position]) {
  case subtask_status::pending:
  case subtask_status::blocked:
    return first;
  case subtask_status::running:
    keep_earlier(first, one.attempt_ends);
    [[fallthrough]];
  case subtask_status::backing_off:
    keep_earlier(first, one.next_step);
    return first;
  case subtask_status::done:
  case subtask_status::failed:
  case subtask_status::skipped:
  case subtask_status::cancelled:
    break;
  }
  return std::nullopt;
}

std::optional<timestamp> reference_plan::next_timer() const {
  std::optional<timestamp> first;
  for (const auto position : timed_)
    keep_earlier(first, timer_of(position));
  return first;
}

void reference_plan::set_deadline(std::uint32_t position, std::optional<timestamp> at) {
  subtasks_[position].deadline = at;
  note_time(position);
}

void reference_plan::set_attempt_ends(std::uint32_t position, std::optional<timestamp> at) {
  subtasks_[position].attempt_ends = at;
  note_time(position);
}

void reference_plan::set_next_step(std::uint32_t position, std::optional<timestamp> at) {
  subtasks_[position].next_step = at;
  note_time(position);
}

void reference_plan::note_time(std::uint32_t position) {
  const bool timed = timer_of(position).has_value();
  const auto found = std::find(timed_.begin(), timed_.end(), position);
  if (timed && found == timed_.end())
    timed_.push_back(position);
  else if (!timed && found != timed_.end())
    timed_.erase(found);
}

std::vector<replanned> reference_plan::compare(const reference_plan& next) const {
  std::vector<replanned> fates(next.size(), replanned::anew);
  /// What it would be if all that it depends on is kept.
  std::vector<replanned> best(next.size(), replanned::anew);
  for (std::uint32_t i = 0; i < next.size(); ++i) {
    const auto before = find(next[i].spec.id);
    if (!before || subtasks_[*before].spec != next[i].spec)
      continue;
    if (statuses_[*before] == subtask_status::done)
      best[i] = replanned::kept;
    else if (is_under_way(statuses_[*before]))
      best[i] = replanned::continues;
  }
  // Each round settles those whose dependencies were settled in the one before.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint32_t i = 0; i < next.size(); ++i) {
      const auto& needed = next[i].depends_on;
      if (fates[i] != best[i] && std::all_of(needed.begin(), needed.end(), [&](std::uint32_t on) {
            return fates[on] == replanned::kept;
          })) {
        fates[i] = best[i];
        changed = true;
      }
    }
  }
  return fates;
}

} // namespace fermata::sim
