#pragma once

#include "arguments.hpp"
#include "console.hpp"

#include <filesystem>

namespace fermata::command_line {

/// `fermata import`: a session as `fermata export` wrote it becomes one of this store, which is
/// made when there is none and which nobody else may own meanwhile. Errors: those of `open_store`
/// and `import_session`.
[[nodiscard]] caf::error import_into(const std::filesystem::path& store, const arguments& given,
                                     console& out);

} // namespace fermata::command_line
