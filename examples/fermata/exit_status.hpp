#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/session_state.hpp>

namespace fermata::command_line {

/// How the command ends, as seen by whoever started it. The numbers are part of the interface.
enum class exit_status : int {
  done = 0,        ///< The plan completed, the query was answered, `reject` or `cancel` applied.
  attention = 1,   ///< The plan failed, was cancelled or rejected by another's doing, or needs
                   ///< attention; a simulation has found something; a node could not be asked.
  bad_input = 2,   ///< Bad usage or bad input; nothing changed.
  paused = 3,      ///< The session waits: for a decision, a result, an answer, an outcome, a timer.
  environment = 4, ///< Store busy, disk full, store corrupt or unreadable; nothing changed.
  interrupted = 130 ///< Ended by SIGINT or SIGTERM while a plan was running; `resume` continues it.
};

/// What the refusal of a command means for its caller.
[[nodiscard]] exit_status exit_status_of(errc code) noexcept;

/// What the state that a session was left in means. `ends_plans`: the command was given to end the
/// plan (`reject`, `cancel`), so that its end is success.
[[nodiscard]] exit_status exit_status_of(session_state state, bool ends_plans) noexcept;

} // namespace fermata::command_line
