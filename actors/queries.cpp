#include <fermata/actors/queries.hpp>

#include <fermata/actors/core/current_view.hpp>
#include <fermata/actors/core/persistence.hpp>

namespace fermata {

namespace {

using core::read_plan;
using core::read_record;
using core::read_records;

/// A view with the session that was asked for.
struct found_session {
  std::unique_ptr<store::view> view;
  session_number number = 0;
  std::uint64_t first_event = 1;
  head_record head;
  found_session() = default;
};

result<found_session> find(store& from, const session_id& session) {
  found_session found;
  auto view = core::read_current(from);
  if (!view)
    return std::move(view.error());
  found.view = std::move(*view);
  auto anchor = found.view->find(session);
  if (!anchor)
    return std::move(anchor.error());
  if (!*anchor)
    return make_error(errc::unknown_session, "there is no session " + session.str());
  found.number = (*anchor)->number;
  found.first_event = (*anchor)->first_event;
  auto head = read_record<head_record>(*found.view, found.number, head_key(), "head");
  if (!head)
    return std::move(head.error());
  found.head = std::move(*head);
  return found;
}

/// The revision that a person means who names none.
std::uint32_t current_revision(const head_record& head) {
  return head.draft_revision != 0 ? head.draft_revision : head.active_revision;
}

plan_progress progress_of(std::span<const subtask_record> subtasks) {
  plan_progress made;
  made.total = static_cast<std::uint32_t>(subtasks.size());
  for (const auto& subtask : subtasks) {
    switch (subtask.status) {
    case subtask_status::done:
    case subtask_status::skipped:
      ++made.done;
      break;
    case subtask_status::failed:
      ++made.failed;
      break;
    case subtask_status::running:
      ++made.running;
      break;
    case subtask_status::pending:
    case subtask_status::blocked:
    case subtask_status::backing_off:
      ++made.pending;
      break;
    case subtask_status::cancelled:
      ++made.cancelled;
      break;
    }
  }
  if (made.total > 0)
    made.percent = static_cast<std::uint32_t>(std::uint64_t{made.done} * 100 / made.total);
  return made;
}

caf::error add_plan(found_session& found, std::uint32_t revision, session_status& status) {
  auto plan = read_plan(*found.view, found.number, revision);
  if (!plan)
    return std::move(plan.error());
  plan_summary summary;
  summary.status = plan->record.status;
  summary.revision = plan->record.revision;
  summary.goal = plan->record.goal;
  summary.feedback = plan->record.feedback;
  summary.deadline = plan->record.deadline;
  status.plan = std::move(summary);
  status.progress = progress_of(plan->states);
  for (std::size_t i = 0; i < plan->specs.size(); ++i) {
    auto& spec = plan->specs[i];
    auto& record = plan->states[i];
    subtask_summary one;
    one.id = std::move(spec.id);
    one.description = std::move(spec.description);
    const bool handed_over = record.status == subtask_status::running && !record.agent.empty();
    one.agent = std::move(handed_over ? record.agent : spec.agent);
    one.depends_on = std::move(spec.depends_on);
    one.status = record.status;
    one.attempts = record.attempts;
    one.result = std::move(record.result);
    one.error = std::move(record.error);
    one.deadline = record.deadline;
    if (record.status == subtask_status::running && record.attempt_ends
        && (!one.deadline || *record.attempt_ends < *one.deadline))
      one.deadline = record.attempt_ends;
    one.next_step = record.next_step;
    status.subtasks.push_back(std::move(one));
  }
  return caf::none;
}

} // namespace

result<session_status> query_status(store& from, const session_id& session) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  session_status status;
  status.session = session;
  status.state = found->head.state;
  status.waiting = found->head.waiting;
  status.workspace = found->head.workspace;
  status.events = found->head.events;
  status.next_timer = found->head.armed;
  status.suspended_until = found->head.suspended_until;
  status.usage = found->head.usage;
  status.first_event = found->first_event;
  status.delete_at = found->head.delete_at;
  if (const auto revision = current_revision(found->head); revision != 0)
    if (auto error = add_plan(*found, revision, status))
      return error;
  return status;
}

result<event_page> query_event_page(store& from, const session_id& session, std::uint64_t first,
                                    std::size_t limit, std::size_t size_bytes) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  const auto anchor = (*view)->find(session);
  if (!anchor)
    return anchor.error();
  if (!*anchor)
    return make_error(errc::unknown_session, "there is no session " + session.str());
  event_page page;
  page.session = (*anchor)->number;
  page.last = (*anchor)->events;
  std::size_t size = 0;
  const auto add = [&](const stored_event& one) -> result<bool> {
    auto parsed = from_record<event>(one.value);
    if (!parsed)
      return make_error(errc::store_corrupt,
                        "event " + std::to_string(one.number) + " of session " + session.str()
                            + " is not readable: " + message_of(parsed.error()));
    page.events.push_back(std::move(*parsed));
    size += one.value.size();
    return size < size_bytes;
  };
  if (auto error = (*view)->visit_events(page.session, first, limit, add))
    return error;
  return page;
}

