#include <fermata/storage/detail/check_tables.hpp>

#include <fermata/storage/detail/entries.hpp>

#include <algorithm>
#include <limits>

namespace fermata::detail {

namespace {

class table_checker {
public:
  table_checker(table_reader& tables, verify_report& report) : tables_{tables}, report_{report} {}

  void run() {
    check_each(table::heads, [this](auto key, auto value) { check_head(key, value); });
    check_each(table::garbage, [this](auto key, auto value) { check_garbage(key, value); });
    check_each(table::log, [this](auto key, auto value) { check_log(key, value); });
    if (report_.events != events_of_heads_)
      note("the journal has " + std::to_string(report_.events) + " events, the sessions have "
           + std::to_string(events_of_heads_));
    std::uint64_t ids = 0;
    check_each(table::ids, [&](auto key, auto value) {
      ++ids;
      keep(parse_id_value(key, value));
    });
    expect_one_per_session(table::ids, ids);
    std::uint64_t statuses = 0;
    check_each(table::by_status, [&](auto key, auto value) {
      ++statuses;
      keep(unseal_value(table::by_status, key, value));
    });
    expect_one_per_session(table::by_status, statuses);
    check_each(table::parts, [this](auto key, auto value) { check_part(key, value); });
    check_each(table::pending, [this](auto key, auto value) { check_pending(key, value); });
    check_each(table::timers, [this](auto key, auto value) { check_timer(key, value); });
    check_each(table::meta,
               [this](auto key, auto value) { keep(unseal_value(table::meta, key, value)); });
  }

private:
  [[nodiscard]] bool full() const noexcept {
    return report_.problems.size() >= verify_report::max_problems;
  }

  void note(std::string problem) {
    if (!full())
      report_.problems.push_back(std::move(problem));
  }

  /// Notes the error of a result; returns its value, if there is one.
  template <class Value>
  std::optional<Value> keep(const result<Value>& checked) {
    if (checked)
      return *checked;
    note(message_of(checked.error()));
    return std::nullopt;
  }

  template <class Check>
  void check_each(table which, Check check) {
    bytes previous;
    auto first = true;
    const auto visit = [&](byte_view key, byte_view value) -> result<bool> {
      if (!first
          && !std::lexicographical_compare(previous.begin(), previous.end(), key.begin(),
                                           key.end()))
        return make_error(errc::store_corrupt,
                          describe(which, key) + " is not in the order of keys");
      first = false;
      previous.assign(key.begin(), key.end());
      check(key, value);
      return !full();
    };
    if (auto error = tables_.walk(which, {}, visit))
      note(message_of(error));
  }

  void expect_one_per_session(table which, std::uint64_t count) {
    if (count != report_.sessions && !full())
      note("table " + std::string{name_of(which)} + " has " + std::to_string(count)
           + " entries for " + std::to_string(report_.sessions) + " sessions");
  }

  void check_head(byte_view key, byte_view value) {
    ++report_.sessions;
    const auto number = keep(parse_number_key(table::heads, key));
    if (!number)
      return;
    const auto head = keep(parse_head(*number, value));
    if (!head)
      return;
    if (head->events > 0)
      events_of_heads_ += head->events - head->first_event + 1;
    const auto anchor = keep(make_anchor(*number, *head));
    if (!anchor)
      return;
    const auto name = "session " + anchor->id.str() + " (number " + std::to_string(*number) + ")";
    if (!next_number_)
      next_number_ = keep(read_meta(tables_, meta_next_number)).value_or(std::nullopt).value_or(0);
    if (*number >= *next_number_)
      note(name + " has a number that was not given out yet");
    if (const auto listed = keep(read_id(tables_, anchor->id)); listed && *listed != *number)
      note("table ids does not lead to " + name);
    const auto status = keep(tables_.get(table::by_status, status_key(head->status, *number)));
    if (status && !*status)
      note("table by_status does not list " + name);
    if (head->last_position == 0)
      return;
    const auto last = keep(require_log(tables_, head->last_position));
    if (last && (last->session != *number || last->last_event() != head->events))
      note("the journal of " + name + " does not end where its head says");
  }

  void check_garbage(byte_view key, byte_view value) {
    const auto address = keep(parse_garbage_key(key));
    const auto entry = keep(parse_garbage(key, value));
    if (!address || !entry)
      return;
    const auto head = keep(read_head(tables_, address->session));
    if (!head)
      return;
    const auto deleted = keep(tables_.get(table::garbage, garbage_key(address->session, no_bound)));
    const auto alive = head->has_value();
    if (alive == (deleted && *deleted) || (alive && address->below > (*head)->first_event)
        || entry->records != address->of_deleted())
      note(describe(table::garbage, key) + " is not garbage: it can be read");
    if (entry->position == 0)
      return;
    const auto log = keep(require_log(tables_, entry->position));
    if (log && (log->session != address->session || log->last_event() != entry->last_event))
      note(describe(table::garbage, key) + " goes on in another journal");
  }

