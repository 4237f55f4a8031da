#include <fermata/actors/core/persistence.hpp>

#include <algorithm>
#include <utility>

namespace fermata::core {

namespace {

template <class Item>
void put_pending(commit& out, std::uint64_t item, const std::optional<Item>& waiting) {
  pending_change change;
  change.item = item;
  if (waiting)
    change.value = to_record(*waiting);
  out.pending.push_back(std::move(change));
}

/// Makes the records of what is in memory.
class recorder {
public:
  explicit recorder(const session_data& data) : data_{data} {}

  void add(const record_key& key) {
    switch (key.kind) {
    case record_kind::head:
      put(key, data_.head);
      return;
    case record_kind::plan:
      put(key, data_.find_plan(key.group)->record);
      return;
    case record_kind::subtask_spec:
      if (const auto* plan = data_.find_plan(key.group))
        put(key, plan->specs()[key.index]);
      return;
    case record_kind::subtask:
      if (const auto* plan = data_.find_plan(key.group))
        put(key, plan->subtasks()[key.index]);
      return;
    case record_kind::call:
      put(key, data_.calls.at(key.index));
      return;
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
    case record_kind::base:
      erase(key);
      return;
    }
  }

  std::vector<record_change> changes;

private:
  template <class T>
  void put(const record_key& key, const T& value) {
    auto& change = changes.emplace_back();
    change.key = key;
    change.value = to_record(value);
  }

  void erase(const record_key& key) { changes.emplace_back().key = key; }

  const session_data& data_;
};

/// What has changed of it for those who must do something.
void change_pending(const session_data& data, commit& out) {
  for (const auto& key : data.changed) {
    if (key.kind == record_kind::call)
      put_pending(out, key.index, pending_of(data.head.id, data.calls.at(key.index)));
    // A plan that leaves memory waits for nobody.
    if (key.kind == record_kind::plan)
      put_pending(out, pending_plan_base + key.group,
                  data.retired.contains(key.group)
                      ? std::nullopt
                      : pending_of(data.head.id, data.find_plan(key.group)->record));
  }
}

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

namespace {

/// How long the tail of a session may be: from half of the limit up to it. Sessions that began
/// together, and go on in step, would all write their records at the same time otherwise, and the
/// transactions of that time would be long.
std::uint64_t longest_tail(session_number number, std::uint32_t tail_events) {
  constexpr std::uint64_t steps = 16;
  return tail_events - number % steps * tail_events / (2 * steps);
}

/// True when the records are to be written with this commit, and no event is left to be applied.
bool is_record_due(const session_data& data, const commit& made, std::uint32_t tail_events) {
  const auto tail =
      data.head.recorded == 0 ? made.events.size() : data.head.events - data.head.recorded;
  return made.number == 0 || tail > longest_tail(made.number, tail_events)
         || data.tail_size_bytes > max_tail_size_bytes || !data.retired.empty() || data.is_over();
}

void record_all(session_data& data, commit& out) {
  if (std::exchange(data.head.recorded, 0) != 0)
    data.unwritten.insert(base_key()); // there is one to be erased
  out.records = unwritten_records(data);
  data.base = out.records.front().value.value(); // the head
  data.unwritten.clear();
  data.tail_size_bytes = 0;
  data.retired.clear();
  data.unwritten_entries.clear();
  data.unwritten_messages.clear();
}

void defer_records(session_data& data, commit& out) {
  out.defers_records = true;
  const bool begins_tail = data.head.recorded == 0;
  if (begins_tail)
    data.head.recorded = out.expected_events;
  recorder made{data};
  made.add(head_key());
  out.records = std::move(made.changes);
  if (!begins_tail)
    return;
  auto& base = out.records.emplace_back();
  base.key = base_key();
  base.value = std::exchange(data.base, {});
}

} // namespace

std::vector<record_change> unwritten_records(const session_data& data) {
  recorder made{data};
  made.changes.reserve(data.unwritten.size());
  for (const auto& key : data.unwritten)
    made.add(key);
  return std::move(made.changes);
}

/// Calls before the running attempt are only needed when a command names them.
void forget_past(session_data& data) {
  const auto first = data.head.running ? data.running_subtask().first_call : data.head.calls + 1;
  for (auto call = data.calls.begin(); call != data.calls.end() && call->first < first;)
    call =
        data.unwritten.contains(call_key(call->first)) ? std::next(call) : data.calls.erase(call);
  data.past_plans.clear();
}

commit make_commit(session_data& data, session_number number, recorded_events events,
                   std::uint32_t tail_events) {
  commit out;
  out.session = data.head.id;
  out.number = number;
  out.expected_events = data.head.events - events.size();
  out.drops_events_below = events.drops_events_below();
  const auto needs_records = events.needs_records();
  out.events = std::move(events).take();
  for (const auto& event : out.events)
    data.tail_size_bytes += event.size();
  out.status = static_cast<std::uint8_t>(data.head.state);
  out.deletes_session = data.deleted;
  change_timer(data, out);
  data.changed.sort();
  change_pending(data, out);
  data.unwritten.take(data.changed);
  if (needs_records || is_record_due(data, out, tail_events))
    record_all(data, out);
  else
    defer_records(data, out);
  forget_past(data);
  return out;
}

} // namespace fermata::core
