#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/storage/session_slots.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fermata::sim {

/// What nodes that share a store promise together, judged by the table that says who owns which
/// slot: "owned once", something of a session becomes durable, and an effect of it begins, only on
/// the node that owns its slot at that moment, for effects with a lease that lasts, unless
/// the clock of leases was set a short while ago; with each change of the owner the epoch grows,
/// and none comes while the owner still begins effects, whatever that clock says. "taken over",
/// while no node breaks down or comes back, and that clock is not set, a slot is without somebody
/// who owns and serves it for a lease and two renewals at the longest, and nobody else goes on
/// serving it for longer than that.
class ownership_monitor final : public monitor {
public:
  [[nodiscard]] std::string_view name() const override {
    return "owned once: a session has one node at a time; taken over: it has one again soon";
  }
  void stored(world& in, const stored_commit& what) override;
  void slot_changed(world& in, const changed_slot& what) override;
  void run_began(world& in, const tool_run& run) override;
  void node_down(world& in, const std::string& node) override;
  void node_up(world& in, const std::string& node) override;
  void quiet(world& in) override;
  void ended(world& in) override;

private:
  void note_able(const world& in);
  /// Notes when the clock of leases was set.
  void watch_clock(const world& in);
  void check_slots(world& in);
  /// What is wrong with a slot; empty: nothing.
  [[nodiscard]] std::string fault_of(const world& in, std::uint32_t slot,
                                     const slot_owner& owner) const;

  std::chrono::milliseconds clock_ahead_{0}; ///< That of leases, as it was seen last.
  std::optional<std::chrono::milliseconds> clock_set_at_;
  std::set<std::string> able_; ///< Nodes that can do what they are to do.
  /// Since when these are the same, counted from the beginning of the world.
  std::chrono::milliseconds undisturbed_since_{0};
  std::optional<std::chrono::milliseconds> looked_at_;
  /// Since when there is something wrong with each slot.
  std::array<std::optional<std::chrono::milliseconds>, session_slots> wrong_since_{};
};

} // namespace fermata::sim
