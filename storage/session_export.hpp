#pragma once

#include <fermata/messages/redaction.hpp>
#include <fermata/storage/store.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

/// One session as JSON Lines: to look at, to keep, and to be continued from another store, say by a
/// test.
///
/// Each line is one JSON object. The first says what this is, the last how much it is; each of
/// those between them has one member, which names what it holds:
///
///     {"format": "fermata-session", "redacted": false, "session": "s1", "version": 1}
///     {"event": {"number": 1, "at": 1767225600000, "body": {...}}}
///     {"record": {"kind": "call", "index": 3, "value": {...}}}
///     {"pending": {"id": "s1:c3", ...}}
///     {"timer": {"number": 0, "due": 1767225660000}}
///     {"end": {"counts": {"events": 1, "records": 1, ...}, "crc32c": "9d2f00a1"}}
///
/// A session some of whose events were dropped says so in the first line: `"first_event": 17`, and
/// has version 2, since readers of version 1 would miss them.
///
/// First all events in their order, then all records (`records.hpp`) in the order of their keys,
/// the head among them, then what the pending and the due-time index have of the session. `group`
/// and `index` of a record are absent when they are 0; a kind that this version has no name for is
/// a number. Values are those of the view, with fields that a newer version added, in the form of
/// `to_record_text`. The checksum, in eight hexadecimal digits, is of all bytes before the last
/// line. There is nothing in it of the moment of the export: a session that has not changed gives
/// the same bytes.
namespace fermata {

/// The newest version of the format that is read; version 1 is written where it is enough.
inline constexpr std::uint32_t session_export_version = 2;

/// How many lines of each kind an export has.
struct export_counts {
  std::uint64_t events = 0;
  std::uint64_t records = 0; ///< The head included.
  std::uint64_t pending = 0;
  std::uint64_t timers = 0;

  export_counts() = default;
  friend bool operator==(const export_counts&, const export_counts&) = default;
  static constexpr auto fields() {
    return field_list{
        field("events", &export_counts::events), field("records", &export_counts::records),
        field("pending", &export_counts::pending), field("timers", &export_counts::timers)};
  }
};

/// Takes the lines of an export one by one, each with its newline. An error ends the export with
/// it.
using line_sink = std::function<caf::error(std::string_view line)>;

struct export_options {
  /// What is hidden. By types, as everywhere: ids and digests stay, so that a redacted export can
  /// be continued. But what was hidden is gone: agents and tools get `[redacted]` for it, and an
  /// approval of a server tool's call that it was in does not fit what would run, so that somebody
  /// is asked again (P9).
  redactor redaction;

  export_options() = default;
};

/// Writes all that a view shows of one session. In memory are a few records, and the events of one
/// commit, at a time. The records must be as of the last event, which not all of a store are: where
/// the actors are at hand, use `export_session` of actors/queries.hpp, which sees to that.
///
/// Errors: `unknown_session`; `invalid_field` for records that are behind the events;
/// `store_corrupt`, naming what is damaged or does not fit the rest; `store_too_new`, `io_error`,
/// `store_unavailable`; those of the sink. What was written by then has no end line, and is no
/// export.
[[nodiscard]] result<export_counts> export_view(store::view& from, const session_id& session,
                                                const line_sink& sink,
                                                const export_options& options = {});

/// Gives the lines of an export one by one, without their newlines; nothing: there are no more. An
/// error ends the import with it.
using line_source = std::function<result<std::optional<std::string>>()>;

struct import_options {
  /// False: the checksum and the counts of the end line must fit, so that damage is noticed. True:
  /// they need not, so that a test can begin with a session that somebody has edited. Then, too,
  /// each line is checked by itself, the head against the events and the timer, and the records
  /// against each other as far as decisions go by it: what waits, what is open, what is counted.
  /// The rest is seen when the session is activated (`store_corrupt`).
  bool accept_edited = false;
  /// The largest export that is read, and the longest line of a file; an import holds two to three
  /// times as much in memory. An `lmdb_store` takes about 500 MB in one transaction.
  std::size_t max_size_bytes = 256'000'000;
  /// Asked whether a session of this id may be imported, before anything is stored; its error is
  /// the import's. Absent: any.
  std::function<caf::error(const session_id&)> check_session;

  import_options() = default;
};

/// What was imported.
struct imported_session {
  session_id session;
  session_number number = 0;     ///< In the store that it is in now.
  std::uint64_t events = 0;      ///< The number of its last one.
  std::uint64_t first_event = 1; ///< Those before it were dropped where it was exported.
  timestamp last_event;  ///< When it happened. A clock that is behind it makes timers fire late.
  bool redacted = false; ///< Something in it may say `[redacted]`.

  imported_session() = default;
};

/// Creates a session from an export, under its id and with its incarnation: it stands where the
/// exported one stood. What was shown to somebody can be approved, open calls can be answered, its
/// timers are armed, and server tools get the same idempotency keys. So the two of them should not
/// both go on in earnest. Nothing runs by itself before the session is addressed or a timer is due.
///
/// One transaction: all or nothing. All events become one entry of the journal, and reading one of
/// them reads that entry. It is a `write`: no runtime may be writing to the store meanwhile.
///
/// Errors, with the number of the line, counted from 1: `invalid_json` for a line that is not JSON;
/// `invalid_field` for one that is not what it should be, for an end that is missing (the export
/// was cut off) or does not fit (it was damaged or edited); `store_too_new` for a newer version of
/// the format; `limit_exceeded` (import_size). Without one: `conflict` when the store has a session
/// of that id, and those of `store::write`.
[[nodiscard]] result<imported_session> import_session(store& into, const line_source& lines,
                                                      const import_options& options = {});

/// The same from a file. The file's name stands in front of what the errors say. Also:
/// `invalid_field` when it cannot be opened or is a directory, `io_error` when it cannot be read.
[[nodiscard]] result<imported_session>
import_session(store& into, const std::filesystem::path& file, const import_options& options = {});

/// Gives the lines of a text. `text` is borrowed for as long as lines are taken. Errors:
/// `limit_exceeded` (import_size) for a line that is longer than `max_line_bytes`, `io_error` when
/// the stream breaks.
[[nodiscard]] line_source lines_of(std::istream& text,
                                   std::size_t max_line_bytes = import_options{}.max_size_bytes);

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<export_counts>;

} // namespace fermata::detail
