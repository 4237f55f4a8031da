#pragma once

#include <fermata/actors/queries.hpp>
#include <fermata/messages/redaction.hpp>

namespace fermata::command_line {

/// A transcript item without the secrets in it.
[[nodiscard]] transcript_item shown_item(transcript_item item, const redactor& by);

/// One line of `transcript --json`, and what the service answers. Takes a shown item.
[[nodiscard]] json transcript_json(const transcript_item& item, const session_id& session);

/// What such a line says, which is not all of a call. Errors: `invalid_field`, `invalid_id`.
[[nodiscard]] result<transcript_item> read_transcript_item(const json& line);

} // namespace fermata::command_line
