#pragma once

#include <fermata/messages/redaction.hpp>

#include <string>

namespace fermata::command_line {

/// The rules of the file `given` (from --redact), else of $FERMATA_REDACT, else none. Errors: those
/// of `read_text` and `redactor::parse`, with the file's name in front.
[[nodiscard]] result<redactor> choose_redaction(const std::string& given);

} // namespace fermata::command_line
