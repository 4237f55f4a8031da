#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

#include <set>
#include <utility>
#include <vector>

namespace fermata::sim {

/// No dead end (P6): a session that is running has something under way, or begins it within a
/// bounded time after the last fault; timers that are due by the clock of the node that has the
/// session fire, so where clocks differ they are early or late by no more than that; and at the end
/// of a story, when faults have stopped and everybody had time to act, no session is left that is
/// neither over nor waits for somebody who is known.
class progress_monitor final : public monitor {
public:
  explicit progress_monitor(ledger_ptr known) : known_{std::move(known)} {}

  [[nodiscard]] std::string_view name() const override { return "P6: there is no dead end"; }
  void stored(world& in, const stored_commit& what) override;
  void quiet(world& in) override;
  void ended(world& in) override;

private:
  /// When a session's earliest timer is due.
  struct armed {
    std::optional<timestamp> due;
    /// When it was first seen to be overdue, counted from the beginning of the world.
    std::optional<std::chrono::milliseconds> noticed;
  };

  void check_timers(world& in);
  [[nodiscard]] bool has_time(const world& in, const known_session& known) const;
  void check_running(world& in, const known_session& known);

  ledger_ptr known_;
  std::vector<armed> timers_; ///< By `known_session::index`.
  std::set<std::pair<timestamp, std::size_t>> by_time_;
};

} // namespace fermata::sim
