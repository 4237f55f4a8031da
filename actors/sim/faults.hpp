#pragma once

#include <fermata/actors/sim/random.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fermata::sim {

/// What goes wrong.
enum class fault_kind : std::uint8_t {
  crash,         ///< The process dies between two events.
  crash_before,  ///< It dies at its next commit, before anything of it is stored.
  crash_inside,  ///< It dies inside its next commit: what was written of it is torn.
  crash_after,   ///< It dies when its next commit is stored, before anybody hears of it.
  lose_ack,      ///< Its next commit is stored, but reported as an I/O error.
  failed_commit, ///< Its next commit fails with an I/O error.
  disk_full,     ///< All commits fail for `duration`.
  slow_commits,  ///< Commits take up to 30 s each, for `duration`.
  read_error,    ///< Its next read of the store fails.
  flipped_bit,   ///< Its next read of the store has one bit flipped: to be detected, not believed.
  freeze,        ///< The process stands still for `duration`, as with SIGSTOP.
  slow_node,     ///< Each of its turns takes a while, for `duration`.
  stop,          ///< It is stopped as an operator does, and started again after `duration`.
  tools_hang,    ///< No blocking function runs for `duration`.
  clock_forward, ///< Its wall clock is set forward by `duration`, as by NTP or an operator; where
                 ///< the nodes are no cluster, that of the world.
  clock_back,    ///< The same, back.
  partition,     ///< No byte gets through between the node and the others for `duration`.
  slow_link,     ///< Bytes between the node and the others are delayed, for `duration`.
  drop_connections, ///< The node's connections to the others break.
  clock_offset, ///< Its wall clock is `duration` ahead of that of the world, or behind if that is
                ///< negative, from then on.
  // Where nodes share a store:
  drain,          ///< It gives its sessions to the others, is stopped then, and started again after
                  ///< `duration`.
  cut_from_store, ///< Whatever it asks of the store fails with an I/O error for `duration`.
  store_away,     ///< The same, for all nodes.
  store_clock_forward, ///< The clock that leases go by is set forward by `duration`, for all.
  store_clock_back,    ///< The same, back.
  freeze_claimed ///< It stands still for `duration` once its next claim of a call is stored, in
                 ///< front of the run.
};
constexpr std::array<std::string_view, 26> enum_names(fault_kind) {
  return {
      "crash",         "crash_before",   "crash_inside", "crash_after",         "lose_ack",
      "failed_commit", "disk_full",      "slow_commits", "read_error",          "flipped_bit",
      "freeze",        "slow_node",      "stop",         "tools_hang",          "clock_forward",
      "clock_back",    "partition",      "slow_link",    "drop_connections",    "clock_offset",
      "drain",         "cut_from_store", "store_away",   "store_clock_forward", "store_clock_back",
      "freeze_claimed"};
}

/// Whether it goes wrong only where nodes share a store.
[[nodiscard]] constexpr bool needs_shared_store(fault_kind kind) noexcept {
  return kind >= fault_kind::drain;
}

/// One thing that goes wrong at one node.
struct fault {
  fault_kind kind = fault_kind::crash;
  std::string node;
  std::chrono::milliseconds at{0};       ///< After the beginning of the world.
  std::chrono::milliseconds duration{0}; ///< For those that last, and for clocks.
  /// How many turns are taken from `at` on before it happens, whoever takes them and whenever: so
  /// it comes into the middle of things. 0: it happens at `at`, when nothing moves.
  std::uint64_t turns = 0;

  fault() = default;
  friend bool operator==(const fault&, const fault&) = default;
  static constexpr auto fields() {
    return field_list{field("kind", &fault::kind), field("node", &fault::node),
                      field("at_ms", &fault::at), field("duration_ms", &fault::duration),
                      optional_field("turns", &fault::turns)};
  }
};

/// How much goes wrong. The default: everything, now and then.
struct fault_mix {
  /// The mean time between two faults of one node; 0: there are none.
  std::chrono::milliseconds every = std::chrono::minutes{10};
  /// How long what lasts lasts at most; what is drawn is spread evenly over the orders of
  /// magnitude from 1 ms on.
  std::chrono::milliseconds longest = std::chrono::hours{1};
  /// How often each kind is drawn, in proportion to the others. Empty: all alike. `clock_offset` is
  /// there or not: each node of a cluster has one from the beginning on, of `longest` at most.
  std::map<fault_kind, double> weights;

  fault_mix() = default;
  explicit fault_mix(std::chrono::milliseconds mean) : every{mean} {}
};

/// Draws the faults of some nodes for a time from the beginning on, in the order of time; half of
/// them come into the middle of things. Faults of links are drawn only if there are several nodes,
/// those of a shared store if they share one, and none at all where no kind that is wanted can be.
[[nodiscard]] std::vector<fault> draw_faults(const fault_mix& mix,
                                             const std::vector<std::string>& nodes,
                                             std::chrono::milliseconds horizon,
                                             seeded_random& random, bool share_store = false);

/// For timelines: "n1: the disk is full for 3 min".
[[nodiscard]] std::string describe(const fault& one);

} // namespace fermata::sim
