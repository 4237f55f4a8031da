#pragma once

#include <fermata/actors/coro/awaitable.hpp>
#include <fermata/actors/coro/branches.hpp>

#include <array>
#include <cassert>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace fermata::coro {

/// Which of several tasks was the first to complete, and its value (`std::monostate` for void).
template <class T>
class first_of {
public:
  first_of(std::size_t winner, detail::value_or_unit<T> result)
      : index(winner), value(std::move(result)) {}

  std::size_t index;
  detail::value_or_unit<T> value;
};

namespace detail {

template <std::size_t... Is, class... Ts>
task<std::variant<value_or_unit<Ts>...>> any_of(std::index_sequence<Is...>, task<Ts>... work) {
  branches group(branches::wait_for::any, sizeof...(Ts));
  (group.add(work), ...);
  const auto index = co_await group;
  std::optional<std::variant<value_or_unit<Ts>...>> first;
  const auto thrown = group.exception();
  if (!thrown)
    ((index == Is ? (void)first.emplace(std::in_place_index<Is>, take_or_unit(work)) : (void)0),
     ...);
  (work.reset(), ...);
  if (thrown)
    std::rethrow_exception(thrown);
  co_return *std::move(first);
}

} // namespace detail

/// Runs several tasks, or other awaitables, side by side on this actor until the first one
/// completes, with a value or an error. The others are cancelled (their frames destroyed; those not
/// started never are), then gives its value as a `std::variant` whose `index()` is that of the
/// argument, with `std::monostate` for void, or throws its exception.
///
/// They are started in order, when the result is awaited. A deadline for any task is `co_await
/// when_any(work(), delay(self, 2s))`.
template <awaitable... Awaitables>
requires(sizeof...(Awaitables) > 0) [[nodiscard]] auto when_any(Awaitables... work) {
  return detail::any_of(std::index_sequence_for<Awaitables...>{}, as_task(std::move(work))...);
}

/// The same for a number of tasks of one type, at least one.
template <class T>
task<first_of<T>> when_any(std::vector<task<T>> work) {
  assert(!work.empty() && "the first of no tasks never completes");
  detail::branches group(detail::branches::wait_for::any, work.size());
  for (auto& each : work)
    group.add(each);
  const auto index = co_await group;
  auto winner = std::move(work[index]);
  work.clear();
  co_return first_of<T>(index, detail::take_or_unit(winner));
}

} // namespace fermata::coro
