#include <fermata/actors/cluster/detail/slot_map.hpp>

#include <algorithm>

namespace fermata::detail {

slot_map::slot_map(node_name node, const member_list& members, std::shared_ptr<wall_clock> clock)
    : node_{std::move(node)}, clock_{std::move(clock)},
      // Before the first renewal nothing is certain, whatever the clock counts from.
      certain_until_{std::chrono::steady_clock::time_point::min()} {
  for (const auto& member : members.members)
    names_.push_back(member.name);
  for (auto& owner : owners_)
    owner = nobody;
}

slot_set slot_map::served() const {
  slot_set slots;
  for (std::uint32_t slot = 0; slot < session_slots; ++slot)
    slots.set(slot, serves(slot));
  return slots;
}

std::optional<node_name> slot_map::home_of(const session_id& session) const {
  const auto slot = slot_of(session);
  if (serves(slot))
    return node_;
  const auto owner = owners_[slot].load();
  // What is this node's by the store, and is not served, changes hands.
  if (owner == nobody || names_[owner] == node_)
    return std::nullopt;
  return names_[owner];
}

bool slot_map::may_begin_effects(std::uint32_t slot) const {
  // The slot last: one that was lost is withdrawn before the lease is known to last longer.
  return clock_->steady() < certain_until_.load() && serves(slot);
}

void slot_map::serve(const slot_set& slots) {
  for (const auto slot : listed(slots))
    served_[slot / word_bits] |= std::uint64_t{1} << slot % word_bits;
}

void slot_map::withdraw(const slot_set& slots) {
  for (const auto slot : listed(slots))
    served_[slot / word_bits] &= ~(std::uint64_t{1} << slot % word_bits);
}

void slot_map::show(const ownership_table& table) {
  for (std::uint32_t slot = 0; slot < session_slots && slot < table.slots.size(); ++slot) {
    const auto& owner = table.slots[slot];
    owners_[slot] = owner.has_lease ? place_of(owner.node) : nobody;
  }
}

void slot_map::show_given(const std::vector<std::uint32_t>& slots, const node_name& to) {
  for (const auto slot : slots)
    owners_[slot] = place_of(to);
}

std::uint8_t slot_map::place_of(const node_name& node) const {
  const auto found = std::find(names_.begin(), names_.end(), node);
  return found == names_.end() ? nobody : static_cast<std::uint8_t>(found - names_.begin());
}

} // namespace fermata::detail
