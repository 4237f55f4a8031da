#pragma once

#include <fermata/messages/events.hpp>
#include <fermata/messages/plan_diff.hpp>
#include <fermata/messages/status.hpp>
#include <fermata/storage/records.hpp>
#include <fermata/storage/session_export.hpp>
#include <fermata/storage/store.hpp>

#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

/// Questions about sessions, answered from the last committed state of a store: at any moment, from
/// any thread, also beside another process that owns the store, and without waking the session.
///
/// Records are shown as the last event has left them. Where some are not written yet, the plan and
/// the events of the tail are read to answer, whatever is asked for.
///
/// All: errors of `store`, and `store_corrupt` for a session whose events cannot be applied.
namespace fermata {

/// Errors: `unknown_session`.
[[nodiscard]] result<session_status> query_status(store& from, const session_id& session);

/// The events from number `first` (counted from 1), at most `limit`. Errors: `unknown_session`.
[[nodiscard]] result<std::vector<event>> query_events(store& from, const session_id& session,
                                                      std::uint64_t first, std::size_t limit);

/// Some of a session's events, all of one moment.
struct event_page {
  session_number session = 0; ///< Which of those that have had its id.
  std::uint64_t last = 0;     ///< The number of its last event.
  std::vector<event> events;

  event_page() = default;
};

/// As `query_events`, but also ends with the event by which the records of all have `size_bytes`.
[[nodiscard]] result<event_page> query_event_page(store& from, const session_id& session,
                                                  std::uint64_t first, std::size_t limit,
                                                  std::size_t size_bytes);

/// What waits for somebody outside, in one session or in all, oldest session first. Errors:
/// `unknown_session`; `store_corrupt` where something of it is damaged.
[[nodiscard]] result<std::vector<pending_item>>
query_pending(store& from, const std::optional<session_id>& session, std::size_t limit = 10'000);

/// Where a page of the pending index begins: behind this one.
struct pending_cursor {
  session_number session = 0;
  std::uint64_t item = 0;

  pending_cursor() = default;
};

/// Some of what waits for somebody outside, and where the next page begins.
struct pending_page {
  std::vector<pending_item> items;
  std::vector<std::string> damaged;   ///< Of those among them that cannot be told: why.
  std::optional<pending_cursor> next; ///< Nothing: this is the last page.

  pending_page() = default;
};

/// As `query_pending`, page by page: at most `limit` items behind `after`, with the damaged ones,
/// which keep no other from being listed; and not more than end with the one by which their records
/// have `size_bytes`.
[[nodiscard]] result<pending_page>
query_pending_page(store& from, const std::optional<session_id>& session,
                   const pending_cursor& after, std::size_t limit,
                   std::size_t size_bytes = std::numeric_limits<std::size_t>::max());

/// Some of a session's moves from state to state, and where the next page begins.
struct history_page {
  std::vector<state_transition> moves;
  std::optional<std::uint64_t> next; ///< An event's number. Nothing: this is the last, for now.

  history_page() = default;
};

/// A session's moves, by the numbers of their events: those of event `first` (counted from 1) and
/// later, at most `limit`, with what brought each about: the event before it, where events that
/// only follow from another are looked past. A page looks at no more than some 10,000 events, and
/// ends behind some 4 MB of moves, so it may hold fewer, even none, while there is a next one. Each
/// also goes once through the commits between event `first` and the last one, so few large pages
/// cost less than many small ones. The cause of a move is not told where the move before it is more
/// than 10,000 events before `first`. Errors: `unknown_session`.
[[nodiscard]] result<history_page> query_history(store& from, const session_id& session,
                                                 std::uint64_t first = 1,
                                                 std::size_t limit = 10'000);

/// Where a page of the audit log begins: behind this one. For all sessions `position` is a commit's
/// place in the journal, for one session it is an event's number.
struct audit_cursor {
  std::uint64_t position = 0;
  std::uint32_t entries = 0; ///< So many entries of the commit behind it were read already.

  audit_cursor() = default;
  friend bool operator==(const audit_cursor&, const audit_cursor&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("position", &audit_cursor::position),
                      optional_field("entries", &audit_cursor::entries)};
  }
};

/// Some entries of the audit log, and where the next page begins.
struct audit_page {
  std::vector<audit_entry> entries;
  std::optional<audit_cursor> next; ///< Nothing: this is the last page, for now.

  audit_page() = default;
};

/// What was decided, by whom, when and on what, in one session or, in the order of commits, in all:
/// decisions on plans and calls, answers to questions, outcomes that somebody told, cancellations
/// and ends of plans other than completion, retries and skips, suspensions, deadlines, decisions
/// that are remembered or forgotten; also where a rule or a remembered decision rejected a call,
/// where a remembered one let it run (`call_proposed`), and results that came too late.
///
/// `details` of a call has its `tool` and the `arguments` that it had until then, which is what was
/// decided on; `edited_to`, `answer` and `ruled_by` where there is such a thing. Whether the tool
/// ran is not said: events say it. Details of more than 64 KB are left out, and say how large they
/// are. What is damaged makes an entry with the action `damaged`, and says in `details` how; of a
/// damaged commit, or a session whose head is damaged, it cannot be told which session it was.
///
/// At most `limit` entries. A page looks at no more than some 10,000 commits (of one session:
/// events), and ends behind some 4 MB of entries, so it may hold fewer, even none, while there is a
/// next one. Of one session each page also goes once through the commits between `after` and the
/// last one. Errors: `unknown_session`.
[[nodiscard]] result<audit_page> query_audit(store& from, const std::optional<session_id>& session,
                                             const audit_cursor& after, std::size_t limit);

/// The folder that a session's tools work in; empty: it has none. Errors: `unknown_session`.
[[nodiscard]] result<std::string> query_workspace(store& from, const session_id& session);

/// Sessions with an armed timer and when it is due, earliest first, at most `limit`; with `until`:
/// those that are due then. A damaged session's timer is among them, and says so.
[[nodiscard]] result<std::vector<armed_timer>>
query_timers(store& from, std::optional<timestamp> until, std::size_t limit = 10'000);

/// What a revision would change, or has changed, in the plan that it was proposed to replace;
/// without `revision`: the one that `query_plan` takes. Errors: as `query_plan`.
[[nodiscard]] result<plan_diff> query_plan_diff(store& from, const session_id& session,
                                                std::optional<std::uint32_t> revision = {});

/// A page of sessions, and how to go on behind it.
struct session_page {
  std::vector<session_summary> sessions; ///< In the order of their creation.
  std::vector<std::string> damaged;      ///< What is damaged there, by the sessions' numbers.
  std::optional<session_number> next; ///< What `after` is for the next page; nothing: that was all.

  session_page() = default;
};

/// Sessions in the order of their creation, those behind number `after`: at most `limit`, with the
/// damaged ones, which keep no other from being listed.
[[nodiscard]] result<session_page> query_session_page(store& from,
                                                      std::optional<session_state> state = {},
                                                      session_number after = 0,
                                                      std::size_t limit = 1'000);

/// Sessions in the order of their creation, with `after` those that were created after that one; at
/// most `limit`. Errors: `unknown_session` for `after`; `store_corrupt` and `store_too_new` where
/// one of them is damaged: `query_session_page` lists the others.
[[nodiscard]] result<std::vector<session_summary>>
query_sessions(store& from, std::optional<session_state> state = {}, std::size_t limit = 10'000,
               const std::optional<session_id>& after = {});

/// A revision of a session's plan as it was proposed; without `revision`: the draft, else the
/// active or last one. Errors: `unknown_session`, `unknown_approval` when there is no such
/// revision.
[[nodiscard]] result<plan_spec> query_plan(store& from, const session_id& session,
                                           std::optional<std::uint32_t> revision = {});

/// One entry of `query_transcript`: a text, or one call.
struct transcript_item {
  subtask_id subtask;
  entry_source source = entry_source::agent; ///< Who a text is by.
  std::string text;
  std::optional<call_record> call;

  transcript_item() = default;
};

/// What agents said and called in the last attempt at each subtask of the active plan, in the order
/// of the plan. Errors: `unknown_session`.
[[nodiscard]] result<std::vector<transcript_item>> query_transcript(store& from,
                                                                    const session_id& session);

/// The decisions of a session that hold for later calls, in the order in which they were made.
/// Errors: `unknown_session`.
[[nodiscard]] result<std::vector<remembered_record>> query_remembered(store& from,
                                                                      const session_id& session);

/// One tool call. Errors: `unknown_session`, `unknown_call`.
[[nodiscard]] result<call_record> query_call(store& from, const call_id& call);

/// Exports all that a store holds of one session (storage/session_export.hpp), as of one moment,
/// while its owner goes on: its records are as the last event has left them, whether or not they
/// are written yet. It holds a view of the store from the first line to the last. In memory are a
/// few records, the events of one commit, and, where records are to be written, the plan.
///
/// Errors: `unknown_session`; `store_corrupt`, naming what is damaged or does not fit the rest;
/// `store_too_new`, `io_error`, `store_unavailable`; those of the sink. What was written by then
/// has no end line, and is no export.
[[nodiscard]] result<export_counts> export_session(store& from, const session_id& session,
                                                   const line_sink& sink,
                                                   const export_options& options = {});

} // namespace fermata
