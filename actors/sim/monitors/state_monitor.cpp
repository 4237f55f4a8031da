#include <fermata/actors/sim/monitors/state_monitor.hpp>

#include <fermata/storage/record_codec.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

/// Of so many commits that write records, one has all of them compared: that costs more than all
/// the rest.
constexpr std::uint64_t record_rarity = 3;

/// A look through the queries, which is linear in the plan, has to be earned: each moment in which
/// nothing moves is worth one subtask of it, and a look costs so much more.
constexpr std::uint64_t query_price = 32;
/// So that none keeps the others waiting for ever.
constexpr std::uint32_t most_expensive_plan = 128;

/// Of a commit that writes more (a proposal is linear in its plan), the first of them are compared.
constexpr std::size_t compared_records = 64;

/// Collects how stored fields differ from what they should be.
class differences {
public:
  template <class Value>
  void compare(std::string_view field, const Value& right, const Value& seen) {
    if (right == seen)
      return;
    text_ += (text_.empty() ? "" : "; ") + std::string{field} + " is "
             + fermata::to_text(fermata::to_json(seen)) + ", but should be "
             + fermata::to_text(fermata::to_json(right));
  }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
  std::string text_;
};

std::string compare(const reference_session& model, const head_record& head) {
  differences found;
  found.compare("id", model.id, head.id);
  found.compare("incarnation", model.incarnation, head.incarnation);
  found.compare("workspace", model.workspace, head.workspace);
  found.compare("events", model.events, head.events);
  found.compare("active_revision", model.active ? model.active->revision() : 0,
                head.active_revision);
  found.compare("draft_revision", model.draft ? model.draft->revision() : 0, head.draft_revision);
  found.compare("last_revision", model.revisions.empty() ? 0 : model.revisions.rbegin()->first,
                head.last_revision);
  found.compare("calls", std::uint64_t{model.calls.size()}, head.calls);
  found.compare("entries", model.entries, head.entries);
  found.compare("running", model.running, head.running);
  found.compare("messages", model.messages, head.messages);
  found.compare("suspended", model.suspended, head.suspended);
  found.compare("suspended_until", model.suspended_until, head.suspended_until);
  found.compare("usage", model.usage, head.usage);
  found.compare("decisions", model.decisions, head.decisions);
  found.compare("delete_at", model.delete_at, head.delete_at);
  return found.text();
}

std::string compare(const reference_call& model, const call_record& call) {
  differences found;
  found.compare("number", model.number, call.number);
  found.compare("revision", model.revision, call.revision);
  found.compare("subtask", model.subtask, call.subtask);
  found.compare("tool", model.tool, call.tool);
  found.compare("kind", model.kind, call.kind);
  found.compare("tool_version", model.tool_version, call.tool_version);
  found.compare("idempotent", model.idempotent, call.idempotent);
  found.compare("arguments", model.arguments, call.arguments);
  found.compare("proposed_arguments", model.proposed_arguments, call.proposed_arguments);
  found.compare("status", model.status, call.status);
  found.compare("digest", model.digest, call.digest);
  found.compare("fingerprint", model.fingerprint, call.fingerprint);
  found.compare("prompt", model.prompt, call.prompt);
  found.compare("ruled_by", model.ruled_by, call.ruled_by);
  found.compare("since", model.since, call.since);
  found.compare("expires_at", model.expires_at, call.expires_at);
  found.compare("retry_at", model.retry_at, call.retry_at);
  found.compare("verdict", model.verdict, call.verdict);
  found.compare("decision_event", model.decision_event, call.decision_event);
  found.compare("remembered", model.remembered, call.remembered);
  found.compare("runs", model.runs, call.runs);
  found.compare("answer", model.answer, call.answer);
  found.compare("answer_event", model.answer_event, call.answer_event);
  found.compare("late", model.late, call.late);
  return found.text();
}

