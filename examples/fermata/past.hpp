#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "records.hpp"

/// The queries about what was: `fermata history` and `fermata audit`.
namespace fermata::command_line {

[[nodiscard]] caf::error query_of_history(const arguments& given, records& from, console& out);
[[nodiscard]] caf::error query_of_audit(const arguments& given, records& from, console& out);

} // namespace fermata::command_line
