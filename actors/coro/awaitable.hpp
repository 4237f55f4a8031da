#pragma once

#include <fermata/actors/coro/task.hpp>

#include <type_traits>
#include <utility>

namespace fermata::coro {

namespace detail {

template <class Awaitable>
decltype(auto) get_awaiter(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); })
    return std::forward<Awaitable>(awaitable).operator co_await();
  else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); })
    return operator co_await(std::forward<Awaitable>(awaitable));
  else
    return std::forward<Awaitable>(awaitable);
}

} // namespace detail

/// What can be awaited as an rvalue: tasks, `ask(...)`, `delay(...)` and awaiters of one's own.
template <class T>
concept awaitable = requires(T&& object) {
  detail::get_awaiter(std::forward<T>(object)).await_resume();
};

/// What `co_await` gives for an rvalue of type `T`.
template <awaitable T>
using await_result_t =
    std::decay_t<decltype(detail::get_awaiter(std::declval<T>()).await_resume())>;

/// Makes a task of anything that can be awaited; a task is handed through.
template <awaitable Awaitable>
task<await_result_t<Awaitable>> as_task(Awaitable object) {
  co_return co_await std::move(object);
}

template <class T>
task<T> as_task(task<T> work) noexcept {
  return work;
}

} // namespace fermata::coro
