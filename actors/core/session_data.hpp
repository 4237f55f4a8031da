#pragma once

#include <fermata/actors/core/boxed.hpp>
#include <fermata/actors/core/record_keys.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/storage/records.hpp>

#include <array>
#include <cassert>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace fermata::core {

/// Points in time with what they belong to, the earliest first; one for each of them at most.
class alarms {
public:
  /// Sets, moves or removes the alarm of `of`.
  void set(std::uint64_t of, std::optional<timestamp> at);
  struct alarm {
    timestamp at;
    std::uint64_t of = 0;
    friend auto operator<=>(const alarm&, const alarm&) = default;
  };
  [[nodiscard]] std::optional<alarm> first() const;

private:
  std::set<alarm> ordered_;
  std::map<std::uint64_t, timestamp> times_;
};

/// How a `call_proposed::ruled_by` begins that names a remembered decision.
inline constexpr std::string_view remembered_prefix = "decision ";

[[nodiscard]] inline bool is_remembered(std::string_view ruled_by) {
  return ruled_by.starts_with(remembered_prefix);
}

/// How subtasks stand, for `compare_plans`.
[[nodiscard]] std::vector<subtask_status> statuses_of(std::span<const subtask_record> subtasks);

/// One plan revision in memory: its records, and what is derived from them so that a step need not
/// scan the plan (P11).
class plan_data {
public:
  plan_record record;

  /// Derives the rest; linear in the plan but for a sort. `states` has one for each that is
  /// proposed.
  plan_data(plan_record of, std::vector<subtask_spec> proposed, std::vector<subtask_record> states);

  [[nodiscard]] const std::vector<subtask_spec>& specs() const noexcept {
    assert(specs_ && "of one that was moved from nothing is left");
    return *specs_;
  }
  /// For a step that may go on when the plan has left memory.
  [[nodiscard]] std::shared_ptr<const subtask_spec> share_spec(std::uint32_t position) const {
    return {specs_, &(*specs_)[position]};
  }
  [[nodiscard]] const std::vector<subtask_record>& subtasks() const noexcept { return subtasks_; }
  /// How each of them stands, in the order of `specs()`.
  [[nodiscard]] std::vector<subtask_status> statuses() const { return statuses_of(subtasks_); }
  [[nodiscard]] std::optional<std::uint32_t> find(const subtask_id& id) const;
  [[nodiscard]] std::uint32_t position(const subtask_id& id) const { return find(id).value(); }
  [[nodiscard]] const std::vector<std::uint32_t>& dependents(std::uint32_t position) const {
    return dependents_[position];
  }
  [[nodiscard]] std::uint32_t count(subtask_status status) const {
    return counts_[static_cast<std::size_t>(status)];
  }

  /// The first pending subtask in list order whose dependencies are done or skipped.
  [[nodiscard]] std::optional<std::uint32_t> first_ready() const;
  [[nodiscard]] const std::set<std::uint32_t>& ready() const noexcept { return ready_; }
  /// The earliest deadline, end of a sleep or end of a backoff of its subtasks, by position.
  [[nodiscard]] std::optional<alarms::alarm> first_alarm() const { return alarms_.first(); }

  /// The record of a subtask, to change anything but its status and times.
  [[nodiscard]] subtask_record& edit(std::uint32_t position) { return subtasks_[position]; }
  void set_deadline(std::uint32_t position, std::optional<timestamp> at);
  /// When it wakes from its sleep, or its backoff is over; nothing: neither.
  void set_next_step(std::uint32_t position, std::optional<timestamp> at);
  /// Changes a subtask's status and what is derived from it.
  void set_status(std::uint32_t position, subtask_status status);
  void set_plan_status(plan_status status);

private:
  static bool satisfies(subtask_status status) {
    return status == subtask_status::done || status == subtask_status::skipped;
  }
  void note_alarm(std::uint32_t position);
  /// For searches in `by_id_`.
  [[nodiscard]] auto id_at() const {
    return [this](std::uint32_t position) -> const subtask_id& { return specs()[position].id; };
  }

  std::shared_ptr<const std::vector<subtask_spec>> specs_;
  std::vector<subtask_record> subtasks_;
  std::vector<std::uint32_t> by_id_; // all positions, in the order of the subtasks' ids
  std::vector<std::vector<std::uint32_t>> dependents_;
  std::vector<std::uint32_t> unmet_; // dependencies that are neither done nor skipped
  std::set<std::uint32_t> ready_;    // pending ones with no unmet dependency
  std::array<std::uint32_t, enum_names(subtask_status{}).size()> counts_{};
  alarms alarms_; // of subtasks that are not over
};

