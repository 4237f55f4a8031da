#pragma once

#include <fermata/messages/errors.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

/// JSON values. Objects are ordered by key, so equal values have equal texts.
using json = nlohmann::json;

/// The deepest nesting of arrays and objects in a value that comes from outside.
inline constexpr std::size_t max_json_depth = 64;

/// The deepest nesting that a record has: some levels more, since it wraps such values.
inline constexpr std::size_t max_record_depth = max_json_depth + 16;

/// A stored or travelling record: CBOR (RFC 8949).
using bytes = std::vector<std::uint8_t>;

/// Reads JSON text. Errors: `invalid_json` for anything that is not JSON in UTF-8, for a key that
/// appears twice in one object, and for nesting beyond `max_json_depth`; the message gives line and
/// column in characters, counted from 1.
[[nodiscard]] result<json> parse_json(std::string_view text);

/// Reads CBOR with the same rules, except that strings are not checked for UTF-8 and that nesting
/// is refused beyond `max_record_depth`; the message gives the offset of the offending byte.
[[nodiscard]] result<json> parse_cbor(std::span<const std::uint8_t> data);

/// Checks a value that was not read by `parse_json` before it becomes part of a record, which could
/// not be read back otherwise. Errors: `limit_exceeded` (json_depth).
[[nodiscard]] caf::error check_depth(const json& value);

/// Checks that all strings and keys of a value are well-formed UTF-8, as JSON demands. The value
/// has passed `check_depth`. Errors: `invalid_json`.
[[nodiscard]] caf::error check_utf8(const json& value);

/// Writes CBOR.
[[nodiscard]] bytes to_cbor(const json& value);

/// Writes compact JSON text in UTF-8 with sorted keys; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string to_text(const json& value);

/// Appends what `to_text` writes.
void append_text(std::string& out, const json& value);
/// The same for a JSON string.
void append_string(std::string& out, const std::string& text);

/// A text from outside as it can stand in a message: in quotes, ASCII with everything else escaped,
/// and shortened when it is long.
[[nodiscard]] std::string quoted_excerpt(std::string_view text);

/// True when `text` is well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

} // namespace fermata
