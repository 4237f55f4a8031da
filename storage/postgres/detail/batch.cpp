#include <fermata/storage/postgres/detail/batch.hpp>

#include <fermata/storage/detail/entries.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

/// A statement is limited to 1 GB, and takes several times its size of memory.
constexpr std::size_t max_written_bytes = 256 << 20;

std::vector<byte_view> views_of(const std::vector<bytes>& values) {
  return {values.begin(), values.end()};
}

} // namespace

expected_reads expected_reads::of(std::span<const commit> commits) {
  expected_reads reads;
  for (const auto& one : commits) {
    reads.slots.push_back(slot_of(one.session));
    if (one.number == 0)
      reads.ids.push_back(copy_of(view_of(one.session.str())));
    else
      reads.heads.push_back(copy_of(number_key(one.number)));
    if (one.number != 0 && one.deletes_session)
      reads.deleted.push_back(one.number);
  }
  return reads;
}

postgres_batch::entries& postgres_batch::of(table which) noexcept {
  const auto found = std::find(all_tables.begin(), all_tables.end(), which);
  return entries_[static_cast<std::size_t>(found - all_tables.begin())];
}

// --- what is read together with the beginning ---

void postgres_batch::send_expected(const expected_reads& reads) {
  connection_.send(statements_.read_meta);
  connection_.send(statements_[table::log].last);
  connection_.send(statements_[table::ids].get_all,
                   postgres_parameters{}.array(views_of(reads.ids)));
  connection_.send(statements_[table::heads].get_all,
                   postgres_parameters{}.array(views_of(reads.heads)));
  if (reads.deleted.empty())
    return;
  std::vector<bytes> first;
  std::vector<bytes> behind;
  for (const auto number : reads.deleted) {
    first.push_back(copy_of(number_key(number)));
    behind.push_back(copy_of(number_key(number + 1)));
  }
  connection_.send(statements_.pending_ranges,
                   postgres_parameters{}.array(views_of(first)).array(views_of(behind)));
}

void postgres_batch::take_expected(const expected_reads& reads,
                                   const std::vector<postgres_rows>& answers, std::size_t first) {
  const auto take = [&](table which) {
    const auto& rows = answers.at(first++);
    for (std::size_t i = 0; i < rows.size(); ++i)
      know(which, rows.data(i, 0), rows.data(i, 1));
  };
  take(table::meta);
  ranges_.push_back({table::meta, {}, {}});
  const auto& last = answers.at(first++);
  stored_last_position_ = last.empty() ? 0 : load_big_endian<std::uint64_t>(last.data(0, 0));
  take(table::ids);
  know_missing(table::ids, reads.ids);
  take(table::heads);
  know_missing(table::heads, reads.heads);
  if (reads.deleted.empty())
    return;
  take(table::pending);
  // Behind a session's entries comes the first of another one, which was read as well.
  for (const auto number : reads.deleted) {
    const auto next = of(table::pending).lower_bound(copy_of(number_key(number + 1)));
    std::optional<bytes> behind;
    if (next != of(table::pending).end()) {
      behind = next->first;
      behind->push_back(0);
    }
    ranges_.push_back({table::pending, copy_of(number_key(number)), std::move(behind)});
  }
}

void postgres_batch::know(table which, byte_view key, std::optional<byte_view> value) {
  entry known;
  if (value)
    known.value = copy_of(*value);
  of(which).try_emplace(copy_of(key), std::move(known));
}

void postgres_batch::know_missing(table which, const std::vector<bytes>& keys) {
  for (const auto& key : keys)
    know(which, key, std::nullopt);
}

// --- reading ---

const postgres_batch::known_range* postgres_batch::range_with(table which, byte_view key) const {
  const auto less = [](byte_view left, byte_view right) {
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
  };
  for (const auto& range : ranges_)
    if (range.which == which && !less(key, range.first)
        && (!range.behind || less(key, *range.behind)))
      return &range;
  return nullptr;
}

result<std::optional<byte_view>> postgres_batch::get(table which, byte_view key) {
  auto found = of(which).find(copy_of(key));
  if (found == of(which).end()) {
    if (range_with(which, key) != nullptr)
      return std::optional<byte_view>{};
    auto rows = connection_.ask(statements_[which].get, postgres_parameters{}.data(key), until());
    if (!rows)
      return std::move(rows.error());
    know(which, key, rows->empty() ? std::nullopt : std::optional{rows->data(0, 0)});
    found = of(which).find(copy_of(key));
  }
  const auto& value = found->second.value;
  return value ? std::optional<byte_view>{*value} : std::nullopt;
}

