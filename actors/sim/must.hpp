#pragma once

#include <fermata/messages/errors.hpp>

#include <stdexcept>
#include <utility>

namespace fermata::sim {

/// The value of a result that a test cannot go on without: `must(parse_plan(text))`. Throws
/// `std::runtime_error` with the error's message, where `*` would be undefined.
template <class T>
T must(result<T> checked) {
  if (!checked)
    throw std::runtime_error{message_of(checked.error())};
  return std::move(*checked);
}

/// The same for what returns an error alone: `must(tools.add(...))`.
inline void must(const caf::error& error) {
  if (error)
    throw std::runtime_error{message_of(error)};
}

} // namespace fermata::sim
