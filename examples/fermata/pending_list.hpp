#pragma once

#include "arguments.hpp"
#include "console.hpp"

#include <fermata/storage/store.hpp>

#include <optional>

namespace fermata::command_line {

/// Prints what waits for somebody, in one session or in all, page by page as it is read: it begins
/// at once and takes the same memory however much it is. Errors: `unknown_session`, those of the
/// store.
[[nodiscard]] caf::error print_pending(const arguments& given, store& from, console& out,
                                       const std::optional<session_id>& session);

} // namespace fermata::command_line
