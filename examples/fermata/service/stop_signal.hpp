#pragma once

#include <fermata/messages/errors.hpp>

namespace fermata::service {

/// From now on SIGINT and SIGTERM are kept for `wait_for_stop_signal`; a second one ends the
/// process at once, with status 130. In the place of `watch_for_interruptions`. Errors: `io_error`.
[[nodiscard]] caf::error watch_for_stop_signals();

/// True once one has come.
[[nodiscard]] bool stop_was_asked_for() noexcept;

/// As if one had come. From any thread.
void stop_by_itself() noexcept;

/// Waits until one comes, or has come.
void wait_for_stop_signal();

} // namespace fermata::service
