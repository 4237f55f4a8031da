#pragma once

#include <fermata/messages/commands.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/session_state.hpp>
#include <fermata/messages/tool_call.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

/// The transition tables of the session core: what is not in them does not happen.
namespace fermata::core {

template <class Status>
struct transition {
  Status from;
  Status to;
};
template <class Status>
transition(Status, Status) -> transition<Status>;

inline constexpr std::array plan_transitions{
    transition{plan_status::draft, plan_status::approved},
    transition{plan_status::draft, plan_status::rejected},
    transition{plan_status::draft, plan_status::cancelled},
    transition{plan_status::approved, plan_status::in_progress},
    transition{plan_status::approved, plan_status::cancelled},
    transition{plan_status::approved, plan_status::failed}, // its deadline passed
    transition{plan_status::in_progress, plan_status::completed},
    transition{plan_status::in_progress, plan_status::failed},
    transition{plan_status::in_progress, plan_status::cancelled},
};

inline constexpr std::array subtask_transitions{
    transition{subtask_status::pending, subtask_status::running},
    transition{subtask_status::pending, subtask_status::blocked},
    transition{subtask_status::pending, subtask_status::cancelled},
    transition{subtask_status::pending, subtask_status::failed},      // its deadline passed
    transition{subtask_status::pending, subtask_status::done},        // kept by a replan
    transition{subtask_status::pending, subtask_status::backing_off}, // kept by a replan
    transition{subtask_status::blocked, subtask_status::pending},
    transition{subtask_status::blocked, subtask_status::failed}, // its deadline passed
    transition{subtask_status::blocked, subtask_status::cancelled},
    transition{subtask_status::running, subtask_status::done},
    transition{subtask_status::running, subtask_status::failed},
    transition{subtask_status::running, subtask_status::backing_off},
    transition{subtask_status::running, subtask_status::cancelled},
    transition{subtask_status::backing_off, subtask_status::pending},
    transition{subtask_status::backing_off, subtask_status::failed}, // its deadline passed
    transition{subtask_status::backing_off, subtask_status::cancelled},
    transition{subtask_status::failed, subtask_status::pending},
    transition{subtask_status::failed, subtask_status::skipped},
    transition{subtask_status::failed, subtask_status::cancelled},
    transition{subtask_status::cancelled, subtask_status::pending}, // one that was cancelled alone
    transition{subtask_status::cancelled, subtask_status::skipped},
};

inline constexpr std::array call_transitions{
    transition{call_status::awaiting_decision, call_status::awaiting_result},
    transition{call_status::awaiting_decision, call_status::queued},
    transition{call_status::awaiting_decision, call_status::answered},
    transition{call_status::awaiting_decision, call_status::awaiting_decision}, // asked again
    transition{call_status::awaiting_result, call_status::answered},
    transition{call_status::awaiting_answer, call_status::answered},
    transition{call_status::queued, call_status::claimed},
    transition{call_status::queued, call_status::answered},
    transition{call_status::queued, call_status::awaiting_decision}, // the tool has changed
    transition{call_status::backing_off, call_status::queued},
    transition{call_status::backing_off, call_status::answered},
    transition{call_status::claimed, call_status::backing_off},
    transition{call_status::claimed, call_status::answered},
    transition{call_status::claimed, call_status::awaiting_outcome},
    transition{call_status::claimed, call_status::awaiting_decision},
    transition{call_status::claimed, call_status::queued}, // an idempotent tool is re-run
    transition{call_status::awaiting_outcome, call_status::queued},
    transition{call_status::awaiting_outcome, call_status::answered},
};

template <class Status, std::size_t N>
[[nodiscard]] constexpr bool allows(const std::array<transition<Status>, N>& table, Status from,
                                    Status to) {
  for (const auto& one : table)
    if (one.from == from && one.to == to)
      return true;
  return false;
}

template <class Status, std::size_t N>
[[nodiscard]] constexpr bool is_terminal(const std::array<transition<Status>, N>& table,
                                         Status status) {
  for (const auto& one : table)
    if (one.from == status)
      return false;
  return true;
}

/// In which states of its session a command is looked at. Commands about one call are looked at in
/// every state, since the call's own status decides: a result may come late.
struct command_rule {
  std::string_view command;
  std::array<bool, enum_names(session_state{}).size()> allowed;
};

inline constexpr std::array command_rules{
    //                                idle   plan   await  runs   waits  attn   susp   compl  failed
    //                                canc   rej
    // A message is looked at in every state: with no live plan it is for the planner. While a
    // revision is awaited or awaits its decision, the subtasks of the plan in force can be helped.
    command_rule{propose_plan::type,
                 {true, false, false, false, false, false, false, true, true, true, true}},
    command_rule{revise_plan::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{decide_plan::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{decide_call::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{tool_result::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{resolve_outcome::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{retry_subtask::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{skip_subtask::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{fail_plan::type,
                 {false, false, false, false, false, true, false, false, false, false, false}},
    command_rule{cancel_plan::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{answer_question::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{cancel_call::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{cancel_subtask::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{suspend_session::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{resume_session::type,
                 {false, false, false, false, false, false, true, false, false, false, false}},
    command_rule{set_deadline::type,
                 {false, true, true, true, true, true, true, false, false, false, false}},
    command_rule{post_message::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{decide_calls::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{forget_decision::type,
                 {true, true, true, true, true, true, true, true, true, true, true}},
    command_rule{delete_session::type,
                 {true, false, false, false, false, false, false, true, true, true, true}},
    command_rule{trim_history::type,
                 {true, false, false, false, false, false, false, true, true, true, true}},
};

static_assert(command_rules.size() == std::variant_size_v<command>);

[[nodiscard]] constexpr bool allows(session_state state, std::string_view command) {
  for (const auto& rule : command_rules)
    if (rule.command == command)
      return rule.allowed[static_cast<std::size_t>(state)];
  return false;
}

static_assert(is_terminal(plan_transitions, plan_status::completed));
static_assert(is_terminal(plan_transitions, plan_status::failed));
static_assert(is_terminal(plan_transitions, plan_status::cancelled));
static_assert(is_terminal(plan_transitions, plan_status::rejected));
static_assert(!is_terminal(plan_transitions, plan_status::draft));
static_assert(is_terminal(subtask_transitions, subtask_status::done));
static_assert(is_terminal(subtask_transitions, subtask_status::skipped));
static_assert(!is_terminal(subtask_transitions, subtask_status::backing_off));
static_assert(!is_terminal(subtask_transitions, subtask_status::cancelled));
static_assert(!is_terminal(subtask_transitions, subtask_status::failed));
static_assert(!is_terminal(subtask_transitions, subtask_status::blocked));
static_assert(is_terminal(call_transitions, call_status::answered));
static_assert(allows(call_transitions, call_status::queued, call_status::claimed));
static_assert(!allows(call_transitions, call_status::awaiting_decision, call_status::claimed));
static_assert(!allows(call_transitions, call_status::awaiting_outcome, call_status::claimed));
static_assert(!allows(subtask_transitions, subtask_status::pending, subtask_status::skipped));

/// The error of a command that does not fit the state: it lists the commands that do. Nothing: it
/// fits.
[[nodiscard]] caf::error check_command(session_state state, const command& body);

} // namespace fermata::core
