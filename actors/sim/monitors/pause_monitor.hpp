#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

#include <map>

namespace fermata::sim {

/// A pause costs nothing (P2): where nothing is under way there is no coroutine, and after
/// `passivate_after` without anything happening on a node it has no session in memory.
class pause_monitor final : public monitor {
public:
  explicit pause_monitor(ledger_ptr known) : known_{std::move(known)} {}

  [[nodiscard]] std::string_view name() const override { return "P2: a pause costs nothing"; }
  void quiet(world& in) override;

private:
  void check_frames(world& in);
  void check_residents(world& in, const std::string& node, const known_node& known);

  ledger_ptr known_;
  /// Since when a node has sessions in memory that should have left, counted from the beginning of
  /// the world.
  std::map<std::string, std::chrono::milliseconds> overstayed_;
};

} // namespace fermata::sim
