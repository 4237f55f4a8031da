#pragma once

#include <chrono>

namespace fermata {

/// A point in wall time, in milliseconds since the Unix epoch, UTC. In JSON: that number.
using timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

/// The longest duration that is read from JSON, 100 years: sums with a point in time stay far from
/// the end of `timestamp`.
inline constexpr std::chrono::milliseconds max_duration = std::chrono::hours{24 * 365 * 100};

} // namespace fermata
