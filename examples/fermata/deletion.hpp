#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "exit_status.hpp"

#include <filesystem>

namespace fermata::command_line {

/// `delete` and `trim`: by the service that owns the store, else in this process. Of several
/// sessions each is deleted for itself, and said when it is; the first that is refused ends it,
/// with
/// `--finished` only what has to do with the store: a session that goes on meanwhile is left alone.
/// Errors: those of the commands, and of the way to the store.
[[nodiscard]] result<exit_status> run_deletion(const arguments& given, console& out);

/// `compact`. Errors: those of `lmdb_store::compact`.
[[nodiscard]] caf::error compact(const std::filesystem::path& store, console& out);

} // namespace fermata::command_line
