#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <utility>
#include <vector>

namespace fermata::detail {

/// What the tool workers of one runtime have in hand. Shared by sessions and workers; all calls
/// from any thread.
///
/// A run is here from its claim until its outcome is committed, so that a session that is activated
/// again after a failed commit finds the outcome instead of an unknown one.
class worker_table {
public:
  explicit worker_table(std::size_t blocking_slots) : free_slots_{blocking_slots} {}

  /// Reserves a worker for a numbered run of a call; `blocking`: one of the pool's threads is
  /// needed. False: none is free, and the session is lined up for the next one; or the call's own
  /// earlier run has not ended yet, which its end tells the session anyway.
  [[nodiscard]] bool reserve(const call_id& call, std::uint32_t number, bool blocking);
  /// The same for a tool's `reconcile`, which looks at what became of a run.
  [[nodiscard]] bool reserve_look(const call_id& call, std::uint32_t number);
  /// True when what is in hand for the call is such a look.
  [[nodiscard]] bool is_look(const call_id& call) const;
  /// Takes a reservation back whose claim was not committed.
  void release(const call_id& call);
  /// The next session in line, if a worker of the pool is free.
  [[nodiscard]] std::optional<session_id> next_waiting();
  /// The run has ended: keeps its outcome, frees the worker, and names the session to tell that one
  /// is free.
  [[nodiscard]] std::optional<session_id> finish(const call_id& call, result<json> outcome);
  /// The outcome of a run that has ended; stays until `forget`.
  [[nodiscard]] std::optional<result<json>> outcome(const call_id& call,
                                                    std::uint32_t number) const;
  /// The number of the call's run, if that has ended.
  [[nodiscard]] std::optional<std::uint32_t> ended_run(const call_id& call) const;
  /// The run's time is up, and it does not end although it was told to.
  void note_overdue(const call_id& call);
  /// False also for one that is forgotten.
  [[nodiscard]] bool is_overdue(const call_id& call) const;
  /// A run was destroyed that nobody waits for any more: frees its worker, and names the session to
  /// tell.
  [[nodiscard]] std::optional<session_id> abandon(const call_id& call);
  /// The outcome is committed, or nobody wants it any more.
  void forget(const call_id& call);
  /// True from `reserve` to `forget` of this run.
  [[nodiscard]] bool has(const call_id& call, std::uint32_t number) const;
  /// How many runs have not ended.
  [[nodiscard]] std::size_t under_way() const;
  /// The calls of a session that are in hand.
  [[nodiscard]] std::vector<call_id> runs_of(const session_id& session) const;
  /// All calls that are in hand.
  [[nodiscard]] std::vector<call_id> calls() const;
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
    bool look = false;
    bool overdue = false;
    std::uint32_t number = 0;
    std::optional<result<json>> outcome;
  };

  [[nodiscard]] bool reserve(const call_id& call, std::uint32_t number, bool blocking, bool look);
  std::optional<session_id> take_waiting();
  void free_slot(const run& ended);

  mutable std::mutex mutex_;
  std::size_t free_slots_;
  std::map<call_id, run> runs_;
  std::deque<session_id> waiting_;
  std::set<session_id> lined_up_; ///< Those in `waiting_`.
  bool closed_ = false;
};

} // namespace fermata::detail
