#pragma once

#include <fermata/messages/fields.hpp>

#include <cstddef>
#include <cstdint>

namespace fermata {

/// What is bounded, and by how much (P10). Exceeding one is `limit_exceeded` with the limit's name
/// as it stands here. A host may lower or raise them when it makes its runtime; they are checked
/// where something enters.
struct limits {
  std::uint32_t plan_subtasks = 10'000;           ///< Subtasks of one plan.
  std::uint32_t plan_size_bytes = 4'000'000;      ///< One plan as JSON text.
  std::uint32_t subtask_dependencies = 256;       ///< Dependencies of one subtask.
  std::uint32_t text_size_bytes = 65'536;         ///< A goal, a description, a reason, a feedback.
  std::uint32_t arguments_size_bytes = 1'000'000; ///< The arguments of one tool call as JSON text.
  std::uint32_t result_size_bytes = 1'000'000; ///< One tool result or subtask result as JSON text.
  std::uint32_t calls_per_step = 64;           ///< Tool calls that one step may return.
  std::uint32_t subtask_entries = 10'000;      ///< Transcript entries of one attempt at a subtask.
  std::uint32_t subtask_attempts = 1'000;      ///< Attempts at one subtask.
  std::uint32_t remembered_decisions = 256;    ///< Remembered decisions of one session.
  std::uint32_t late_results = 16;             ///< Audited late results of one call.
  std::uint32_t plan_messages = 1'000;         ///< Messages of users while one plan is live.
  std::uint32_t progress_updates = 1'000;      ///< Progress that one run of a tool may report.
  /// How far ahead a timer may be armed: a sleep, a deadline, an expiry, a backoff.
  std::chrono::milliseconds timer_horizon = std::chrono::hours{24 * 366 * 10};
  std::uint32_t session_queue = 128;    ///< Commands that wait for one session.
  std::uint32_t runtime_queue = 16'384; ///< Commands under way in one runtime.
  /// Commands that are with their sessions at once; the others of `runtime_queue` wait until it is
  /// their turn. Fewer are where fewer keep the disk busy: that is learned from its transactions.
  std::uint32_t commands_at_once = 1'024;
  std::uint32_t resident_sessions = 10'000; ///< Sessions that are in memory at once.
  /// Of these, the ones used last keep their data as objects. The others, when nobody has addressed
  /// them for `pack_after`, keep it packed, as the bytes of their records, until somebody does.
  std::uint32_t unpacked_sessions = 4'096;
  std::uint32_t blocking_threads = 4; ///< Blocking tools that run at once.
  std::uint32_t followers = 65'536;   ///< Readers that wait for chunks which do not exist yet.
  /// The last events of a session that its records need not know of: they are in the journal, and
  /// an activation applies them. The commit that would leave more of them, or more than 32 KiB of
  /// them, writes all records that have changed. 0: every commit does, as versions of Fermata need
  /// it that only read stores of the formats 1 and 2. Nothing is refused for it.
  std::uint32_t tail_events = 40;

  limits() = default;
};

/// Checks one size against a limit. Errors: `limit_exceeded`, naming `limit_name` and both numbers.
[[nodiscard]] caf::error check_limit(std::string_view limit_name, std::size_t size,
                                     std::size_t limit);

} // namespace fermata
