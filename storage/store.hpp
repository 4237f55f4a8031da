#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>
#include <fermata/messages/timestamp.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace fermata {

/// A session's number in its store: counted from 1 in the order of creation, never reused. Records
/// are keyed by it, so that those of young sessions are neighbours; the id is only looked up on
/// activation. It is also the session's incarnation: a session that is deleted and created again
/// under the same id has another one.
using session_number = std::uint64_t;

/// What kind of record a key names. The numbers are part of the format.
enum class record_kind : std::uint8_t {
  head = 1,         ///< One per session.
  plan = 2,         ///< One per plan revision; group: revision.
  subtask_spec = 3, ///< group: plan revision, index: position in the plan.
  subtask = 4,      ///< State of a subtask; group: plan revision, index: position in the plan.
  call = 5,         ///< index: call number.
  entry = 6,        ///< Transcript; group: subtask position, index: entry number.
  message = 7,      ///< A user's message; index: its number.
  remembered = 8,   ///< A decision that holds for later calls; index: its number.
  base = 9,         ///< The head as of the event that the other records are as of.
};

/// Names one record of a session. Ordered by kind, group, index.
struct record_key {
  record_kind kind = record_kind::head;
  std::uint32_t group = 0;
  std::uint64_t index = 0;

  record_key() = default;
  record_key(record_kind of_kind, std::uint32_t in_group, std::uint64_t at_index)
      : kind{of_kind}, group{in_group}, index{at_index} {}
  friend auto operator<=>(const record_key&, const record_key&) = default;
};

/// One record as it is read.
struct record {
  record_key key;
  bytes value;

  record() = default;
};

/// Puts a record, or erases it when `value` is empty. Values are opaque to the store, which adds
/// version and checksum.
struct record_change {
  record_key key;
  std::optional<bytes> value;

  record_change() = default;
};

/// Puts or erases an entry of the pending index: one thing that somebody outside must do.
struct pending_change {
  std::uint64_t item = 0;     ///< Chosen by the caller; unique within the session.
  std::optional<bytes> value; ///< Nothing: erase.

  pending_change() = default;
};

/// Arms or disarms a timer in the due-time index.
struct timer_change {
  timestamp due;
  std::uint64_t timer = 0; ///< Chosen by the caller; unique within the session.
  bool armed = true;       ///< False: disarm the timer that was armed with exactly this `due`.

  timer_change() = default;
};

/// What one session writes in one transaction: all or nothing.
struct commit {
  session_id session;
  session_number number = 0;         ///< 0: create the session; the store assigns the next number.
  std::uint64_t expected_events = 0; ///< How many events the session had when this was decided.
  std::vector<bytes> events; ///< Appended as events `expected_events` + 1, ...; may be empty.
  std::uint8_t status = 0;   ///< For the index of sessions by status.
  std::vector<record_change> records;
  /// Records that the events change are not among `records`: whoever reads them has to apply the
  /// events to them (`head_record::recorded`). The first such commit gives the store a format that
  /// versions refuse which would not do so.
  bool defers_records = false;
  std::vector<pending_change> pending;
  std::vector<timer_change> timers;
  /// Deletes the session. Its id is free at once, and nothing of it can be read any more; what it
  /// takes up is freed by `store::reclaim`. `records`, `pending` and `status` are of no account,
  /// and `events` are not stored: whoever watches commits may learn from them what happened. The
  /// index of what is pending is cleared here, but timers are the caller's to disarm, in `timers`.
  bool deletes_session = false;
  /// Events with smaller numbers can no longer be read, and are freed by `store::reclaim`; 0: all
  /// are kept that were. The last event always stays. A session that is created may begin this way,
  /// with `expected_events` events that nobody has any more, if this is the number behind them.
  std::uint64_t drops_events_below = 0;

  commit() = default;
};

/// What became of one commit.
struct commit_outcome {
  session_number number = 0; ///< The session's number; the new one when the commit created it.
  caf::error error;          ///< None: durable.

  commit_outcome() = default;
};

/// What the store itself knows of a session.
struct session_anchor {
  session_id id;
  session_number number = 0;
  std::uint64_t events = 0;      ///< How many events it had, which is the number of the last one.
  std::uint64_t first_event = 1; ///< The first that can be read: those before it were dropped.
  std::uint8_t status = 0;
  caf::error damage; ///< In a list, as for `due_timer`; without an id, only `number` is known.

  session_anchor() = default;
};

struct stored_event {
  session_number session = 0;
  std::uint64_t number = 0; ///< Within its session, from 1.
  bytes value;

  stored_event() = default;
};

struct pending_entry {
  session_id session;
  session_number number = 0;
  std::uint64_t item = 0;
  bytes value;
  caf::error damage; ///< As for `due_timer`; there is neither `session` nor `value` then.

  pending_entry() = default;
};

struct due_timer {
  timestamp due;
  session_id session;
  session_number number = 0;
  std::uint64_t timer = 0;
  /// This entry, or the session's own record, is damaged; where it is the latter, `session` is
  /// empty. What is damaged keeps nothing else from being listed.
  caf::error damage;

  due_timer() = default;
  [[nodiscard]] auto place() const { return std::tuple{due, number, timer}; }
};

/// Whether an error says that what is stored cannot be read, and not that the store cannot be
/// asked.
[[nodiscard]] inline bool is_damage(const caf::error& error) {
  return is(error, errc::store_corrupt) || is(error, errc::store_too_new);
}

