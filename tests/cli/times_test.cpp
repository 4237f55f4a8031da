#include "times.hpp"

#include <fermata_catch.hpp>

namespace times_test {

using namespace fermata;
using namespace fermata::command_line;
using namespace std::chrono_literals;

TEST_CASE("a duration is numbers with units, the largest first") {
  CHECK(parse_duration("90s") == 90s);
  CHECK(parse_duration("15m") == 15min);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("3d") == 72h);
  CHECK(parse_duration("1h30m") == 90min);
  CHECK(parse_duration("1d2h3m4s5ms") == 24h + 2h + 3min + 4s + 5ms);
  CHECK(parse_duration("0s") == 0s);
  CHECK(parse_duration("36500d") == max_duration);
}

TEST_CASE("what is no duration is refused with what is accepted") {
  for (const auto* text : {"",
                           "5",
                           "s",
                           "m5",
                           "1.5h",
                           "-5m",
                           "+5m",
                           "5 m",
                           " 5m",
                           "5m ",
                           "5M",
                           "5min",
                           "30m1h",
                           "1m2m",
                           "1h30",
                           "36500d1ms",
                           "36501d",
                           "99999999999999999999s",
                           "9223372036854775807d",
                           "1e3s",
                           "\xff",
                           "1h\n"}) {
    INFO(text);
    const auto refused = parse_duration(text);
    REQUIRE_FALSE(refused);
    CHECK(is(refused.error(), errc::invalid_field));
    CHECK(message_of(refused.error()).find("1h30m") != std::string::npos);
  }
}

TEST_CASE("a duration is shown as it is read") {
  for (const auto* text : {"0s", "1ms", "90d", "1h30m", "1d2h3m4s5ms"})
    CHECK(show_duration(*parse_duration(text)) == text);
  CHECK(show_duration(90s) == "1m30s");
}

TEST_CASE("a time is RFC 3339 in UTC, or milliseconds") {
  const timestamp at = std::chrono::sys_days{std::chrono::year{2026} / 12 / 1} + 8h;
  CHECK(parse_time("2026-12-01T08:00:00Z") == at);
  CHECK(parse_time("2026-12-01t08:00:00z") == at);
  CHECK(parse_time("2026-12-01T08:00:00.25Z") == at + 250ms);
  CHECK(parse_time("2026-12-01T08:00:00.123987Z") == at + 123ms);
  CHECK(parse_time(std::to_string(at.time_since_epoch().count())) == at);
  CHECK(parse_time("1970-01-01T00:00:00Z") == timestamp{});
  CHECK(parse_time("0") == timestamp{});
  CHECK(parse_time("2028-02-29T23:59:59Z"));
  CHECK(parse_time("9999-12-31T23:59:59.999Z") == parse_time("253402300799999"));
}

TEST_CASE("what is no time is refused with what is accepted") {
  for (const auto* text : {"",
                           "now",
                           "2026-12-01",
                           "2026-12-01T08:00Z",
                           "2026-12-01T08:00:00",
                           "2026-12-01 08:00:00Z",
                           "2026-12-01T08:00:00+01:00",
                           "2026-13-01T08:00:00Z",
                           "2026-02-29T08:00:00Z",
                           "2026-12-01T24:00:00Z",
                           "2026-12-01T08:60:00Z",
                           "2026-12-01T08:00:60Z",
                           "2026-12-01T08:00:00.Z",
                           "2026-12-1T08:00:00Z",
                           "12026-12-01T08:00:00Z",
                           "2026-12-01T08:00:00Zx",
                           "-1",
                           "1.5",
                           "253402300800000",
                           "99999999999999999999",
                           " 0"}) {
    INFO(text);
    const auto refused = parse_time(text);
    REQUIRE_FALSE(refused);
    CHECK(is(refused.error(), errc::invalid_field));
    CHECK(message_of(refused.error()).find("2026-12-01T08:00:00Z") != std::string::npos);
  }
}

} // namespace times_test
