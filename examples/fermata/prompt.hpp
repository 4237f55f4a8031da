#pragma once

#include "console.hpp"

#include <fermata/messages/commands.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/status.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace fermata::command_line {

/// What a person at a terminal is shown at a pause, read from the store before it was let go.
struct pause_view {
  session_status status;
  std::vector<pending_item> items;
  plan_spec plan;
  std::filesystem::path workspace; ///< That calls are shown in.
};

/// Shows what a session waits for and asks what is to be done, until the answer makes a command.
/// Nothing: the person quits. Holds no store and no runtime.
[[nodiscard]] std::optional<command> ask_at_pause(console& out, const pause_view& view);

} // namespace fermata::command_line
