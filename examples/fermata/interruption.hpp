#pragma once

#include <chrono>

namespace fermata::command_line {

/// How often who waits for something else looks whether one has come.
inline constexpr std::chrono::milliseconds signal_interval{50};

/// From now on SIGINT and SIGTERM are noted instead of ending the process (a second one ends it),
/// and writing to a closed pipe is an error instead of a signal. Called once, before any thread.
void watch_for_interruptions();

/// True once SIGINT or SIGTERM has come.
[[nodiscard]] bool was_interrupted() noexcept;

/// Waits so long, or until SIGINT or SIGTERM comes, which may be noticed a little later.
void wait_uninterrupted(std::chrono::milliseconds time);

} // namespace fermata::command_line
