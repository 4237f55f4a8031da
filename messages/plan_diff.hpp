#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>

#include <span>

namespace fermata {

/// What becomes of a subtask when a revision takes the place of the plan in progress.
enum class subtask_fate : std::uint8_t {
  kept,      ///< It is done, and so is all it depends on: its result is taken over.
  continued, ///< It is under way and unchanged: it goes on where it is.
  unchanged, ///< It has not run yet, or it failed, was skipped or cancelled: it is pending.
  again,     ///< It was done or under way, and runs again since what it depends on has changed.
  changed,   ///< Its description, agent, steps or dependencies are others: it runs as it now is.
  added,     ///< There was none of that id.
  dropped    ///< The revision does not have it; if it is under way, its open calls are cancelled.
};
constexpr std::array<std::string_view, 7> enum_names(subtask_fate) {
  return {"kept", "continued", "unchanged", "again", "changed", "added", "dropped"};
}

struct subtask_change {
  subtask_id subtask;
  subtask_fate fate = subtask_fate::kept;
  std::string because; ///< For people.

  subtask_change() = default;
  friend bool operator==(const subtask_change&, const subtask_change&) = default;
  static constexpr auto fields() {
    return field_list{field("subtask", &subtask_change::subtask),
                      field("fate", &subtask_change::fate),
                      field("because", &subtask_change::because)};
  }
};

/// What a revision changes: those of the revision in its order, then those that are dropped.
struct plan_diff {
  std::uint32_t revision = 0;
  std::uint32_t replaces = 0; ///< 0: there is no plan in progress; all are added.
  std::string goal_before;    ///< Empty: the goal is the same.
  std::vector<subtask_change> subtasks;

  plan_diff() = default;
  friend bool operator==(const plan_diff&, const plan_diff&) = default;
  static constexpr auto fields() {
    return field_list{field("revision", &plan_diff::revision),
                      optional_field("replaces", &plan_diff::replaces),
                      optional_field("goal_before", &plan_diff::goal_before),
                      field("subtasks", &plan_diff::subtasks)};
  }
};

/// What becomes of each subtask when `next` takes the place of a plan with the subtasks `before`,
/// which stand as `statuses` says. This is what an approval does, not only what is shown.
[[nodiscard]] std::vector<subtask_change> compare_plans(std::span<const subtask_spec> before,
                                                        std::span<const subtask_status> statuses,
                                                        std::span<const subtask_spec> next);

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<subtask_change>;
extern template struct struct_codec<plan_diff>;

} // namespace fermata::detail
