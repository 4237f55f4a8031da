#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

namespace fermata::command_line {

/// True for the subcommands that change a session: all but the queries.
[[nodiscard]] bool is_change(const arguments& given);

/// Applies one such subcommand, runs until the next pause, and asks there when a person can be
/// asked. Errors: bad input, refusals of the command, those of the store; reported by the caller.
[[nodiscard]] result<exit_status> run_change(const arguments& given, console& out);

} // namespace fermata::command_line
