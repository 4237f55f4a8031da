#pragma once

#include <fermata/actors/coro/deadlines.hpp>
#include <fermata/actors/coro/response_table.hpp>

#include <caf/behavior.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/timespan.hpp>

#include <utility>

namespace fermata::coro::detail {

/// One response that a frame waits for: a real one, a timer's, or one that the actor sends to
/// itself. With `deadlines` the only code here that knows how CAF 0.17 keeps pending responses and
/// timers.
///
/// CAF itself can neither forget a pending response nor the timer of an answered one. This class
/// does both, so a destroyed frame leaves nothing behind: no handler that keeps the actor alive, no
/// timer that moves virtual time. An answered request may leave its actor's one timer behind
/// (`deadlines`). CAF searches the pending responses of an actor linearly: an await
/// costs O(n) where n frames of an actor wait.
class pending_response {
public:
  explicit pending_response(caf::scheduled_actor* self) noexcept : self_(self) {}
  pending_response(const pending_response&) = delete;
  pending_response& operator=(const pending_response&) = delete;

  ~pending_response() {
    if (!open_)
      return;
    response_table::of(self_).erase(id_.response_id());
    cancel_timer();
  }

  /// Whether the actor still receives responses, which it does not after `quit()`.
  [[nodiscard]] bool possible() const {
    return !self_->getf(caf::abstract_actor::is_shutting_down_flag
                        | caf::abstract_actor::is_terminated_flag);
  }

  /// Installs `handler` for one response. It has to call `close()` first, and is gone when `*this`
  /// is.
  /// @returns the id for the request.
  caf::message_id open(caf::behavior handler) {
    id_ = self_->new_request_id(caf::message_priority::normal);
    self_->add_multiplexed_response_handler(id_.response_id(), std::move(handler));
    open_ = true;
    return id_;
  }

  /// Makes the clock answer after `delay`, with an error, by a timer for this alone.
  void start_timer(caf::timespan delay) {
    auto& clock = self_->clock();
    clock.set_request_timeout(moment_in(clock, delay), self_, id_.response_id());
    timer_ = true;
  }

  /// Answers with `caf::sec::request_timeout` after `timeout`, by the timer that all of the actor's
  /// requests share.
  void expire_after(caf::timespan timeout) { deadline_.set(self_, id_.response_id(), timeout); }

  /// Answers through the actor's own mailbox, behind everything that is in it now.
  void answer_self() {
    self_->eq_impl(id_.response_id(), self_->ctrl(), self_->context(), caf::message{});
  }

  /// To be called when the response has arrived.
  void close() {
    open_ = false;
    cancel_timer();
    deadline_.meet();
  }

private:
  void cancel_timer() {
    if (std::exchange(timer_, false))
      self_->clock().cancel_request_timeout(self_, id_.response_id());
  }

  caf::scheduled_actor* self_;
  caf::message_id id_;
  deadline deadline_;
  bool open_ = false;
  bool timer_ = false;
};

} // namespace fermata::coro::detail
