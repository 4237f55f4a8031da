#include <fermata/storage/session_ownership.hpp>

#include <algorithm>
#include <iterator>

namespace fermata {

std::vector<node_name> ownership_table::owners() const {
  std::vector<node_name> names;
  names.reserve(slots.size());
  for (const auto& slot : slots)
    names.push_back(slot.has_lease ? slot.node : node_name{});
  return names;
}

std::vector<node_name> ownership_table::takers() const {
  std::vector<node_name> names;
  std::set_difference(nodes.begin(), nodes.end(), draining.begin(), draining.end(),
                      std::back_inserter(names));
  return names;
}

} // namespace fermata
