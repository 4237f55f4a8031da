#pragma once

#include "console.hpp"

#include <fermata/messages/fields.hpp>

#include <string>
#include <string_view>

namespace fermata::command_line {

/// The lines of a tree.
struct branches {
  std::string_view middle;
  std::string_view last;
  std::string_view down;
  std::string_view none = "   ";
};

[[nodiscard]] inline branches branches_of(const console& out) {
  return out.draws_lines() ? branches{"├─ ", "└─ ", "│  "} : branches{"|- ", "`- ", "|  "};
}

/// The name of an enum's value, as in JSON.
template <named_enum Enum>
[[nodiscard]] std::string name(Enum value) {
  return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
}

} // namespace fermata::command_line
