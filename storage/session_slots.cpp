#include <fermata/storage/session_slots.hpp>

#include <algorithm>
#include <cstddef>
#include <map>

namespace fermata {

namespace {

/// How many slots each node is to own. The larger shares are for those who own the most already.
std::map<node_name, std::size_t> shares_of(const std::map<node_name, std::size_t>& owned,
                                           std::size_t slots) {
  std::vector<std::pair<node_name, std::size_t>> order{owned.begin(), owned.end()};
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& left, const auto& right) { return left.second > right.second; });
  std::map<node_name, std::size_t> shares;
  for (std::size_t i = 0; i < order.size(); ++i)
    shares[order[i].first] = slots / order.size() + (i < slots % order.size() ? 1 : 0);
  return shares;
}

} // namespace

// FNV-1a, then the last step of SplitMix64: ids that differ in little are far apart.
std::uint32_t slot_of(const session_id& session) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const auto letter : session.str()) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x100000001B3;
  }
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EB;
  return static_cast<std::uint32_t>((hash ^ (hash >> 31)) % session_slots);
}

std::vector<node_name> fair_owners(std::span<const node_name> owners,
                                   std::span<const node_name> nodes) {
  std::vector<node_name> fair(owners.size());
  if (nodes.empty())
    return fair;
  std::map<node_name, std::size_t> owned;
  for (const auto& node : nodes)
    owned[node] = 0;
  for (const auto& owner : owners)
    if (const auto found = owned.find(owner); found != owned.end())
      ++found->second;
  auto left = shares_of(owned, owners.size());
  // First what stays, then what is free goes to those who have too little, by their names.
  for (std::size_t slot = 0; slot < owners.size(); ++slot)
    if (const auto found = left.find(owners[slot]); found != left.end() && found->second > 0) {
      fair[slot] = owners[slot];
      --found->second;
    }
  auto next = left.begin();
  for (auto& owner : fair) {
    if (!owner.empty())
      continue;
    while (next->second == 0)
      ++next;
    owner = next->first;
    --next->second;
  }
  return fair;
}

} // namespace fermata
