#pragma once

#include <fermata/messages/events.hpp>
#include <fermata/storage/records.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace fermata::core {

/// One plan revision in memory: its records, and what is derived from them so that a step need not
/// scan the plan (P11).
class plan_data {
public:
  plan_record record;
  std::vector<subtask_spec> specs;

  plan_data() = default;
  /// Derives the rest; linear in the plan. `states` has one record for each of `specs`.
  plan_data(plan_record of, std::vector<subtask_spec> proposed, std::vector<subtask_record> states);

  [[nodiscard]] const std::vector<subtask_record>& subtasks() const noexcept { return subtasks_; }
  [[nodiscard]] std::optional<std::uint32_t> find(const subtask_id& id) const;
  [[nodiscard]] std::uint32_t position(const subtask_id& id) const { return positions_.at(id); }
  [[nodiscard]] const std::vector<std::uint32_t>& dependents(std::uint32_t position) const {
    return dependents_[position];
  }
  [[nodiscard]] std::uint32_t count(subtask_status status) const {
    return counts_[static_cast<std::size_t>(status)];
  }

  /// The first pending subtask in list order whose dependencies are done or skipped.
  [[nodiscard]] std::optional<std::uint32_t> first_ready() const;
  [[nodiscard]] const std::set<std::uint32_t>& ready() const noexcept { return ready_; }

  /// The record of a subtask, to change anything but its status.
  [[nodiscard]] subtask_record& edit(std::uint32_t position) { return subtasks_[position]; }
  /// Changes a subtask's status and what is derived from it.
  void set_status(std::uint32_t position, subtask_status status);
  void set_plan_status(plan_status status);

private:
  static bool satisfies(subtask_status status) {
    return status == subtask_status::done || status == subtask_status::skipped;
  }

  std::vector<subtask_record> subtasks_;
  std::unordered_map<subtask_id, std::uint32_t> positions_;
  std::vector<std::vector<std::uint32_t>> dependents_;
  std::vector<std::uint32_t> unmet_; // dependencies that are neither done nor skipped
  std::set<std::uint32_t> ready_;    // pending ones with no unmet dependency
  std::array<std::uint32_t, enum_names(subtask_status{}).size()> counts_{};
};

/// All that a session's decisions depend on: what `load` brings from the store and `apply` changes.
///
/// In memory are the head, the active and the draft plan, and the calls and transcript of the
/// running subtask. Calls and plans of the past are brought in by `recall` where a command names
/// them.
class session_data {
public:
  head_record head;
  std::optional<plan_data> active;
  std::optional<plan_data> draft;
  std::map<std::uint64_t, call_record> calls;
  std::map<std::uint32_t, plan_record> past_plans;
  std::vector<entry_record> entries; ///< Of the running subtask's attempt.
  std::set<record_key> changed;      ///< Records to write with the next commit.
  /// Transcript entries among `changed`, by number; those of an attempt that has ended are nowhere
  /// else.
  std::map<std::uint64_t, entry_record> unwritten_entries;
  std::set<std::uint64_t> queued;  ///< Calls that wait for a worker.
  std::set<std::uint64_t> claimed; ///< Calls that a worker runs.

  session_data() = default;

  [[nodiscard]] bool exists() const noexcept { return !head.id.empty(); }
  [[nodiscard]] bool in_progress() const noexcept {
    return active && active->record.status == plan_status::in_progress;
  }
  [[nodiscard]] const call_record* find_call(std::uint64_t number) const;
  [[nodiscard]] const subtask_record& running_subtask() const {
    return active->subtasks()[*head.running];
  }
  [[nodiscard]] const subtask_spec& running_spec() const { return active->specs[*head.running]; }

  /// Changes a call's status and what is counted of it.
  void set_call_status(call_record& call, call_status status);
  /// Counts a call that is there for the first time: proposed, or loaded.
  void count_call(const call_record& call, bool also_waiting);
};

/// The session's state as it follows from its data.
[[nodiscard]] session_state derive_state(const session_data& data);

/// True when the running subtask's agent is to take its next step.
[[nodiscard]] bool step_due(const session_data& data);

} // namespace fermata::core
