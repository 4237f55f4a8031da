#pragma once

#include <fermata/actors/coro/suspension.hpp>
#include <fermata/actors/coro/task.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <variant>
#include <vector>

namespace fermata::coro::detail {

/// Void as a value, for tuples and variants of results.
template <class T>
using value_or_unit = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
value_or_unit<T> take_or_unit(task<T>& work) {
  if constexpr (std::is_void_v<T>) {
    work.take();
    return {};
  } else {
    return work.take();
  }
}

/// Runs tasks side by side on behalf of one frame, which is continued when the first of them has
/// ended, or all have or one has failed. Borrows the tasks.
class branches {
public:
  enum class wait_for { any, all };

  branches(wait_for mode, std::size_t count) : mode_(mode) { members_.reserve(count); }
  branches(const branches&) = delete;
  branches& operator=(const branches&) = delete;

  /// At most `count` times.
  template <class T>
  void add(task<T>& work) {
    members_.emplace_back(*this, work);
  }

  [[nodiscard]] bool await_ready() const noexcept { return members_.empty(); }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> parent) {
    parent_ = parent;
    auto* const root = activity_of(parent);
    open_ = members_.size();
    starting_ = true;
    for (auto& member : members_) {
      member.start(root);
      if (decisive_ != nullptr || (root != nullptr && root->cancelled()))
        break;
    }
    starting_ = false;
    return decisive_ == nullptr;
  }

  /// The index of the task whose end continued the frame; zero if there is none.
  std::size_t await_resume() const noexcept {
    return decisive_ == nullptr ? 0 : static_cast<std::size_t>(decisive_ - members_.data());
  }

  /// The exception that this task ended with, or null.
  [[nodiscard]] std::exception_ptr exception() const noexcept {
    return decisive_ == nullptr ? nullptr : decisive_->exception();
  }

private:
  class branch final : public completion {
  public:
    template <class T>
    branch(branches& group, task<T>& work)
        : group_(&group), work_(&work), frame_of_(&branch::frame<T>),
          exception_of_(&branch::failed<T>) {}

    void start(activity* root) { frame_of_(*this, root).resume(); }
    [[nodiscard]] std::exception_ptr exception() const noexcept { return exception_of_(work_); }
    std::coroutine_handle<> completed() noexcept override { return group_->ended(*this); }

  private:
    template <class T>
    static std::coroutine_handle<> frame(branch& self, activity* root) noexcept {
      return static_cast<task<T>*>(self.work_)->prepare(self, root);
    }

    template <class T>
    static std::exception_ptr failed(const void* work) noexcept {
      return static_cast<const task<T>*>(work)->exception();
    }

    branches* group_;
    void* work_;
    std::coroutine_handle<> (*frame_of_)(branch&, activity*) noexcept;
    std::exception_ptr (*exception_of_)(const void*) noexcept;
  };

  std::coroutine_handle<> ended(const branch& member) noexcept {
    --open_;
    if (mode_ == wait_for::all && open_ > 0 && !member.exception())
      return std::noop_coroutine();
    decisive_ = &member;
    return starting_ ? std::noop_coroutine() : parent_;
  }

  wait_for mode_;
  std::vector<branch> members_;
  std::coroutine_handle<> parent_;
  const branch* decisive_ = nullptr;
  std::size_t open_ = 0;
  bool starting_ = false;
};

} // namespace fermata::coro::detail
