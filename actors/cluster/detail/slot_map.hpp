#pragma once

#include <fermata/actors/cluster/detail/slot_plan.hpp>
#include <fermata/actors/seams.hpp>
#include <fermata/messages/cluster.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace fermata::detail {

/// Which slots a node serves, who else is believed to have them, and how long its own lease lasts
/// for certain. Written by the keeper alone; any thread asks, without a lock.
class slot_map {
public:
  slot_map(node_name node, const member_list& members, std::shared_ptr<wall_clock> clock);

  /// Whether sessions of this slot live here. Commands are taken also when the lease may have run
  /// out: the store refuses to write them once somebody else has the slot.
  [[nodiscard]] bool serves(const session_id& session) const { return serves(slot_of(session)); }
  [[nodiscard]] bool serves(std::uint32_t slot) const {
    return (served_[slot / word_bits] >> slot % word_bits & 1) != 0;
  }
  [[nodiscard]] slot_set served() const;

  /// Where a session lives, as far as this node knows; nothing: nowhere at this moment, since its
  /// slot changes hands, its owner's lease has run out, or its owner is no member.
  [[nodiscard]] std::optional<node_name> home_of(const session_id& session) const;

  /// Whether a session lives here, and nobody else can have its slot at this moment.
  [[nodiscard]] bool may_begin_effect(const session_id& session) const {
    return may_begin_effects(slot_of(session));
  }
  [[nodiscard]] bool may_begin_effects(std::uint32_t slot) const;

  [[nodiscard]] bool is_draining() const { return draining_; }

  // The keeper's.
  void serve(const slot_set& slots);
  void withdraw(const slot_set& slots);
  /// Who owns what, by the store.
  void show(const ownership_table& table);
  /// Slots that were moved to another node.
  void show_given(const std::vector<std::uint32_t>& slots, const node_name& to);
  /// The lease lasts until then, by `wall_clock::steady`.
  void set_lease(std::chrono::steady_clock::time_point certain_until) {
    certain_until_ = certain_until;
  }
  void set_draining(bool draining) { draining_ = draining; }

private:
  static constexpr std::size_t word_bits = 64;
  static constexpr std::uint8_t nobody = 0xFF;
  static_assert(member_list::max_members < nobody);
  static_assert(session_slots % word_bits == 0);

  [[nodiscard]] std::uint8_t place_of(const node_name& node) const;

  node_name node_;
  std::vector<node_name> names_; ///< Of the members; a place in it fits into a byte.
  std::shared_ptr<wall_clock> clock_;
  std::array<std::atomic<std::uint64_t>, session_slots / word_bits> served_{};
  std::array<std::atomic<std::uint8_t>, session_slots> owners_;
  std::atomic<std::chrono::steady_clock::time_point> certain_until_;
  std::atomic<bool> draining_{false};
};

} // namespace fermata::detail
