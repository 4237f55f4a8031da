#pragma once

#include <fermata/actors/coro/frames.hpp>
#include <fermata/actors/coro/suspension.hpp>

#include <cassert>
#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace fermata::coro {

template <class T = void>
class task;

namespace detail {

/// Whoever waits for the end of a task.
class completion {
public:
  /// Called when the task has its result and is suspended for the last time. Returns the frame to
  /// continue with.
  virtual std::coroutine_handle<> completed() noexcept = 0;

protected:
  ~completion() = default;
};

/// The part of a task's promise that does not depend on its type.
class promise_base {
public:
  static std::suspend_always initial_suspend() noexcept { return {}; }

  class final_awaiter {
  public:
    final_awaiter() noexcept {}
    static bool await_ready() noexcept { return false; }
    template <class Promise>
    static std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> frame) noexcept {
      return static_cast<promise_base&>(frame.promise()).waiter_->completed();
    }
    static void await_resume() noexcept {}
  };

  static final_awaiter final_suspend() noexcept { return {}; }

  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

  void run_for(completion& waiter, activity* root) noexcept {
    waiter_ = &waiter;
    root_ = root;
  }

  [[nodiscard]] activity* root() const noexcept { return root_; }
  [[nodiscard]] const std::exception_ptr& exception() const noexcept { return exception_; }

private:
  [[no_unique_address]] counted_frame counted_;
  completion* waiter_ = nullptr;
  activity* root_ = nullptr;
  std::exception_ptr exception_;
};

template <class T>
class promise : public promise_base {
public:
  task<T> get_return_object() noexcept;

  template <class Value = T>
  requires std::constructible_from<T, Value&&>
  void return_value(Value&& value) { value_.emplace(std::forward<Value>(value)); }

  T take() { return std::move(*value_); }

private:
  std::optional<T> value_;
};

template <>
class promise<void> : public promise_base {
public:
  task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() noexcept {}
};

} // namespace detail

/// A coroutine that computes a `T`. It starts when it is awaited (or given to an `actor_scope`),
/// runs on the actor that awaits it, and hands its value or its exception to whoever awaits it. A
/// task is awaited at most once, as an rvalue: `co_await work()` or `co_await std::move(work)`.
///
/// The task owns its frame. Destroying the task is how it is cancelled: the frame's locals are
/// destroyed, and with them the tasks it awaits; nothing is thrown. It must be suspended or not
/// started then, which an `actor_scope` takes care of. Not thread-safe: a task and everything below
/// it belong to one actor.
///
/// Tasks that complete without ever suspending are continued on the same stack: `co_await
/// yield(self)` now and then in a loop with more than a few thousand of them.
template <class T>
class [[nodiscard]] task {
  static_assert(!std::is_reference_v<T>, "return a pointer or a reference_wrapper instead");

public:
  using value_type = T;
  using promise_type = detail::promise<T>;

  /// A task without a frame.
  task() noexcept = default;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}

  task& operator=(task&& other) noexcept {
    if (this != &other) {
      reset();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }

  ~task() { reset(); }

  /// Whether this object owns a frame.
  [[nodiscard]] explicit operator bool() const noexcept { return frame_ != nullptr; }

  /// Destroys the frame, which must not be running.
  void reset() noexcept {
    if (auto frame = std::exchange(frame_, nullptr))
      frame.destroy();
  }

  [[nodiscard]] auto operator co_await() && noexcept { return awaiter(std::move(*this)); }

  // -- for those who run tasks: scopes and combinators
  // ---------------------------------------------------------------

  /// Ties the task, which has not started, to the one who waits for it and to the root it runs for.
  /// Returns the frame to resume. Both must live until the task has completed or is destroyed.
  [[nodiscard]] std::coroutine_handle<> prepare(detail::completion& waiter,
                                                detail::activity* root) noexcept {
    assert(frame_ && "an empty or moved-from task cannot be awaited");
    frame_.promise().run_for(waiter, root);
    return frame_;
  }

  /// The exception that a completed task ended with, or null.
  [[nodiscard]] const std::exception_ptr& exception() const noexcept {
    return frame_.promise().exception();
  }

  /// Hands out the value of a completed task, or throws its exception.
  T take() {
    assert(frame_ && frame_.done());
    if (const auto& failed = exception())
      std::rethrow_exception(failed);
    return frame_.promise().take();
  }

private:
  friend promise_type;

  class awaiter final : public detail::completion {
  public:
    explicit awaiter(task work) noexcept : work_(std::move(work)) {}

    static bool await_ready() noexcept { return false; }

    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) noexcept {
      parent_ = parent;
      return work_.prepare(*this, detail::activity_of(parent));
    }

    T await_resume() { return work_.take(); }

    std::coroutine_handle<> completed() noexcept override { return parent_; }

  private:
    task work_;
    std::coroutine_handle<> parent_;
  };

  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
task<T> promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}

inline task<void> promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<promise>::from_promise(*this));
}

} // namespace detail

} // namespace fermata::coro
