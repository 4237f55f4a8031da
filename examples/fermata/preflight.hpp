#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

namespace fermata::command_line {

/// `fermata preflight`: lists what would not go on with this program and its models. Exit status 1
/// where there is something. Errors: those of the store and of the models file.
[[nodiscard]] result<exit_status> run_preflight(const arguments& given, console& out);

} // namespace fermata::command_line
