#pragma once

#include <chrono>

namespace fermata {

/// A point in wall time, in milliseconds since the Unix epoch, UTC. In JSON: that number.
using timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

} // namespace fermata
