#include <fermata/messages/plan_diff.hpp>

#include <algorithm>
#include <cassert>
#include <unordered_map>

namespace fermata {

namespace {

using positions = std::unordered_map<subtask_id, std::size_t>;

positions index(std::span<const subtask_spec> subtasks) {
  positions found;
  for (std::size_t i = 0; i < subtasks.size(); ++i)
    found.emplace(subtasks[i].id, i);
  return found;
}

/// Each one behind all that it depends on.
std::vector<std::size_t> in_order_of_dependencies(std::span<const subtask_spec> subtasks,
                                                  const positions& where) {
  std::vector<std::vector<std::size_t>> dependents(subtasks.size());
  std::vector<std::size_t> unmet(subtasks.size());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < subtasks.size(); ++i) {
    unmet[i] = subtasks[i].depends_on.size();
    for (const auto& dependency : subtasks[i].depends_on)
      dependents[where.at(dependency)].push_back(i);
    if (unmet[i] == 0)
      order.push_back(i);
  }
  for (std::size_t next = 0; next < order.size(); ++next)
    for (const auto dependent : dependents[order[next]])
      if (--unmet[dependent] == 0)
        order.push_back(dependent);
  assert(order.size() == subtasks.size() && "the plan was checked to have no cycle");
  return order;
}

bool is_under_way(subtask_status status) {
  return status == subtask_status::running || status == subtask_status::backing_off;
}

std::string why_pending(subtask_status status) {
  switch (status) {
  case subtask_status::failed:
    return "it failed, and is tried again";
  case subtask_status::skipped:
    return "it was skipped, and is tried again";
  case subtask_status::cancelled:
    return "it was cancelled, and is tried again";
  default:
    return "it has not run yet";
  }
}

} // namespace

std::vector<subtask_change> compare_plans(std::span<const subtask_spec> before,
                                          std::span<const subtask_status> statuses,
                                          std::span<const subtask_spec> next) {
  assert(before.size() == statuses.size());
  const auto old = index(before);
  const auto where = index(next);
  std::vector<subtask_change> changes(next.size());
  for (const auto i : in_order_of_dependencies(next, where)) {
    auto& change = changes[i];
    change.subtask = next[i].id;
    const auto found = old.find(next[i].id);
    if (found == old.end()) {
      change.fate = subtask_fate::added;
      change.because = "it is new";
      continue;
    }
    if (before[found->second] != next[i]) {
      change.fate = subtask_fate::changed;
      change.because = "it is described otherwise than before";
      continue;
    }
    const auto status = statuses[found->second];
    if (status != subtask_status::done && !is_under_way(status)) {
      change.fate = subtask_fate::unchanged;
      change.because = why_pending(status);
      continue;
    }
    const auto& dependencies = next[i].depends_on;
    const auto lost =
        std::find_if(dependencies.begin(), dependencies.end(), [&](const subtask_id& id) {
          return changes[where.at(id)].fate != subtask_fate::kept;
        });
    if (lost != dependencies.end()) {
      change.fate = subtask_fate::again;
      change.because = "it depends on " + lost->str() + ", whose result is not kept";
    } else if (status == subtask_status::done) {
      change.fate = subtask_fate::kept;
      change.because = "it is done, and nothing that it depends on has changed";
    } else {
      change.fate = subtask_fate::continued;
      change.because = "it is under way, and nothing that it depends on has changed";
    }
  }
  for (const auto& spec : before)
    if (!where.contains(spec.id)) {
      auto& change = changes.emplace_back();
      change.subtask = spec.id;
      change.fate = subtask_fate::dropped;
      change.because = "the revision does not have it";
    }
  return changes;
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<subtask_change>;
template struct struct_codec<plan_diff>;

} // namespace fermata::detail
