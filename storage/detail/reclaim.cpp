#include <fermata/storage/detail/reclaim.hpp>

#include <algorithm>
#include <vector>

namespace fermata::detail {

namespace {

struct garbage {
  garbage_address address;
  result<garbage_entry> entry;
};

/// The first piece behind a place, or of all.
result<std::optional<garbage>> next_garbage(table_reader& tables,
                                            const std::optional<garbage_address>& behind) {
  std::optional<garbage> found;
  const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto address = parse_garbage_key(key);
    if (!address)
      return address.error();
    if (behind && address->session == behind->session && address->below == behind->below)
      return true;
    found = garbage{*address, parse_garbage(key, sealed)};
    return false;
  };
  const auto from =
      behind ? std::optional{garbage_key(behind->session, behind->below)} : std::nullopt;
  if (auto error = tables.walk(table::garbage, from ? byte_view{*from} : byte_view{}, visit))
    return error;
  return found;
}

/// Erases garbage, the bounds of one session in ascending order: the journal is a chain that leads
/// back, so what lies behind has to go first. So a bound that is damaged keeps the later ones of
/// its session, but for the records of a deleted one.
class reclaimer {
public:
  reclaimer(table_writer& tables, std::size_t limit) : tables_{tables}, left_{limit} {}

  result<reclaim_outcome> run() {
    std::optional<garbage_address> behind;
    for (;;) {
      auto next = next_garbage(tables_, behind);
      if (!next)
        return next.error();
      done_.more = next->has_value();
      if (!done_.more || left_ == 0)
        return done_;
      auto& [address, entry] = **next;
      auto error = entry ? erase_some(address, *entry) : entry.error();
      if (error && !is_damage(error))
        return error;
      if (error) {
        if (!done_.damage)
          done_.damage = std::move(error);
        behind = garbage_address{address.session, no_bound};
        if (!address.of_deleted())
          if (auto failed = erase_records_of(address.session); failed && !is_damage(failed))
            return failed;
      }
    }
  }

private:
  caf::error erase_some(const garbage_address& address, garbage_entry entry) {
    if (auto error = check_dead(address))
      return error;
    const auto before = make_garbage(entry);
    auto damage = go_back(address, entry);
    if (damage && !is_damage(damage))
      return damage;
    // Where it is damaged further back, what was erased is not to be looked for again.
    if (!damage && entry.position == 0 && !entry.records)
      return tables_.erase(table::garbage, garbage_key(address.session, address.below));
    if (make_garbage(entry) != before)
      if (auto error = put(address, entry))
        return error;
    return damage;
  }

  /// Erases what there is, as far as that may be looked at in this step; `entry` says what is left.
  caf::error go_back(const garbage_address& address, garbage_entry& entry) {
    caf::error damage;
    while (entry.position != 0 && left_ > 0 && !damage)
      damage = step_back(address, entry);
    if (damage && !is_damage(damage))
      return damage;
    if (entry.records && (entry.position == 0 || damage))
      if (auto error = erase_records(address.session, entry))
        return error;
    return damage;
  }

  /// Records have no order: those of a deleted session go although something else of it is damaged.
  caf::error erase_records_of(session_number session) {
    const garbage_address address{session, no_bound};
    const auto key = garbage_key(session, no_bound);
    const auto sealed = tables_.get(table::garbage, key);
    if (!sealed || !*sealed)
      return sealed ? caf::error{} : sealed.error();
    auto entry = parse_garbage(key, **sealed);
    if (!entry)
      return std::move(entry.error());
    if (auto error = check_dead(address); error || !entry->records)
      return error;
    if (auto error = erase_records(session, *entry))
      return error;
    return put(address, *entry);
  }

  caf::error put(const garbage_address& address, const garbage_entry& entry) {
    const auto key = garbage_key(address.session, address.below);
    return tables_.put(table::garbage, key, seal_value(table::garbage, key, make_garbage(entry)));
  }

  /// What can be read is not erased, whatever names it as garbage.
  caf::error check_dead(const garbage_address& address) {
    const auto head = read_head(tables_, address.session);
    if (!head)
      return head.error();
    if (*head && address.below > (*head)->first_event)
      return make_error(errc::store_corrupt,
                        describe(table::garbage, garbage_key(address.session, address.below))
                            + " is not garbage: it can be read");
    return caf::none;
  }

  /// Goes one entry back in a session's journal, and erases it if it is below the bound.
  caf::error step_back(const garbage_address& address, garbage_entry& entry) {
    const auto position = entry.position;
    const auto log = require_log(tables_, position);
    if (!log)
      return log.error();
    if (log->session != address.session || log->last_event() != entry.last_event)
      return make_error(errc::store_corrupt,
                        describe(table::log, number_key(position))
                            + " is not the one that the garbage of session number "
                            + std::to_string(address.session) + " names");
    --left_;
    // What is stored is borrowed: it is copied out before the first write.
    const auto more = log->first_event > entry.first_event;
    auto left = entry;
    left.position = more ? log->previous_position : 0;
    left.last_event = more ? log->first_event - 1 : 0;
    if (log->last_event() < address.below)
      if (auto error = erase_log(position))
        return error;
    entry = left;
    return caf::none;
  }

  caf::error erase_log(std::uint64_t position) {
    // Positions are not given out again, also when those at the end are gone.
    auto last = tables_.last_number(table::log);
    if (!last)
      return std::move(last.error());
    if (*last == position)
      if (auto error = keep_last_position(position))
        return error;
    ++done_.erased;
    return tables_.erase(table::log, number_key(position));
  }

  caf::error keep_last_position(std::uint64_t position) {
    auto kept = read_meta(tables_, meta_last_position);
    if (!kept)
      return std::move(kept.error());
    if (kept->value_or(0) >= position)
      return caf::none;
    return write_meta(tables_, meta_last_position, position);
  }

  caf::error erase_records(session_number session, garbage_entry& entry) {
    std::vector<bytes> keys;
    bool more = false;
    const auto visit = [&](byte_view key, byte_view) -> result<bool> {
      auto address = parse_part_key(key);
      if (!address)
        return address.error();
      if (address->session != session)
        return false;
      more = keys.size() == left_;
      if (!more)
        keys.emplace_back(key.begin(), key.end());
      return !more;
    };
    const record_key first{static_cast<record_kind>(0), 0, 0};
    if (auto error = tables_.walk(table::parts, part_key(session, first), visit))
      return error;
    entry.records = more;
    left_ -= keys.size();
    done_.erased += keys.size();
    for (const auto& key : keys)
      if (auto error = tables_.erase(table::parts, key))
        return error;
    return caf::none;
  }

  table_writer& tables_;
  std::size_t left_;
  reclaim_outcome done_;
};

} // namespace

result<bool> has_garbage(table_reader& tables) {
  auto first = next_garbage(tables, std::nullopt);
  if (!first)
    return first.error();
  return first->has_value();
}

result<reclaim_outcome> reclaim(table_writer& tables, std::size_t limit) {
  return reclaimer{tables, limit}.run();
}

} // namespace fermata::detail
