#pragma once

#include <fermata/actors/sim/participant.hpp>
#include <fermata/messages/fields.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <string>

namespace fermata::sim {

/// How a person deals with what waits for a decision or an answer: plans, calls, questions. The
/// numbers from `rejects` on are probabilities from 0 to 1, drawn anew for each thing. Without any
/// of them a person approves, and answers with what fits.
struct human_character {
  std::chrono::milliseconds least_thought{1'000}; ///< Between seeing a thing and deciding on it.
  std::chrono::milliseconds most_thought{60'000};
  double rejects = 0;
  double edits = 0;         ///< Calls: changes the arguments, in a way that should fit the schema.
  double edits_badly = 0;   ///< Changes arguments to, or answers with, what does not fit; properly
                            ///< when told so.
  double responds = 0;      ///< Calls: answers in place of the tool.
  double sends_back = 0;    ///< Plans: asks for a modification.
  double remembers = 0;     ///< Calls: lets an approval or a rejection hold for later calls, too.
  double takes_back = 0;    ///< Revokes what was remembered, a while later.
  double double_clicks = 0; ///< Says the same twice, at once or a while later.
  double contradicts = 0;   ///< Says the opposite right behind it.
  double stale_view = 0;    ///< Decides late, and on what was shown first, digest included.
  double decides_at_once = 0; ///< Decides on all calls that wait in the session, in one command.
  double last_moment = 0;     ///< Decides in the moment in which the thing expires, if it does.
  double forgets = 0;         ///< Never decides on it: somebody else has to.

  human_character() = default;
  friend bool operator==(const human_character&, const human_character&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("least_thought_ms", &human_character::least_thought),
                      optional_field("most_thought_ms", &human_character::most_thought),
                      optional_field("rejects", &human_character::rejects),
                      optional_field("edits", &human_character::edits),
                      optional_field("edits_badly", &human_character::edits_badly),
                      optional_field("responds", &human_character::responds),
                      optional_field("sends_back", &human_character::sends_back),
                      optional_field("remembers", &human_character::remembers),
                      optional_field("takes_back", &human_character::takes_back),
                      optional_field("double_clicks", &human_character::double_clicks),
                      optional_field("contradicts", &human_character::contradicts),
                      optional_field("stale_view", &human_character::stale_view),
                      optional_field("decides_at_once", &human_character::decides_at_once),
                      optional_field("last_moment", &human_character::last_moment),
                      optional_field("forgets", &human_character::forgets)};
  }
};

/// Approves everything within a minute.
[[nodiscard]] human_character prompt_human();
/// Approves everything, some time within `most`.
[[nodiscard]] human_character slow_human(std::chrono::milliseconds most);
/// Never says anything.
[[nodiscard]] human_character silent_human();
/// Says everything twice.
[[nodiscard]] human_character double_clicking_human();
/// Says the opposite right behind everything.
[[nodiscard]] human_character contradictory_human();
/// Changes the arguments of every call.
[[nodiscard]] human_character editing_human();
/// Changes them to what does not fit, and approves when told so.
[[nodiscard]] human_character badly_editing_human();
/// Decides on what was shown some time ago.
[[nodiscard]] human_character stale_human();
/// Decides on what expires in the very moment in which it does.
[[nodiscard]] human_character last_moment_human();
/// All of it, now and then.
[[nodiscard]] human_character difficult_human();

/// A person who looks after all sessions of a world.
class human final : public participant {
public:
  /// New arguments for a call; `random` is for this call alone.
  using editor = std::function<json(const pending_item& call, seeded_random& random)>;

  /// `node`: where the person's commands are taken; empty: at each session's home.
  explicit human(std::string name, human_character character = {}, std::string node = {});

  /// How this person edits arguments, in place of a guess at what fits: one of the values is
  /// changed to another of its type.
  void edit_with(editor how) { editor_ = std::move(how); }

  /// How many things wait that this person does not mean to decide on.
  [[nodiscard]] std::size_t forgotten() const noexcept { return left_alone(); }

  void stored(world& in, const stored_commit& what) override;

private:
  struct whim;

  std::optional<milliseconds> came_up(world& in, const task& what) override;
  std::optional<ticket> act(world& in, const task& what, const caf::error& refused) override;

  [[nodiscard]] whim whim_about(const world& in, const pending_item& item) const;
  [[nodiscard]] command decision_on(const world& in, const pending_item& item,
                                    const whim& how) const;
  [[nodiscard]] command decision_on_call(const world& in, const pending_item& item,
                                         const whim& how) const;
  [[nodiscard]] command answer_to(const world& in, const pending_item& item, const whim& how) const;
  [[nodiscard]] std::optional<command> decision_on_all(const session_id& session) const;

  human_character character_;
  editor editor_;
  std::map<std::string, pending_item> first_shown_; ///< By its id: to whoever has a stale view.
};

} // namespace fermata::sim
