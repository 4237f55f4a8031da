#include <fermata/actors/cluster/detail/renewal_watch.hpp>

#include <algorithm>
#include <utility>

namespace fermata::detail {

slot_set renewal_watch::look_at(const ownership_table& table, time at) {
  if (looked_at_ && at - *looked_at_ >= lease_)
    seen_.clear();
  looked_at_ = at;
  const auto before = std::exchange(seen_, {});
  slot_set forsaken;
  for (std::uint32_t slot = 0; slot < table.slots.size(); ++slot) {
    const auto& owner = table.slots[slot];
    if (owner.node.empty())
      continue;
    auto& seen =
        seen_.try_emplace(owner.node, sighting{owner.renewal, owner.lease, at}).first->second;
    if (const auto known = before.find(owner.node);
        known != before.end() && known->second.renewal == owner.renewal)
      seen = known->second;
    forsaken.set(slot, !owner.has_lease && at - seen.since >= seen.lease);
  }
  return forsaken;
}

std::optional<renewal_watch::time> renewal_watch::next() const {
  std::optional<time> earliest;
  for (const auto& [node, seen] : seen_)
    if (const auto at = seen.since + seen.lease; at > *looked_at_)
      earliest = std::min(at, earliest.value_or(at));
  return earliest;
}

} // namespace fermata::detail
