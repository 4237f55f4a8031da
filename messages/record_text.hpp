#pragma once

#include <fermata/messages/json.hpp>

#include <string>
#include <string_view>

/// Records as lines of JSON text, without loss.
///
/// A record is CBOR, which can hold what JSON cannot. That is written as an object with one member,
/// its bytes as hexadecimal digits:
///
///     {"$fermata.text": "ff"}       a string that is not UTF-8
///     {"$fermata.binary": "00ff"}   a byte string
///     {"$fermata.number": "nan"}    nan, inf, -inf
///
/// The name of a member that is not UTF-8, or that begins with `$fermata.` itself, becomes
/// `$fermata.name:` and its bytes as hexadecimal digits.
namespace fermata {

/// The deepest nesting that the text of a record has: that of the record, two levels around it
/// which say what it is, and one for what JSON cannot carry.
inline constexpr std::size_t max_record_text_depth = max_record_depth + 3;

/// Writes a value as one line of JSON text, in UTF-8 and with sorted keys, without its newline.
[[nodiscard]] std::string to_record_text(json value);

/// Reads what `to_record_text` has written, and any other JSON text in which no member has a name
/// that begins with `$fermata.`, by the rules of `parse_json` but up to `max_record_text_depth`.
/// Errors: `invalid_json`; the message gives the column in characters, counted from 1, or names
/// the member with a `$fermata.` that says nothing.
[[nodiscard]] result<json> parse_record_text(std::string_view text);

} // namespace fermata
