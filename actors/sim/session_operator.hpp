#pragma once

#include <fermata/actors/sim/outside.hpp>
#include <fermata/actors/sim/participant.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fermata::sim {

/// How an operator looks after sessions.
struct operator_character {
  std::chrono::milliseconds least_thought{10'000}; ///< Between seeing a need and acting on it.
  std::chrono::milliseconds most_thought{600'000};
  /// Of unknown outcomes where nothing has happened outside: has the tool run again, rather than
  /// the call fail. A probability from 0 to 1.
  double reruns = 0.5;
  double double_clicks = 0; ///< Says what became of a call twice. A probability from 0 to 1.
  /// Cancels a call whose tool has been running for so long; 0: never.
  std::chrono::milliseconds stuck_after = std::chrono::hours{6};
  /// The mean time between two meddlings with one session that has a live plan: suspends, resumes,
  /// cancels, retries, skips, sets deadlines, replans, posts messages, changes documents, takes
  /// remembered decisions back. 0: never.
  std::chrono::milliseconds meddles_every{0};
  /// Of meddlings: something that cannot be, and must be refused. A probability from 0 to 1.
  double nonsense = 0;

  operator_character() = default;
  friend bool operator==(const operator_character&, const operator_character&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("least_thought_ms", &operator_character::least_thought),
                      optional_field("most_thought_ms", &operator_character::most_thought),
                      optional_field("reruns", &operator_character::reruns),
                      optional_field("double_clicks", &operator_character::double_clicks),
                      optional_field("stuck_after_ms", &operator_character::stuck_after),
                      optional_field("meddles_every_ms", &operator_character::meddles_every),
                      optional_field("nonsense", &operator_character::nonsense)};
  }
};

/// Somebody who keeps sessions going. He says what became of calls whose outcome is unknown, and
/// tells the truth, which he finds in `outside`: late, or twice, but never what did not happen. He
/// retries, skips, replans, fails or cancels where a session needs attention, resumes what is
/// suspended, and revises what was sent back. If his character says so he also meddles.
class session_operator final : public participant {
public:
  /// `effects` may be null where no tool has any. `node`: where his commands are taken;
  /// empty: at each session's home.
  explicit session_operator(std::string name, operator_character character = {},
                            std::shared_ptr<outside> effects = nullptr, std::string node = {});

  void look_at(world& in, const session_id& session) override;
  void stored(world& in, const stored_commit& what) override;
  /// No more meddling, and nothing that needs somebody is left alone.
  void settle(world& in) override;

private:
  /// What he keeps in mind of a session.
  struct known {
    std::map<std::uint64_t, std::uint32_t> claimed; ///< Calls whose tools run: which run.
    std::vector<subtask_id> subtasks; ///< Of the plan in force: those that have begun.
    std::uint64_t last_call = 0;
    session_state state = session_state::idle;
    std::uint32_t turns = 0;     ///< How often he looked after it.
    std::uint32_t meddlings = 0; ///< How often he meddled with it.
    bool attended = false;       ///< A look is due.
    bool meddled_with = false;   ///< A meddling is due.

    known() = default;
  };

  std::optional<milliseconds> came_up(world& in, const task& what) override;
  std::optional<ticket> act(world& in, const task& what, const caf::error& refused) override;

  void notice(world& in, const session_id& session, const event& one);
  void notice_state(world& in, const session_id& session, session_state state);
  void watch_run(world& in, const session_id& session, std::uint64_t call, std::uint32_t run);

  void attend_after(world& in, const session_id& session, milliseconds delay);
  void attend(world& in, const session_id& session);
  [[nodiscard]] std::optional<command> remedy(const world& in, const session_id& session,
                                              const known& mind) const;
  [[nodiscard]] std::optional<command> help(const world& in, const session_status& status,
                                            std::uint32_t turn) const;

  void meddle_after(world& in, const session_id& session);
  void meddle(world& in, const session_id& session);
  [[nodiscard]] std::optional<command> meddling(const world& in, const session_id& session,
                                                seeded_random& random) const;
  [[nodiscard]] command nonsense(const world& in, const session_id& session,
                                 seeded_random& random) const;
  [[nodiscard]] call_id some_call(const world& in, const session_id& session,
                                  seeded_random& random) const;

  operator_character character_;
  std::shared_ptr<outside> effects_;
  std::map<session_id, known> sessions_;
};

} // namespace fermata::sim
