#pragma once

#include <fermata/messages/store_identity.hpp>

namespace fermata::detail {

/// Draws the identity of a store that is made, from the system's entropy (`std::random_device`).
[[nodiscard]] store_identity new_identity();

} // namespace fermata::detail
