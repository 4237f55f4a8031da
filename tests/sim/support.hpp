#pragma once

#include "../actors/support.hpp"

#include <fermata/actors/sim/people.hpp>

#include <memory>
#include <string>
#include <vector>

/// What tests of participants look at.
namespace fermata::test {

/// Keeps what people were told: `decide_call accepted 7`, `decide_plan superseded`.
class answer_log final : public sim::witness {
public:
  void answered(sim::world&, const sim::command_answer& what) override {
    auto text = std::string{name_of(what.body)} + " ";
    if (what.answer)
      text += enum_name(what.answer->kind) + " " + std::to_string(what.answer->event);
    else
      text += name_of(code_of(what.answer.error()));
    lines.push_back(std::move(text));
  }

  /// The answers to commands of one type, without the type.
  [[nodiscard]] std::vector<std::string> to(const std::string& type) const {
    std::vector<std::string> found;
    for (const auto& line : lines)
      if (line.starts_with(type + " "))
        found.push_back(line.substr(type.size() + 1));
    return found;
  }

  std::vector<std::string> lines;
};

inline answer_log& log_answers(sim::world& in) {
  return in.add(std::make_unique<answer_log>());
}

inline sim::world_options asking_options() {
  sim::world_options options;
  options.policy = approval_policy::ask_everything();
  return options;
}

/// Proposes it, and lets the world go on until the session is in that state.
inline bool reaches(sim::world& in, std::string_view state,
                    std::chrono::milliseconds at_most = std::chrono::hours{24 * 30}) {
  return in.run_until([&] { return in.status(sid()) && state_of(in) == state; }, at_most);
}

/// A plan of one subtask that calls the client tool `ask_shop` once.
inline plan_spec shopping_plan(std::string_view more = "") {
  return plan(R"({"goal": "buy", "tools": {"ask_shop": {"schema": {"type": "object",
      "properties": {"item": {"type": "string"}}, "required": ["item"]}}},
    "subtasks": [{"id": "first", "steps": [{"tool": "ask_shop", "arguments": {"item": "tea"})"
              + std::string{more} + "}]}]}");
}

} // namespace fermata::test
