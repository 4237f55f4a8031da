#pragma once

#include "arguments.hpp"

#include <fermata/messages/commands.hpp>

#include <optional>

namespace fermata::command_line {

/// What a subcommand asks of which session.
struct request {
  std::optional<session_id> session; ///< Nothing: a new session, to be named.
  std::optional<command> body;       ///< Nothing: only wake the session.
  bool may_create = false;           ///< The store may be made for it.
  bool asks_at_pauses = false;       ///< It stays with the session, and asks a person.
  bool ends_plans = false;           ///< The end of the plan is what was asked for.
  bool ends_suspension = false;      ///< Should the session be suspended.
};

/// Interprets the arguments of a subcommand that changes a session. Reads the files they name.
/// Errors: bad input.
[[nodiscard]] result<request> make_request(const arguments& given);

} // namespace fermata::command_line