  void check_log(byte_view key, byte_view value) {
    const auto position = keep(parse_number_key(table::log, key));
    if (!position)
      return;
    const auto entry = keep(parse_log(*position, value));
    if (!entry)
      return;
    std::vector<stored_event> events;
    if (auto error =
            append_events(*position, *entry, 0, std::numeric_limits<std::size_t>::max(), events))
      note(message_of(error));
    const auto first = first_kept(entry->session);
    if (entry->last_event() >= first) {
      ++report_.commits;
      report_.events += entry->last_event() - std::max(entry->first_event, first) + 1;
      check_previous(key, *entry, first);
      return;
    }
    ++report_.garbage;
    if (const auto garbage = garbage_with(*entry))
      check_previous(key, *entry, garbage->first_event);
    else
      note(describe(table::log, key)
           + (first == no_bound
                  ? " belongs to session number " + std::to_string(entry->session)
                        + ", which does not exist"
                  : std::string{" was dropped, but is not among what is to be erased"}));
  }

  /// `first`: where the journal of the session, or of the garbage that it is in, begins.
  void check_previous(byte_view key, const log_entry& entry, std::uint64_t first) {
    if (entry.first_event <= first)
      return;
    if (entry.previous_position == 0) {
      note(describe(table::log, key) + " names no other one, but is not the first");
      return;
    }
    const auto previous = keep(require_log(tables_, entry.previous_position));
    if (previous
        && (previous->session != entry.session || previous->last_event() + 1 != entry.first_event))
      note(describe(table::log, key) + " does not continue the one that it names");
  }

  /// The first event of a session that can be read; `no_bound`: there is no such session.
  std::uint64_t first_kept(session_number session) {
    if (session != first_kept_of_) {
      first_kept_of_ = session;
      const auto head = keep(tables_.get(table::heads, number_key(session)));
      first_kept_ = head && !*head ? no_bound : 1;
      // What is wrong with the head itself was noted before.
      if (head && *head)
        if (const auto parsed = parse_head(session, **head))
          first_kept_ = parsed->first_event;
    }
    return first_kept_;
  }

  /// The garbage that an entry of the journal is to be erased with.
  std::optional<garbage_entry> garbage_with(const log_entry& log) {
    std::optional<garbage_entry> found;
    const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
      const auto address = parse_garbage_key(key);
      if (address && address->session == log.session)
        if (const auto entry = parse_garbage(key, sealed); entry && entry->position != 0
                                                           && entry->first_event <= log.last_event()
                                                           && log.last_event() <= entry->last_event)
          found = *entry;
      return false;
    };
    const auto from = garbage_key(log.session, log.last_event() + 1);
    if (auto error = tables_.walk(table::garbage, from, visit))
      note(message_of(error));
    return found;
  }

  void check_part(byte_view key, byte_view value) {
    keep(unseal_value(table::parts, key, value));
    const auto address = keep(parse_part_key(key));
    if (!address)
      return;
    const auto garbage = keep(tables_.get(table::garbage, garbage_key(address->session, no_bound)));
    if (garbage && *garbage) {
      ++report_.garbage;
      return;
    }
    ++report_.records;
    check_owner(table::parts, key, address->session);
  }

  void check_pending(byte_view key, byte_view value) {
    ++report_.pending;
    keep(unseal_value(table::pending, key, value));
    if (const auto address = keep(parse_pending_key(key)))
      check_owner(table::pending, key, address->session);
  }

  void check_timer(byte_view key, byte_view value) {
    ++report_.timers;
    keep(unseal_value(table::timers, key, value));
    if (const auto address = keep(parse_timer_key(key)))
      check_owner(table::timers, key, address->session);
  }

  void check_owner(table which, byte_view key, session_number session) {
    if (session == last_owner_)
      return;
    const auto head = keep(tables_.get(table::heads, number_key(session)));
    if (head && !*head)
      note(describe(which, key) + " belongs to session number " + std::to_string(session)
           + ", which does not exist");
    else
      last_owner_ = session;
  }

  table_reader& tables_;
  verify_report& report_;
  std::uint64_t events_of_heads_ = 0;
  std::optional<session_number> next_number_;
  session_number last_owner_ = 0;
  session_number first_kept_of_ = 0;
  std::uint64_t first_kept_ = 1;
};

} // namespace

void check_tables(table_reader& tables, verify_report& report) {
  table_checker{tables, report}.run();
}

} // namespace fermata::detail
