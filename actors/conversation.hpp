#pragma once

#include <fermata/actors/model.hpp>
#include <fermata/messages/tool_call.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// How what is recorded of a subtask becomes what a model is asked: for agent `model`, and for
/// agents of one's own that ask models.
namespace fermata {

class step_context;

/// How a conversation is made of a context.
struct conversation_options {
  std::string system; ///< The system text; empty: there is none.
  std::string task;   ///< The first message; empty: it is made of goal, subtask and dependencies.
  /// What the model is told when the conversation would end with its own words: it was cut off.
  std::string go_on = "Go on where you stopped.";
  /// The longest single text that is not the model's own: a result, a note. Of a longer one the
  /// middle is left out, and the model is told how much.
  std::size_t text_size_bytes = 100'000;

  conversation_options() = default;
};

/// The name under which an agent records a call that it refuses by itself, so that the model sees
/// why: no tool has this name. Its arguments are `tool` (the name as the model wrote it),
/// `arguments` (their text as the model wrote it) and `why`.
[[nodiscard]] const tool_name& refused_call();

/// The request that records a refused call. Names and texts that are too long are shortened.
[[nodiscard]] tool_request refuse_call(const model_call& written, std::string why);

/// The conversation that a subtask's transcript amounts to, without tools. First the task: goal,
/// description, results of the dependencies; then what users said before; then the transcript. An
/// equal context gives an equal conversation (P7), and a longer transcript one that goes on from
/// it.
///
/// Whatever became of a call, it is there once, with exactly one result right behind it, in the
/// order in which the calls were made: `check_conversation` accepts it. A call is shown with the
/// arguments that the model asked for; if a person changed them, its result says what ran.
/// Arguments that are no JSON object are shown as `{"malformed": <text>}`, so that what goes to a
/// model is always an object. Ids of calls are ours, `c<number>`, which every provider takes; what
/// the model had called them does not matter. Calls without a number of their own (of contexts that
/// were made by hand) count as one and the same.
[[nodiscard]] std::vector<model_message> conversation_of(const step_context& ctx,
                                                         const conversation_options& options);

/// The tools that a model may be told of: those of `names`, or without `names` all that the runtime
/// has, all that the plan declares, and `question_tool`. Errors: `unknown_tool`.
[[nodiscard]] result<std::vector<model_tool>>
tools_for(const step_context& ctx, const std::optional<std::vector<tool_name>>& names);

/// The middle of a text that is longer than `limit` bytes is left out, at whole characters; what is
/// not UTF-8 becomes U+FFFD.
[[nodiscard]] std::string readable_excerpt(std::string text, std::size_t limit);

} // namespace fermata