result<std::uint64_t> postgres_batch::last_number(table which) {
  assert(which == table::log && stored_last_position_);
  auto& known = of(which);
  for (auto last = known.rbegin(); last != known.rend(); ++last) {
    const auto position = load_big_endian<std::uint64_t>(last->first);
    if (position < *stored_last_position_)
      break;
    if (last->second.value)
      return position;
  }
  // Those that were erased in this transaction are still there for the database.
  for (;;) {
    const auto key = number_key(*stored_last_position_);
    const auto found = known.find(copy_of(key));
    if (found == known.end() || found->second.value || *stored_last_position_ == 0)
      return *stored_last_position_;
    auto rows =
        connection_.ask(statements_[which].last_before, postgres_parameters{}.data(key), until());
    if (!rows)
      return std::move(rows.error());
    stored_last_position_ = rows->empty() ? 0 : load_big_endian<std::uint64_t>(rows->data(0, 0));
  }
}

result<const postgres_batch::known_range*>
postgres_batch::read_range(page_reader& pages, table which, const bytes& from) {
  const auto rows = pages.next(until());
  if (!rows)
    return rows.error();
  for (std::size_t i = 0; i < rows->size(); ++i)
    know(which, rows->data(i, 0), rows->data(i, 1));
  ranges_.push_back({which, from, pages.is_over() ? std::nullopt : std::optional{pages.from()}});
  return &ranges_.back();
}

caf::error postgres_batch::walk(table which, byte_view from, const visitor& visit) {
  std::optional<page_reader> pages;
  for (auto next = copy_of(from);;) {
    const auto* range = range_with(which, next);
    if (range == nullptr) {
      if (!pages || pages->from() != next)
        pages.emplace(connection_, statements_, which, next);
      const auto read = read_range(*pages, which, next);
      if (!read)
        return read.error();
      range = *read;
    }
    auto& known = of(which);
    for (auto at = known.lower_bound(next);
         at != known.end() && (!range->behind || at->first < *range->behind); ++at) {
      if (!at->second.value)
        continue;
      const auto more = visit(at->first, *at->second.value);
      if (!more)
        return more.error();
      if (!*more)
        return caf::none;
    }
    if (!range->behind)
      return caf::none;
    next = *range->behind;
  }
}

// --- writing ---

void postgres_batch::change(table which, byte_view key, std::optional<byte_view> value) {
  auto& changed = of(which)[copy_of(key)];
  changed.is_changed = true;
  changed.value = value ? std::optional{copy_of(*value)} : std::nullopt;
}

caf::error postgres_batch::put(table which, byte_view key, byte_view value) {
  change(which, key, value);
  return caf::none;
}

caf::error postgres_batch::append(table which, byte_view key, byte_view value) {
  change(which, key, value);
  return caf::none;
}

caf::error postgres_batch::erase(table which, byte_view key) {
  change(which, key, std::nullopt);
  return caf::none;
}

caf::error postgres_batch::send_changes() {
  std::size_t size_bytes = 0;
  for (const auto& known : entries_)
    for (const auto& [key, one] : known)
      if (one.is_changed)
        size_bytes += key.size() + (one.value ? one.value->size() : 0);
  if (size_bytes > max_written_bytes)
    return make_error(errc::limit_exceeded, "a batch of " + std::to_string(size_bytes)
                                                + " bytes is larger than "
                                                + std::to_string(max_written_bytes)
                                                + "; write fewer or smaller commits at once");
  for (const auto which : all_tables)
    send_changes(which, of(which));
  return caf::none;
}

void postgres_batch::send_changes(table which, const entries& changed) {
  std::vector<byte_view> erased;
  std::vector<byte_view> keys;
  std::vector<byte_view> values;
  for (const auto& [key, one] : changed) {
    if (!one.is_changed)
      continue;
    if (!one.value) {
      erased.emplace_back(key);
      continue;
    }
    keys.emplace_back(key);
    values.emplace_back(*one.value);
  }
  const auto& statements = statements_[which];
  if (!erased.empty())
    connection_.send(statements.erase, postgres_parameters{}.array(erased));
  if (!keys.empty())
    connection_.send(which == table::log ? statements.insert : statements.put,
                     postgres_parameters{}.array(keys).array(values));
}

} // namespace fermata::detail
