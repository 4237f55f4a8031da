#pragma once

#include "arguments.hpp"
#include "console.hpp"

#include <filesystem>

namespace fermata::command_line {

/// `fermata backup`: a copy of the store, made while whoever owns it goes on. Errors: those of
/// `lmdb_store::open` and `backup_to`; `shutting_down` when it was interrupted.
[[nodiscard]] caf::error back_up(const std::filesystem::path& store, const arguments& given,
                                 console& out);

} // namespace fermata::command_line
