#pragma once

#include "pause.hpp"
#include "records.hpp"

#include <fermata/messages/commands.hpp>

namespace fermata::command_line {

/// Why a command stays with a session no longer: it paused, or its plan is over; or SIGINT or
/// SIGTERM came.
enum class halt { paused, interrupted };

/// Gives one session commands and stays with it until it pauses, showing what happens: the same
/// whether this process runs the session, or a service does.
///
/// Errors of all members: the command's; those of the store; `shutting_down` when a signal came
/// before the command was durable; where a service runs the session, `timed_out` when it is not
/// known whether the command was applied, and `shutting_down` when it was, but not how it went on.
class session_link {
public:
  virtual ~session_link() = default;
  session_link() = default;
  session_link(const session_link&) = delete;
  session_link& operator=(const session_link&) = delete;

  /// Applies a command and waits for the next pause.
  [[nodiscard]] virtual result<halt> apply(command body) = 0;

  /// Continues what a process that ended has left running. Errors: `unknown_session`.
  [[nodiscard]] virtual result<halt> wake() = 0;

  /// Applies a command, and shows nothing yet.
  [[nodiscard]] virtual result<receipt> send(command body) = 0;

  /// Waits for the next pause, and shows all since what was shown last.
  [[nodiscard]] virtual result<halt> follow() = 0;

  /// How the session stands: as it paused, or now. Errors: `unknown_session`.
  [[nodiscard]] virtual result<pause_view> look() = 0;
};

/// Approves the plan and the calls that wait for a decision, again and again, until something else
/// is waited for. Never resolves an outcome or answers for a client. `at`: where the session is.
[[nodiscard]] result<halt> approve_all(session_link& link, records& from, const session_id& session,
                                       halt at);

} // namespace fermata::command_line
