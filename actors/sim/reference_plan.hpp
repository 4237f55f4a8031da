#pragma once

#include <fermata/messages/plan.hpp>
#include <fermata/messages/timestamp.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace fermata::sim {

/// A subtask as a session's events tell of it.
struct reference_subtask {
  subtask_spec spec;
  std::vector<std::uint32_t> depends_on; ///< Positions within the plan.
  std::uint32_t attempts = 0;
  json result;
  std::optional<timestamp> deadline;     ///< That somebody has set; over all attempts.
  std::optional<timestamp> attempt_ends; ///< Where the running attempt's time is limited.
  std::optional<timestamp> next_step;    ///< When it wakes from a sleep, or its backoff is over.
  agent_name handed_to;                  ///< Who has it in this attempt; empty: its own agent.

  reference_subtask() = default;
};

/// What becomes of a subtask when its plan is replaced.
enum class replanned : std::uint8_t {
  anew,     ///< It is pending.
  kept,     ///< It is done, and keeps its result.
  continues ///< It goes on where it is.
};

/// One revision of a plan as the reference model sees it: the subtasks, how they stand, and which
/// may start. Whatever can be counted is counted again when it is asked for, so that nothing can
/// get out of step.
class reference_plan {
public:
  reference_plan() = default;
  /// The subtasks as proposed. They depend on each other only (`check_plan`).
  reference_plan(std::uint32_t revision, const std::vector<subtask_spec>& proposed);

  [[nodiscard]] std::uint32_t revision() const noexcept { return revision_; }
  [[nodiscard]] std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(statuses_.size());
  }
  [[nodiscard]] std::optional<std::uint32_t> find(const subtask_id& id) const;
  [[nodiscard]] const reference_subtask& operator[](std::uint32_t position) const {
    return subtasks_[position];
  }
  [[nodiscard]] reference_subtask& operator[](std::uint32_t position) {
    return subtasks_[position];
  }
  [[nodiscard]] subtask_status status(std::uint32_t position) const { return statuses_[position]; }
  /// Whatever it slept or backed off for is over, unless `next_step` says when it is.
  void set_status(std::uint32_t position, subtask_status status,
                  std::optional<timestamp> next_step = {});
  [[nodiscard]] std::uint32_t count(subtask_status status) const {
    return counts_[static_cast<std::size_t>(status)];
  }

  /// True when all that it depends on is done or skipped.
  [[nodiscard]] bool is_ready(std::uint32_t position) const;
  /// The first pending one in the list that is ready.
  [[nodiscard]] std::optional<std::uint32_t> first_ready() const;
  /// True when something that it depends on has failed, was cancelled or is blocked.
  [[nodiscard]] bool is_held_up(std::uint32_t position) const;
  /// True when each is done or skipped.
  [[nodiscard]] bool is_complete() const;

  /// When something happens to it by itself: its deadline, the end of its attempt's time, of its
  /// sleep or of its backoff.
  [[nodiscard]] std::optional<timestamp> timer_of(std::uint32_t position) const;
  /// The earliest of those. Takes as long as there are subtasks with a time.
  [[nodiscard]] std::optional<timestamp> next_timer() const;
  void set_deadline(std::uint32_t position, std::optional<timestamp> at);
  void set_attempt_ends(std::uint32_t position, std::optional<timestamp> at);
  void set_next_step(std::uint32_t position, std::optional<timestamp> at);

  /// What becomes of each subtask of `next` when it takes the place of this one.
  [[nodiscard]] std::vector<replanned> compare(const reference_plan& next) const;

private:
  void note_time(std::uint32_t position);

  std::uint32_t revision_ = 0;
  std::vector<reference_subtask> subtasks_;
  std::vector<subtask_status> statuses_; ///< By themselves: they are scanned.
  std::map<subtask_id, std::uint32_t> positions_;
  std::array<std::uint32_t, enum_names(subtask_status{}).size()> counts_{};
  std::vector<std::uint32_t> timed_; ///< Those that have a `timer_of`.
};

} // namespace fermata::sim