std::string compare(const reference_revision& model, const plan_record& plan) {
  differences found;
  found.compare("status", model.status, plan.status);
  found.compare("sent_back", model.sent_back, plan.sent_back);
  found.compare("verdict", model.verdict, plan.verdict);
  found.compare("decision_event", model.decision_event, plan.decision_event);
  found.compare("goal", model.goal, plan.goal);
  found.compare("digest", model.digest, plan.digest);
  found.compare("prompt", model.prompt, plan.prompt);
  found.compare("replaces", model.replaces, plan.replaces);
  found.compare("planning", model.planning, plan.planning);
  found.compare("planner", model.planner, plan.planner);
  found.compare("first_message", model.first_message, plan.first_message);
  found.compare("proposed", model.proposed, plan.proposed);
  found.compare("expires_at", model.expires_at, plan.expires_at);
  found.compare("deadline", model.deadline, plan.deadline);
  return found.text();
}

std::string compare(const reference_session& model, const reference_plan& plan,
                    std::uint32_t position, const subtask_record& subtask) {
  const auto& right = plan[position];
  const bool runs = model.active && &plan == &*model.active && model.running == position;
  differences found;
  found.compare("status", plan.status(position), subtask.status);
  found.compare("attempts", right.attempts, subtask.attempts);
  found.compare("result", right.result, subtask.result);
  found.compare("deadline", right.deadline, subtask.deadline);
  found.compare("next_step", right.next_step, subtask.next_step);
  if (runs) {
    found.compare("attempt_ends", right.attempt_ends, subtask.attempt_ends);
    found.compare("agent", right.handed_to, subtask.agent);
    found.compare("first_call", model.attempt.first_call, subtask.first_call);
    found.compare("entries", model.entries - model.attempt.first_entry,
                  std::uint64_t{subtask.entries});
    found.compare("open_calls", static_cast<std::uint32_t>(model.open.size()), subtask.open_calls);
  }
  return found.text();
}

std::string compare(const pending_item& right, const pending_item& seen) {
  differences found;
  found.compare("item", right, seen);
  return found.text();
}

/// How one record differs from the model; empty: it does not, or the model does not keep it.
template <class Record, class Compare>
std::string compare_record(const record_change& change, Compare compare_with) {
  if (!change.value)
    return "it is erased";
  const auto record = from_record<Record>(*change.value);
  return record ? compare_with(*record) : "it is not readable: " + message_of(record.error());
}

std::string compare_record(const reference_session& model, const record_change& change) {
  const auto& key = change.key;
  switch (key.kind) {
  case record_kind::call: {
    const auto* call = model.find_call(key.index);
    if (call == nullptr)
      return "there is no call of that number";
    return compare_record<call_record>(
        change, [&](const call_record& record) { return compare(*call, record); });
  }
  case record_kind::plan: {
    const auto plan = model.revisions.find(key.group);
    if (plan == model.revisions.end())
      return "there is no plan of that revision";
    return compare_record<plan_record>(
        change, [&](const plan_record& record) { return compare(plan->second, record); });
  }
  case record_kind::subtask:
    for (const auto* plan : {&model.active, &model.draft})
      if (*plan && (*plan)->revision() == key.group && key.index < (*plan)->size())
        return compare_record<subtask_record>(change, [&](const subtask_record& record) {
          return compare(model, **plan, static_cast<std::uint32_t>(key.index), record);
        });
    return {};
  case record_kind::remembered:
    return change.value.has_value() == model.remembered.contains(key.index)
               ? std::string{}
               : "decision " + std::to_string(key.index) + " should be "
                     + (change.value ? "forgotten" : "remembered");
  default:
    return {};
  }
}

std::string named(const record_key& key) {
  static constexpr std::array kinds = {"",     "head",  "plan",    "subtask_spec", "subtask",
                                       "call", "entry", "message", "remembered"};
  return "record " + std::string{kinds[static_cast<std::size_t>(key.kind)]} + " "
         + std::to_string(key.group) + "/" + std::to_string(key.index);
}

/// The same draw for the same commit in all runs, whatever else is left out.
bool is_chosen(const stored_commit& what) {
  const auto& id = what.session.str();
  const auto crc = crc32c({reinterpret_cast<const std::uint8_t*>(id.data()), id.size()});
  const auto mixed = (what.raw.expected_events + crc) * 0x9E3779B97F4A7C15u;
  return (mixed >> 40) % record_rarity == 0;
}

} // namespace

