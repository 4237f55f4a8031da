#pragma once

#include <fermata/actors/sim/participant.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <string>

namespace fermata::sim {

/// How a host runs client tools. Probabilities are from 0 to 1 and drawn anew for each call;
/// without any of them it posts one result for each.
struct host_character {
  std::chrono::milliseconds least_time{0};
  std::chrono::milliseconds most_time{30'000};
  double fails = 0;             ///< Posts an error.
  double hangs = 0;             ///< Never posts a result: the call waits until it expires.
  double answers_twice = 0;     ///< The same result again, at once or a while later.
  double contradicts = 0;       ///< Another result right behind the first.
  double answers_late = 0;      ///< Of calls that were over before they had a result: posts one.
  double answers_early = 0;     ///< Posts a result before anybody has approved the call.
  double answers_strangers = 0; ///< Also posts results for calls that do not exist, or not here.

  host_character() = default;
  friend bool operator==(const host_character&, const host_character&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("least_time_ms", &host_character::least_time),
                      optional_field("most_time_ms", &host_character::most_time),
                      optional_field("fails", &host_character::fails),
                      optional_field("hangs", &host_character::hangs),
                      optional_field("answers_twice", &host_character::answers_twice),
                      optional_field("contradicts", &host_character::contradicts),
                      optional_field("answers_late", &host_character::answers_late),
                      optional_field("answers_early", &host_character::answers_early),
                      optional_field("answers_strangers", &host_character::answers_strangers)};
  }
};

/// A host that runs the client tools of all sessions of a world.
class tool_host final : public participant {
public:
  /// `node`: where its commands are taken; empty: at each session's home.
  explicit tool_host(std::string name, host_character character = {}, std::string node = {});

  void stored(world& in, const stored_commit& what) override;

private:
  struct whim;

  std::optional<milliseconds> came_up(world& in, const task& what) override;
  std::optional<ticket> act(world& in, const task& what, const caf::error& refused) override;
  void went(world& in, const task& what) override;

  [[nodiscard]] whim whim_about(const world& in, const std::string& call) const;
  void post_to_strangers(world& in, const call_id& call) const;

  host_character character_;
};

} // namespace fermata::sim