/// What a step of `store::reclaim` did.
struct reclaim_outcome {
  std::uint64_t erased = 0; ///< How many records and entries of the journal.
  bool more = false;        ///< Something is left to erase.
  caf::error damage;        ///< What could not be read was passed over, and takes up its space.

  reclaim_outcome() = default;
};

/// Where records are read. Those of a session may be as of an earlier event than its last one
/// (`head_record::recorded`): `read_current` of the actors' core shows them as of the last.
class record_reader {
public:
  virtual ~record_reader() = default;

  record_reader() = default;
  record_reader(const record_reader&) = delete;
  record_reader& operator=(const record_reader&) = delete;

  /// Reads one record; nothing if there is none.
  [[nodiscard]] virtual result<std::optional<bytes>> read(session_number session,
                                                          record_key key) = 0;

  /// Reads the records with `first <= key <= last` in the order of their keys, at most `limit`.
  [[nodiscard]] virtual result<std::vector<record>> scan(session_number session, record_key first,
                                                         record_key last, std::size_t limit) = 0;
};

/// Durable state of many sessions: an append-only journal of their events, their current records,
/// and indexes.
///
/// Threads: `write` and `reclaim` are called by one thread at a time (the journal's); everything
/// else may be called from any thread at any moment, also during those, and sees the last committed
/// state.
///
/// Errors of every call: `store_corrupt` when a record fails its checksum or does not parse (it
/// says which: it is reported, never believed), `store_too_new` for a record of a newer format,
/// `io_error`, `store_unavailable` after `close`.
class store {
public:
  virtual ~store() = default;

  store() = default;
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  /// Writes all commits in one transaction and returns when they are durable: one outcome each, in
  /// order. A commit whose `number` and `expected_events` are not the stored ones gets `conflict`
  /// (creating an id that exists: also `conflict`) and the others of the batch are written all the
  /// same. When the transaction fails, every other commit in it gets the same error: `disk_full` or
  /// `io_error`; the stored state is then that before the call. Only when the store cannot find out
  /// in time whether a failed transaction is stored (the message says so) may it turn out that it
  /// is: until that is settled, nothing is served. So after an error, go on from what is read.
  [[nodiscard]] virtual std::vector<commit_outcome> write(std::span<const commit> commits) = 0;

  /// Erases some of what deleted sessions and dropped events have left, in a transaction of its
  /// own: it looks at no more than `limit` entries, and there is nothing to see of it but the
  /// space. Where nothing is left, nothing is written. What is damaged stays, and keeps nothing
  /// else from being erased. An error is as one of `write`, and nothing is erased then.
  [[nodiscard]] virtual result<reclaim_outcome> reclaim(std::size_t limit) = 0;

  /// Finds a session. Nothing: there is none of that id.
  [[nodiscard]] virtual result<std::optional<session_anchor>> find(const session_id& session) = 0;

  /// Takes events one by one. False: it has seen enough. An error ends the visit with it.
  using event_visitor = std::function<result<bool>(stored_event)>;

  /// A consistent view of one moment; keep it for as short as possible.
  class view : public record_reader {
  public:
    /// As `store::find`.
    [[nodiscard]] virtual result<std::optional<session_anchor>> find(const session_id& session) = 0;

    /// Reads a session's events from number `first` (counted from 1) in order, at most `limit`;
    /// from the first that is kept (`session_anchor::first_event`) where those before it were
    /// dropped.
    [[nodiscard]] virtual result<std::vector<stored_event>>
    events(session_number session, std::uint64_t first, std::size_t limit) = 0;

    /// As `events`, but shows them one by one instead of returning them: of the events, those of
    /// one commit are in memory at a time. The visitor may read from this view.
    [[nodiscard]] virtual caf::error visit_events(session_number session, std::uint64_t first,
                                                  std::size_t limit,
                                                  const event_visitor& visit) = 0;

    /// Reads the journal of all sessions from a position (0: the beginning) in the order of
    /// commits, at most `limit` commits, and sets `position` to where to go on; where that stays,
    /// there are no more. Deleted sessions and dropped events are passed over, whether or not they
    /// are still stored, some thousand at a time: then there may be none on this page. A damaged
    /// commit ends what is read before it; if it is the first one, the error is `store_corrupt` (or
    /// `store_too_new`), and `position` is behind it. Where nothing behind can be read either,
    /// `position` stays.
    [[nodiscard]] virtual result<std::vector<stored_event>> journal(std::uint64_t& position,
                                                                    std::size_t limit) = 0;

    /// Sessions in the order of their numbers, those after number `after`, at most `limit`; with
    /// `status`: only those with that status. A damaged one is among them, and says so.
    [[nodiscard]] virtual result<std::vector<session_anchor>>
    sessions(std::optional<std::uint8_t> status, session_number after, std::size_t limit) = 0;

    /// The pending index in the order of session number and item, beginning after (`after`,
    /// `after_item`), at most `limit`; with `session`: only that session's. A damaged entry is
    /// among them, and says so.
    [[nodiscard]] virtual result<std::vector<pending_entry>>
    pending(std::optional<session_number> session, session_number after, std::uint64_t after_item,
            std::size_t limit) = 0;

    /// Armed timers that are due at `until` or before, in the order of their due times, at most
    /// `limit`; those behind `after`, or from the first on. A damaged one is among them, and says
    /// so.
    [[nodiscard]] virtual result<std::vector<due_timer>>
    due(timestamp until, std::size_t limit, const std::optional<due_timer>& after = {}) = 0;
  };

  /// Opens a view of the last committed state. Views must be gone before the store is closed.
  [[nodiscard]] virtual result<std::unique_ptr<view>> read() = 0;
};

} // namespace fermata
