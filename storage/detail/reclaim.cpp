#include <fermata/storage/detail/reclaim.hpp>

#include <algorithm>
#include <vector>

namespace fermata::detail {

namespace {

struct garbage {
  garbage_address address;
  garbage_entry entry;
};

result<std::optional<garbage>> first_garbage(table_reader& tables) {
  std::optional<garbage> found;
  const auto visit = [&](byte_view key, byte_view sealed) -> result<bool> {
    auto address = parse_garbage_key(key);
    if (!address)
      return address.error();
    auto entry = parse_garbage(key, sealed);
    if (!entry)
      return entry.error();
    found = garbage{*address, *entry};
    return false;
  };
  if (auto error = tables.walk(table::garbage, {}, visit))
    return error;
  return found;
}

/// Erases garbage, the bounds of one session in ascending order: the journal is a chain that leads
/// back, so what lies behind has to go first.
class reclaimer {
public:
  reclaimer(table_writer& tables, std::size_t limit) : tables_{tables}, left_{limit} {}

  result<reclaim_outcome> run() {
    for (;;) {
      auto next = first_garbage(tables_);
      if (!next)
        return next.error();
      done_.more = next->has_value();
      if (!done_.more || left_ == 0)
        return done_;
      if (auto error = erase_some(**next))
        return error;
    }
  }

private:
  caf::error erase_some(garbage& of) {
    if (auto error = check_dead(of.address))
      return error;
    while (of.entry.position != 0 && left_ > 0)
      if (auto error = step_back(of))
        return error;
    if (of.entry.position == 0 && of.entry.records)
      if (auto error = erase_records(of))
        return error;
    const auto key = garbage_key(of.address.session, of.address.below);
    if (of.entry.position == 0 && !of.entry.records)
      return tables_.erase(table::garbage, key);
    return tables_.put(table::garbage, key,
                       seal_value(table::garbage, key, make_garbage(of.entry)));
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
  caf::error step_back(garbage& of) {
    const auto position = of.entry.position;
    const auto log = require_log(tables_, position);
    if (!log)
      return log.error();
    if (log->session != of.address.session || log->last_event() != of.entry.last_event)
      return make_error(errc::store_corrupt,
                        describe(table::log, number_key(position))
                            + " is not the one that the garbage of session number "
                            + std::to_string(of.address.session) + " names");
    --left_;
    // What is stored is borrowed: it is copied out before the first write.
    const auto more = log->first_event > of.entry.first_event;
    of.entry.position = more ? log->previous_position : 0;
    of.entry.last_event = more ? log->first_event - 1 : 0;
    return log->last_event() < of.address.below ? erase_log(position) : caf::none;
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

  caf::error erase_records(garbage& of) {
    std::vector<bytes> keys;
    of.entry.records = false;
    const auto visit = [&](byte_view key, byte_view) -> result<bool> {
      auto address = parse_part_key(key);
      if (!address)
        return address.error();
      if (address->session != of.address.session)
        return false;
      of.entry.records = keys.size() == left_;
      if (!of.entry.records)
        keys.emplace_back(key.begin(), key.end());
      return !of.entry.records;
    };
    const record_key first{static_cast<record_kind>(0), 0, 0};
    if (auto error = tables_.walk(table::parts, part_key(of.address.session, first), visit))
      return error;
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
  auto first = first_garbage(tables);
  if (!first)
    return first.error();
  return first->has_value();
}

result<reclaim_outcome> reclaim(table_writer& tables, std::size_t limit) {
  return reclaimer{tables, limit}.run();
}

} // namespace fermata::detail
