#pragma once

#include "arguments.hpp"
#include "console.hpp"

#include <fermata/storage/store.hpp>

namespace fermata::command_line {

/// `fermata export`: a session as JSON Lines (storage/session_export.hpp), on standard output or in
/// a new file. Errors: those of `export_session` and `new_file`; `shutting_down` when it was
/// interrupted.
[[nodiscard]] caf::error query_of_export(const arguments& given, store& from, console& out);

} // namespace fermata::command_line
