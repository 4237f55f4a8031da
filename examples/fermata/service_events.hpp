#pragma once

#include <fermata/actors/live.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/messages/fields.hpp>

#include <string>

/// What the streams of a service tell. It is read tolerantly: a newer service may say more.
namespace fermata::command_line {

/// Errors: `invalid_field`.
template <class T>
[[nodiscard]] result<T> read_told(const json& data) {
  return fermata::from_json<T>(data, unknown_fields::keep);
}

/// A chunk of a session, as the event that it is. Errors: `invalid_field`, also for one of another
/// session.
[[nodiscard]] result<event> read_chunk(const json& data, const session_id& session);

/// A live update of a session. Errors: `invalid_field`, `invalid_id`.
[[nodiscard]] result<live_update> read_live(const json& data, const session_id& session);

} // namespace fermata::command_line
