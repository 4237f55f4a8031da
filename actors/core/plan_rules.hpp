#pragma once

#include <fermata/actors/core/decide.hpp>

/// What the session core knows of plans, for its decisions.
namespace fermata::core {

/// Checks a plan that somebody proposes. Errors: those of `check_plan`, `unknown_agent`,
/// `unknown_tool`, those of the agents' own checks.
[[nodiscard]] caf::error check_proposal(const plan_spec& plan, const agent_name& proposer,
                                        const environment& env);

/// A proposal's circumstances.
struct proposal {
  std::uint32_t replaces = 0;
  bool planning = false;
  agent_name planner;
  std::uint64_t first_message = 1;

  proposal() = default;
};

/// The events of a proposal as the session's next revision; with its approval, where the policy
/// does not ask or it only plans.
void propose(const session_data& data, const plan_spec& plan, const proposal& how,
             const environment& env, std::vector<event_body>& events);

/// A plan whose one subtask is the planner's: to turn `goal` into a plan.
[[nodiscard]] plan_spec planning_plan(std::string goal, json parameters, const environment& env);

/// Those that depend on `failed`, directly or not, and are still pending, become blocked.
void block_dependents(const plan_data& plan, std::uint32_t failed, std::vector<event_body>& events);

/// What keeps a subtask from running: a dependency that failed, was cancelled or is blocked itself.
[[nodiscard]] std::optional<subtask_id> blocking_dependency(const plan_data& plan,
                                                            std::uint32_t position);

/// Those that were blocked by `cleared` alone become pending again.
void unblock_dependents(const plan_data& plan, std::uint32_t cleared,
                        std::vector<event_body>& events);

/// The subtask failed: it backs off if that may pass by itself and there are attempts left; else
/// those that depend on it become blocked.
void fail_subtask(const session_data& data, std::uint32_t position, std::string reason,
                  bool retryable, const environment& env, std::vector<event_body>& events);

/// Drops all events but the last so many; nothing: there are no more.
[[nodiscard]] std::optional<history_trimmed> trimmed_to(const session_data& data,
                                                        std::uint64_t keep, std::string by);

/// The plan in force ends, and a draft beside it.
void end_plans(const session_data& data, plan_status status, const std::string& reason,
               const std::string& by, std::vector<event_body>& events);

} // namespace fermata::core
