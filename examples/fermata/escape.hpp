#pragma once

#include <string>
#include <string_view>

/// Makes text from outside safe to show: nothing in it can move the cursor, colour or hide text,
/// reorder it or end the line, and what is there but cannot be seen becomes visible.
namespace fermata::command_line {

/// `text` with every control character (also line breaks and tabs), bidirectional control,
/// invisible character, and line or paragraph separator written as `<U+202E>`, and every byte that
/// is not UTF-8 as `<0xFF>`.
[[nodiscard]] std::string escape_line(std::string_view text);

/// As `escape_line`, but line feeds and tabs stay: for text of several lines.
[[nodiscard]] std::string escape_block(std::string_view text);

} // namespace fermata::command_line
