#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"
#include "gateway.hpp"

namespace fermata::command_line {

/// Continues, one after the other, all sessions with a timer that is due by now, each until it
/// pauses; asks nobody. The gravest of their exit statuses. What goes wrong with one session is
/// reported, and does not keep the others. Errors: those of opening the store.
[[nodiscard]] result<exit_status> run_due(const arguments& given, console& out,
                                          gateway_options& options);

} // namespace fermata::command_line
