#pragma once

#include <fermata/messages/json.hpp>

/// Part of schema.cpp: what is done to a JSON Schema before valijson gets it.
namespace fermata::detail {

// The names under which keywords reach valijson that fermata checks itself.
inline constexpr std::string_view pattern_keyword = "fermata:pattern";
inline constexpr std::string_view format_keyword = "fermata:format";
inline constexpr std::string_view unique_items_keyword = "fermata:uniqueItems";

/// The most schemas within one schema.
inline constexpr std::size_t max_subschemas = 500;
/// The most schemas that apply to one place of a value in a chain of `$ref`, `allOf`, `not` ...
inline constexpr std::size_t max_schema_chain = 16;

/// Checks what valijson does not, and renames the keywords above. Refuses what could not be checked
/// safely: references to other documents, schemas that refer to themselves without going deeper
/// into the value, `patternProperties` (valijson would match them with std::regex), patterns that
/// RE2 does not know. Errors: `invalid_field`, with the place as a JSON Pointer.
[[nodiscard]] result<json> read_schema(const json& schema);

/// What `schema` says about the place `place` of a value, in short: the keywords that limit it, and
/// of an object the names of its properties. An empty object when the way there is not plain.
[[nodiscard]] json accepted_at(const json& schema, const json::json_pointer& place);

} // namespace fermata::detail
