#include <fermata/actors/core/plan_rules.hpp>

#include <fermata/actors/core/call_rules.hpp>
#include <fermata/actors/core/transitions.hpp>
#include <fermata/actors/tools/schema.hpp>
#include <fermata/messages/digest.hpp>

#include <algorithm>

namespace fermata::core {

namespace {

/// How often a planner tries, at most: what keeps a model from answering often passes by itself.
constexpr std::uint32_t planning_attempts = 3;

} // namespace

caf::error check_proposal(const plan_spec& plan, const agent_name& proposer,
                          const environment& env) {
  if (auto error = check_plan(plan, env.limits))
    return error;
  if (const auto ruling = env.policy.rule_on_plan(proposer); ruling.action == policy_action::deny)
    return denied("plan refused: it is denied", ruling);
  if (auto error = check_utf8(to_json(plan)))
    return error;
  for (const auto& [name, declaration] : plan.tools) {
    if (name == question_tool().str() || env.tools.find(*tool_name::parse(name)) != nullptr)
      return make_error(errc::invalid_field,
                        "tools." + name + ": the runtime has a tool of that name; choose another");
    if (auto error = check_is_schema(declaration.schema))
      return make_error(code_of(error), "tools." + name + ".schema: " + message_of(error));
  }
  for (std::size_t i = 0; i < plan.subtasks.size(); ++i) {
    const auto& subtask = plan.subtasks[i];
    const auto where = "subtasks[" + std::to_string(i) + "] (" + subtask.id.str() + "): ";
    if (auto error = env.agents.check(subtask))
      return make_error(code_of(error), where + message_of(error));
    const auto tools = env.agents.tools_of(subtask);
    if (!tools)
      return make_error(code_of(tools.error()), where + message_of(tools.error()));
    for (const auto& name : *tools)
      if (!find_tool(plan.tools, name, env.tools))
        return make_error(errc::unknown_tool, where + message_of(no_such_tool(name)));
  }
  return caf::none;
}

void propose(const session_data& data, const plan_spec& plan, const proposal& how,
             const environment& env, std::vector<event_body>& events) {
  plan_proposed fact;
  fact.revision = data.head.last_revision + 1;
  fact.plan = plan;
  fact.goal = plan.goal;
  fact.subtasks = static_cast<std::uint32_t>(plan.subtasks.size());
  fact.digest = digest_of(to_json(plan));
  fact.replaces = how.replaces;
  fact.planning = how.planning;
  fact.planner = how.planner;
  fact.first_message = how.first_message;
  const auto ruling = env.policy.rule_on_plan(how.planner);
  const bool asks = ruling.action == policy_action::ask && !how.planning;
  if (asks)
    fact.prompt = ruling.prompt;
  if (asks && ruling.expires_after.count() > 0)
    fact.expires_at = env.now + std::min(ruling.expires_after, env.limits.timer_horizon);
  const auto revision = fact.revision;
  events.emplace_back(std::move(fact));
  if (asks)
    return;
  plan_decided approved;
  approved.revision = revision;
  approved.verdict = plan_verdict::approve;
  approved.by = how.planning ? "planning" : "policy";
  events.emplace_back(std::move(approved));
}

plan_spec planning_plan(std::string goal, json parameters, const environment& env) {
  plan_spec plan;
  plan.goal = std::move(goal);
  auto& subtask = plan.subtasks.emplace_back();
  subtask.id = *subtask_id::parse("plan");
  subtask.description = "Turn what the user says into a plan";
  subtask.agent = env.planner;
  subtask.retry.max_attempts = std::min(planning_attempts, env.limits.subtask_attempts);
  subtask.parameters = std::move(parameters);
  return plan;
}

void block_dependents(const plan_data& plan, std::uint32_t failed,
                      std::vector<event_body>& events) {
  std::vector<std::uint32_t> causes{failed};
  std::set<std::uint32_t> seen;
  for (std::size_t i = 0; i < causes.size(); ++i) {
    for (const auto dependent : plan.dependents(causes[i])) {
      if (plan.subtasks()[dependent].status != subtask_status::pending
          || !seen.insert(dependent).second)
        continue;
      subtask_blocked fact;
      fact.subtask = plan.specs()[dependent].id;
      fact.by = plan.specs()[causes[i]].id;
      events.emplace_back(std::move(fact));
      causes.push_back(dependent);
    }
  }
}

namespace {

/// True for a status that keeps those blocked that depend on the subtask.
bool blocks(subtask_status status) {
  return status == subtask_status::failed || status == subtask_status::blocked
         || status == subtask_status::cancelled;
}

} // namespace

std::optional<subtask_id> blocking_dependency(const plan_data& plan, std::uint32_t position) {
  const auto& dependencies = plan.specs()[position].depends_on;
  const auto found =
      std::find_if(dependencies.begin(), dependencies.end(), [&](const subtask_id& id) {
        return blocks(plan.subtasks()[plan.position(id)].status);
      });
  return found == dependencies.end() ? std::nullopt : std::optional{*found};
}

void unblock_dependents(const plan_data& plan, std::uint32_t cleared,
                        std::vector<event_body>& events) {
  std::set<std::uint32_t> free{cleared};
  std::vector<std::uint32_t> causes{cleared};
  for (std::size_t i = 0; i < causes.size(); ++i) {
    for (const auto dependent : plan.dependents(causes[i])) {
      if (plan.subtasks()[dependent].status != subtask_status::blocked || free.contains(dependent))
        continue;
      const auto& dependencies = plan.specs()[dependent].depends_on;
      const bool still =
          std::any_of(dependencies.begin(), dependencies.end(), [&](const subtask_id& id) {
            const auto on = plan.position(id);
            return !free.contains(on) && blocks(plan.subtasks()[on].status);
          });
      // A dependency that is itself about to be freed is in `free`, or will look at this one again
      // when it is.
      if (still)
        continue;
      free.insert(dependent);
      causes.push_back(dependent);
      subtask_unblocked fact;
      fact.subtask = plan.specs()[dependent].id;
      events.emplace_back(std::move(fact));
    }
  }
}

void fail_subtask(const session_data& data, std::uint32_t position, std::string reason,
                  bool retryable, const environment& env, std::vector<event_body>& events) {
  const auto& plan = *data.active;
  const auto& retry = plan.specs()[position].retry;
  const auto attempts = plan.subtasks()[position].attempts;
  subtask_failed fact;
  fact.subtask = plan.specs()[position].id;
  fact.reason = shortened(std::move(reason), env);
  if (retryable && attempts < retry.max_attempts)
    fact.retry_at = env.now + backoff_after(retry, attempts, env.random);
  const bool final = !fact.retry_at;
  events.emplace_back(std::move(fact));
  if (final)
    block_dependents(plan, position, events);
}

void end_plans(const session_data& data, plan_status status, const std::string& reason,
               const std::string& by, std::vector<event_body>& events) {
  // A draft beside a live plan goes first; the plan's own end is the last word.
  for (const auto* plan : {&data.draft, &data.active}) {
    if (!*plan || is_terminal(plan_transitions, (*plan)->record.status))
      continue;
    plan_ended fact;
    fact.revision = (*plan)->record.revision;
    // A draft never ran, so it cannot fail.
    fact.status = plan == &data.draft ? plan_status::cancelled : status;
    fact.reason = reason;
    fact.by = by;
    events.emplace_back(std::move(fact));
  }
}

} // namespace fermata::core
