#pragma once

#include "arguments.hpp"
#include "console.hpp"

#include <fermata/messages/status.hpp>

#include <string>
#include <vector>

namespace fermata::command_line {

/// The command lines that continue a session, as a shell takes them. Empty: its plan is over.
[[nodiscard]] std::vector<std::string> continuations(const arguments& given,
                                                     const session_status& status,
                                                     const std::vector<pending_item>& items);

/// The command line that goes on with a session as it is.
[[nodiscard]] std::string resume_line(const arguments& given, const session_id& session);

/// The command line that shows a session while it goes on.
[[nodiscard]] std::string watch_line(const arguments& given, const session_id& session);

/// The command line that decides on or answers one thing that waits.
[[nodiscard]] std::string continuation(const arguments& given, const pending_item& item);

} // namespace fermata::command_line
