#pragma once

#include <fermata/storage/session_ownership.hpp>

#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace fermata::detail {

using slot_set = std::bitset<session_slots>;

/// The numbers of the slots in a set, in order.
[[nodiscard]] std::vector<std::uint32_t> listed(const slot_set& slots);
/// The other way round.
[[nodiscard]] slot_set set_of(const std::vector<std::uint32_t>& slots);

/// What a node sees of the slots when it decides what to do about them.
struct slot_sight {
  ownership_table table; ///< As it was looked at last.
  slot_set acquired;     ///< What this node has acquired.
  slot_set busy;         ///< Slots of sessions with a tool's run under way here.
  /// Slots of which something is still in memory although they are not served any more.
  slot_set leaving;
  /// Slots whose owner has let his lease pass, as `renewal_watch` says; those that others own
  /// without one are left to them for now.
  slot_set forsaken;

  slot_sight() = default;
};

/// What a node is to do now.
struct slot_plan {
  std::vector<std::uint32_t> acquire;
  std::map<node_name, std::vector<std::uint32_t>> give; ///< By who gets them.

  slot_plan() = default;
};

/// Decides which slots a node acquires, and which it gives to whom: without actors, stores or
/// clocks. All nodes go by the same rule (`fair_owners`), so that they agree where they see the
/// same table; where they do not, the store lets one of them have a slot.
class slot_planner {
public:
  using time = std::chrono::steady_clock::time_point;

  /// So many slots go to one node at a time: they are without a home until it has them.
  static constexpr std::size_t given_at_once = 16;

  /// `patience`: how long a slot that is to be given waits for the end of its tools' runs.
  slot_planner(node_name node, std::chrono::milliseconds patience)
      : node_{std::move(node)}, patience_{patience} {}

  /// Nothing more is given while slots are `leaving`.
  [[nodiscard]] slot_plan next(const slot_sight& sees, time now);

private:
  [[nodiscard]] std::vector<std::uint32_t> to_acquire(const slot_sight& sees,
                                                      const std::vector<node_name>& fair) const;

  node_name node_;
  std::chrono::milliseconds patience_;
  std::map<std::uint32_t, time> waiting_since_; ///< Slots to give that are busy.
};

} // namespace fermata::detail
