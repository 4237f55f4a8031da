#pragma once

#include <fermata/messages/json.hpp>

#include <string>

namespace fermata::command_line {

/// What a typed line says in answer to a question whose answer has to fit `schema` (null: any).
/// JSON, or `@FILE` with JSON, is taken as such; any other line as a text, where a text fits.
/// Errors: `invalid_json`, `invalid_arguments` when it does not fit, those of `read_text`.
[[nodiscard]] result<json> read_answer(const std::string& line, const json& schema);

} // namespace fermata::command_line
