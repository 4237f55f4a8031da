#pragma once

#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/status.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

/// Where a host sees what a runtime does: for metrics (metrics.hpp), logs (event_log.hpp), or
/// whatever else watches. `runtime_options::observer` takes one.
namespace fermata {

/// How full a runtime is at one moment.
struct runtime_load {
  std::uint32_t commands_under_way = 0; ///< Between admission and answer.
  std::uint32_t resident_sessions = 0;  ///< In memory.
  std::uint32_t packed_sessions = 0;    ///< Of those, whose data is packed (`unpacked_sessions`).
  std::uint32_t parked_messages = 0;    ///< For sessions that there is no room for yet.
  std::uint32_t runs_under_way = 0;     ///< Runs of tools that are claimed and have not ended.
  std::uint64_t observer_failures = 0;  ///< Exceptions that came out of the observer, in all.

  runtime_load() = default;
};

/// How long something had waited for somebody outside when it came.
struct ended_wait {
  wait_cause cause = wait_cause::decision;
  pending_kind item = pending_kind::call;
  std::chrono::milliseconds duration{0};

  ended_wait() = default;
};

/// What a session knew about one of its events beyond what the event itself says.
struct event_note {
  std::uint32_t revision = 0; ///< Of the plan that it belongs to; 0: of none.
  std::optional<subtask_id> subtask;
  std::optional<tool_name> tool; ///< Of the call that it is about.
  /// For a decision, a result, an answer and a resolved outcome: how long it was waited for, also
  /// where other processes did most of the waiting. Nothing when the wait ended by itself, or where
  /// nobody was asked: the policy approved a plan, a tool's run told its outcome after all.
  std::optional<ended_wait> waited;

  event_note() = default;
};

struct answered_command {
  const session_id& session;
  std::string_view type;         ///< As in the command's JSON; `wake` for `session_handle::wake`.
  const result<receipt>& answer; ///< What the caller is told right after.
  std::chrono::nanoseconds duration; ///< From its admission.
};

/// One transaction of the journal, with what the sessions that were ready had to write.
struct written_transaction {
  std::size_t commits = 0;
  std::size_t failed = 0;     ///< Commits that are not durable.
  std::size_t events = 0;     ///< In all its commits.
  std::size_t size_bytes = 0; ///< Of events, records and pending entries, as they are stored.
  caf::error error;           ///< Of the first commit that failed.
  std::chrono::nanoseconds duration{0};

  written_transaction() = default;
};

/// A step of the journal's that gave free what deleted sessions and dropped events had taken up.
struct reclaimed_space {
  std::uint64_t erased = 0; ///< How many records and entries of the journal.
  bool more = false;        ///< Something is left.
  /// It failed, and is tried again later; or something is damaged, and was passed over: that is
  /// told when it is met first.
  caf::error error;

  reclaimed_space() = default;
};

enum class step_ending : std::uint8_t {
  returned, ///< The agent said what happens next, if only that its subtask failed.
  failed,   ///< It threw, or there is no such agent.
  cancelled ///< It was destroyed: its subtask ended meanwhile, or the session left memory.
};
constexpr std::array<std::string_view, 3> enum_names(step_ending) {
  return {"returned", "failed", "cancelled"};
}

struct ended_step {
  const session_id& session;
  const subtask_id& subtask;
  const agent_name& agent;
  step_ending ending;
  std::chrono::nanoseconds duration;
};

enum class run_ending : std::uint8_t {
  succeeded,
  failed,   ///< It returned an error or threw, or its time was up and it could be stopped.
  unknown,  ///< Its time is up, and it does not end although it was told to.
  cancelled ///< It was destroyed, since nobody waits for it any more.
};
constexpr std::array<std::string_view, 4> enum_names(run_ending) {
  return {"succeeded", "failed", "unknown", "cancelled"};
}

/// A run of a server tool by this runtime. One whose process died is not among them: the next one
/// commits an `outcome_unknown`.
struct ended_run {
  const call_id& call;
  const tool_name& tool;
  std::uint32_t run; ///< Which run of the call, from 1.
  run_ending ending;
  const caf::error& error; ///< For `failed`.
  std::chrono::nanoseconds duration;
};

/// Is told what happens in a runtime. Each function does nothing unless it is overridden.
///
/// Called on the runtime's threads, several at once. `started` comes before all else of a runtime,
/// and the committed events of one session come in order, each once. Nothing else is ordered: not
/// different sessions, and not what several parts of the runtime tell of one session (its answers,
/// its transactions, its runs of tools, its coming and going), except that `activated` comes before
/// what a session does while it is in memory.
///
/// What takes long here makes sessions slow, and what blocks blocks them: hand work on to a thread
/// of one's own. All arguments are lent for the duration of the call. Calling the runtime's
/// blocking functions from here is a deadlock.
///
/// An exception is caught and counted (`runtime_load::observer_failures`); it changes nothing for
/// sessions. Without an observer nothing of this is computed.
class runtime_observer {
public:
  virtual ~runtime_observer() = default;

  /// A runtime starts. `load` tells how full it is; it may be kept and called at any time from
  /// any thread. It gives nothing once the runtime is gone.
  virtual void started(const std::function<std::optional<runtime_load>()>& /*load*/) {}

  /// Events are durable: the callers are told and runs are started right after. One note for each.
  virtual void committed(const session_id& /*session*/, std::span<const event> /*events*/,
                         std::span<const event_note> /*notes*/) {}

  /// What a session wanted to commit is not durable; it leaves memory and begins again from what
  /// is.
  virtual void commit_failed(const session_id& /*session*/, const caf::error& /*why*/) {}

  /// A command is answered, with a receipt or an error; also one that is refused at admission.
  virtual void answered(const answered_command& /*what*/) {}

  /// The journal has written, or failed to.
  virtual void written(const written_transaction& /*what*/) {}

  /// The journal has given space free, or failed to.
  virtual void reclaimed(const reclaimed_space& /*what*/) {}

  /// A session came to memory; also a stranger's id, for a moment. `resident`: how many are there
  /// now.
  virtual void activated(const session_id& /*session*/, std::size_t /*resident*/) {}
  /// A session has left memory.
  virtual void passivated(const session_id& /*session*/, std::size_t /*resident*/) {}
  /// A session could not be loaded from the store, or unpacked: then it is loaded after that.
  virtual void activation_failed(const session_id& /*session*/, const caf::error& /*why*/) {}
  /// The runtime itself has met with something that is damaged, as it looked for timers that are
  /// due, or for sessions to go on with. Once for each timer and each look for sessions. Where the
  /// session can be told, it goes on all the same.
  virtual void damage_found(const caf::error& /*damage*/) {}

  virtual void step_ended(const ended_step& /*what*/) {}
  virtual void run_ended(const ended_run& /*what*/) {}
};

/// One observer that tells several, in their order. What one of them throws keeps nothing from the
/// others, and counts as one failure.
[[nodiscard]] std::shared_ptr<runtime_observer>
observe_with(std::vector<std::shared_ptr<runtime_observer>> all);

} // namespace fermata
