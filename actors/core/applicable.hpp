#pragma once

#include <fermata/actors/core/session_data.hpp>
#include <fermata/messages/errors.hpp>

namespace fermata::core {

/// Whether an event of a tail can be applied to the data: it is one that a tail may have, what it
/// is about is there, and may become what it says. Those that `decide` and `advance` make always
/// can. Errors: `store_corrupt`, which says what is missing.
[[nodiscard]] caf::error check_applicable(const session_data& data, const event& fact);

} // namespace fermata::core
