#include <fermata/actors/core/packed_session.hpp>

#include <fermata/actors/core/persistence.hpp>
#include <fermata/messages/cbor.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace fermata::core {

namespace {

/// Adds records in the order of their keys.
class packer {
public:
  explicit packer(const session_data& data) : data_{data} {}

  bytes pack() {
    const auto plans = sorted_plans();
    add(head_key(), data_.head);
    for (const auto* plan : plans)
      add(plan_key(plan->record.revision), plan->record);
    for (const auto* plan : plans)
      add_all(spec_key(plan->record.revision, 0), plan->specs());
    for (const auto* plan : plans)
      add_all(subtask_key(plan->record.revision, 0), plan->subtasks());
    for (const auto& [number, call] : data_.calls)
      add(call_key(number), call);
    const auto first_entry =
        data_.head.running ? data_.running_subtask().first_entry : data_.head.entries + 1;
    for (const auto& [number, entry] : data_.unwritten_entries)
      if (number < first_entry)
        add(entry_key(number), entry);
    if (data_.head.running)
      add_all(entry_key(first_entry), data_.entries);
    for (const auto& message : data_.messages)
      add(message_key(message.number), message);
    for (const auto& [number, decision] : data_.remembered)
      add(remembered_key(number), decision);
    return out_.content();
  }

private:
  [[nodiscard]] std::vector<const plan_data*> sorted_plans() const {
    std::vector<const plan_data*> found;
    for (const auto* plan : {&data_.active, &data_.draft})
      if (*plan)
        found.push_back(&**plan);
    std::sort(found.begin(), found.end(), [](const auto* one, const auto* other) {
      return one->record.revision < other->record.revision;
    });
    return found;
  }

  template <class T>
  void add(const record_key& key, const T& value) {
    const auto kind = std::uint64_t{static_cast<std::uint8_t>(key.kind)};
    writer_.unsigned_integer(2 * kind + (data_.unwritten.contains(key) ? 1 : 0));
    writer_.unsigned_integer(key.group);
    writer_.unsigned_integer(key.index);
    writer_.byte_string(to_record(value));
  }

  template <class T>
  void add_all(record_key first, const std::vector<T>& values) {
    for (const auto& value : values) {
      add(first, value);
      ++first.index;
    }
  }

  const session_data& data_;
  detail::cbor_buffer out_;
  detail::cbor_writer writer_{out_};
};

struct record_view {
  record_key key;
  std::span<const std::uint8_t> value;
  bool is_unwritten = false;
};

/// Reads the records of the one session that was packed, whatever its number.
class packed_records final : public record_reader {
public:
  explicit packed_records(std::vector<record_view> sorted) noexcept : records_{std::move(sorted)} {}

  result<std::optional<bytes>> read(session_number session, record_key key) override {
    auto found = scan(session, key, key, 1);
    if (!found)
      return std::move(found.error());
    if (found->empty())
      return std::optional<bytes>{};
    return std::optional{std::move(found->front().value)};
  }

  result<std::vector<record>> scan(session_number, record_key first, record_key last,
                                   std::size_t limit) override {
    std::vector<record> found;
    for (auto one = std::ranges::lower_bound(records_, first, {}, &record_view::key);
         one != records_.end() && one->key <= last && found.size() < limit; ++one) {
      auto& added = found.emplace_back();
      added.key = one->key;
      added.value.assign(one->value.begin(), one->value.end());
    }
    return found;
  }

private:
  std::vector<record_view> records_;
};

/// Errors: `store_corrupt`.
result<std::vector<record_view>> read_sequence(std::span<const std::uint8_t> packed) {
  std::vector<record_view> records;
  detail::cbor_reader items{packed};
  while (!items.is_at_end()) {
    std::uint64_t kind_and_mark = 0;
    std::uint64_t group = 0;
    auto& added = records.emplace_back();
    if (!items.unsigned_integer(kind_and_mark) || !items.unsigned_integer(group)
        || !items.unsigned_integer(added.key.index) || !items.byte_string(added.value))
      return make_error(errc::store_corrupt, "a packed session is not readable behind record "
                                                 + std::to_string(records.size() - 1));
    added.key.kind = static_cast<record_kind>(kind_and_mark / 2);
    added.is_unwritten = kind_and_mark % 2 != 0;
    added.key.group = static_cast<std::uint32_t>(group);
  }
  return records;
}

/// Brings back what is in memory only because it is not written yet.
caf::error load_unwritten(packed_records& from, session_data& data) {
  for (const auto& key : data.unwritten)
    if (key.kind == record_kind::call && !data.calls.contains(key.index)) {
      auto call = read_record<call_record>(from, 0, key, "call");
      if (!call)
        return std::move(call.error());
      data.calls.emplace(key.index, std::move(*call));
    } else if (key.kind == record_kind::entry) {
      auto entry = read_record<entry_record>(from, 0, key, "transcript entry");
      if (!entry)
        return std::move(entry.error());
      data.unwritten_entries.emplace(key.index, std::move(*entry));
    }
  return caf::none;
}

} // namespace

packed_session pack(const session_data& data) {
  assert(data.changed.empty() && data.past_plans.empty() && data.retired.empty()
         && data.unwritten_messages.empty());
  packed_session packed;
  packed.records = packer{data}.pack();
  packed.first_event = data.first_event;
  packed.tail_size_bytes = data.tail_size_bytes;
  packed.last_change = data.last_change;
  return packed;
}

result<session_data> unpack(const packed_session& packed) {
  auto sequence = read_sequence(packed.records);
  if (!sequence)
    return std::move(sequence.error());
  session_data data;
  for (const auto& one : *sequence)
    if (one.is_unwritten)
      data.unwritten.insert(one.key);
  packed_records records{std::move(*sequence)};
  auto head = read_record<head_record>(records, 0, head_key(), "head");
  if (!head)
    return std::move(head.error());
  data.head = std::move(*head);
  if (data.head.recorded == 0)
    data.base = to_record(data.head);
  if (auto error = load_records(records, 0, data))
    return error;
  if (auto error = load_unwritten(records, data))
    return error;
  data.first_event = packed.first_event;
  data.tail_size_bytes = packed.tail_size_bytes;
  data.last_change = packed.last_change;
  return data;
}

} // namespace fermata::core
