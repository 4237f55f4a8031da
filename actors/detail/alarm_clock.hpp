#pragma once

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/services.hpp>

#include <caf/actor_clock.hpp>
#include <caf/event_based_actor.hpp>

#include <functional>
#include <optional>
#include <set>

namespace fermata::detail {

/// Tells sessions that their timers are due, from the due-time index of the store; so timers that
/// are not due cost no memory. Lives on the directory.
///
/// It tells some sessions at a time, and looks on when all of them have dealt with it, which takes
/// their entries out of the index. Sessions that could not (a full disk, a record that is damaged)
/// are told again later, behind the others. Of damage the observer is told. Where nodes share a
/// store, it passes over the sessions of the others, whose timers may stay due for as long as their
/// node is away.
class alarm_clock {
public:
  /// `deliver` passes a message on to its session.
  alarm_clock(caf::event_based_actor* self, services_ptr shared,
              std::function<void(delivery_ptr)> deliver)
      : self_{self}, shared_{std::move(shared)}, deliver_{std::move(deliver)} {}

  /// Fires what is due now, and plans the next look.
  void look();
  /// A session has armed a timer; or sessions have come whose timers are due by now.
  void armed(timestamp due);
  /// The planned time has come.
  void tick();
  /// A session has dealt with its timers, or could not.
  void fired(bool dealt_with);
  void stop() noexcept { stopped_ = true; }

private:
  void tell_of_damage(const due_timer& one);
  /// Looks again at `due`, or earlier if that is planned already.
  void plan(timestamp due);
  /// `looked_at`: what was due then was looked at.
  void plan_next(timestamp looked_at);
  [[nodiscard]] bool is_for_others(const due_timer& one) const {
    return shared_->shares_store() && !one.session.empty() && !shared_->is_home_of(one.session);
  }

  caf::event_based_actor* self_;
  services_ptr shared_;
  std::function<void(delivery_ptr)> deliver_;
  std::size_t in_flight_ = 0;
  bool failed_ = false;             ///< Some could not deal with it since the last pass began.
  std::optional<due_timer> behind_; ///< How far this pass has come; nothing: none is under way.
  std::optional<timestamp> armed_;  ///< The earliest of those that were armed during it.
  std::optional<caf::actor_clock::time_point> next_tick_;
  std::set<decltype(due_timer{}.place())> told_of_; ///< Those that are damaged.
  bool stopped_ = false;
};

} // namespace fermata::detail
