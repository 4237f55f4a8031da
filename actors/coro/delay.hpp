#pragma once

#include <fermata/actors/coro/pending_response.hpp>
#include <fermata/actors/coro/suspension.hpp>

#include <cassert>
#include <coroutine>
#include <utility>

namespace fermata::coro {

/// A wait that begins when it is awaited; made by `delay` and `yield`.
class [[nodiscard]] delay_request {
public:
  delay_request(caf::scheduled_actor* self, caf::timespan duration) noexcept
      : self_(self), duration_(duration) {
    assert(self_ != nullptr);
  }

  [[nodiscard]] auto operator co_await() && noexcept { return awaiter(*this); }

private:
  class awaiter {
  public:
    explicit awaiter(const delay_request& request) noexcept
        : response_(request.self_), duration_(request.duration_) {}

    static bool await_ready() noexcept { return false; }

    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> frame) {
      waiting_ = suspension(frame);
      if (waiting_.cancelled() || !response_.possible())
        return;
      response_.open(caf::behavior{[this] { over(); }, [this](const caf::error&) { over(); }});
      if (duration_ > caf::timespan::zero())
        response_.start_timer(duration_);
      else
        response_.answer_self();
    }

    static void await_resume() noexcept {}

  private:
    void over() {
      response_.close();
      waiting_.resume();
    }

    detail::pending_response response_;
    suspension waiting_;
    caf::timespan duration_;
  };

  caf::scheduled_actor* self_;
  caf::timespan duration_;
};

/// Waits for `duration` on the actor system's clock, which is virtual under CAF's
/// `test_coordinator`; a duration of zero or less is a `yield`. Needs no handler in the actor's
/// behavior. Runs on `self`.
///
/// If the frame is destroyed first, the timer is cancelled. After `quit()` the frame stays
/// suspended until the actor ends.
[[nodiscard]] inline delay_request delay(caf::scheduled_actor* self,
                                         caf::timespan duration) noexcept {
  return {self, duration};
}

/// Lets the actor handle the messages that are in its mailbox now, then continues. Bounds the stack
/// in loops over tasks that complete synchronously, and keeps a long computation from starving
/// other actors. Runs on `self`.
[[nodiscard]] inline delay_request yield(caf::scheduled_actor* self) noexcept {
  return {self, caf::timespan::zero()};
}

} // namespace fermata::coro
