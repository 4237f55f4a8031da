#pragma once

namespace fermata::command_line {

/// The version of this build, from the project's CMakeLists.txt.
inline constexpr const char* version = FERMATA_VERSION;

} // namespace fermata::command_line