result<std::vector<event>> query_events(store& from, const session_id& session, std::uint64_t first,
                                        std::size_t limit) {
  auto page =
      query_event_page(from, session, first, limit, std::numeric_limits<std::size_t>::max());
  if (!page)
    return std::move(page.error());
  return std::move(page->events);
}

result<pending_page> query_pending_page(store& from, const std::optional<session_id>& session,
                                        const pending_cursor& after, std::size_t limit,
                                        std::size_t size_bytes) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  std::optional<session_number> number;
  if (session) {
    auto anchor = (*view)->find(*session);
    if (!anchor)
      return std::move(anchor.error());
    if (!*anchor)
      return make_error(errc::unknown_session, "there is no session " + session->str());
    number = (*anchor)->number;
  }
  auto entries = (*view)->pending(number, after.session, after.item, limit);
  if (!entries)
    return std::move(entries.error());
  pending_page page;
  page.items.reserve(entries->size());
  std::size_t size = 0;
  std::size_t taken = 0;
  while (taken < entries->size() && size < size_bytes) {
    const auto& entry = (*entries)[taken++];
    auto item = entry.damage ? entry.damage : from_record<pending_item>(entry.value);
    if (item)
      page.items.push_back(std::move(*item));
    else if (entry.damage)
      page.damaged.push_back(message_of(entry.damage));
    else
      page.damaged.push_back("a pending entry of session " + entry.session.str()
                             + " is not readable: " + message_of(item.error()));
    size += entry.value.size();
  }
  if (taken > 0 && (taken == limit || taken < entries->size())) {
    pending_cursor next;
    next.session = (*entries)[taken - 1].number;
    next.item = (*entries)[taken - 1].item;
    page.next = next;
  }
  return page;
}

result<std::vector<pending_item>>
query_pending(store& from, const std::optional<session_id>& session, std::size_t limit) {
  auto page = query_pending_page(from, session, {}, limit);
  if (!page)
    return std::move(page.error());
  if (!page->damaged.empty())
    return make_error(errc::store_corrupt, page->damaged.front());
  return std::move(page->items);
}

result<std::string> query_workspace(store& from, const session_id& session) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  return std::move(found->head.workspace);
}

result<std::vector<armed_timer>> query_timers(store& from, std::optional<timestamp> until,
                                              std::size_t limit) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  auto due = (*view)->due(until.value_or(timestamp::max()), limit);
  if (!due)
    return std::move(due.error());
  std::vector<armed_timer> timers;
  timers.reserve(due->size());
  for (auto& one : *due) {
    auto& timer = timers.emplace_back();
    timer.session = std::move(one.session);
    timer.due = one.due;
    if (timer.session.empty())
      timer.damage = message_of(one.damage);
  }
  return timers;
}

namespace {

std::optional<std::uint8_t> as_status(std::optional<session_state> state) {
  return state ? std::optional{static_cast<std::uint8_t>(*state)} : std::nullopt;
}

session_summary summarize(session_anchor anchor) {
  session_summary one;
  one.session = std::move(anchor.id);
  one.state = static_cast<session_state>(anchor.status);
  return one;
}

} // namespace

result<std::vector<session_summary>> query_sessions(store& from, std::optional<session_state> state,
                                                    std::size_t limit,
                                                    const std::optional<session_id>& after) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  session_number last = 0;
  if (after) {
    const auto anchor = (*view)->find(*after);
    if (!anchor)
      return anchor.error();
    if (!*anchor)
      return make_error(errc::unknown_session, "there is no session " + after->str());
    last = (*anchor)->number;
  }
  auto anchors = (*view)->sessions(as_status(state), last, limit);
  if (!anchors)
    return std::move(anchors.error());
  std::vector<session_summary> summaries;
  summaries.reserve(anchors->size());
  for (auto& anchor : *anchors) {
    if (anchor.id.empty())
      return std::move(anchor.damage);
    summaries.push_back(summarize(std::move(anchor)));
  }
  return summaries;
}

result<session_page> query_session_page(store& from, std::optional<session_state> state,
                                        session_number after, std::size_t limit) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  // One more than asked for, to know whether there is more.
  const auto looked_at = limit + (limit < std::numeric_limits<std::size_t>::max() ? 1 : 0);
  auto anchors = (*view)->sessions(as_status(state), after, looked_at);
  if (!anchors)
    return std::move(anchors.error());
  session_page page;
  if (anchors->size() > limit) {
    anchors->pop_back();
    page.next = anchors->empty() ? after : anchors->back().number;
  }
  for (auto& anchor : *anchors) {
    if (anchor.damage)
      page.damaged.push_back(message_of(anchor.damage));
    if (!anchor.id.empty())
      page.sessions.push_back(summarize(std::move(anchor)));
  }
  return page;
}

