#pragma once

#include <fermata/actors/event_log.hpp>
#include <fermata/messages/redaction.hpp>

#include <memory>
#include <string>

namespace fermata::command_line {

/// An observer that logs as JSON lines (event_log.hpp) to `file`, which is appended to and made
/// with mode 0600, or to standard error for `-`; null when `file` is empty. `level` is debug, info,
/// warn or error. Each line is written as it comes. Errors: `invalid_field` when the file cannot be
/// opened.
[[nodiscard]] result<std::shared_ptr<event_log>>
open_log(const std::string& file, const std::string& level, const redactor& redaction);

} // namespace fermata::command_line
