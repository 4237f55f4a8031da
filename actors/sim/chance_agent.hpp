#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace fermata::sim {

/// How a simulated agent behaves. The numbers are weights of what its next step is.
struct agent_character {
  double says = 1;
  double calls = 4; ///< One to four tools at once, of those there are, with arguments that fit.
  double asks = 1;
  double sleeps = 1; ///< Up to two days; or until a time that has passed.
  double hands_over = 0.3;
  double proposes = 0.2; ///< Another plan, now and then one that is none.
  double finishes = 1;   ///< More likely with each step.
  double fails = 0.1;
  double fails_retryably = 0.3;
  double misbehaves = 0.2; ///< Throws, calls what does not exist, or with what does not fit, or
                           ///< says what is no text.
  /// How long a step may take on the virtual clock. Half of them take no time.
  std::chrono::milliseconds most_time{60'000};
  std::vector<std::string> successors; ///< Whom it hands over to.

  agent_character() = default;
  friend bool operator==(const agent_character&, const agent_character&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("says", &agent_character::says),
                      optional_field("calls", &agent_character::calls),
                      optional_field("asks", &agent_character::asks),
                      optional_field("sleeps", &agent_character::sleeps),
                      optional_field("hands_over", &agent_character::hands_over),
                      optional_field("proposes", &agent_character::proposes),
                      optional_field("finishes", &agent_character::finishes),
                      optional_field("fails", &agent_character::fails),
                      optional_field("fails_retryably", &agent_character::fails_retryably),
                      optional_field("misbehaves", &agent_character::misbehaves),
                      optional_field("most_time_ms", &agent_character::most_time),
                      optional_field("successors", &agent_character::successors)};
  }
};

/// An agent whose steps the seed, the session, the subtask, the attempt and the length of the
/// transcript decide, and nothing else (P7). It ends by itself after some steps.
[[nodiscard]] agent_function chance_agent(std::uint64_t seed, agent_character character = {});

} // namespace fermata::sim
