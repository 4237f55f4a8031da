#pragma once

#include <fermata/messages/json.hpp>

#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Part of schema.cpp: what is done to a JSON Schema before valijson gets it.
namespace fermata::detail {

// The names under which keywords reach valijson that fermata checks itself.
inline constexpr std::string_view pattern_keyword = "fermata:pattern";
inline constexpr std::string_view format_keyword = "fermata:format";
inline constexpr std::string_view unique_items_keyword = "fermata:uniqueItems";
/// What each schema begins with, as the first of its `allOf`, which valijson looks at first: a
/// `step_cost` as a list of three numbers.
inline constexpr std::string_view step_keyword = "fermata:step";

/// The most schemas within one schema.
inline constexpr std::size_t max_subschemas = 500;
/// The most schemas that apply to one place of a value in a chain of `$ref`, `allOf`, `not` ...
inline constexpr std::size_t max_schema_chain = 16;
/// For the program of one pattern, and for what its matching keeps.
inline constexpr std::int64_t max_pattern_memory_bytes = 262'144;
/// Instructions in the programs of all patterns of a schema.
inline constexpr std::size_t max_pattern_size = 50'000;

/// What one application of a schema takes, besides those of its parts.
struct step_cost {
  std::size_t work = 1;       ///< In steps; more for long lists in the schema.
  std::size_t violations = 0; ///< That it may find, beyond some.
  bool reads_text = false;    ///< A text is looked at as a whole.
};

[[nodiscard]] RE2::Options pattern_options();

/// Of how many values a value consists, itself among them.
[[nodiscard]] std::size_t count_parts(const json& value);

/// A schema as valijson gets it: it has the keywords alone that are known, under the names above,
/// and each schema within it is a definition of its own, so that one name leads to it, whatever the
/// schema calls it. Checks what valijson does not, and refuses what could not be checked safely:
/// references to other documents, schemas that refer to themselves without going deeper into the
/// value, `patternProperties` (valijson would match them with std::regex), patterns that RE2 does
/// not know. Errors: `invalid_field`, with the place as a JSON Pointer.
[[nodiscard]] result<json> read_schema(const json& schema);

/// What `schema` says about the place `place` of a value, in short: the keywords that limit it, and
/// of an object the names of its properties. An empty object when the way there is not plain.
[[nodiscard]] json accepted_at(const json& schema, const json::json_pointer& place);

} // namespace fermata::detail
