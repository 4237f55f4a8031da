#include <fermata/actors/core/persistence.hpp>

#include <cassert>

namespace fermata::core {

namespace {

template <class Item>
void change_pending(commit& out, std::uint64_t item, const std::optional<Item>& waiting) {
  pending_change change;
  change.item = item;
  if (waiting)
    change.value = to_record(*waiting);
  out.pending.push_back(std::move(change));
}

class committer {
public:
  committer(const session_data& data, commit& out) : data_{data}, out_{out} {}

  void write(const record_key& key) {
    switch (key.kind) {
    case record_kind::head:
      put(key, data_.head);
      return;
    case record_kind::plan:
      write_plan(key);
      return;
    case record_kind::subtask_spec:
      if (const auto* plan = data_.find_plan(key.group))
        put(key, plan->specs[key.index]);
      return;
    case record_kind::subtask:
      if (const auto* plan = data_.find_plan(key.group))
        put(key, plan->subtasks()[key.index]);
      return;
    case record_kind::call: {
      const auto& call = data_.calls.at(key.index);
      put(key, call);
      change_pending(out_, key.index, pending_of(data_.head.id, call));
      return;
    }
    case record_kind::entry:
      put(key, data_.unwritten_entries.at(key.index));
      return;
    case record_kind::message:
      put(key, data_.unwritten_messages.at(key.index));
      return;
    case record_kind::remembered:
      if (const auto found = data_.remembered.find(key.index); found != data_.remembered.end())
        put(key, found->second);
      else
        erase(key);
      return;
    }
  }

private:
  template <class T>
  void put(const record_key& key, const T& value) {
    record_change change;
    change.key = key;
    change.value = to_record(value);
    out_.records.push_back(std::move(change));
  }

  void erase(const record_key& key) {
    record_change change;
    change.key = key;
    out_.records.push_back(std::move(change));
  }

  void write_plan(const record_key& key) {
    const auto* plan = data_.find_plan(key.group);
    assert(plan != nullptr && "only a plan in memory changes");
    put(key, plan->record);
    // A plan that leaves memory waits for nobody.
    change_pending(out_, pending_plan_base + key.group,
                   data_.retired.contains(key.group) ? std::nullopt
                                                     : pending_of(data_.head.id, plan->record));
  }

  const session_data& data_;
  commit& out_;
};

/// A session has one entry in the due-time index, for its earliest alarm.
void change_timer(session_data& data, commit& out) {
  const auto due = next_due(data);
  const auto at = due ? std::optional{due->at} : std::nullopt;
  if (at == data.head.armed)
    return;
  const auto add = [&](timestamp when, bool armed) {
    timer_change change;
    change.due = when;
    change.timer = session_timer;
    change.armed = armed;
    out.timers.push_back(change);
  };
  if (data.head.armed)
    add(*data.head.armed, false);
  if (at)
    add(*at, true);
  data.head.armed = at;
}

} // namespace

std::optional<pending_item> pending_of(const session_id& session, const call_record& call) {
  pending_item item;
  switch (call.status) {
  case call_status::awaiting_decision:
    item.waiting_for = wait_cause::decision;
    break;
  case call_status::awaiting_result:
    item.waiting_for = wait_cause::result;
    break;
  case call_status::awaiting_outcome:
    item.waiting_for = wait_cause::outcome;
    break;
  case call_status::awaiting_answer:
    item.waiting_for = wait_cause::answer;
    break;
  case call_status::queued:
  case call_status::claimed:
  case call_status::backing_off:
  case call_status::answered:
    return std::nullopt;
  }
  item.id = call_id{session, call.number}.str();
  item.session = session;
  item.kind = call.kind == tool_kind::person ? pending_kind::input : pending_kind::call;
  item.tool = call.tool;
  item.arguments = call.arguments;
  item.subtask = call.subtask;
  item.digest = call.digest;
  item.fingerprint = call.fingerprint;
  item.prompt = call.prompt;
  item.since = call.since;
  if (call.status != call_status::awaiting_outcome)
    item.expires_at = call.expires_at;
  return item;
}

std::optional<pending_item> pending_of(const session_id& session, const plan_record& plan) {
  if (plan.status != plan_status::draft || plan.sent_back)
    return std::nullopt;
  pending_item item;
  item.id = plan_id{session, plan.revision}.str();
  item.session = session;
  item.kind = pending_kind::plan;
  item.waiting_for = wait_cause::decision;
  item.digest = plan.digest;
  item.goal = plan.goal;
  item.prompt = plan.prompt;
  item.since = plan.proposed;
  item.expires_at = plan.expires_at;
  return item;
}

/// Calls before the running attempt are only needed when a command names them.
void forget_past(session_data& data) {
  const auto first = data.head.running ? data.running_subtask().first_call : data.head.calls + 1;
  data.calls.erase(data.calls.begin(), data.calls.lower_bound(first));
  data.past_plans.clear();
  data.retired.clear();
  data.unwritten_entries.clear();
  data.unwritten_messages.clear();
}

commit make_commit(session_data& data, session_number number, std::span<const event> facts) {
  commit out;
  out.session = data.head.id;
  out.number = number;
  out.expected_events = data.head.events - facts.size();
  out.events.reserve(facts.size());
  for (const auto& fact : facts)
    out.events.push_back(to_record(fact));
  out.status = static_cast<std::uint8_t>(data.head.state);
  out.deletes_session = data.deleted;
  for (const auto& fact : facts)
    if (const auto* trimmed = std::get_if<history_trimmed>(&fact.body))
      out.drops_events_below = trimmed->first_event;
  change_timer(data, out);
  committer writer{data, out};
  for (const auto& key : data.changed)
    writer.write(key);
  data.changed.clear();
  forget_past(data);
  return out;
}

} // namespace fermata::core
