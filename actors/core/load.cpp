#include <fermata/actors/core/applicable.hpp>
#include <fermata/actors/core/apply.hpp>
#include <fermata/actors/core/persistence.hpp>

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

namespace fermata::core {

result<stored_plan> read_plan(record_reader& from, session_number number, std::uint32_t revision) {
  stored_plan plan;
  auto record = read_record<plan_record>(from, number, plan_key(revision), "plan");
  if (!record)
    return std::move(record.error());
  auto specs =
      read_records<subtask_spec>(from, number, spec_key(revision, 0), record->subtasks, "subtask");
  if (!specs)
    return std::move(specs.error());
  auto states = read_records<subtask_record>(from, number, subtask_key(revision, 0),
                                             record->subtasks, "subtask state");
  if (!states)
    return std::move(states.error());
  plan.record = std::move(*record);
  plan.specs = std::move(*specs);
  plan.states = std::move(*states);
  return plan;
}

namespace {

result<plan_data> load_plan(record_reader& from, session_number number, std::uint32_t revision) {
  auto plan = read_plan(from, number, revision);
  if (!plan)
    return std::move(plan.error());
  std::unordered_set<subtask_id> ids;
  for (const auto& spec : plan->specs)
    ids.insert(spec.id);
  for (const auto& spec : plan->specs)
    for (const auto& dependency : spec.depends_on)
      if (!ids.contains(dependency))
        return make_error(errc::store_corrupt, "subtask " + spec.id.str() + " depends on "
                                                   + dependency.str() + ", which is not stored");
  return plan_data{std::move(plan->record), std::move(plan->specs), std::move(plan->states)};
}

caf::error load_entries(record_reader& from, session_number number, std::uint64_t first,
                        std::uint64_t count, session_data& data) {
  auto entries =
      read_records<entry_record>(from, number, entry_key(first), count, "transcript entry");
  if (!entries)
    return std::move(entries.error());
  data.entries = std::move(*entries);
  return caf::none;
}

/// The running subtask's calls and transcript.
caf::error load_attempt(record_reader& from, session_number number, session_data& data,
                        attempt_part part) {
  if (*data.head.running >= data.active->subtasks().size())
    return make_error(errc::store_corrupt, "the running subtask is not in the plan");
  const auto& subtask = data.running_subtask();
  if (part == attempt_part::last_entry)
    return load_entries(from, number, subtask.first_entry + subtask.entries - 1,
                        std::min<std::uint64_t>(subtask.entries, 1), data);
  auto calls =
      read_records<call_record>(from, number, call_key(subtask.first_call), subtask.calls, "call");
  if (!calls)
    return std::move(calls.error());
  for (auto& call : *calls) {
    data.count_call(call, false);
    data.calls.emplace(call.number, std::move(call));
  }
  return load_entries(from, number, subtask.first_entry, subtask.entries, data);
}

/// Users' messages to the plan in force, or to the draft that is the only plan.
caf::error load_messages(record_reader& from, session_number number, session_data& data) {
  const auto* plan = data.active && !(data.draft && data.draft->record.replaces == 0)
                         ? &*data.active
                         : (data.draft ? &*data.draft : nullptr);
  if (plan == nullptr || plan->record.first_message > data.head.messages)
    return caf::none;
  const auto first = std::max<std::uint64_t>(plan->record.first_message, 1);
  auto messages = read_records<message_record>(from, number, message_key(first),
                                               data.head.messages - first + 1, "message");
  if (!messages)
    return std::move(messages.error());
  data.messages = std::move(*messages);
  return caf::none;
}

/// The decisions that hold for later calls; some numbers are forgotten ones.
caf::error load_remembered(record_reader& from, session_number number, session_data& data) {
  if (data.head.decisions == 0)
    return caf::none;
  auto found = read_remembered(from, number, data.head.decisions);
  if (!found)
    return std::move(found.error());
  for (auto& one : *found)
    data.remembered.emplace(one.number, std::move(one));
  return caf::none;
}

/// When the last event was recorded that retention counts from; nothing, if it cannot be read,
/// which is no reason not to load the session. Since then a deletion may have been scheduled again
/// and again, as long as a run held it up. Long ago, where that happened more often than is looked
/// at, or what was before it is dropped.
std::optional<timestamp> read_last_change(store::view& from, session_number number,
                                          std::uint64_t first_event, std::uint64_t events) {
  constexpr std::uint64_t looked_at = 4'096;
  // Each time from the end, as the journal is a chain that leads back.
  for (std::uint64_t window = 16; window <= looked_at; window *= 4) {
    const auto first = events - std::min(events - first_event, window - 1);
    const auto some = from.events(number, first, window);
    if (!some)
      return std::nullopt;
    for (auto one = some->rbegin(); one != some->rend(); ++one) {
      const auto known = from_record<event>(one->value);
      if (!known)
        return std::nullopt;
      if (!std::holds_alternative<deletion_scheduled>(known->body))
        return known->at;
    }
    if (first == first_event)
      break;
  }
  return timestamp{};
}

} // namespace

result<std::vector<remembered_record>> read_remembered(record_reader& from, session_number number,
                                                       std::uint64_t last) {
  std::vector<remembered_record> values;
  const auto found = from.scan(number, remembered_key(1), remembered_key(last), last);
  if (!found)
    return found.error();
  for (const auto& one : *found) {
    auto parsed = from_record<remembered_record>(one.value);
    if (!parsed)
      return make_error(errc::store_corrupt,
                        "remembered decision " + std::to_string(one.key.index)
                            + " of session number " + std::to_string(number)
                            + " is not readable: " + message_of(parsed.error()));
    values.push_back(std::move(*parsed));
  }
  return values;
}

caf::error load_records(record_reader& from, session_number number, session_data& data,
                        attempt_part part) {
  if (data.head.active_revision != 0) {
    auto plan = load_plan(from, number, data.head.active_revision);
    if (!plan)
      return std::move(plan.error());
    data.active = std::move(*plan);
  }
  if (data.head.draft_revision != 0) {
    auto plan = load_plan(from, number, data.head.draft_revision);
    if (!plan)
      return std::move(plan.error());
    data.draft = std::move(*plan);
  }
  if (auto error = load_messages(from, number, data))
    return error;
  if (auto error = load_remembered(from, number, data))
    return error;
  if (!data.head.running)
    return caf::none;
  if (!data.active)
    return make_error(errc::store_corrupt,
                      "a subtask of session " + data.head.id.str() + " runs without a plan");
  return load_attempt(from, number, data, part);
}

namespace {

/// True for a call that there is, but not in memory.
bool is_away(const session_data& data, std::uint64_t call) {
  return call != 0 && call <= data.head.calls && !data.calls.contains(call);
}

caf::error bring_in_call(record_reader& from, session_number number, std::uint64_t call,
                         session_data& data) {
  auto record = read_record<call_record>(from, number, call_key(call), "call");
  if (!record)
    return std::move(record.error());
  data.calls.emplace(call, std::move(*record));
  return caf::none;
}

caf::error apply_stored(session_data& data, session_number number, const stored_event& stored,
                        record_reader& from) {
  const auto unusable = [&](const std::string& why) {
    return make_error(errc::store_corrupt, "event " + std::to_string(stored.number) + " of session "
                                               + data.head.id.str() + " cannot be applied: " + why);
  };
  auto fact = from_record<event>(stored.value);
  if (!fact)
    return unusable(message_of(fact.error()));
  if (const auto call = call_of(fact->body); is_away(data, call))
    if (auto error = bring_in_call(from, number, call, data))
      return error;
  if (auto error = check_applicable(data, *fact))
    return unusable(message_of(error));
  apply(data, std::move(*fact));
  if (!data.retired.empty())
    return unusable("the records of a plan that leaves are written with it");
  data.tail_size_bytes += stored.value.size();
  return caf::none;
}

/// Applies what the journal has behind the event that the records are as of.
caf::error apply_tail(store::view& from, session_number number, session_data& data) {
  const auto apply_one = [&](const stored_event& stored) -> result<bool> {
    if (auto error = apply_stored(data, number, stored, from))
      return error;
    return true;
  };
  constexpr auto all = std::numeric_limits<std::size_t>::max();
  if (auto error = from.visit_events(number, data.head.events + 1, all, apply_one))
    return error;
  data.changed.sort();
  data.unwritten = std::exchange(data.changed, {});
  forget_past(data);
  return caf::none;
}

/// The events must lead to the head that was stored with the last one. What a newer version has in
/// it, and where its timer is, is not what they say.
caf::error take_over_head(session_data& data, head_record stored) {
  data.head.armed = stored.armed;
  data.head.recorded = stored.recorded;
  data.head.unknown = stored.unknown;
  if (to_record(data.head) != to_record(stored))
    return make_error(errc::store_corrupt, "the events of session " + stored.id.str()
                                               + " do not lead from its records to its head");
  return caf::none;
}

} // namespace

result<session_data> load_from(store::view& from, session_number number, head_record head,
                               attempt_part part) {
  session_data data;
  const auto has_tail = head.recorded != 0;
  data.head = head;
  if (has_tail) {
    auto base =
        read_record<head_record>(from, number, base_key(), "the head behind which the tail begins");
    if (!base)
      return std::move(base.error());
    if (base->events != head.recorded || base->id != head.id)
      return make_error(errc::store_corrupt,
                        "the base of session " + head.id.str() + " does not fit its head");
    data.head = std::move(*base);
  }
  if (auto error = load_records(from, number, data, part))
    return error;
  if (!has_tail) {
    data.base = to_record(data.head);
    return data;
  }
  if (auto error = apply_tail(from, number, data))
    return error;
  if (auto error = take_over_head(data, std::move(head)))
    return error;
  return data;
}

result<std::optional<loaded_session>> load(store::view& from, const session_id& session) {
  auto anchor = from.find(session);
  if (!anchor)
    return std::move(anchor.error());
  if (!*anchor)
    return std::optional<loaded_session>{};
  const auto number = (*anchor)->number;
  auto head = read_record<head_record>(from, number, head_key(), "head");
  if (!head)
    return std::move(head.error());
  if (head->id != session || head->events != (*anchor)->events)
    return make_error(errc::store_corrupt,
                      "the head of session " + session.str() + " does not fit its anchor");
  auto data = load_from(from, number, std::move(*head));
  if (!data)
    return std::move(data.error());
  loaded_session loaded;
  loaded.number = number;
  loaded.data = std::move(*data);
  loaded.data.first_event = (*anchor)->first_event;
  auto& last_change = loaded.data.last_change;
  last_change = loaded.data.head.delete_at ? read_last_change(from, number, loaded.data.first_event,
                                                              loaded.data.head.events)
                                           : std::nullopt;
  return std::optional{std::move(loaded)};
}

namespace {

caf::error recall_call(session_data& data, session_number number, const call_id& id, store& from) {
  if (id.session() != data.head.id || !is_away(data, id.number()))
    return caf::none;
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  return bring_in_call(**view, number, id.number(), data);
}

caf::error recall_calls(session_data& data, session_number number, const decide_calls& all,
                        const limits& limits, store& from) {
  if (all.decisions.size() > limits.calls_per_step)
    return caf::none; // `decide` refuses them
  for (const auto& decision : all.decisions)
    if (auto error = recall_call(data, number, decision.call, from))
      return error;
  return caf::none;
}

caf::error recall_plan(session_data& data, session_number number, std::uint32_t revision,
                       store& from) {
  if (revision == 0 || revision > data.head.last_revision || data.find_plan(revision)
      || data.past_plans.contains(revision))
    return caf::none;
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  auto plan = read_record<plan_record>(**view, number, plan_key(revision), "plan");
  if (!plan)
    return std::move(plan.error());
  data.past_plans.emplace(revision, std::move(*plan));
  return caf::none;
}

} // namespace

caf::error recall(session_data& data, session_number number, const command& body,
                  const limits& limits, store& from) {
  if (!data.exists())
    return caf::none;
  if (const auto* decision = std::get_if<decide_plan>(&body))
    return recall_plan(data, number, decision->revision, from);
  if (const auto* decision = std::get_if<decide_call>(&body))
    return recall_call(data, number, decision->call, from);
  if (const auto* all = std::get_if<decide_calls>(&body))
    return recall_calls(data, number, *all, limits, from);
  if (const auto* answer = std::get_if<tool_result>(&body))
    return recall_call(data, number, answer->call, from);
  if (const auto* outcome = std::get_if<resolve_outcome>(&body))
    return recall_call(data, number, outcome->call, from);
  if (const auto* answer = std::get_if<answer_question>(&body))
    return recall_call(data, number, answer->call, from);
  if (const auto* cancelled = std::get_if<cancel_call>(&body))
    return recall_call(data, number, cancelled->call, from);
  return caf::none;
}

} // namespace fermata::core
