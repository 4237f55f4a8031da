#include <fermata/actors/cluster/detail/slot_plan.hpp>

#include <algorithm>

namespace fermata::detail {

std::vector<std::uint32_t> listed(const slot_set& slots) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(slots.count());
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot)
    if (slots.test(slot))
      numbers.push_back(slot);
  return numbers;
}

slot_set set_of(const std::vector<std::uint32_t>& slots) {
  slot_set made;
  for (const auto slot : slots)
    made.set(slot);
  return made;
}

slot_plan slot_planner::next(const slot_sight& sees, time now) {
  const auto fair = fair_owners(sees.table.owners(), sees.table.takers());
  slot_plan plan;
  plan.acquire = to_acquire(sees, fair);
  std::map<node_name, std::vector<std::uint32_t>> idle;
  std::map<node_name, std::vector<std::uint32_t>> busy;
  std::map<std::uint32_t, time> waiting;
  for (std::uint32_t slot = 0; slot < fair.size(); ++slot) {
    const auto& to = fair[slot];
    if (!sees.acquired.test(slot) || sees.leaving.test(slot) || to.empty() || to == node_)
      continue;
    if (!sees.busy.test(slot)) {
      idle[to].push_back(slot);
      continue;
    }
    const auto known = waiting_since_.find(slot);
    const auto since = known == waiting_since_.end() ? now : known->second;
    waiting.emplace(slot, since);
    if (now - since >= patience_)
      busy[to].push_back(slot);
  }
  waiting_since_ = std::move(waiting);
  if (sees.leaving.any())
    return plan;
  for (auto* kind : {&idle, &busy})
    for (const auto& [to, slots] : *kind) {
      auto& given = plan.give[to];
      const auto room = given_at_once - given.size();
      given.insert(given.end(), slots.begin(),
                   slots.begin() + static_cast<std::ptrdiff_t>(std::min(room, slots.size())));
    }
  return plan;
}

std::vector<std::uint32_t> slot_planner::to_acquire(const slot_sight& sees,
                                                    const std::vector<node_name>& fair) const {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t slot = 0; slot < fair.size(); ++slot) {
    if (sees.acquired.test(slot) || sees.leaving.test(slot))
      continue;
    const auto& owner = sees.table.slots[slot];
    // One that was moved here, or whose acquisition had no answer: nobody else takes it.
    const bool is_own = owner.node == node_ && owner.has_lease;
    const bool is_free = owner.node.empty() || sees.forsaken.test(slot);
    if (is_own || (is_free && fair[slot] == node_))
      slots.push_back(slot);
  }
  return slots;
}

} // namespace fermata::detail
