#pragma once

#include <fermata/actors/coro/awaitable.hpp>
#include <fermata/actors/coro/branches.hpp>

#include <exception>
#include <tuple>
#include <utility>
#include <vector>

namespace fermata::coro {

namespace detail {

template <class... Ts>
task<std::tuple<value_or_unit<Ts>...>> all_of(task<Ts>... work) {
  branches group(branches::wait_for::all, sizeof...(Ts));
  (group.add(work), ...);
  co_await group;
  if (auto thrown = group.exception())
    std::rethrow_exception(std::move(thrown));
  co_return std::tuple<value_or_unit<Ts>...>{take_or_unit(work)...};
}

} // namespace detail

/// Runs several tasks, or other awaitables, side by side on this actor and gives a `std::tuple` of
/// their values, in the order of the arguments, with `std::monostate` for void. They are started in
/// that order, when the result is awaited.
///
/// The first one that fails decides: the others are cancelled (their frames destroyed; those not
/// started never are), then its exception is thrown.
template <awaitable... Awaitables>
requires(sizeof...(Awaitables) > 0) [[nodiscard]] auto when_all(Awaitables... work) {
  return detail::all_of(as_task(std::move(work))...);
}

/// The same for any number of tasks of one type: gives a `std::vector` of their values, in order.
/// No tasks, no values.
template <class T>
task<std::vector<T>> when_all(std::vector<task<T>> work) {
  detail::branches group(detail::branches::wait_for::all, work.size());
  for (auto& each : work)
    group.add(each);
  co_await group;
  if (auto thrown = group.exception())
    std::rethrow_exception(std::move(thrown));
  std::vector<T> values;
  values.reserve(work.size());
  for (auto& each : work)
    values.push_back(each.take());
  co_return values;
}

/// The same for any number of tasks without a value.
inline task<void> when_all(std::vector<task<void>> work) {
  detail::branches group(detail::branches::wait_for::all, work.size());
  for (auto& each : work)
    group.add(each);
  co_await group;
  if (auto thrown = group.exception())
    std::rethrow_exception(std::move(thrown));
}

} // namespace fermata::coro
