#pragma once

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/storage/session_slots.hpp>

#include <caf/event_based_actor.hpp>

#include <bitset>
#include <deque>
#include <functional>
#include <vector>

namespace fermata::detail {

/// `arrivals` goes on to the next page.
struct next_arrivals {
  next_arrivals() = default;
};

/// A session that `arrivals` has woken has answered.
struct arrival_woken {
  arrival_woken() = default;
};

/// Wakes the sessions that have come from another node and were left amid something there: it may
/// have died in a step, or with a claimed run of a tool. They are found by their state, a page at a
/// time, and a bounded number of them is under way. One whose record is damaged is passed over: the
/// observer is told, and so is whoever addresses it. Lives on the directory.
class arrivals {
public:
  /// `deliver` passes a message on to its session.
  arrivals(caf::event_based_actor* self, services_ptr shared,
           std::function<void(delivery_ptr)> deliver)
      : self_{self}, shared_{std::move(shared)}, deliver_{std::move(deliver)} {}

  /// The sessions of these slots live here by now.
  void begin(const std::vector<std::uint32_t>& slots);
  /// Looks at the next page.
  void look();
  /// One has answered. Whether it could be woken is its own affair, which tries again by itself.
  void woken();
  void stop() noexcept { stopped_ = true; }

private:
  using slot_set = std::bitset<session_slots>;

  void start();
  void wake_some();

  caf::event_based_actor* self_;
  services_ptr shared_;
  std::function<void(delivery_ptr)> deliver_;
  slot_set slots_;               ///< Whose sessions are looked for; none: nothing is to be done.
  slot_set coming_;              ///< For the next walk, as they have come during this one.
  std::size_t state_ = 0;        ///< Which of the states the walk is at.
  session_number behind_ = 0;    ///< How far it has come there.
  std::deque<session_id> found_; ///< Of one page, to be woken.
  std::size_t under_way_ = 0;
  bool stopped_ = false;
};

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::next_arrivals)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::arrival_woken)
