#pragma once

#include <fermata/actors/tool.hpp>
#include <fermata/actors/tools/process.hpp>

#include <filesystem>
#include <memory>
#include <vector>

namespace fermata::command_line {

/// The tools that the command runs itself: those of the workspace, and `execute_command`. With
/// `workspace` they work in that folder instead of the session's; empty: in the session's.
[[nodiscard]] std::vector<tool> make_tools(std::shared_ptr<process_runner> runner,
                                           const std::filesystem::path& workspace = {});

/// The same, to show calls only: they do not run.
[[nodiscard]] std::vector<tool> make_tools_for_showing(const std::filesystem::path& workspace = {});

} // namespace fermata::command_line