/// All that a session's decisions depend on: what `load` brings from the store and `apply` changes.
///
/// In memory are the head, the active and the draft plan, the calls and transcript of the running
/// subtask, and what is not written yet. Calls and plans of the past are brought in by `recall`
/// where a command names them.
class session_data {
public:
  head_record head;
  boxed<plan_data> active; ///< There is seldom more than one of the two.
  boxed<plan_data> draft;
  std::map<std::uint64_t, call_record> calls;
  std::map<std::uint32_t, plan_record> past_plans;
  std::map<std::uint32_t, plan_data> retired; ///< Plans that leave memory once they are written.
  std::vector<entry_record> entries;          ///< Of the running subtask's attempt.
  /// Users' messages to the plan in force, from its `first_message` on.
  std::vector<message_record> messages;
  std::map<std::uint64_t, remembered_record> remembered; ///< Decisions that hold for later calls.
  record_keys changed;                                   ///< Since the last commit; not sorted.
  /// Records that were changed by the events behind `head.recorded`, the tail of the journal. What
  /// they are about stays in memory until they are written.
  record_keys unwritten;
  std::uint64_t tail_size_bytes = 0; ///< Of the events of the tail.
  /// Where there is no tail: the head as it is stored, for the record `base` of the next one.
  bytes base;
  /// Transcript entries that are changed or unwritten, by number; those of an attempt that has
  /// ended are nowhere else.
  std::map<std::uint64_t, entry_record> unwritten_entries;
  std::map<std::uint64_t, message_record> unwritten_messages;
  std::set<std::uint64_t> queued;  ///< Calls that wait for a worker.
  std::set<std::uint64_t> claimed; ///< Calls that a worker runs.
  alarms call_alarms;              ///< When open calls expire or are tried again.
  std::uint64_t first_event = 1;   ///< The first that is kept.
  bool deleted = false;            ///< With the next commit.
  /// When the last event was recorded that does not just schedule a deletion. Nothing: that is not
  /// known, as where no deletion was scheduled when it was loaded.
  std::optional<timestamp> last_change;

  session_data() = default;

  [[nodiscard]] bool exists() const noexcept { return !head.id.empty(); }
  [[nodiscard]] bool in_progress() const noexcept {
    return active && active->record.status == plan_status::in_progress;
  }
  /// True when there is neither a draft nor a plan that is not over.
  [[nodiscard]] bool is_over() const noexcept { return !draft && !has_plan_in_force(); }
  /// True when an approved plan is not over.
  [[nodiscard]] bool has_plan_in_force() const noexcept {
    return active
           && (active->record.status == plan_status::approved
               || active->record.status == plan_status::in_progress);
  }
  /// A plan that is in memory, also if it is about to leave it.
  [[nodiscard]] const plan_data* find_plan(std::uint32_t revision) const;
  [[nodiscard]] const call_record* find_call(std::uint64_t number) const;
  [[nodiscard]] const subtask_record& running_subtask() const {
    return active->subtasks()[*head.running];
  }
  [[nodiscard]] const subtask_spec& running_spec() const { return active->specs()[*head.running]; }

  /// True when the running subtask's agent has proposed a plan that waits for a decision.
  [[nodiscard]] bool awaits_own_proposal() const noexcept {
    return draft && active && head.running && !draft->record.planner.empty();
  }

  /// Changes a call's status, and when it is tried again, and what is counted of it.
  void set_call_status(call_record& call, call_status status,
                       std::optional<timestamp> retry_at = {});
  /// Counts a call that is there for the first time: proposed, or loaded.
  void count_call(const call_record& call, bool also_waiting);
};

/// What a session's earliest alarm is about.
struct due_item {
  enum class kind : std::uint8_t {
    end_of_suspension,
    draft_expiry,
    plan_deadline,
    subtask,
    call,
    deletion
  };
  timestamp at;
  kind what = kind::call;
  std::uint64_t of = 0; ///< A subtask's position, or a call's number.
};

/// The earliest of all alarms of a session; one entry of the due-time index stands for all of them.
[[nodiscard]] std::optional<due_item> next_due(const session_data& data);

/// The session's state as it follows from its data.
[[nodiscard]] session_state derive_state(const session_data& data);

/// True when the running subtask's agent is to take its next step. Never while it is suspended.
[[nodiscard]] bool step_due(const session_data& data);

} // namespace fermata::core
