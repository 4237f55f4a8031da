#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>
#include <fermata/storage/records.hpp>

#include <deque>
#include <set>
#include <vector>

namespace fermata::sim {

/// Compares what is stored beside the journal with what the journal comes to: the head with its
/// state and counts, the index of what is pending (P5), the one timer that is armed (P6), and of
/// one in three of the commits that write records these, 64 at most, since those are what a session
/// is recovered from (P7). When nothing moves it also looks, now and then, through the queries that
/// people use.
class state_monitor final : public monitor {
public:
  explicit state_monitor(ledger_ptr known) : known_{std::move(known)} {}

  [[nodiscard]] std::string_view name() const override {
    return "P5 P7: state, pending items, timers and records are those that the journal comes to";
  }
  void stored(world& in, const stored_commit& what) override;
  void quiet(world& in) override;
  void ended(world& in) override;

private:
  /// What the indexes hold of a session.
  struct indexed {
    std::set<std::uint64_t> pending;
    std::optional<timestamp> armed;
    bool is_read = false; ///< False: the monitor has not seen it from its beginning.
    bool changed = false; ///< Since nothing moved last.
  };

  indexed& index_of(const world& in, const known_session& known, const stored_commit& what);
  void check_head(world& in, const known_session& known, const stored_commit& what);
  void check_pending(world& in, const known_session& known, indexed& index,
                     const stored_commit& what);
  void check_timer(world& in, const known_session& known, indexed& index,
                   const stored_commit& what);
  void check_records(world& in, const known_session& known, const stored_commit& what);
  void check_queries(world& in, const known_session& known);

  ledger_ptr known_;
  std::vector<indexed> indexes_;    ///< By `known_session::index`.
  std::deque<std::size_t> changed_; ///< Those to look at, the one that has waited longest first.
  std::uint64_t credit_ = 0;        ///< For looks through the queries.
};

} // namespace fermata::sim
