#pragma once

#include <fermata/actors/agent.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fermata {

/// How agent `model` works where its subtask does not say.
struct model_agent_options {
  std::string model = "default"; ///< A name in the runtime's `model_registry`.
  /// What models are told first; empty: a text of ours. A subtask's own comes behind it.
  std::string system;
  /// The steps of one attempt, each of which is one request to a model; a subtask may ask for less.
  std::uint32_t max_steps = 100;
  /// The tools that models may call. Absent: all that the runtime has and the plan declares, and
  /// `question_tool`; for a planner, `question_tool` alone.
  std::optional<std::vector<tool_name>> tools;
  /// Other agents by name, with what they are good for and the parameters they take: what a model
  /// is told of whom it may name in plans and hand over to.
  std::map<std::string, std::string> agents;
  bool may_propose = false; ///< Offers `propose_plan`: a new plan in place of the one in progress.
  bool may_hand_over = false; ///< Offers `hand_over`, to the `agents` there are.
  bool planner = false;       ///< The runtime's planner: turns a user's message into a plan.

  model_agent_options() = default;
};

/// The agent `model`, which works on its subtask by asking a language model: complete, call tools,
/// see results, until it finishes. It has no state: each step asks with the conversation that the
/// transcript amounts to (`conversation_of`), so after a crash, a pause or an upgrade it goes on
/// from what is recorded (P7). Its subtask's `parameters`, all optional:
///
///     "model": NAME      the model to ask
///     "system": TEXT     told to the model behind the agent's own system text
///     "tools": [NAME]    the tools it may call; refused when the plan is proposed if there is none
///                        of a name
///     "max_steps": N     from 1 to what the host has set
///
/// and, as the runtime tells a planner whose plan was sent back, "revises": PLAN, "feedback": TEXT.
///
/// What a reply becomes:
/// - Calls: one step with what was said along with them. A call gets an id of ours, so what the
///   model calls it, and whether twice the same, does not matter. Arguments that are no JSON object
///   are recorded as the text they are, and the call fails with `invalid_arguments`, which the
///   model sees next; no text at all is an empty object. A call of a tool that was not offered,
///   whether there is one of that name or not, is recorded as `refused_call` and never runs. No
///   call is left out.
/// - Only a text: the subtask's result. If it was cut off at the model's limit of output, it is
///   said, and the model asked to go on; the result is then all of it in one.
/// - A reply with calls that was cut off: the last call may not be whole, so it is refused.
/// - `propose_plan` or `hand_over` as the only call, with good arguments: that step. What was said
///   along with it becomes part of a handover's note, and is shown but not recorded for a plan.
///   With bad arguments, or beside other calls, it is refused, and the others are made. A proposed
///   plan without tools of its own keeps those that the present one declares.
///
/// A planner gets the user's message and proposes; if it only says something, then no plan is
/// needed, and what it said is its result.
///
/// Fails, to be tried again as the subtask's `retry` says, with `model_failed`. Fails for good with
/// what else the model throws, when there is no model of that name, and with `limit_exceeded` when
/// `max_steps` are taken. Failed for good as well: a runtime or plan that has a tool by the name of
/// `refused_call`, or of what the options offer. Refused when the plan is proposed:
/// `invalid_field`, `invalid_id`, `unknown_tool`.
[[nodiscard]] agent model_agent(model_agent_options options = {});

} // namespace fermata
