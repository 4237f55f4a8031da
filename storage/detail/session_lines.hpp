#pragma once

#include <fermata/storage/records.hpp>
#include <fermata/storage/session_export.hpp>

#include <span>

/// What both directions of an export know of its lines. The format is in session_export.hpp.
namespace fermata::detail {

inline constexpr std::string_view export_format = "fermata-session";

struct export_header {
  std::string format;
  std::uint32_t version = 0;
  session_id session;
  bool redacted = false;
  std::optional<std::uint64_t> first_event; ///< Where those before it were dropped.

  export_header() = default;
  static constexpr auto fields() {
    return field_list{
        field("format", &export_header::format), field("version", &export_header::version),
        field("session", &export_header::session), field("redacted", &export_header::redacted),
        optional_field("first_event", &export_header::first_event)};
  }
};

struct record_line {
  json kind; ///< A name, or the number of a kind that has none.
  std::uint32_t group = 0;
  std::uint64_t index = 0;
  json value;

  record_line() = default;
  static constexpr auto fields() {
    return field_list{
        field("kind", &record_line::kind), optional_field("group", &record_line::group),
        optional_field("index", &record_line::index), field("value", &record_line::value)};
  }
};

struct timer_line {
  std::uint64_t number = session_timer;
  timestamp due;

  timer_line() = default;
  static constexpr auto fields() {
    return field_list{field("number", &timer_line::number), field("due", &timer_line::due)};
  }
};

struct end_line {
  export_counts counts;
  std::string crc32c;

  end_line() = default;
  static constexpr auto fields() {
    return field_list{field("counts", &end_line::counts), field("crc32c", &end_line::crc32c)};
  }
};

/// A checksum as the end line has it.
[[nodiscard]] std::string checksum_text(std::uint32_t crc);

/// What is known of records of one kind.
struct record_type {
  record_kind kind;
  std::string_view name;
  /// Whether a value is a record of this kind that belongs under this key. Errors: `invalid_field`
  /// and others, with the path to what is wrong.
  caf::error (*check)(const json& value, const record_key& key);
  /// A value, which `check` has accepted, without secrets.
  json (*hide)(const json& value, const redactor& by);
};

/// All kinds that this version knows.
[[nodiscard]] std::span<const record_type> record_types();

/// Null: this version does not know it.
[[nodiscard]] const record_type* type_of(record_kind kind);

[[nodiscard]] caf::error check_event(const json& value, std::uint64_t number);
[[nodiscard]] json hide_in_event(const json& value, const redactor& by);

/// The item number of an entry of the pending index. Errors: when the value is no such entry of
/// this session.
[[nodiscard]] result<std::uint64_t> item_of(const json& value, const session_id& session);
[[nodiscard]] json hide_in_pending(const json& value, const redactor& by);

} // namespace fermata::detail
