#pragma once

#include <string_view>
#include <vector>

namespace fermata::command_line {

/// The columns of the terminal that standard output is; 80 when it does not say.
[[nodiscard]] std::size_t terminal_columns();

/// Cuts one line into pieces of at most `columns`, so that it is never the terminal that breaks a
/// line: text from outside would then begin at its left edge, and could pass for a line of ours.
/// Every character beyond ASCII is taken to be two columns wide; our own colour sequences take
/// none. At least one piece; borrowed from `line`.
[[nodiscard]] std::vector<std::string_view> fold(std::string_view line, std::size_t columns);

} // namespace fermata::command_line
