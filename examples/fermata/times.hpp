#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/timestamp.hpp>

#include <string>
#include <string_view>

/// Durations and points in time as people write them.
namespace fermata::command_line {

/// Reads whole numbers with units, the largest first and each at most once: 90s, 15m, 2h, 3d,
/// 1h30m; units are d, h, m, s and ms. Errors: `invalid_field` for anything else and for more than
/// `max_duration`; the message says what is accepted.
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Reads a date and time of RFC 3339 in UTC, to the millisecond (2026-12-01T08:00:00Z,
/// 2026-12-01T08:00:00.250Z), or milliseconds since 1970 as a number, as `--json` prints them.
/// Errors: `invalid_field` for anything else and for a time behind the year 9999; the message says
/// what is accepted.
[[nodiscard]] result<timestamp> parse_time(std::string_view text);

/// About how long that is, for people: 12 s, 20 min, 3 h 5 min, 2 d 4 h; of what is long only the
/// largest unit. Rounded down; a negative duration is 0 s.
[[nodiscard]] std::string show_roughly(std::chrono::milliseconds duration);

/// A duration as `parse_duration` reads it, as in 1h30m.
[[nodiscard]] std::string show_duration(std::chrono::milliseconds duration);

} // namespace fermata::command_line
