#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

#include <chrono>

namespace fermata::command_line {

/// How often the store is looked at for more while no service tells.
inline constexpr std::chrono::milliseconds watch_interval{500};

/// Shows a session's events from a number on, and then each as it comes, until SIGINT or SIGTERM,
/// or with `--until-paused` until it pauses. Through the service of the store where there is one:
/// at once, with live updates; else what is recorded, beside any owner. A service may come and go.
/// Errors: `unknown_session`, `unknown_chunk`, those of the store.
[[nodiscard]] result<exit_status> run_watch(const arguments& given, console& out);

} // namespace fermata::command_line
