#include <fermata/actors/core/persistence.hpp>

#include <algorithm>
#include <unordered_set>

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

/// The running subtask's calls and transcript.
caf::error load_attempt(record_reader& from, session_number number, session_data& data) {
  if (*data.head.running >= data.active->subtasks().size())
    return make_error(errc::store_corrupt, "the running subtask is not in the plan");
  const auto& subtask = data.running_subtask();
  auto calls =
      read_records<call_record>(from, number, call_key(subtask.first_call), subtask.calls, "call");
  if (!calls)
    return std::move(calls.error());
  for (auto& call : *calls) {
    data.count_call(call, false);
    data.calls.emplace(call.number, std::move(call));
  }
  auto entries = read_records<entry_record>(from, number, entry_key(subtask.first_entry),
                                            subtask.entries, "transcript entry");
  if (!entries)
    return std::move(entries.error());
  data.entries = std::move(*entries);
  return caf::none;
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

/// When the last event was recorded that retention counts from. Long ago, if only deletions were
/// scheduled since; nothing, if it cannot be read, which is no reason not to load the session.
std::optional<timestamp> read_last_change(store::view& from, session_number number,
                                          std::uint64_t events) {
  constexpr std::uint64_t looked_at = 16;
  const auto last = from.events(number, events - std::min(events - 1, looked_at - 1), looked_at);
  if (!last)
    return std::nullopt;
  for (auto one = last->rbegin(); one != last->rend(); ++one) {
    const auto known = from_record<event>(one->value);
    if (!known)
      return std::nullopt;
    if (!std::holds_alternative<deletion_scheduled>(known->body))
      return known->at;
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

caf::error load_records(record_reader& from, session_number number, session_data& data) {
  auto head = read_record<head_record>(from, number, head_key(), "head");
  if (!head)
    return std::move(head.error());
  data.head = std::move(*head);
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
  return load_attempt(from, number, data);
}

result<std::optional<loaded_session>> load(store::view& from, const session_id& session) {
  auto anchor = from.find(session);
  if (!anchor)
    return std::move(anchor.error());
  if (!*anchor)
    return std::optional<loaded_session>{};
  loaded_session loaded;
  loaded.number = (*anchor)->number;
  auto& data = loaded.data;
  if (auto error = load_records(from, loaded.number, data))
    return error;
  data.first_event = (*anchor)->first_event;
  if (data.head.id != session || data.head.events != (*anchor)->events)
    return make_error(errc::store_corrupt,
                      "the head of session " + session.str() + " does not fit its anchor");
  if (data.head.delete_at)
    data.last_change = read_last_change(from, loaded.number, data.head.events);
  return std::optional<loaded_session>{std::move(loaded)};
}

namespace {

caf::error recall_call(session_data& data, session_number number, const call_id& id, store& from) {
  if (id.session() != data.head.id || id.number() == 0 || id.number() > data.head.calls
      || data.calls.contains(id.number()))
    return caf::none;
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  auto call = read_record<call_record>(**view, number, call_key(id.number()), "call");
  if (!call)
    return std::move(call.error());
  data.calls.emplace(id.number(), std::move(*call));
  return caf::none;
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
