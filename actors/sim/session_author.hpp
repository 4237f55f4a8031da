#pragma once

#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/witness.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fermata::sim {

/// One session and what is wanted of it, one after the other, as plain data.
struct planned_session {
  session_id id;
  std::chrono::milliseconds begins{0};
  std::vector<plan_spec> plans;      ///< Goals must differ.
  std::vector<std::string> messages; ///< Behind the plans: for the runtime's planner. Must differ.

  planned_session() = default;
  friend bool operator==(const planned_session&, const planned_session&) = default;
  static constexpr auto fields() {
    return field_list{field("id", &planned_session::id),
                      optional_field("begins_ms", &planned_session::begins),
                      optional_field("plans", &planned_session::plans),
                      optional_field("messages", &planned_session::messages)};
  }
};

/// How somebody proposes plans. Probabilities are from 0 to 1, and drawn for each plan.
struct author_character {
  std::chrono::milliseconds least_pause{1'000}; ///< Between the end of a plan and the next one.
  std::chrono::milliseconds most_pause{600'000};
  double double_clicks = 0;  ///< Proposes it twice at once.
  double proposes_badly = 0; ///< Proposes something that is no plan first.
  /// When nothing more is wanted of a session: drops old events of it, and then deletes it.
  double trims = 0;
  double deletes = 0;

  author_character() = default;
  friend bool operator==(const author_character&, const author_character&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("least_pause_ms", &author_character::least_pause),
                      optional_field("most_pause_ms", &author_character::most_pause),
                      optional_field("double_clicks", &author_character::double_clicks),
                      optional_field("proposes_badly", &author_character::proposes_badly),
                      optional_field("trims", &author_character::trims),
                      optional_field("deletes", &author_character::deletes)};
  }
};

/// Whoever begins sessions: proposes the plans of each, the next one when the last is over, and
/// says it again until it is durable. What is refused for good is left out. In the end he may tidy
/// up; of a session that is deleted nothing more is wanted.
class session_author final : public witness {
public:
  session_author(std::string name, std::vector<planned_session> sessions,
                 author_character character = {}, std::string node = {});

  /// Begins each session when its time has come. To be called once, when the nodes are there.
  void begin(world& in);

  void stored(world& in, const stored_commit& what) override;

  /// Watches a session that was there before, of which nothing more is wanted.
  void look_at(world& in, const session_id& session);

  /// True when all that was wanted of all sessions has been proposed, or refused for good, and no
  /// plan is live in any of them. Cheap enough to be asked after every event.
  [[nodiscard]] bool is_done() const noexcept;
  /// The sessions that keep it from being so.
  [[nodiscard]] std::vector<session_id> unfinished() const;

private:
  struct progress {
    planned_session wanted;
    std::size_t next = 0; ///< Of the plans, then of the messages.
    bool live = false;    ///< A plan is.
    bool pursued = false; ///< A turn is due.
    std::uint32_t attempts = 0;
    std::optional<ticket> said;
    std::vector<command> tidying; ///< What is to be said in the end, the last one first.
    bool tidied = false;          ///< That was made up.

    progress() = default;
    /// Nothing more is wanted; the last plan may still be live.
    [[nodiscard]] bool is_over() const noexcept {
      return next >= wanted.plans.size() + wanted.messages.size();
    }
  };

  void tidy(world& in, progress& of);
  void tidy_after(world& in, progress& of, std::chrono::milliseconds delay);
  void pursue_after(world& in, progress& of, std::chrono::milliseconds delay);
  void pursue(world& in, progress& of);
  void propose(world& in, progress& of);
  [[nodiscard]] static command next_of(const progress& of);
  [[nodiscard]] static bool is_next_of(const progress& of, const event& one);
  static void move_on(progress& of);
  [[nodiscard]] ticket say(world& in, const session_id& session, command body) const;
  [[nodiscard]] seeded_random whims(const world& in, const progress& of,
                                    std::string_view about) const;

  std::string name_;
  author_character character_;
  std::string node_;
  std::map<session_id, progress> progress_;
};

/// Something like the plan that `check_plan`, or a runtime that has no agent and tool of such
/// names, refuses.
[[nodiscard]] plan_spec spoiled(plan_spec plan, seeded_random& random);

} // namespace fermata::sim
