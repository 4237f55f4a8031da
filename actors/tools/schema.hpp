#pragma once

#include <fermata/messages/json.hpp>

namespace fermata {

/// Checks that `schema` is a JSON Schema (draft 7) that `check_schema` can use. Errors:
/// `invalid_field`.
[[nodiscard]] caf::error check_is_schema(const json& schema);

/// Checks `value` against a JSON Schema (draft 7); a null schema accepts any object. Errors:
/// `invalid_arguments`; the message names each violated place by JSON Pointer and what is accepted
/// there. Also where the check would take more than 100,000 steps, and 64 for each part of the
/// value (at most 2,000,000 of these): what a schema repeats multiplies.
[[nodiscard]] caf::error check_schema(const json& schema, const json& value);

} // namespace fermata
