#include <fermata/storage/detail/commit_writer.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace fermata::detail {

namespace {

caf::error conflict(const commit& change, std::string why) {
  return make_error(errc::conflict,
                    "a commit of session " + change.session.str() + " is refused: " + why);
}

} // namespace

caf::error commit_writer::apply(const commit& change, commit_outcome& outcome) {
  if (auto error = load_counters())
    return error;
  auto checked = check(change);
  if (!checked) {
    outcome.error = checked.error();
    return caf::none;
  }
  const auto number = checked->number;
  dirty_ = true;
  outcome.number = number;
  if (change.deletes_session)
    return delete_session(change, number, *checked->head);
  const auto old_status = checked->head ? std::optional{checked->head->status} : std::nullopt;
  // The stored head is borrowed from the tables: it must be copied out before the first write.
  const bytes id{view_of(change.session.str()).begin(), view_of(change.session.str()).end()};
  bytes record;
  auto head = checked->head.value_or(head_entry{});
  head.id = id;
  head.status = change.status;
  if (head.record) {
    record.assign(head.record->begin(), head.record->end());
    head.record = record;
  }
  if (old_status == std::nullopt) {
    created_ = true;
    next_number_ = number + 1;
    head.events = change.expected_events;
    head.first_event = head.events + 1;
    if (head.events > 0) // as a session that has dropped them
      if (auto error = raise_format(deleting_format))
        return error;
    if (auto error =
            put_sealed(table::ids, table_key::of_text(change.session.str()), make_id_value(number)))
      return error;
  }
  if (change.defers_records)
    if (auto error = raise_format(deferring_format))
      return error;
  if (!change.events.empty())
    if (auto error = append_log(change, number, head))
      return error;
  if (change.drops_events_below > head.first_event)
    if (auto error = drop_events(change.drops_events_below, number, head))
      return error;
  if (auto error = put_head(change, number, head))
    return error;
  if (auto error = put_status(change, number, old_status))
    return error;
  if (auto error = put_parts(change, number))
    return error;
  if (auto error = put_pending(change, number))
    return error;
  return put_timers(change, number);
}

caf::error commit_writer::finish() {
  if (!created_)
    return caf::none;
  return write_meta(tables_, meta_next_number, *next_number_);
}

result<commit_writer::target> commit_writer::check(const commit& change) {
  if (auto error = check_id("session id", change.session.str()))
    return error;
  const auto last_event = change.expected_events + change.events.size();
  if (change.drops_events_below > std::max<std::uint64_t>(last_event, 1))
    return conflict(change, "it drops the events below " + std::to_string(change.drops_events_below)
                                + ", but the last one stays, which is event "
                                + std::to_string(last_event));
  for (const auto& event : change.events)
    if (event.size() > std::numeric_limits<std::uint32_t>::max())
      return make_error(errc::limit_exceeded,
                        "an event of session " + change.session.str() + " has 4 GiB or more");
  target found;
  found.number = change.number;
  if (change.number == 0) {
    auto existing = read_id(tables_, change.session);
    if (!existing)
      return existing.error();
    if (*existing)
      return conflict(change,
                      "it was to be created, but exists as number " + std::to_string(**existing));
    if (change.deletes_session)
      return conflict(change, "it was to be created and deleted");
    if (change.expected_events != 0 && change.drops_events_below != change.expected_events + 1)
      return conflict(change, "it was to be created with " + std::to_string(change.expected_events)
                                  + " events");
    found.number = *next_number_;
    return found;
  }
  auto head = read_head(tables_, change.number);
  if (!head)
    return head.error();
  if (!*head)
    return conflict(change, "there is no session number " + std::to_string(change.number));
  found.head = **head;
  const auto id = view_of(change.session.str());
  if (!std::equal(id.begin(), id.end(), found.head->id.begin(), found.head->id.end()))
    return conflict(change, "session number " + std::to_string(change.number) + " is another one");
  if (found.head->events != change.expected_events)
    return conflict(change, "it was decided after " + std::to_string(change.expected_events)
                                + " events, but there are " + std::to_string(found.head->events));
  return found;
}

caf::error commit_writer::delete_session(const commit& change, session_number number,
                                         const head_entry& stored) {
  garbage_entry left;
  left.position = stored.last_position;
  left.last_event = stored.events;
  left.first_event = stored.first_event;
  left.records = true;
  if (auto error = put_garbage(number, no_bound, left))
    return error;
  if (auto error = tables_.erase(table::ids, table_key::of_text(change.session.str())))
    return error;
  if (auto error = tables_.erase(table::by_status, status_key(stored.status, number)))
    return error;
  if (auto error = tables_.erase(table::heads, number_key(number)))
    return error;
  if (auto error = erase_pending(number))
    return error;
  return put_timers(change, number);
}

caf::error commit_writer::erase_pending(session_number number) {
  std::vector<bytes> keys;
  const auto visit = [&](byte_view key, byte_view) -> result<bool> {
    auto address = parse_pending_key(key);
    if (!address)
      return address.error();
    if (address->session == number)
      keys.emplace_back(key.begin(), key.end());
    return address->session == number;
  };
  if (auto error = tables_.walk(table::pending, pending_key(number, 0), visit))
    return error;
  for (const auto& key : keys)
    if (auto error = tables_.erase(table::pending, key))
      return error;
  return caf::none;
}

