#include "escape.hpp"

#include <fermata/messages/json.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace fermata::command_line {

namespace {

struct range {
  char32_t first;
  char32_t last;
};

// Sorted. Controls (Cc), format characters that hide or reorder (Cf), separators that end a line,
// and characters that are drawn as nothing. Source: Unicode 15, General_Category, Bidi_Control and
// Default_Ignorable_Code_Point.
constexpr std::array escaped_ranges{
    range{0x0000, 0x001F},   range{0x007F, 0x009F},   range{0x00AD, 0x00AD},
    range{0x034F, 0x034F},   range{0x0600, 0x0605},   range{0x061C, 0x061C},
    range{0x06DD, 0x06DD},   range{0x070F, 0x070F},   range{0x08E2, 0x08E2},
    range{0x115F, 0x1160},   range{0x17B4, 0x17B5},   range{0x180B, 0x180F},
    range{0x200B, 0x200F},   range{0x2028, 0x202E},   range{0x2060, 0x206F},
    range{0x2800, 0x2800},   range{0x3164, 0x3164},   range{0xFE00, 0xFE0F},
    range{0xFEFF, 0xFEFF},   range{0xFFA0, 0xFFA0},   range{0xFFF0, 0xFFFB},
    range{0x110BD, 0x110BD}, range{0x1BCA0, 0x1BCA3}, range{0x1D173, 0x1D17A},
    range{0xE0000, 0xE0FFF},
};

bool must_be_escaped(char32_t character) {
  const auto found = std::partition_point(escaped_ranges.begin(), escaped_ranges.end(),
                                          [&](const range& one) { return one.last < character; });
  return found != escaped_ranges.end() && found->first <= character;
}

/// The length of the well-formed UTF-8 character at the beginning of `text`; 0: there is none.
std::size_t character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return length <= text.size() && is_utf8(text.substr(0, length)) ? length : 0;
}

char32_t decode(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character.front());
  if (character.size() == 1)
    return lead;
  char32_t value = lead & (0xFFU >> (character.size() + 1));
  for (const char next : character.substr(1))
    value = (value << 6) | (static_cast<unsigned char>(next) & 0x3FU);
  return value;
}

std::string in_hexadecimal(const char* format, unsigned value) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string escape(std::string_view text, bool keep_layout) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = character_length(text);
    if (length == 0) {
      out += in_hexadecimal("<0x%02X>", static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
      continue;
    }
    const auto character = text.substr(0, length);
    const auto value = decode(character);
    const bool layout = keep_layout && (value == U'\n' || value == U'\t');
    if (!layout && must_be_escaped(value))
      out += in_hexadecimal("<U+%04X>", static_cast<unsigned>(value));
    else
      out += character;
    text.remove_prefix(length);
  }
  return out;
}

} // namespace

std::string escape_line(std::string_view text) {
  return escape(text, false);
}

std::string escape_block(std::string_view text) {
  return escape(text, true);
}

} // namespace fermata::command_line
