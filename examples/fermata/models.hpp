#pragma once

#include <fermata/actors/runtime.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// What `--models FILE` names: language models, and the agents that ask them. The models are
/// scripted, for trying plans and agents out before any network is involved.
namespace fermata::command_line {

/// A tool call in a scripted reply.
struct scripted_call {
  std::string tool;
  json arguments; ///< A string is taken as the text that the model wrote, whatever it is.

  scripted_call() = default;
  friend bool operator==(const scripted_call&, const scripted_call&) = default;
  static constexpr auto fields() {
    return field_list{field("tool", &scripted_call::tool),
                      optional_field("arguments", &scripted_call::arguments)};
  }
};

/// One reply of a model.
struct reply_script {
  std::string condition; ///< Only if a message since the model's last one contains this.
  std::string text;
  std::vector<std::string> parts; ///< The text in pieces, as it is streamed; instead of `text`.
  std::vector<scripted_call> calls;
  bool cut_off = false;               ///< The model's limit of output was reached.
  std::string failure;                ///< The request fails with this instead, as `model_failed`.
  std::chrono::milliseconds delay{0}; ///< Before the first part.
  std::chrono::milliseconds pause{0}; ///< Between two parts.
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;

  reply_script() = default;
  static constexpr auto fields() {
    return field_list{optional_field("if", &reply_script::condition),
                      optional_field("text", &reply_script::text),
                      optional_field("parts", &reply_script::parts),
                      optional_field("calls", &reply_script::calls),
                      optional_field("cut_off", &reply_script::cut_off),
                      optional_field("failure", &reply_script::failure),
                      optional_field("delay_ms", &reply_script::delay),
                      optional_field("pause_ms", &reply_script::pause),
                      optional_field("input_tokens", &reply_script::input_tokens),
                      optional_field("output_tokens", &reply_script::output_tokens)};
  }
};

/// A scripted model. A reply with a condition that holds goes before all others. Else the n-th of
/// those without a condition is given, where n counts the models' messages that the conversation
/// has, whatever reply they were. So it depends on nothing but the conversation, and goes on in the
/// next invocation where it was.
struct model_script {
  std::vector<reply_script> replies;

  model_script() = default;
  static constexpr auto fields() { return field_list{field("replies", &model_script::replies)}; }
};

/// An agent that asks a model: see `model_agent_options`.
struct agent_script {
  std::string model;
  std::string description; ///< What it is good for: told to those that plan or hand over.
  std::string system;
  std::optional<std::vector<tool_name>> tools;
  std::optional<std::uint32_t> max_steps;
  bool may_propose = false;
  bool may_hand_over = false;

  agent_script() = default;
  static constexpr auto fields() {
    return field_list{field("model", &agent_script::model),
                      optional_field("description", &agent_script::description),
                      optional_field("system", &agent_script::system),
                      optional_field("tools", &agent_script::tools),
                      optional_field("max_steps", &agent_script::max_steps),
                      optional_field("may_propose", &agent_script::may_propose),
                      optional_field("may_hand_over", &agent_script::may_hand_over)};
  }
};

/// A models file.
struct model_setup {
  std::map<std::string, model_script> models;
  std::map<std::string, agent_script> agents;
  agent_name planner; ///< The one of `agents` that turns messages into plans; empty: none.

  model_setup() = default;
  static constexpr auto fields() {
    return field_list{field("models", &model_setup::models), field("agents", &model_setup::agents),
                      optional_field("planner", &model_setup::planner)};
  }
};

/// The models of one invocation.
struct chosen_models {
  model_setup setup;
  std::string to_remember; ///< The file's text; empty: the store has it already, or there is none.

  chosen_models() = default;
};

/// Reads the models file that was given, else the one that `FERMATA_MODELS` names, else the one
/// that the store remembers; without any of them there are no models. Errors: those of `read_text`
/// and `parse_json`, `invalid_field` and `invalid_id` with the path; the file's name is in front.
[[nodiscard]] result<chosen_models> choose_models(const std::string& given,
                                                  const std::filesystem::path& store);

/// The name of the file that a store remembers its models in.
inline constexpr const char* remembered_models = "models.json";

/// Adds the models and agents to a runtime that has not started. Errors: `invalid_field` and
/// `invalid_id`, naming the model or the agent.
[[nodiscard]] caf::error add_models(runtime& to, const model_setup& setup);

} // namespace fermata::command_line
