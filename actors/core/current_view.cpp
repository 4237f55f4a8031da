#include <fermata/actors/core/current_view.hpp>

#include <fermata/actors/core/persistence.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace fermata::core {

namespace {

using record_changes = std::map<record_key, std::optional<bytes>>;

/// How many sessions a view keeps the changes of: whoever goes through the journal comes back to
/// those that were busy together.
constexpr std::size_t kept_sessions = 64;

/// The head of a session that has a tail. Nothing: it has none, or whoever reads the head says what
/// is wrong with it.
std::optional<head_record> head_with_tail(const std::optional<bytes>& stored) {
  if (!stored)
    return std::nullopt;
  auto head = from_record<head_record>(*stored);
  if (!head || head->recorded == 0)
    return std::nullopt;
  return std::move(*head);
}

bytes without_tail(head_record head) {
  head.recorded = 0;
  return to_record(head);
}

/// What the records of a session would be changed by, if all were written now.
result<record_changes> changes_of(store::view& stored, session_number session) {
  record_changes changes;
  const auto value = stored.read(session, head_key());
  if (!value)
    return value.error();
  auto head = head_with_tail(*value);
  if (!head)
    return changes;
  auto data = load_from(stored, session, *head, attempt_part::last_entry);
  if (!data)
    return std::move(data.error());
  for (auto& change : unwritten_records(*data))
    changes.insert_or_assign(change.key, std::move(change.value));
  changes.insert_or_assign(head_key(), without_tail(std::move(*head)));
  changes.insert_or_assign(base_key(), std::nullopt);
  return changes;
}

class current_view final : public store::view {
public:
  explicit current_view(std::unique_ptr<store::view> stored) : stored_{std::move(stored)} {}

  result<std::optional<bytes>> read(session_number session, record_key key) override {
    if (key == head_key())
      return read_head(session);
    const auto& changes = changes_in(session);
    if (!changes)
      return changes.error();
    const auto changed = changes->find(key);
    return changed == changes->end() ? stored_->read(session, key) : changed->second;
  }

  result<std::vector<record>> scan(session_number session, record_key first, record_key last,
                                   std::size_t limit) override {
    const auto& changes = changes_in(session);
    if (!changes)
      return changes.error();
    if (changes->empty() || limit == 0 || last < first)
      return stored_->scan(session, first, last, limit);
    const auto begin = changes->lower_bound(first);
    const auto end = changes->upper_bound(last);
    // Each change takes the place of one at most.
    const auto changed = static_cast<std::size_t>(std::distance(begin, end));
    auto found = stored_->scan(session, first, last, std::max(limit, limit + changed));
    if (!found)
      return std::move(found.error());
    return merge(std::move(*found), begin, end, limit);
  }

  result<std::optional<session_anchor>> find(const session_id& session) override {
    return stored_->find(session);
  }
  result<std::vector<stored_event>> events(session_number session, std::uint64_t first,
                                           std::size_t limit) override {
    return stored_->events(session, first, limit);
  }
  caf::error visit_events(session_number session, std::uint64_t first, std::size_t limit,
                          const store::event_visitor& visit) override {
    return stored_->visit_events(session, first, limit, visit);
  }
  result<std::vector<stored_event>> journal(std::uint64_t& position, std::size_t limit) override {
    return stored_->journal(position, limit);
  }
  result<std::vector<session_anchor>> sessions(std::optional<std::uint8_t> status,
                                               session_number after, std::size_t limit) override {
    return stored_->sessions(status, after, limit);
  }
  result<std::vector<pending_entry>> pending(std::optional<session_number> session,
                                             session_number after, std::uint64_t after_item,
                                             std::size_t limit) override {
    return stored_->pending(session, after, after_item, limit);
  }
  result<std::vector<due_timer>> due(timestamp until, std::size_t limit,
                                     const std::optional<due_timer>& after) override {
    return stored_->due(until, limit, after);
  }

private:
  /// Which needs nothing but itself.
  result<std::optional<bytes>> read_head(session_number session) {
    auto stored = stored_->read(session, head_key());
    if (!stored)
      return stored;
    if (auto head = head_with_tail(*stored))
      return std::optional{without_tail(std::move(*head))};
    return stored;
  }

  /// Valid until the next call. An error is kept as well.
  const result<record_changes>& changes_in(session_number session) {
    if (const auto known = changes_.find(session); known != changes_.end())
      return known->second;
    if (changes_.size() >= kept_sessions)
      changes_.clear();
    return changes_.emplace(session, changes_of(*stored_, session)).first->second;
  }

  static std::vector<record> merge(std::vector<record> stored,
                                   record_changes::const_iterator change,
                                   record_changes::const_iterator end, std::size_t limit) {
    std::vector<record> merged;
    const auto add = [&](const record_key& key, bytes value) {
      auto& added = merged.emplace_back();
      added.key = key;
      added.value = std::move(value);
    };
    auto next = stored.begin();
    while (merged.size() < limit && (next != stored.end() || change != end)) {
      if (change == end || (next != stored.end() && next->key < change->first)) {
        add(next->key, std::move(next->value));
        ++next;
        continue;
      }
      if (next != stored.end() && next->key == change->first)
        ++next;
      if (change->second)
        add(change->first, *change->second);
      ++change;
    }
    return merged;
  }

  std::unique_ptr<store::view> stored_;
  std::map<session_number, result<record_changes>> changes_;
};

} // namespace

result<std::unique_ptr<store::view>> read_current(store& from) {
  auto stored = from.read();
  if (!stored)
    return std::move(stored.error());
  return std::unique_ptr<store::view>{std::make_unique<current_view>(std::move(*stored))};
}

} // namespace fermata::core
