#pragma once

#include <fermata/messages/store_identity.hpp>
#include <fermata/storage/detail/tables.hpp>

#include <chrono>

namespace fermata::detail {

// The keys of the tables.

[[nodiscard]] inline table_key number_key(std::uint64_t number) {
  return table_key::of(number);
}

[[nodiscard]] inline table_key part_key(session_number session, const record_key& key) {
  return table_key::of(session, static_cast<std::uint8_t>(key.kind), key.group, key.index);
}

[[nodiscard]] inline table_key status_key(std::uint8_t status, session_number session) {
  return table_key::of(status, session);
}

[[nodiscard]] inline table_key pending_key(session_number session, std::uint64_t item) {
  return table_key::of(session, item);
}

/// The bound of a deleted session's garbage: all of its events are below.
inline constexpr std::uint64_t no_bound = ~std::uint64_t{0};

[[nodiscard]] inline table_key garbage_key(session_number session, std::uint64_t below) {
  return table_key::of(session, below);
}

/// Due times before 1970 are negative: the flipped sign bit puts them before the others.
inline constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

[[nodiscard]] inline table_key timer_key(timestamp due, session_number session,
                                         std::uint64_t timer) {
  return table_key::of(static_cast<std::uint64_t>(due.time_since_epoch().count()) ^ sign_bit,
                       session, timer);
}

struct part_address {
  session_number session = 0;
  record_key key;
};
struct pending_address {
  session_number session = 0;
  std::uint64_t item = 0;
};
struct timer_address {
  timestamp due;
  session_number session = 0;
  std::uint64_t timer = 0;
};
struct garbage_address {
  session_number session = 0;
  std::uint64_t below = 0;

  [[nodiscard]] bool of_deleted() const noexcept { return below == no_bound; }
};

// Errors of all that parses: `store_corrupt`, `store_too_new`.

[[nodiscard]] result<std::uint64_t> parse_number_key(table which, byte_view key);
[[nodiscard]] result<part_address> parse_part_key(byte_view key);
[[nodiscard]] result<pending_address> parse_pending_key(byte_view key);
[[nodiscard]] result<timer_address> parse_timer_key(byte_view key);
[[nodiscard]] result<garbage_address> parse_garbage_key(byte_view key);

/// The one record of the caller that lives in the head itself, which saves a write per step.
inline const record_key head_record_key{record_kind::head, 0, 0};

/// The value of `heads`, borrowed. Payload: last log position 8, events 8, status 1, flags 1 (1:
/// has a record, 2: has dropped events), with the latter: first event 8, then size of the id 1, id,
/// record; numbers are little-endian.
struct head_entry {
  std::uint64_t last_position = 0; ///< 0: no events.
  std::uint64_t events = 0;
  std::uint64_t first_event = 1; ///< The first that is kept; those before it cannot be read.
  std::uint8_t status = 0;
  byte_view id;
  std::optional<byte_view> record;
};

[[nodiscard]] bytes make_head(const head_entry& head);
[[nodiscard]] result<head_entry> parse_head(session_number number, byte_view sealed);
[[nodiscard]] result<std::optional<head_entry>> read_head(table_reader& tables,
                                                          session_number number);

/// As `read_head`, for a number that another table names: that there is none is `store_corrupt`.
[[nodiscard]] result<head_entry> require_head(table_reader& tables, session_number number,
                                              std::string_view named_by);

[[nodiscard]] result<session_anchor> make_anchor(session_number number, const head_entry& head);

/// The value of `log`, borrowed: what one session appended in one commit. Payload: session 8, first
/// event 8, previous position 8, count 4, then each event: size 4, bytes.
struct log_entry {
  session_number session = 0;
  std::uint64_t first_event = 0;
  /// Of the same session; 0: none, or one that was dropped before it was stored here. That of the
  /// first event that is kept may be erased.
  std::uint64_t previous_position = 0;
  std::uint32_t count = 0;
  byte_view events;

  [[nodiscard]] std::uint64_t last_event() const noexcept { return first_event + count - 1; }
};

/// Into bytes that are used again.
void make_log(const log_entry& entry, std::span<const bytes> events, bytes& payload);
[[nodiscard]] result<log_entry> parse_log(std::uint64_t position, byte_view sealed);
[[nodiscard]] result<log_entry> require_log(table_reader& tables, std::uint64_t position);

/// Appends the events of `entry` numbered `first` and up, until there are `limit` in `out`.
[[nodiscard]] caf::error append_events(std::uint64_t position, const log_entry& entry,
                                       std::uint64_t first, std::size_t limit,
                                       std::vector<stored_event>& out);

/// The value of `garbage`: of a session's events, those from `first_event` up to the key's bound
/// are to be erased, backwards from a place in its journal. Payload: position 8, last event 8,
/// first event 8, records 1.
struct garbage_entry {
  std::uint64_t position = 0;    ///< The entry of the journal to go on with; 0: none is left.
  std::uint64_t last_event = 0;  ///< The last one in it.
  std::uint64_t first_event = 1; ///< Those before it are erased, or are other garbage.
  bool records = false;          ///< The session's records are to be erased as well.
};

[[nodiscard]] bytes make_garbage(const garbage_entry& entry);
[[nodiscard]] result<garbage_entry> parse_garbage(byte_view key, byte_view sealed);

/// The value of `ids`. Nothing: there is no session of that id.
[[nodiscard]] bytes make_id_value(session_number number);
[[nodiscard]] result<session_number> parse_id_value(byte_view key, byte_view sealed);
[[nodiscard]] result<std::optional<session_number>> read_id(table_reader& tables,
                                                            const session_id& session);

/// A number in `meta`; nothing if it was never written.
[[nodiscard]] result<std::optional<std::uint64_t>> read_meta(table_reader& tables,
                                                             std::string_view name);
[[nodiscard]] caf::error write_meta(table_writer& tables, std::string_view name,
                                    std::uint64_t value);

/// The newest format of the tables, which this version reads and writes.
inline constexpr std::uint64_t store_format = 4;
/// That of a store that something was deleted from.
inline constexpr std::uint64_t deleting_format = 2;
/// That of a store with records that are behind the events (`commit::defers_records`); 4 where
/// something was deleted as well.
inline constexpr std::uint64_t deferring_format = 3;
/// The format of a store with neither.
inline constexpr std::uint64_t first_format = 1;

/// The format of a store that is to have what both of two formats have.
[[nodiscard]] constexpr std::uint64_t joined_format(std::uint64_t one, std::uint64_t other) {
  if (one == other || other == first_format)
    return one;
  return one == first_format ? other : store_format;
}
[[nodiscard]] constexpr bool has_deleted(std::uint64_t format) {
  return joined_format(format, deleting_format) == format;
}

// The names in `meta`.
inline constexpr std::string_view meta_format = "format";
inline constexpr std::string_view meta_next_number = "next_number";
inline constexpr std::string_view meta_recoveries = "recoveries";
/// The greatest position in `log` that was given out, once that entry is erased.
inline constexpr std::string_view meta_last_position = "last_position";
/// Of a store that nodes share; its value is no number, but the text of a `store_identity`.
inline constexpr std::string_view meta_identity = "identity";

[[nodiscard]] bytes make_identity_value(const store_identity& identity);
/// Empty: it was never written.
[[nodiscard]] result<store_identity> read_identity(table_reader& tables);

} // namespace fermata::detail