caf::error commit_writer::drop_events(std::uint64_t below, session_number number,
                                      head_entry& head) {
  garbage_entry left;
  left.position = head.last_position;
  left.last_event = head.events;
  left.first_event = std::exchange(head.first_event, below);
  return put_garbage(number, below, left);
}

caf::error commit_writer::put_garbage(session_number number, std::uint64_t below,
                                      const garbage_entry& entry) {
  if (auto error = raise_format(deleting_format))
    return error;
  return put_sealed(table::garbage, garbage_key(number, below), make_garbage(entry));
}

/// A version that knows nothing of garbage would take it for damage, and a number that was erased
/// for one that is free; one that knows nothing of events to be applied would go on from the past.
/// Both have to refuse the store.
caf::error commit_writer::raise_format(std::uint64_t needed) {
  if (!format_) {
    auto format = read_meta(tables_, meta_format);
    if (!format)
      return std::move(format.error());
    format_ = format->value_or(first_format);
  }
  const auto joined = joined_format(*format_, needed);
  if (*format_ == joined)
    return caf::none;
  format_ = joined;
  return write_meta(tables_, meta_format, joined);
}

caf::error commit_writer::append_log(const commit& change, session_number number,
                                     head_entry& head) {
  const auto position = *last_position_ + 1;
  log_entry entry;
  entry.session = number;
  entry.first_event = head.events + 1;
  entry.previous_position = head.last_position;
  entry.count = static_cast<std::uint32_t>(change.events.size());
  const auto key = number_key(position);
  make_log(entry, change.events, payload_);
  seal_value(table::log, key, payload_, sealed_);
  if (auto error = tables_.append(table::log, key, sealed_))
    return error;
  last_position_ = position;
  head.last_position = position;
  head.events += entry.count;
  return caf::none;
}

caf::error commit_writer::put_head(const commit& change, session_number number,
                                   const head_entry& head) {
  auto written = head;
  for (const auto& part : change.records)
    if (part.key == head_record_key)
      written.record = part.value ? std::optional<byte_view>{*part.value} : std::nullopt;
  return put_sealed(table::heads, number_key(number), make_head(written));
}

caf::error commit_writer::put_status(const commit& change, session_number number,
                                     std::optional<std::uint8_t> old_status) {
  if (old_status == change.status)
    return caf::none;
  if (old_status)
    if (auto error = tables_.erase(table::by_status, status_key(*old_status, number)))
      return error;
  return put_sealed(table::by_status, status_key(change.status, number), {});
}

caf::error commit_writer::put_parts(const commit& change, session_number number) {
  for (const auto& part : change.records) {
    if (part.key == head_record_key)
      continue;
    const auto key = part_key(number, part.key);
    if (auto error = part.value ? put_sealed(table::parts, key, *part.value)
                                : tables_.erase(table::parts, key))
      return error;
  }
  return caf::none;
}

caf::error commit_writer::put_pending(const commit& change, session_number number) {
  for (const auto& entry : change.pending) {
    const auto key = pending_key(number, entry.item);
    if (auto error = entry.value ? put_sealed(table::pending, key, *entry.value)
                                 : tables_.erase(table::pending, key))
      return error;
  }
  return caf::none;
}

caf::error commit_writer::put_timers(const commit& change, session_number number) {
  for (const auto& timer : change.timers) {
    const auto key = timer_key(timer.due, number, timer.timer);
    if (auto error =
            timer.armed ? put_sealed(table::timers, key, {}) : tables_.erase(table::timers, key))
      return error;
  }
  return caf::none;
}

caf::error commit_writer::put_sealed(table which, byte_view key, byte_view payload) {
  seal_value(which, key, payload, sealed_);
  return tables_.put(which, key, sealed_);
}

caf::error commit_writer::load_counters() {
  if (last_position_)
    return caf::none;
  auto next = read_meta(tables_, meta_next_number);
  if (!next)
    return next.error();
  auto last = tables_.last_number(table::log);
  if (!last)
    return last.error();
  next_number_ = next->value_or(1);
  auto erased = read_meta(tables_, meta_last_position);
  if (!erased)
    return std::move(erased.error());
  last_position_ = std::max(*last, erased->value_or(0));
  return caf::none;
}

result<bool> apply_all(table_writer& tables, std::span<const commit> commits,
                       std::vector<commit_outcome>& outcomes, const commit_check& check) {
  commit_writer writer{tables};
  for (std::size_t i = 0; i < commits.size(); ++i) {
    if (check && (outcomes[i].error = check(commits[i])))
      continue;
    if (auto error = writer.apply(commits[i], outcomes[i]))
      return error;
  }
  if (auto error = writer.finish())
    return error;
  return writer.dirty();
}

void fail_all(std::vector<commit_outcome>& outcomes, const caf::error& why) {
  for (auto& outcome : outcomes) {
    outcome.number = 0;
    if (!outcome.error)
      outcome.error = why;
  }
}

} // namespace fermata::detail
