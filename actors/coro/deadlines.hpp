#pragma once

#include <fermata/actors/coro/response_table.hpp>

#include <caf/actor_clock.hpp>
#include <caf/behavior.hpp>
#include <caf/make_counted.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/sec.hpp>
#include <caf/timespan.hpp>

#include <cassert>
#include <chrono>

namespace fermata::coro::detail {

class deadlines;

/// The moment `delay` from now, or the end of all time.
[[nodiscard]] inline caf::actor_clock::time_point moment_in(const caf::actor_clock& clock,
                                                            caf::timespan delay) {
  using time_point = caf::actor_clock::time_point;
  const auto now = clock.now();
  return delay < time_point::max() - now ? now + delay : time_point::max();
}

/// Until when a frame waits for one response. Allocates nothing: while it is set, it is a link in
/// the list of its actor. An actor that ends forgets its deadlines.
class deadline {
public:
  deadline() = default;
  deadline(const deadline&) = delete;
  deadline& operator=(const deadline&) = delete;
  ~deadline() { withdraw(); }

  /// Makes `self` answer `response` with `caf::sec::request_timeout` after `delay`; never, if that
  /// is beyond the end of time.
  void set(caf::scheduled_actor* self, caf::message_id response, caf::timespan delay);

  /// The response came in time: the deadline is no more, but the actor's timer may stay for those
  /// to come.
  void meet();

  /// Nobody waits any longer; the last one takes the actor's timer with it.
  void withdraw();

private:
  friend deadlines;

  deadlines* list_ = nullptr;
  deadline* earlier_ = nullptr;
  deadline* later_ = nullptr;
  caf::actor_clock::time_point at_;
  caf::message_id response_;
};

/// The deadlines of one actor in their order, and the one timer for all of them: it is armed for
/// the earliest, and where that was met, it is left to fire and armed anew for the earliest then.
/// Cancelling and arming one for each request instead would cost as much as the request.
///
/// It lives in the actor's table of responses, as the handler of the timer's, under an id that no
/// request has. So it is found without a search elsewhere, belongs to the actor's thread, and ends
/// with the actor. It is there while a timer is armed or a deadline set.
///
/// A timer without deadlines keeps its actor for `longest_linger` at most, since CAF's clock refers
/// to it; not at all if the actor has no behavior left when the last deadline is met.
class deadlines final : public caf::detail::behavior_impl {
public:
  static constexpr std::chrono::seconds longest_linger{30};

  /// Those of `self`, made if need be.
  [[nodiscard]] static deadlines& of(caf::scheduled_actor* self) {
    auto& table = response_table::of(self);
    const auto found = table.find(timer_id);
    if (found != table.end())
      return static_cast<deadlines&>(*found->second.as_behavior_impl());
    const auto added = caf::make_counted<deadlines>(self);
    added->enter_table();
    return *added;
  }

  explicit deadlines(caf::scheduled_actor* self) noexcept : self_(self) {}

  ~deadlines() override {
    while (first_ != nullptr)
      unlink(*first_);
  }

  /// Takes time where many have a later deadline, so not where all have the same timeout.
  void add(deadline& added) {
    auto* earlier = last_;
    while (earlier != nullptr && earlier->at_ > added.at_)
      earlier = earlier->earlier_;
    auto* const later = earlier == nullptr ? first_ : earlier->later_;
    added.list_ = this;
    added.earlier_ = earlier;
    added.later_ = later;
    (earlier == nullptr ? first_ : earlier->later_) = &added;
    (later == nullptr ? last_ : later->earlier_) = &added;
    arm();
  }

  /// May destroy `*this`. With `linger` the timer stays if it may.
  void remove(deadline& removed, bool linger) {
    unlink(removed);
    if (first_ == nullptr && !(linger && may_linger_ && self_->has_behavior()))
      leave_table();
  }

  /// Called when the timer has fired, after CAF has taken `*this` out of the table.
  caf::match_case::result invoke(caf::detail::invoke_result_visitor& result,
                                 caf::type_erased_tuple&) override {
    const auto now = self_->clock().now();
    // An earlier message is what was left of a timer that was cancelled too late.
    if (now >= armed_for_) {
      armed_for_ = never;
      while (first_ != nullptr && first_->at_ <= now)
        expire(*first_);
    }
    if (first_ != nullptr || armed_for_ != never) {
      enter_table();
      arm();
    }
    result();
    return caf::match_case::match;
  }

private:
  using time_point = caf::actor_clock::time_point;

  static constexpr auto never = time_point::max();

  /// CAF counts requests from 1 on.
  static constexpr auto timer_id =
      caf::make_message_id(caf::message_id::request_id_mask).response_id();

  void enter_table() {
    self_->add_multiplexed_response_handler(timer_id, caf::behavior{pointer{this}});
  }

  /// Destroys `*this`.
  void leave_table() {
    if (armed_for_ != never)
      self_->clock().cancel_request_timeout(self_, timer_id);
    response_table::of(self_).erase(timer_id);
  }

  /// Sees to it that the timer fires when the first deadline has come, or before.
  void arm() {
    if (first_ == nullptr || first_->at_ >= armed_for_)
      return;
    auto& clock = self_->clock();
    if (armed_for_ != never)
      clock.cancel_request_timeout(self_, timer_id);
    armed_for_ = first_->at_;
    may_linger_ = armed_for_ - clock.now() <= longest_linger;
    clock.set_request_timeout(armed_for_, self_, timer_id);
  }

  /// Answers through the mailbox, so that each frame continues in a message of its own, and a
  /// response that is in the mailbox already comes first.
  void expire(deadline& over) {
    const auto response = over.response_;
    unlink(over);
    self_->eq_impl(response, self_->ctrl(), self_->context(),
                   caf::make_error(caf::sec::request_timeout));
  }

  void unlink(deadline& removed) noexcept {
    auto* const earlier = removed.earlier_;
    auto* const later = removed.later_;
    (earlier == nullptr ? first_ : earlier->later_) = later;
    (later == nullptr ? last_ : later->earlier_) = earlier;
    removed.list_ = nullptr;
  }

  caf::scheduled_actor* self_;
  deadline* first_ = nullptr;
  deadline* last_ = nullptr;
  time_point armed_for_ = never;
  bool may_linger_ = false;
};

inline void deadline::set(caf::scheduled_actor* self, caf::message_id response,
                          caf::timespan delay) {
  assert(list_ == nullptr);
  at_ = moment_in(self->clock(), delay);
  response_ = response;
  deadlines::of(self).add(*this);
}

inline void deadline::meet() {
  if (list_ != nullptr)
    list_->remove(*this, true);
}

inline void deadline::withdraw() {
  if (list_ != nullptr)
    list_->remove(*this, false);
}

} // namespace fermata::coro::detail
