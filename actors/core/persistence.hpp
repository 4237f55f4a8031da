#pragma once

#include <fermata/actors/core/recorded_events.hpp>
#include <fermata/actors/core/session_data.hpp>
#include <fermata/storage/store.hpp>

/// Between a session's data and the store.
namespace fermata::core {

/// How much there may be of the events of a tail: an activation reads and applies them.
inline constexpr std::uint64_t max_tail_size_bytes = 32'768;

/// What the data and its new events come to as one transaction; takes `data.changed`. `number` is 0
/// for a session that the commit creates.
///
/// Its records are written with it, or left behind for a later one (`commit::defers_records`): as
/// long as the tail has no more than `tail_events` events, or for some sessions down to half of
/// that, so that not all are written at once, and `max_tail_size_bytes`; the plan goes on, and none
/// takes its place; and no event needs its records. Afterwards calls of the past are forgotten in
/// memory, but for those that are not written yet.
[[nodiscard]] commit make_commit(session_data& data, session_number number, recorded_events events,
                                 std::uint32_t tail_events);

/// The records in `data.unwritten` as they would be written now, in the order of their keys.
[[nodiscard]] std::vector<record_change> unwritten_records(const session_data& data);

/// What is loaded of the running attempt.
enum class attempt_part : std::uint8_t {
  all,
  last_entry ///< And no calls: it is enough to say what events change in the records.
};

/// A session as it is loaded.
struct loaded_session {
  session_number number = 0;
  session_data data;

  loaded_session() = default;
};

/// Loads the last committed state: head, plans, and what concerns the running subtask, as the
/// records have them, and over that what the events of the tail have changed; linear in the plan
/// and the tail, not in the past. Nothing: there is no such session. Errors: `store_corrupt` naming
/// the record or the event, `store_too_new`, `io_error`.
[[nodiscard]] result<std::optional<loaded_session>> load(store::view& from,
                                                         const session_id& session);

/// As `load`, of the session with a number, whose head that is. What the store itself knows of it
/// is not compared, and not in the data: its first event, and its last change.
[[nodiscard]] result<session_data> load_from(store::view& from, session_number number,
                                             head_record head,
                                             attempt_part part = attempt_part::all);

/// Loads what a session's records say of it beside its head, which is in `data` already. Errors: as
/// `load`.
[[nodiscard]] caf::error load_records(record_reader& from, session_number number,
                                      session_data& data, attempt_part part = attempt_part::all);

/// Brings the past calls or the plan that a command names into memory, if they exist. Errors: those
/// of the store.
[[nodiscard]] caf::error recall(session_data& data, session_number number, const command& body,
                                const limits& limits, store& from);

/// Forgets in memory what was recalled, but for calls that are to be written. `make_commit` does it
/// as well.
void forget_past(session_data& data);

/// Reads one typed record. Errors: `store_corrupt` if it is missing or not readable.
template <class T>
[[nodiscard]] result<T> read_record(record_reader& from, session_number session, record_key key,
                                    std::string_view what) {
  auto value = from.read(session, key);
  if (!value)
    return std::move(value.error());
  if (!*value)
    return make_error(errc::store_corrupt, std::string{what} + " of session number "
                                               + std::to_string(session) + " is missing");
  auto parsed = from_record<T>(**value);
  if (!parsed)
    return make_error(errc::store_corrupt, std::string{what} + " of session number "
                                               + std::to_string(session)
                                               + " is not readable: " + message_of(parsed.error()));
  return parsed;
}

/// Reads the typed records of consecutive indexes, all of which must be there. Errors: as
/// `read_record`.
template <class T>
[[nodiscard]] result<std::vector<T>> read_records(record_reader& from, session_number session,
                                                  record_key first, std::uint64_t count,
                                                  std::string_view what) {
  std::vector<T> values;
  if (count == 0)
    return values;
  auto found = from.scan(session, first,
                         record_key{first.kind, first.group, first.index + count - 1}, count);
  if (!found)
    return std::move(found.error());
  if (found->size() != count)
    return make_error(errc::store_corrupt, std::string{what} + " of session number "
                                               + std::to_string(session) + ": "
                                               + std::to_string(count) + " records expected, "
                                               + std::to_string(found->size()) + " found");
  values.reserve(count);
  for (const auto& one : *found) {
    auto parsed = from_record<T>(one.value);
    if (!parsed)
      return make_error(errc::store_corrupt,
                        std::string{what} + " " + std::to_string(one.key.index)
                            + " of session number " + std::to_string(session)
                            + " is not readable: " + message_of(parsed.error()));
    values.push_back(std::move(*parsed));
  }
  return values;
}

/// One plan revision as it is stored.
struct stored_plan {
  plan_record record;
  std::vector<subtask_spec> specs;
  std::vector<subtask_record> states; ///< One for each of `specs`.

  stored_plan() = default;
};

/// Errors: as `read_record`.
[[nodiscard]] result<stored_plan> read_plan(record_reader& from, session_number session,
                                            std::uint32_t revision);

/// The decisions with numbers up to `last` that hold for later calls. Errors: as `read_record`.
[[nodiscard]] result<std::vector<remembered_record>>
read_remembered(record_reader& from, session_number session, std::uint64_t last);

/// The pending index's entry of a call, if it waits for somebody.
[[nodiscard]] std::optional<pending_item> pending_of(const session_id& session,
                                                     const call_record& call);

/// The pending index's entry of a plan, if it waits for somebody.
[[nodiscard]] std::optional<pending_item> pending_of(const session_id& session,
                                                     const plan_record& plan);

} // namespace fermata::core
