#include "plain_store.hpp"

#include "storage_helpers.hpp"

#include <algorithm>
#include <tuple>

namespace fermata::test {

bool plain_store::write(const commit& change) {
  const auto same_id = [&](const auto& one) { return one.second.id == change.session.str(); };
  const auto found = std::find_if(sessions_.begin(), sessions_.end(), same_id);
  const auto last = change.expected_events + change.events.size();
  if (change.drops_events_below > std::max<std::uint64_t>(last, 1))
    return false;
  if (change.number == 0) {
    if (found != sessions_.end() || change.expected_events != 0 || change.deletes_session)
      return false;
    sessions_[next_].id = change.session.str();
  } else if (found == sessions_.end() || found->first != change.number
             || found->second.last_event != change.expected_events) {
    return false;
  }
  const auto number = change.number == 0 ? next_++ : change.number;
  if (change.deletes_session) {
    sessions_.erase(number);
    return true;
  }
  auto& to = sessions_.at(number);
  for (std::size_t i = 1; i <= change.events.size(); ++i)
    journal_.push_back({number, to.last_event + i});
  apply(change, to);
  return true;
}

void plain_store::apply(const commit& change, session& to) {
  for (const auto& event : change.events)
    to.events[++to.last_event] = text(event);
  to.events.erase(to.events.begin(), to.events.lower_bound(change.drops_events_below));
  to.status = change.status;
  for (const auto& record : change.records)
    if (record.value)
      to.records[record.key] = text(*record.value);
    else
      to.records.erase(record.key);
  for (const auto& entry : change.pending)
    if (entry.value)
      to.pending[entry.item] = text(*entry.value);
    else
      to.pending.erase(entry.item);
  for (const auto& timer : change.timers)
    if (timer.armed)
      to.timers[{timer.due.time_since_epoch().count(), timer.timer}] = true;
    else
      to.timers.erase({timer.due.time_since_epoch().count(), timer.timer});
}

std::string plain_store::dump() const {
  std::string out;
  const auto add = [&out](auto... numbers) { ((out += std::to_string(numbers) + ' '), ...); };
  std::map<std::pair<unsigned, session_number>, bool> statuses;
  std::map<std::tuple<std::int64_t, session_number, std::uint64_t>, std::string> timers;
  for (const auto& [number, one] : sessions_) {
    out += "session " + one.id + ' ';
    add(number, one.last_event, one.status);
    for (const auto& [key, value] : one.records) {
      add(static_cast<unsigned>(key.kind), key.group, key.index);
      out += value + ' ';
    }
    for (const auto& event : one.events)
      out += event.second + ' ';
    out += '\n';
    statuses[{one.status, number}] = true;
    for (const auto& timer : one.timers)
      timers[{timer.first.first, number, timer.first.second}] = one.id;
  }
  for (const auto& status : statuses) {
    out += "status ";
    add(status.first.first, status.first.second);
    out += '\n';
  }
  for (const auto& [number, event] : journal_)
    if (const auto of = sessions_.find(number); of != sessions_.end())
      if (const auto kept = of->second.events.find(event); kept != of->second.events.end()) {
        out += "journal ";
        add(number, event);
        out += kept->second + '\n';
      }
  for (const auto& [number, one] : sessions_)
    for (const auto& [item, value] : one.pending) {
      out += "pending " + one.id + ' ';
      add(number, item);
      out += value + '\n';
    }
  for (const auto& [place, id] : timers) {
    out += "timer " + id + ' ';
    add(std::get<0>(place), std::get<1>(place), std::get<2>(place));
    out += '\n';
  }
  return out;
}

} // namespace fermata::test
