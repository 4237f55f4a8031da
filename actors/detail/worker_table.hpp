#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace fermata::detail {

/// What the tool workers of one runtime have in hand. Shared by sessions and workers; all calls
/// from any thread.
///
/// A run is here from its claim until its outcome is committed, so that a session that is activated
/// again after a failed commit finds the outcome instead of an unknown one.
class worker_table {
public:
  explicit worker_table(std::size_t blocking_slots) : free_slots_{blocking_slots} {}

  /// Reserves a worker for a call; `blocking`: one of the pool's threads is needed. False: none is
  /// free.
  [[nodiscard]] bool reserve(const call_id& call, bool blocking);
  /// Takes a reservation back whose claim was not committed.
  void release(const call_id& call);
  /// Lines a session up for the next free worker.
  void wait(const session_id& session);
  /// The next session in line, if a worker of the pool is free.
  [[nodiscard]] std::optional<session_id> next_waiting();
  /// The run has ended: keeps its outcome, frees the worker, and names the session to tell that one
  /// is free.
  [[nodiscard]] std::optional<session_id> finish(const call_id& call, result<json> outcome);
  /// The outcome of a run that has ended; stays until `forget`.
  [[nodiscard]] std::optional<result<json>> outcome(const call_id& call) const;
  /// The outcome is committed, or nobody wants it any more.
  void forget(const call_id& call);
  /// True from `reserve` to `forget`.
  [[nodiscard]] bool has(const call_id& call) const;
  /// For the run to look at; a reserved one has it.
  [[nodiscard]] std::stop_token stop_token(const call_id& call) const;
  /// Asks a run to end early.
  void stop(const call_id& call);
  /// Asks all runs to end early, and lets no new one be reserved.
  void stop_all();

private:
  struct run {
    std::stop_source stop;
    bool blocking = false;
    bool forgotten = false;
    std::optional<result<json>> outcome;
  };

  std::optional<session_id> take_waiting();
  void free_slot(const run& ended);

  mutable std::mutex mutex_;
  std::size_t free_slots_;
  std::map<call_id, run> runs_;
  std::deque<session_id> waiting_;
  bool closed_ = false;
};

} // namespace fermata::detail
