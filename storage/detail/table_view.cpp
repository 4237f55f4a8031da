#include <fermata/storage/detail/table_view.hpp>

#include <algorithm>
#include <deque>
#include <limits>
#include <tuple>

namespace fermata::detail {

namespace {

constexpr auto max_number = std::numeric_limits<std::uint64_t>::max();

/// Entries of the journal that nobody can read any more, in one call.
constexpr std::size_t max_passed_over = 1'024;

caf::error inconsistent(std::string message) {
  return make_error(errc::store_corrupt, std::move(message));
}

result<bytes> copy_unsealed(table which, byte_view key, byte_view sealed) {
  auto payload = unseal_value(which, key, sealed);
  if (!payload)
    return payload.error();
  return bytes{payload->begin(), payload->end()};
}

/// Looks up the ids of sessions that an index names; neighbours in an index are often of one
/// session.
class id_lookup {
public:
  id_lookup(table_reader& tables, table index) : tables_{tables}, index_{index} {}

  result<session_id> operator()(session_number number) {
    if (number != last_.number) {
      auto head = require_head(tables_, number, "table " + std::string{name_of(index_)});
      if (!head)
        return head.error();
      auto anchor = make_anchor(number, *head);
      if (!anchor)
        return anchor.error();
      last_ = std::move(*anchor);
    }
    return last_.id;
  }

private:
  table_reader& tables_;
  table index_;
  session_anchor last_;
};

/// The positions of the first `limit` log entries that hold a session's events from `first` on,
/// which are kept, the last one first.
result<std::deque<std::uint64_t>> chain_back(table_reader& tables, session_number session,
                                             const head_entry& head, std::uint64_t first,
                                             std::size_t limit) {
  std::deque<std::uint64_t> positions;
  auto position = head.last_position;
  auto expected_last = head.events;
  while (position != 0 && expected_last >= first) {
    auto entry = require_log(tables, position);
    if (!entry)
      return entry.error();
    if (entry->session != session || entry->last_event() != expected_last)
      return inconsistent(describe(table::log, number_key(position))
                          + " is not the one that session number " + std::to_string(session)
                          + " has there");
    positions.push_back(position);
    // Each holds one event at least, so those behind are beyond the limit.
    if (positions.size() > limit)
      positions.pop_front();
    position = entry->previous_position;
    expected_last = entry->first_event - 1;
  }
  if (expected_last >= first && expected_last > 0)
    return inconsistent("the journal of session number " + std::to_string(session)
                        + " begins behind event " + std::to_string(expected_last)
                        + ", which was not dropped");
  return positions;
}

/// Reads entries of the journal of all sessions, without what was deleted or dropped.
class journal_reader {
public:
  explicit journal_reader(table_reader& tables) : tables_{tables} {}

  /// Adds the events of the log entry at `position` that can be read.
  caf::error append(std::uint64_t position, byte_view sealed, std::vector<stored_event>& found) {
    auto entry = parse_log(position, sealed);
    if (!entry)
      return std::move(entry.error());
    auto first = first_event_of(entry->session);
    if (!first)
      return std::move(first.error());
    return append_events(position, *entry, *first, std::numeric_limits<std::size_t>::max(), found);
  }

private:
  /// The number of the first event to show; beyond all of them: the session is deleted.
  result<std::uint64_t> first_event_of(session_number session) {
    if (!format_) {
      auto stored = read_meta(tables_, meta_format);
      if (!stored)
        return stored.error();
      format_ = stored->value_or(first_format);
    }
    if (!has_deleted(*format_))
      return std::uint64_t{1};
    auto head = read_head(tables_, session);
    if (!head)
      return head.error();
    return *head ? (*head)->first_event : max_number;
  }

