#pragma once

#include <fermata/messages/live.hpp>

#include <functional>

namespace fermata {

/// Called on the runtime's threads, several at once; must not block.
using live_observer = std::function<void(const live_update&)>;

} // namespace fermata
