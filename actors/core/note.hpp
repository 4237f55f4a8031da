#pragma once

#include <fermata/actors/core/session_data.hpp>
#include <fermata/actors/observer.hpp>

namespace fermata::core {

/// What an observer is told along with an event. Looks at the state before the event is applied.
[[nodiscard]] event_note note_of(const session_data& data, const event& fact);

/// True where the runtime decided by itself: the policy approved the plan, or it only plans.
[[nodiscard]] bool is_automatic(const plan_decided& fact);

/// True where nobody was asked: the tool's run, its reconcile hook, or that it is idempotent told.
[[nodiscard]] bool is_automatic(const outcome_resolved& fact);

} // namespace fermata::core
