#pragma once

#include "faults.hpp"

#include <fermata/actors/observer.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fermata::test {

template <class Enum>
std::string text_of(Enum value) {
  return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
}

/// Keeps what it is told.
class recorder final : public runtime_observer {
public:
  struct fact {
    session_id session;
    event happened;
    event_note note;
  };
  struct command_answer {
    std::string type;
    std::string result; ///< The receipt's kind, or the error's name.
    std::chrono::nanoseconds duration{};
  };
  struct ended_work {
    std::string name; ///< The agent's or the tool's.
    std::string ending;
    std::chrono::nanoseconds duration{};
  };

  void started(const std::function<std::optional<runtime_load>()>& of) override { load = of; }
  void committed(const session_id& session, std::span<const event> events,
                 std::span<const event_note> notes) override {
    CHECK(events.size() == notes.size());
    for (std::size_t i = 0; i < events.size(); ++i)
      facts.push_back({session, events[i], notes[i]});
  }
  void commit_failed(const session_id&, const caf::error& why) override {
    failures.emplace_back(name_of(code_of(why)));
  }
  void answered(const answered_command& what) override {
    answers.push_back({std::string{what.type},
                       what.answer ? text_of(what.answer->kind)
                                   : std::string{name_of(code_of(what.answer.error()))},
                       what.duration});
  }
  void written(const written_transaction& what) override { transactions.push_back(what); }
  void activated(const session_id&, std::size_t resident) override {
    residents.push_back(resident);
  }
  void passivated(const session_id&, std::size_t resident) override {
    residents.push_back(resident);
  }
  void activation_failed(const session_id&, const caf::error& why) override {
    activation_failures.emplace_back(name_of(code_of(why)));
  }
  void step_ended(const ended_step& what) override {
    steps.push_back({what.agent.str(), text_of(what.ending), what.duration});
  }
  void run_ended(const ended_run& what) override {
    runs.push_back({what.tool.str(), text_of(what.ending), what.duration});
  }

  /// Where the first event of a type was told of.
  [[nodiscard]] const fact& first(std::string_view type) const {
    for (const auto& one : facts)
      if (name_of(one.happened.body) == type)
        return one;
    throw std::logic_error("no event " + std::string{type});
  }

  std::vector<fact> facts;
  std::vector<command_answer> answers;
  std::vector<written_transaction> transactions;
  std::vector<std::string> failures;
  std::vector<std::string> activation_failures;
  std::vector<std::size_t> residents;
  std::vector<ended_work> steps;
  std::vector<ended_work> runs;
  std::function<std::optional<runtime_load>()> load;
};

/// Options with somebody who observes.
inline sim::world_options observed(std::shared_ptr<runtime_observer> by,
                                   sim::world_options options = {}) {
  options.observer = std::move(by);
  return options;
}

} // namespace fermata::test