  table_reader& tables_;
  std::optional<std::uint64_t> format_;
};

} // namespace

result<std::optional<bytes>> table_view::read(session_number session, record_key key) {
  if (key == head_record_key) {
    auto head = read_head(*tables_, session);
    if (!head)
      return head.error();
    if (!*head || !(*head)->record)
      return std::optional<bytes>{};
    return std::optional{bytes{(*head)->record->begin(), (*head)->record->end()}};
  }
  const auto stored_key = part_key(session, key);
  auto value = tables_->get(table::parts, stored_key);
  if (!value)
    return value.error();
  if (!*value)
    return std::optional<bytes>{};
  auto payload = copy_unsealed(table::parts, stored_key, **value);
  if (!payload)
    return payload.error();
  return std::optional{std::move(*payload)};
}

result<std::vector<record>> table_view::scan(session_number session, record_key first,
                                             record_key last, std::size_t limit) {
  std::vector<record> found;
  if (limit == 0 || last < first)
    return found;
  if (first <= head_record_key && head_record_key <= last) {
    auto head = read(session, head_record_key);
    if (!head)
      return head.error();
    if (*head) {
      record entry;
      entry.key = head_record_key;
      entry.value = std::move(**head);
      found.push_back(std::move(entry));
    }
  }
  const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto address = parse_part_key(key);
    if (!address)
      return address.error();
    if (address->session != session || address->key > last || found.size() >= limit)
      return false;
    auto value = copy_unsealed(table::parts, key, sealed);
    if (!value)
      return value.error();
    record entry;
    entry.key = address->key;
    entry.value = std::move(*value);
    found.push_back(std::move(entry));
    return true;
  };
  if (auto error = tables_->walk(table::parts, part_key(session, first), visit))
    return error;
  return found;
}

result<std::optional<session_anchor>> table_view::find(const session_id& session) {
  return find_session(*tables_, session);
}

result<std::vector<stored_event>> table_view::events(session_number session, std::uint64_t first,
                                                     std::size_t limit) {
  std::vector<stored_event> found;
  const auto keep = [&](stored_event one) -> result<bool> {
    found.push_back(std::move(one));
    return true;
  };
  if (auto error = visit_events(session, first, limit, keep))
    return error;
  return found;
}

caf::error table_view::visit_events(session_number session, std::uint64_t first, std::size_t limit,
                                    const store::event_visitor& visit) {
  auto head = read_head(*tables_, session);
  if (!head)
    return std::move(head.error());
  if (!*head || limit == 0)
    return caf::none;
  first = std::max(first, (*head)->first_event);
  auto positions = chain_back(*tables_, session, **head, first, limit);
  if (!positions)
    return std::move(positions.error());
  std::vector<stored_event> of_commit;
  for (auto position = positions->rbegin(); position != positions->rend() && limit > 0;
       ++position) {
    auto entry = require_log(*tables_, *position);
    if (!entry)
      return std::move(entry.error());
    of_commit.clear();
    if (auto error = append_events(*position, *entry, first, limit, of_commit))
      return error;
    limit -= of_commit.size();
    for (auto& one : of_commit) {
      const auto more = visit(std::move(one));
      if (!more)
        return more.error();
      if (!*more)
        return caf::none;
    }
  }
  return caf::none;
}

result<std::vector<stored_event>> table_view::journal(std::uint64_t& position, std::size_t limit) {
  std::vector<stored_event> found;
  if (limit == 0 || position == max_number)
    return found;
  std::size_t commits = 0;
  std::size_t passed_over = 0;
  auto reached = position;
  caf::error damage;
  journal_reader entries{*tables_};
  const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto number = parse_number_key(table::log, key);
    if (!number)
      return number.error();
    const auto whole = found.size();
    damage = entries.append(*number, sealed, found);
    if (damage)
      found.resize(whole);
    // The next call begins with it.
    if (damage && commits > 0)
      return false;
    reached = *number;
    ++(found.size() > whole ? commits : passed_over);
    return !damage && commits < limit && passed_over < max_passed_over;
  };
  if (auto error = tables_->walk(table::log, number_key(position + 1), visit))
    return error;
  position = reached;
  if (damage && commits == 0)
    return damage;
  return found;
}

