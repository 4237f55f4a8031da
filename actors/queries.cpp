#include <fermata/actors/queries.hpp>

#include <fermata/actors/core/persistence.hpp>

namespace fermata {

namespace {

using core::read_record;
using core::read_records;

/// A view with the session that was asked for.
struct found_session {
  std::unique_ptr<store::view> view;
  session_number number = 0;
  head_record head;
  found_session() = default;
};

result<found_session> find(store& from, const session_id& session) {
  found_session found;
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  found.view = std::move(*view);
  auto anchor = found.view->find(session);
  if (!anchor)
    return std::move(anchor.error());
  if (!*anchor)
    return make_error(errc::unknown_session, "there is no session " + session.str());
  found.number = (*anchor)->number;
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

caf::error add_plan(found_session& found, std::uint32_t revision, session_status& status) {
  auto plan = read_record<plan_record>(*found.view, found.number, plan_key(revision), "plan");
  if (!plan)
    return std::move(plan.error());
  plan_summary summary;
  summary.status = plan->status;
  summary.revision = plan->revision;
  summary.goal = plan->goal;
  summary.feedback = plan->feedback;
  status.plan = std::move(summary);
  auto specs = read_records<subtask_spec>(*found.view, found.number, spec_key(revision, 0),
                                          plan->subtasks, "subtask");
  if (!specs)
    return std::move(specs.error());
  auto records = read_records<subtask_record>(*found.view, found.number, subtask_key(revision, 0),
                                              plan->subtasks, "subtask state");
  if (!records)
    return std::move(records.error());
  for (std::size_t i = 0; i < specs->size(); ++i) {
    auto& spec = (*specs)[i];
    auto& record = (*records)[i];
    subtask_summary one;
    one.id = std::move(spec.id);
    one.description = std::move(spec.description);
    one.agent = std::move(spec.agent);
    one.depends_on = std::move(spec.depends_on);
    one.status = record.status;
    one.attempts = record.attempts;
    one.result = std::move(record.result);
    one.error = std::move(record.error);
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
  if (const auto revision = current_revision(found->head); revision != 0)
    if (auto error = add_plan(*found, revision, status))
      return error;
  return status;
}

result<std::vector<event>> query_events(store& from, const session_id& session, std::uint64_t first,
                                        std::size_t limit) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  auto stored = found->view->events(found->number, first, limit);
  if (!stored)
    return std::move(stored.error());
  std::vector<event> events;
  events.reserve(stored->size());
  for (const auto& one : *stored) {
    auto parsed = from_record<event>(one.value);
    if (!parsed)
      return make_error(errc::store_corrupt,
                        "event " + std::to_string(one.number) + " of session " + session.str()
                            + " is not readable: " + message_of(parsed.error()));
    events.push_back(std::move(*parsed));
  }
  return events;
}

result<std::vector<pending_item>>
query_pending(store& from, const std::optional<session_id>& session, std::size_t limit) {
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
  auto entries = (*view)->pending(number, 0, 0, limit);
  if (!entries)
    return std::move(entries.error());
  std::vector<pending_item> items;
  items.reserve(entries->size());
  for (const auto& entry : *entries) {
    auto item = from_record<pending_item>(entry.value);
    if (!item)
      return make_error(errc::store_corrupt, "a pending entry of session " + entry.session.str()
                                                 + " is not readable: " + message_of(item.error()));
    items.push_back(std::move(*item));
  }
  return items;
}

result<std::vector<session_summary>> query_sessions(store& from, std::optional<session_state> state,
                                                    std::size_t limit) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  const auto status = state ? std::optional{static_cast<std::uint8_t>(*state)} : std::nullopt;
  auto anchors = (*view)->sessions(status, 0, limit);
  if (!anchors)
    return std::move(anchors.error());
  std::vector<session_summary> summaries;
  summaries.reserve(anchors->size());
  for (auto& anchor : *anchors) {
    session_summary one;
    one.session = std::move(anchor.id);
    one.state = static_cast<session_state>(anchor.status);
    summaries.push_back(std::move(one));
  }
  return summaries;
}

result<plan_spec> query_plan(store& from, const session_id& session,
                             std::optional<std::uint32_t> revision) {
  auto found = find(from, session);
  if (!found)
    return std::move(found.error());
  const auto wanted = revision.value_or(current_revision(found->head));
  if (wanted == 0 || wanted > found->head.last_revision)
    return make_error(errc::unknown_approval, "session " + session.str()
                                                  + " has no plan of revision "
                                                  + std::to_string(wanted));
  auto record = read_record<plan_record>(*found->view, found->number, plan_key(wanted), "plan");
  if (!record)
    return std::move(record.error());
  auto specs = read_records<subtask_spec>(*found->view, found->number, spec_key(wanted, 0),
                                          record->subtasks, "subtask");
  if (!specs)
    return std::move(specs.error());
  plan_spec plan;
  plan.goal = std::move(record->goal);
  plan.subtasks = std::move(*specs);
  plan.tools = std::move(record->tools);
  return plan;
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
  auto plan = read_record<plan_record>(*found->view, found->number, plan_key(revision), "plan");
  if (!plan)
    return std::move(plan.error());
  auto specs = read_records<subtask_spec>(*found->view, found->number, spec_key(revision, 0),
                                          plan->subtasks, "subtask");
  if (!specs)
    return std::move(specs.error());
  auto records = read_records<subtask_record>(*found->view, found->number, subtask_key(revision, 0),
                                              plan->subtasks, "subtask state");
  if (!records)
    return std::move(records.error());
  for (std::size_t i = 0; i < specs->size(); ++i)
    if (auto error = add_transcript(*found, (*specs)[i].id, (*records)[i], items))
      return error;
  return items;
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

} // namespace fermata
