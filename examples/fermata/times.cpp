#include "times.hpp"

#include <fermata/messages/json.hpp>

#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace fermata::command_line {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

struct unit {
  std::string_view name;
  milliseconds size;
};

/// The largest first.
constexpr std::array<unit, 5> units{{{"d", 24h}, {"h", 1h}, {"m", 1min}, {"s", 1s}, {"ms", 1ms}}};

constexpr auto last_time = std::chrono::sys_days{std::chrono::year{9999} / 12 / 31} + 24h - 1ms;

caf::error refuse(std::string_view text, std::string_view accepted) {
  return make_error(errc::invalid_field,
                    quoted_excerpt(text) + " is refused; accepted is " + std::string{accepted});
}

constexpr std::string_view accepted_durations =
    "a duration of at most 100 years in whole numbers of d, h, m, s and ms, as in 90s, 15m, 2h, 3d "
    "or 1h30m";

constexpr std::string_view accepted_times =
    "a time in UTC as in 2026-12-01T08:00:00Z, or milliseconds since 1970, up to the year 9999";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take_while(std::string_view& text, bool (*belongs)(char)) {
  std::size_t size = 0;
  while (size < text.size() && belongs(text[size]))
    ++size;
  const auto taken = text.substr(0, size);
  text.remove_prefix(size);
  return taken;
}

/// Decimal digits only. Nothing: there are none, or it is more than a 64-bit number.
std::optional<std::int64_t> number_of(std::string_view digits) {
  std::int64_t value = 0;
  const auto* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || error != std::errc{} || stop != end)
    return std::nullopt;
  return value;
}

/// Takes a number of exactly so many digits, and one of `ends` behind it (empty: nothing).
std::optional<unsigned> take_number(std::string_view& text, std::size_t digits,
                                    std::string_view ends) {
  const auto written = take_while(text, is_digit);
  const auto value = number_of(written);
  if (!value || written.size() != digits)
    return std::nullopt;
  if (!ends.empty()) {
    if (text.empty() || ends.find(text.front()) == std::string_view::npos)
      return std::nullopt;
    text.remove_prefix(1);
  }
  return static_cast<unsigned>(*value);
}

/// Takes a fraction of a second, of which digits beyond the millisecond are cut off.
std::optional<milliseconds> take_fraction(std::string_view& text) {
  if (!text.starts_with('.'))
    return 0ms;
  text.remove_prefix(1);
  auto digits = std::string{take_while(text, is_digit)};
  if (digits.empty())
    return std::nullopt;
  digits.resize(3, '0');
  return milliseconds{*number_of(digits)};
}

/// RFC 3339, section 5.6. A leap second has no place in `timestamp`.
std::optional<timestamp> read_date_time(std::string_view text) {
  const auto year = take_number(text, 4, "-");
  const auto month = take_number(text, 2, "-");
  const auto day = take_number(text, 2, "Tt");
  const auto hour = take_number(text, 2, ":");
  const auto minute = take_number(text, 2, ":");
  const auto second = take_number(text, 2, {});
  const auto fraction = take_fraction(text);
  if (!year || !month || !day || !hour || !minute || !second || !fraction
      || (text != "Z" && text != "z"))
    return std::nullopt;
  const auto date = std::chrono::year{static_cast<int>(*year)} / static_cast<int>(*month)
                    / static_cast<int>(*day);
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59)
    return std::nullopt;
  return std::chrono::sys_days{date} + std::chrono::hours{*hour} + std::chrono::minutes{*minute}
         + std::chrono::seconds{*second} + *fraction;
}

} // namespace

result<milliseconds> parse_duration(std::string_view text) {
  auto left = text;
  auto sum = 0ms;
  std::size_t next_unit = 0;
  do {
    const auto count = number_of(take_while(left, is_digit));
    const auto name = take_while(left, [](char c) { return !is_digit(c); });
    while (next_unit < units.size() && units[next_unit].name != name)
      ++next_unit;
    if (!count || next_unit == units.size() || *count > max_duration / units[next_unit].size)
      return refuse(text, accepted_durations);
    sum += *count * units[next_unit++].size;
  } while (!left.empty());
  if (sum > max_duration)
    return refuse(text, accepted_durations);
  return sum;
}

result<timestamp> parse_time(std::string_view text) {
  auto read = read_date_time(text);
  if (!read)
    if (const auto count = text.starts_with('-') ? std::nullopt : number_of(text))
      read = timestamp{milliseconds{*count}};
  if (!read || *read > last_time)
    return refuse(text, accepted_times);
  return *read;
}

std::string show_roughly(milliseconds duration) {
  struct step {
    milliseconds size;
    const char* name;
  };
  constexpr std::array<step, 4> steps{{{24h, " d"}, {1h, " h"}, {1min, " min"}, {1s, " s"}}};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto count = duration / steps[i].size;
    if (count <= 0)
      continue;
    auto text = std::to_string(count) + steps[i].name;
    // Of 3 h 5 min the minutes matter, of 20 min the seconds do not.
    if (steps[i].size >= 1h && count < 10)
      if (const auto rest = duration % steps[i].size / steps[i + 1].size; rest > 0)
        text += " " + std::to_string(rest) + steps[i + 1].name;
    return text;
  }
  return "0 s";
}

std::string show_duration(milliseconds duration) {
  std::string text;
  for (const auto& [name, size] : units) {
    const auto count = duration / size;
    if (count > 0)
      text += std::to_string(count) + std::string{name};
    duration -= count * size;
  }
  return text.empty() ? "0s" : text;
}

} // namespace fermata::command_line