state_monitor::indexed& state_monitor::index_of(const world& in, const known_session& known,
                                                const stored_commit& what) {
  if (known.index >= indexes_.size())
    indexes_.resize(known.index + 1);
  auto& index = indexes_[known.index];
  if (!index.changed) {
    index.changed = true;
    changed_.push_back(known.index);
  }
  if (!std::exchange(index.is_read, true) && what.raw.expected_events > 0) {
    // It is older than this monitor: what its indexes held before does not matter any more.
    if (const auto status = in.status(what.session))
      index.armed = status->next_timer;
    for (const auto& item : in.pending(what.session))
      index.pending.insert(item.kind == pending_kind::plan
                               ? pending_plan_base + plan_id::parse(item.id)->revision()
                               : call_id::parse(item.id)->number());
    return index;
  }
  for (const auto& change : what.raw.pending)
    if (change.value)
      index.pending.insert(change.item);
    else
      index.pending.erase(change.item);
  for (const auto& change : what.raw.timers)
    if (!change.armed && index.armed == change.due)
      index.armed.reset();
  for (const auto& change : what.raw.timers)
    if (change.armed)
      index.armed = change.due;
  return index;
}

void state_monitor::stored(world& in, const stored_commit& what) {
  const auto& known = *known_->find(in, what.session);
  if (known.flaw)
    return;
  auto& index = index_of(in, known, what);
  check_head(in, known, what);
  check_pending(in, known, index, what);
  check_timer(in, known, index, what);
  if (!what.raw.defers_records && is_chosen(what))
    check_records(in, known, what);
}

void state_monitor::check_head(world& in, const known_session& known, const stored_commit& what) {
  const auto& model = known.model;
  const auto found = std::find_if(what.raw.records.begin(), what.raw.records.end(),
                                  [](const record_change& one) { return one.key == head_key(); });
  if (found == what.raw.records.end() || !found->value)
    return violate(in, "P7", about(what.session, model.events) + "its head was not written");
  const auto head = from_record<head_record>(*found->value);
  if (!head)
    return violate(in, "P7",
                   about(what.session, model.events)
                       + "its head is not readable: " + message_of(head.error()));
  differences found_state;
  found_state.compare("state", model.recorded, head->state);
  found_state.compare("index of sessions by status", model.recorded,
                      static_cast<session_state>(what.raw.status));
  found_state.compare("waiting", model.waiting(), head->waiting);
  if (!found_state.text().empty())
    violate(in, "P5", about(what.session, model.events) + found_state.text());
  differences timer;
  timer.compare("the armed timer of the head", model.next_timer(), head->armed);
  if (!timer.text().empty())
    violate(in, "P6", about(what.session, model.events) + timer.text());
  if (const auto text = compare(model, *head); !text.empty())
    violate(in, "P7", about(what.session, model.events) + "head: " + text);
}

void state_monitor::check_pending(world& in, const known_session& known, indexed& index,
                                  const stored_commit& what) {
  const auto& model = known.model;
  const auto broken = [&](const std::string& text) {
    violate(in, "P5", about(what.session, model.events) + text);
  };
  for (const auto& change : what.raw.pending) {
    const auto right = change.item < pending_plan_base ? model.pending_call(change.item)
                       : model.draft && change.item == pending_plan_base + model.draft->revision()
                           ? model.pending_draft()
                           : std::nullopt;
    const auto named_item = change.item < pending_plan_base
                                ? "call " + std::to_string(change.item)
                                : "revision " + std::to_string(change.item - pending_plan_base);
    if (change.value.has_value() != right.has_value())
      return broken(named_item
                    + (right ? " waits for somebody, but is not among what is pending"
                             : " waits for nobody, but is among what is pending"));
    if (!right)
      continue;
    const auto seen = from_record<pending_item>(*change.value);
    if (!seen)
      return broken("what is pending of " + named_item
                    + " is not readable: " + message_of(seen.error()));
    if (!(*seen == *right))
      return broken("what is pending of " + named_item + ": " + compare(*right, *seen));
  }
  auto counts = model.waiting();
  counts.backoff = 0; // a timer is nobody
  if (index.pending.size() != counts.total())
    broken("the index of what is pending has " + std::to_string(index.pending.size())
           + " items, but the session waits for " + std::to_string(counts.total()));
  for (const auto& fact : what.events)
    if (const auto call = call_of(fact.body);
        call != 0 && model.pending_call(call)
        && std::none_of(what.raw.pending.begin(), what.raw.pending.end(),
                        [&](const pending_change& one) { return one.item == call; }))
      broken("call " + std::to_string(call) + " has changed, but not what is pending of it");
}

