#pragma once

#include <fermata/actors/core/session_data.hpp>
#include <fermata/actors/observer.hpp>

namespace fermata::core {

/// What an observer is told along with an event. Looks at the state before the event is applied.
[[nodiscard]] event_note note_of(const session_data& data, const event& fact);

} // namespace fermata::core
