#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "host.hpp"
#include "live_view.hpp"

#include <fermata/messages/commands.hpp>

namespace fermata::command_line {

/// Why a session moves no further: it paused, or its plan is over; or SIGINT or SIGTERM came, and
/// the runtime was stopped.
enum class halt { paused, interrupted };

/// Gives a session commands and lets it run until it pauses, showing its events as they are
/// committed.
class conductor {
public:
  /// Borrows all it is given.
  conductor(host& owner, console& out, session_id session);

  /// Applies a command and waits for the next pause. Errors: the command's; those of the store.
  [[nodiscard]] result<halt> apply(command body);

  /// Continues what a process that ended has left running. Errors: `unknown_session`; those of the
  /// store.
  [[nodiscard]] result<halt> wake();

  /// Approves the plan and the calls that wait for a decision, again and again, until something
  /// else is waited for. Never resolves an outcome or answers for a client.
  [[nodiscard]] result<halt> approve_all(halt at);

private:
  struct approvals {
    std::size_t asked = 0;
    std::size_t approved = 0;
  };

  [[nodiscard]] result<halt> follow(std::future<result<receipt>> sent);
  [[nodiscard]] result<halt> run_until_pause(event_stream& events);
  void show(const event& happened);
  [[nodiscard]] result<approvals> approve_pending();

  host& host_;
  console& out_;
  session_handle session_;
  live_view live_;
  std::uint64_t next_event_ = 1;
};

} // namespace fermata::command_line