result<std::vector<session_anchor>> table_view::sessions(std::optional<std::uint8_t> status,
                                                         session_number after, std::size_t limit) {
  std::vector<session_anchor> found;
  if (limit == 0 || after == max_number)
    return found;
  const auto add = [&](session_number number, const result<head_entry>& head,
                       caf::error damage_of_entry = {}) -> result<bool> {
    auto anchor = head ? make_anchor(number, *head) : head.error();
    if (!anchor && !is_damage(anchor.error()))
      return anchor.error();
    if (anchor) {
      found.push_back(std::move(*anchor));
      found.back().damage = std::move(damage_of_entry);
    } else {
      auto& damaged = found.emplace_back();
      damaged.number = number;
      damaged.damage = std::move(anchor.error());
    }
    return found.size() < limit;
  };
  const auto visit_head = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto number = parse_number_key(table::heads, key);
    if (!number)
      return number.error();
    return add(*number, parse_head(*number, sealed));
  };
  const auto visit_status = [&](byte_view key, byte_view sealed) -> result<bool> {
    if (key.size() != 9 || key[0] != *status)
      return false;
    const auto number = load_big_endian<std::uint64_t>(key.subspan(1));
    auto head = require_head(*tables_, number, "table by_status");
    if (head && head->status != *status)
      return add(number, inconsistent("table by_status has session number " + std::to_string(number)
                                      + " under a status that is not its own"));
    const auto payload = unseal_value(table::by_status, key, sealed);
    return add(number, head, payload ? caf::error{} : payload.error());
  };
  auto error = status
                   ? tables_->walk(table::by_status, status_key(*status, after + 1), visit_status)
                   : tables_->walk(table::heads, number_key(after + 1), visit_head);
  if (error)
    return error;
  return found;
}

result<std::vector<pending_entry>> table_view::pending(std::optional<session_number> session,
                                                       session_number after,
                                                       std::uint64_t after_item,
                                                       std::size_t limit) {
  std::vector<pending_entry> found;
  if (limit == 0)
    return found;
  auto from = pending_key(after, after_item);
  if (session && *session > after)
    from = pending_key(*session, 0);
  id_lookup id_of{*tables_, table::pending};
  const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto address = parse_pending_key(key);
    if (!address)
      return address.error();
    if (session && address->session != *session)
      return false;
    if (address->session == after && address->item == after_item)
      return true;
    pending_entry entry;
    entry.number = address->session;
    entry.item = address->item;
    auto value = copy_unsealed(table::pending, key, sealed);
    auto id = value ? id_of(address->session) : value.error();
    if (id) {
      entry.session = std::move(*id);
      entry.value = std::move(*value);
    } else if (is_damage(id.error())) {
      entry.damage = std::move(id.error());
    } else {
      return id.error();
    }
    found.push_back(std::move(entry));
    return found.size() < limit;
  };
  if (auto error = tables_->walk(table::pending, from, visit))
    return error;
  return found;
}

result<std::vector<due_timer>> table_view::due(timestamp until, std::size_t limit,
                                               const std::optional<due_timer>& after) {
  std::vector<due_timer> found;
  if (limit == 0)
    return found;
  id_lookup id_of{*tables_, table::timers};
  const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto address = parse_timer_key(key);
    if (!address)
      return address.error();
    if (address->due > until)
      return false;
    if (after && after->place() == std::tuple{address->due, address->session, address->timer})
      return true;
    due_timer timer;
    timer.due = address->due;
    if (const auto payload = unseal_value(table::timers, key, sealed); !payload)
      timer.damage = payload.error();
    if (auto id = id_of(address->session))
      timer.session = std::move(*id);
    else if (is_damage(id.error()))
      timer.damage = std::move(id.error());
    else
      return id.error();
    timer.number = address->session;
    timer.timer = address->timer;
    found.push_back(std::move(timer));
    return found.size() < limit;
  };
  std::optional<table_key> from;
  if (after)
    from = timer_key(after->due, after->number, after->timer);
  if (auto error = tables_->walk(table::timers, from ? byte_view{*from} : byte_view{}, visit))
    return error;
  return found;
}

result<std::optional<session_anchor>> find_session(table_reader& tables,
                                                   const session_id& session) {
  if (session.empty())
    return std::optional<session_anchor>{};
  auto number = read_id(tables, session);
  if (!number)
    return number.error();
  if (!*number)
    return std::optional<session_anchor>{};
  auto head = require_head(tables, **number, "table ids");
  if (!head)
    return head.error();
  auto anchor = make_anchor(**number, *head);
  if (!anchor)
    return anchor.error();
  if (anchor->id != session)
    return inconsistent("table ids leads from " + session.str() + " to session number "
                        + std::to_string(**number) + ", which is " + anchor->id.str());
  return std::optional{std::move(*anchor)};
}

} // namespace fermata::detail
