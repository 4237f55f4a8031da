#pragma once

#include "console.hpp"
#include "pause.hpp"

#include <fermata/messages/commands.hpp>

#include <optional>

namespace fermata::command_line {

/// Shows what a session waits for and asks what is to be done, until the answer makes a command.
/// Nothing: the person quits. Holds no store and no runtime.
[[nodiscard]] std::optional<command> ask_at_pause(console& out, const pause_view& view);

} // namespace fermata::command_line
