#pragma once

#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/witness.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/messages/status.hpp>
#include <fermata/storage/records.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace fermata::sim {

/// Somebody outside of all sessions who acts on what waits for him: a person, a host, an operator.
/// He sees what is committed, as on a screen, and is as stubborn as people are: while a thing waits
/// and he has not heard that it is done, he says it again, each time after a longer while, whatever
/// crashed, broke or was too busy.
///
/// Derive from it for participants of one's own. What one does on a whim should come from `whims`,
/// so that it depends on the seed, the name and the thing alone: leaving out another session, or a
/// fault, then changes nothing about this one.
class participant : public witness {
public:
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Looks at what waits in a session that was there before this one was added to the world; of
  /// everything later he hears by himself.
  virtual void look_at(world& in, const session_id& session);

  /// From now on without whims: deals properly, and within a minute, with everything that waits,
  /// also with what he would have forgotten. For the end of a story, so that all can come to an
  /// end.
  virtual void settle(world& in);

  void stored(world& in, const stored_commit& what) override;

protected:
  using milliseconds = std::chrono::milliseconds;

  /// One thing that waits for this participant.
  struct task {
    pending_item item;          ///< As it is shown now.
    std::uint32_t attempts = 0; ///< How often he acted on it.
    bool left_alone = false;    ///< He does not mean to act on it.
    std::optional<ticket> said; ///< Of the last attempt.
    std::uint64_t turn = 0;     ///< Which turn at it is due; those before it are void.

    task() = default;
  };

  /// `node`: who takes his commands; empty: each session's home. `causes`: what he looks after.
  participant(std::string name, std::string node, std::set<wait_cause> causes);

  /// Something came up that waits for him. How long he takes before he acts; nothing: he does not.
  virtual std::optional<milliseconds> came_up(world& in, const task& what) = 0;

  /// The time to act has come, for the first time or because the last attempt did not settle it.
  /// `refused` is what was said to that one; none where nothing was heard. The ticket of what
  /// matters; nothing: he gives up.
  virtual std::optional<ticket> act(world& in, const task& what, const caf::error& refused) = 0;

  /// It does not wait for him any more, whoever did it.
  virtual void went(world&, const task&) {}

  [[nodiscard]] ticket say(world& in, const session_id& session, command body) const;

  /// Numbers for what he does about a thing, which are the same each time.
  [[nodiscard]] seeded_random whims(const world& in, std::string_view about) const;

  [[nodiscard]] bool settled() const noexcept { return settled_; }

  /// What waits for him in a session, by its number there.
  [[nodiscard]] const std::map<std::uint64_t, task>& tasks_of(const session_id& session) const;

  /// How many things there are that he does not mean to act on.
  [[nodiscard]] std::size_t left_alone() const noexcept;

private:
  void note(world& in, const session_id& session, std::uint64_t number, pending_item item);
  void strike(world& in, const session_id& session, std::uint64_t number);
  void act_after(world& in, const session_id& session, std::uint64_t number, task& one,
                 milliseconds delay);
  void take_turn(world& in, const session_id& session, std::uint64_t number, std::uint64_t turn);
  [[nodiscard]] milliseconds settling_time(const world& in, const task& one) const;

  std::string name_;
  std::string node_;
  std::set<wait_cause> causes_;
  bool settled_ = false;
  std::uint64_t turns_ = 0; ///< Counted over all tasks, so that none has another's.
  std::map<session_id, std::map<std::uint64_t, task>> tasks_; ///< Nobody without tasks is in it.
};

/// The command that approves what waits for a decision: a plan or a call, as it is shown.
[[nodiscard]] command approval_of(const pending_item& item);

/// True for errors of the environment, after which the same may be said again with success.
[[nodiscard]] bool may_pass(const caf::error& error) noexcept;

/// What participants outside of `participant` wait, too, before they say something again: doubled
/// with each attempt, up to some ten minutes.
[[nodiscard]] std::chrono::milliseconds patience(std::uint32_t attempts);

} // namespace fermata::sim