namespace {

/// The session and the revision that is asked for, or the current one.
result<std::pair<found_session, std::uint32_t>>
find_revision(store& from, const session_id& session, std::optional<std::uint32_t> revision) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  const auto wanted = revision.value_or(current_revision(found->head));
  if (wanted == 0 || wanted > found->head.last_revision)
    return make_error(errc::unknown_approval, "session " + session.str()
                                                  + " has no plan of revision "
                                                  + std::to_string(wanted));
  return std::pair{std::move(*found), wanted};
}

} // namespace

result<plan_spec> query_plan(store& from, const session_id& session,
                             std::optional<std::uint32_t> revision) {
  auto asked = find_revision(from, session, revision);
  if (!asked)
    return std::move(asked.error());
  const auto& [found, wanted] = *asked;
  auto stored = read_plan(*found.view, found.number, wanted);
  if (!stored)
    return std::move(stored.error());
  plan_spec plan;
  plan.goal = std::move(stored->record.goal);
  plan.subtasks = std::move(stored->specs);
  plan.tools = std::move(stored->record.tools);
  return plan;
}

result<plan_diff> query_plan_diff(store& from, const session_id& session,
                                  std::optional<std::uint32_t> revision) {
  auto asked = find_revision(from, session, revision);
  if (!asked)
    return std::move(asked.error());
  const auto& [found, wanted] = *asked;
  auto next = read_plan(*found.view, found.number, wanted);
  if (!next)
    return std::move(next.error());
  core::stored_plan before;
  if (next->record.replaces != 0) {
    auto stored = read_plan(*found.view, found.number, next->record.replaces);
    if (!stored)
      return std::move(stored.error());
    before = std::move(*stored);
  }
  plan_diff diff;
  diff.revision = wanted;
  diff.replaces = next->record.replaces;
  if (diff.replaces != 0 && before.record.goal != next->record.goal)
    diff.goal_before = before.record.goal;
  diff.subtasks = compare_plans(before.specs, core::statuses_of(before.states), next->specs);
  return diff;
}

namespace {

caf::error add_transcript(found_session& found, const subtask_id& id, const subtask_record& subtask,
                          std::vector<transcript_item>& items) {
  auto entries =
      read_records<entry_record>(*found.view, found.number, entry_key(subtask.first_entry),
                                 subtask.entries, "transcript entry");
  if (!entries)
    return std::move(entries.error());
  for (auto& entry : *entries) {
    if (!entry.text.empty()) {
      transcript_item said;
      said.subtask = id;
      said.source = entry.source;
      said.text = std::move(entry.text);
      items.push_back(std::move(said));
    }
    auto calls = read_records<call_record>(*found.view, found.number, call_key(entry.first_call),
                                           entry.calls, "call");
    if (!calls)
      return std::move(calls.error());
    for (auto& call : *calls) {
      transcript_item called;
      called.subtask = id;
      called.call = std::move(call);
      items.push_back(std::move(called));
    }
  }
  return caf::none;
}

} // namespace

result<std::vector<transcript_item>> query_transcript(store& from, const session_id& session) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  std::vector<transcript_item> items;
  const auto revision = found->head.active_revision;
  if (revision == 0)
    return items;
  auto plan = read_plan(*found->view, found->number, revision);
  if (!plan)
    return std::move(plan.error());
  for (std::size_t i = 0; i < plan->specs.size(); ++i)
    if (auto error = add_transcript(*found, plan->specs[i].id, plan->states[i], items))
      return error;
  return items;
}

result<std::vector<remembered_record>> query_remembered(store& from, const session_id& session) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  if (found->head.decisions == 0)
    return std::vector<remembered_record>{};
  return core::read_remembered(*found->view, found->number, found->head.decisions);
}

result<call_record> query_call(store& from, const call_id& call) {
  auto found = find(from, call.session());
  if (!found)
    return std::move(found.error());
  if (call.number() == 0 || call.number() > found->head.calls)
    return make_error(errc::unknown_call,
                      "session " + call.session().str() + " has no call " + call.str());
  return read_record<call_record>(*found->view, found->number, call_key(call.number()), "call");
}

result<export_counts> export_session(store& from, const session_id& session, const line_sink& sink,
                                     const export_options& options) {
  const auto view = core::read_current(from);
  if (!view)
    return view.error();
  return export_view(**view, session, sink, options);
}

} // namespace fermata
