#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

namespace fermata::command_line {

/// Answers one of the subcommands that change nothing. Errors: bad input, `unknown_session`, those
/// of the store; nothing of the store is changed by any. `attention` for a list that something is
/// missing in.
[[nodiscard]] result<exit_status> run_query(const arguments& given, console& out);

} // namespace fermata::command_line
