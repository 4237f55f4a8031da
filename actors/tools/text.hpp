#pragma once

#include <fermata/messages/json.hpp>

#include <string>
#include <string_view>

namespace fermata {

/// `text` between quotation marks, in ASCII, as it may stand in a message: control characters and
/// everything beyond ASCII are escaped.
[[nodiscard]] inline std::string in_quotes(std::string_view text) {
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
}

/// `text` with U+FFFD in the place of what is not UTF-8.
[[nodiscard]] inline std::string as_utf8(std::string text) {
  if (is_utf8(text))
    return text;
  return json::parse(to_text(json(std::move(text)))).get<std::string>();
}

/// The longest beginning of `text` that has at most `size_bytes` and does not end within a
/// character.
[[nodiscard]] inline std::string_view cut_utf8(std::string_view text, std::size_t size_bytes) {
  if (text.size() <= size_bytes)
    return text;
  while (size_bytes > 0 && (static_cast<unsigned char>(text[size_bytes]) & 0xC0U) == 0x80U)
    --size_bytes;
  return text.substr(0, size_bytes);
}

} // namespace fermata
