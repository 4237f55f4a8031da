#include <fermata/messages/plan.hpp>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace fermata {

namespace {

using index_by_id = std::unordered_map<subtask_id, std::size_t>;

std::string quoted(const subtask_id& id) {
  return "\"" + id.str() + "\"";
}

caf::error check_subtask(const subtask_spec& subtask, const limits& limits) {
  // A spec that was not read from JSON may have no id at all.
  if (auto error = check_id("subtask id", subtask.id.str()))
    return error;
  for (const auto* value : {&subtask.steps, &subtask.result, &subtask.parameters})
    if (auto error = check_depth(*value))
      return error;
  if (auto error =
          check_limit("text_size_bytes", subtask.description.size(), limits.text_size_bytes))
    return error;
  if (auto error = check_retry(subtask.retry, limits))
    return make_error(code_of(error),
                      "subtask " + quoted(subtask.id) + ": retry: " + message_of(error));
  if (subtask.time_limit.count() < 0 || subtask.time_limit > limits.timer_horizon)
    return make_error(errc::limit_exceeded, "subtask " + quoted(subtask.id)
                                                + ": time_limit_ms is from 0 to the limit "
                                                  "timer_horizon");
  return check_limit("subtask_dependencies", subtask.depends_on.size(),
                     limits.subtask_dependencies);
}

caf::error check_dependencies(const subtask_spec& subtask, const index_by_id& indexes) {
  std::unordered_set<subtask_id> seen;
  for (const auto& dependency : subtask.depends_on) {
    if (dependency == subtask.id)
      return make_error(errc::self_dependency,
                        "subtask " + quoted(subtask.id) + " depends on itself");
    if (!indexes.contains(dependency))
      return make_error(errc::unknown_dependency, "subtask " + quoted(subtask.id) + " depends on "
                                                      + quoted(dependency)
                                                      + ", which is not in the plan");
    if (!seen.insert(dependency).second)
      return make_error(errc::invalid_field, "subtask " + quoted(subtask.id)
                                                 + " names the dependency " + quoted(dependency)
                                                 + " twice");
  }
  return caf::none;
}

/// Walks the dependencies depth first, with a stack of its own, since a chain may be as long as the
/// plan.
caf::error check_acyclic(const plan_spec& plan, const index_by_id& indexes) {
  enum class mark : std::uint8_t { unseen, open, finished };
  struct visit {
    std::size_t subtask;
    std::size_t next_dependency;
  };
  std::vector<mark> marks(plan.subtasks.size(), mark::unseen);
  std::vector<visit> path;
  for (std::size_t root = 0; root < plan.subtasks.size(); ++root) {
    if (marks[root] != mark::unseen)
      continue;
    path.push_back({root, 0});
    marks[root] = mark::open;
    while (!path.empty()) {
      auto& top = path.back();
      const auto& dependencies = plan.subtasks[top.subtask].depends_on;
      if (top.next_dependency == dependencies.size()) {
        marks[top.subtask] = mark::finished;
        path.pop_back();
        continue;
      }
      const auto next = indexes.at(dependencies[top.next_dependency++]);
      if (marks[next] == mark::open) {
        const auto start = std::find_if(path.begin(), path.end(),
                                        [&](const visit& v) { return v.subtask == next; });
        std::string cycle;
        for (auto i = start; i != path.end(); ++i)
          cycle += plan.subtasks[i->subtask].id.str() + " -> ";
        return make_error(errc::dependency_cycle, "the subtasks depend on each other in a circle: "
                                                      + cycle + plan.subtasks[next].id.str());
      }
      if (marks[next] == mark::unseen) {
        marks[next] = mark::open;
        path.push_back({next, 0});
      }
    }
  }
  return caf::none;
}

} // namespace

caf::error check_retry(const retry_policy& policy, const limits& limits) {
  if (policy.max_attempts == 0)
    return make_error(errc::invalid_field, "max_attempts counts the first one, so it is 1 or more");
  if (auto error = check_limit("subtask_attempts", policy.max_attempts, limits.subtask_attempts))
    return error;
  if (policy.initial_backoff.count() < 1 || policy.initial_backoff > policy.max_backoff)
    return make_error(errc::invalid_field,
                      "initial_backoff_ms is at least 1 and at most max_backoff_ms");
  if (policy.max_backoff > limits.timer_horizon)
    return make_error(errc::limit_exceeded, "max_backoff_ms is beyond the limit timer_horizon");
  return caf::none;
}

std::chrono::milliseconds backoff_after(const retry_policy& policy, std::uint32_t failed,
                                        std::uint64_t random) {
  auto whole = std::clamp(policy.initial_backoff, std::chrono::milliseconds{1}, max_duration);
  const auto longest = std::clamp(policy.max_backoff, whole, max_duration);
  for (std::uint32_t i = 1; i < failed && whole < longest; ++i)
    whole = std::min(whole * 2, longest);
  const auto half = whole / 2;
  const auto scaled = random % static_cast<std::uint64_t>((whole - half).count() + 1);
  return half + std::chrono::milliseconds{static_cast<std::int64_t>(scaled)};
}

result<plan_spec> parse_plan(std::string_view text, const limits& limits) {
  if (auto error = check_limit("plan_size_bytes", text.size(), limits.plan_size_bytes))
    return error;
  auto value = parse_json(text);
  if (!value)
    return std::move(value.error());
  return from_json<plan_spec>(*value);
}

caf::error check_plan(const plan_spec& plan, const limits& limits) {
  if (plan.subtasks.empty())
    return make_error(errc::empty_plan, "the plan has no subtasks; at least one is needed");
  if (auto error = check_limit("plan_subtasks", plan.subtasks.size(), limits.plan_subtasks))
    return error;
  if (auto error = check_limit("text_size_bytes", plan.goal.size(), limits.text_size_bytes))
    return error;
  for (const auto& [tool, declaration] : plan.tools) {
    if (auto error = check_id("tool name", tool))
      return error;
    if (auto error = check_depth(declaration.schema))
      return error;
    if (declaration.kind != tool_kind::client)
      return make_error(errc::invalid_field,
                        "tools." + tool + ".kind: a plan can only declare tools of kind client");
  }
  index_by_id indexes;
  for (std::size_t i = 0; i < plan.subtasks.size(); ++i) {
    if (!indexes.emplace(plan.subtasks[i].id, i).second)
      return make_error(errc::duplicate_subtask,
                        "two subtasks have the id " + quoted(plan.subtasks[i].id));
    if (auto error = check_subtask(plan.subtasks[i], limits))
      return error;
  }
  // Only now, since writing recurses as deep as the plan is nested.
  if (auto error =
          check_limit("plan_size_bytes", to_text(to_json(plan)).size(), limits.plan_size_bytes))
    return error;
  for (const auto& subtask : plan.subtasks)
    if (auto error = check_dependencies(subtask, indexes))
      return error;
  return check_acyclic(plan, indexes);
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<retry_policy>;
template struct struct_codec<subtask_spec>;
template struct struct_codec<tool_declaration>;
template struct struct_codec<plan_spec>;

} // namespace fermata::detail
