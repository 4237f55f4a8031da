#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "records.hpp"

#include <optional>

namespace fermata::command_line {

/// How many things that wait are shown to a person who does not ask for more.
inline constexpr std::size_t pending_shown = 200;

/// Prints what waits for somebody, in one session or in all. To a person the most urgent first:
/// what expires soonest, then what has waited longest. As JSON in the order of the store, oldest
/// session first, as it is read: it begins at once. Either takes the same memory however much it
/// is. Errors: `unknown_session`, those of the store.
[[nodiscard]] caf::error print_pending(const arguments& given, records& from, console& out,
                                       const std::optional<session_id>& session);

} // namespace fermata::command_line
