#pragma once

#include <fermata/messages/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

/// The one parser behind all that reads JSON and CBOR.
namespace fermata::detail {

struct parse_failure {
  std::size_t offset = 0; ///< Of the offending byte; the input's size: it ends too early.
  std::string why;
};

/// Reads JSON text as `parse_json` does, up to a depth of the caller's.
[[nodiscard]] std::variant<json, parse_failure> parse_json_text(std::string_view text,
                                                                std::size_t max_depth);

/// The column, in characters and counted from 1, of an offset within its line.
[[nodiscard]] std::size_t column_at(std::string_view text, std::size_t offset);

} // namespace fermata::detail