void state_monitor::check_timer(world& in, const known_session& known, indexed& index,
                                const stored_commit& what) {
  differences found;
  found.compare("the timer in the due-time index", known.model.next_timer(), index.armed);
  if (!found.text().empty())
    violate(in, "P6", about(what.session, known.model.events) + found.text());
}

void state_monitor::check_records(world& in, const known_session& known,
                                  const stored_commit& what) {
  std::size_t compared = 0;
  for (const auto& change : what.raw.records) {
    if (++compared > compared_records)
      return;
    if (const auto text = compare_record(known.model, change); !text.empty())
      return violate(in, "P7",
                     about(what.session, known.model.events) + named(change.key) + ": " + text);
  }
}

void state_monitor::check_queries(world& in, const known_session& known) {
  const auto& model = known.model;
  if (known.flaw)
    return;
  const auto status = in.status(model.id);
  if (model.deleted) {
    if (status || !is(status.error(), errc::unknown_session) || !in.pending(model.id).empty())
      violate(in, "P7", about(model.id) + "it is deleted, but can be asked");
    return;
  }
  if (!status)
    return violate(in, "P7",
                   about(model.id) + "its status is not readable: " + message_of(status.error()));
  differences found;
  found.compare("state", model.recorded, status->state);
  found.compare("waiting", model.waiting(), status->waiting);
  found.compare("events", model.events, status->events);
  found.compare("first_event", model.first_event, status->first_event);
  found.compare("next_timer", model.next_timer(), status->next_timer);
  found.compare("suspended_until", model.suspended_until, status->suspended_until);
  found.compare("pending", model.pending(), in.pending(model.id));
  if (const auto& plan = model.draft ? model.draft : model.active) {
    found.compare("plan.revision", plan->revision(),
                  status->plan ? status->plan->revision : std::uint32_t{0});
    found.compare("plan.status", model.facts_of(*plan).status,
                  status->plan ? status->plan->status : plan_status::draft);
    found.compare("subtasks", std::size_t{plan->size()}, status->subtasks.size());
    for (std::uint32_t i = 0; i < std::min<std::size_t>(plan->size(), status->subtasks.size());
         ++i) {
      const auto& seen = status->subtasks[i];
      found.compare(seen.id.str() + ".status", plan->status(i), seen.status);
      found.compare(seen.id.str() + ".attempts", (*plan)[i].attempts, seen.attempts);
      found.compare(seen.id.str() + ".result", (*plan)[i].result, seen.result);
      found.compare(seen.id.str() + ".next_step", (*plan)[i].next_step, seen.next_step);
    }
  }
  if (!found.text().empty())
    violate(in, "P5", about(model.id, model.events) + "status: " + found.text());
}

void state_monitor::quiet(world& in) {
  ++credit_;
  while (!changed_.empty()) {
    const auto& known = known_->sessions()[changed_.front()];
    const auto price =
        query_price
        + std::min(known.model.active ? known.model.active->size() : 0, most_expensive_plan);
    if (credit_ < price)
      return; // it is looked at later
    credit_ = 0;
    indexes_[known.index].changed = false;
    changed_.pop_front();
    check_queries(in, known);
  }
}

void state_monitor::ended(world& in) {
  for (const auto& known : known_->sessions())
    check_queries(in, known);
}

} // namespace fermata::sim
