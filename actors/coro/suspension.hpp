#pragma once

#include <cassert>
#include <coroutine>
#include <utility>

namespace fermata::coro {

namespace detail {

/// What a root of a scope and the frames below it share: how often the root is on the machine stack
/// right now, and whether it is over. A root that is over is settled, and its frames destroyed,
/// once the stack has left it; so a frame may cancel its own root.
class activity {
public:
  activity() = default;
  activity(const activity&) = delete;
  activity& operator=(const activity&) = delete;

  /// Resumes a frame of this root. May destroy `*this`. Throws what `settle` throws.
  void run(std::coroutine_handle<> frame) {
    ++depth_;
    frame.resume();
    if (--depth_ == 0 && (finished_ || cancelled_))
      settle();
  }

  /// Ends the root: at once if it is suspended, else when the stack has left it. May destroy
  /// `*this`.
  void cancel() {
    cancelled_ = true;
    if (depth_ == 0)
      settle();
  }

  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

protected:
  ~activity() = default;

  void finish() noexcept {
    assert(depth_ > 0 && "a frame was resumed without suspension::resume()");
    finished_ = true;
  }

private:
  /// Destroys the root, after handing out its result unless it was cancelled.
  virtual void settle() = 0;

  unsigned depth_ = 0;
  bool finished_ = false;
  bool cancelled_ = false;
};

/// The root that the frame `frame` runs for, or null if it is not a task of ours or runs without a
/// scope.
template <class Promise>
[[nodiscard]] activity* activity_of(std::coroutine_handle<Promise> frame) noexcept {
  if constexpr (requires { frame.promise().root(); })
    return frame.promise().root();
  else
    return nullptr;
}

} // namespace detail

/// A suspended frame, as an awaiter of one's own has to keep it. Frames below an `actor_scope` must
/// be resumed through this class, never through their bare handle: it is how the scope learns that
/// the root has ended, and what makes it legal for a frame to cancel its own root.
///
/// Owns nothing. The awaiter lives in the frame, so its destructor has to make sure that nobody
/// resumes the frame later.
class suspension {
public:
  suspension() = default;

  template <class Promise>
  explicit suspension(std::coroutine_handle<Promise> frame) noexcept
      : frame_(frame), root_(detail::activity_of(frame)) {}

  /// Whether the root was cancelled by code that is still running inside it. Such a frame is
  /// destroyed as soon as the stack has left the root: an awaiter starts nothing for it.
  [[nodiscard]] bool cancelled() const noexcept { return root_ != nullptr && root_->cancelled(); }

  /// Continues the frame, on the actor that owns it. Does nothing if its root was cancelled. The
  /// frame, and with it the awaiter that holds this object, may be gone afterwards. Throws what a
  /// completion callback of the root throws. Frames may resume each other, but not one whose end
  /// cancels the caller, like a sibling in a `when_any`.
  void resume() const {
    if (root_ == nullptr)
      frame_.resume();
    else if (!root_->cancelled())
      root_->run(frame_);
  }

private:
  std::coroutine_handle<> frame_;
  detail::activity* root_ = nullptr;
};

} // namespace fermata::coro
