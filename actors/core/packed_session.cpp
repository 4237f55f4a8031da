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
      add_all(spec_key(plan->record.revision, 0), plan->specs);
    for (const auto* plan : plans)
      add_all(subtask_key(plan->record.revision, 0), plan->subtasks());
    for (const auto& [number, call] : data_.calls)
      add(call_key(number), call);
    if (data_.head.running)
      add_all(entry_key(data_.running_subtask().first_entry), data_.entries);
    for (const auto& message : data_.messages)
      add(message_key(message.number), message);
    for (const auto& [number, decision] : data_.remembered)
      add(remembered_key(number), decision);
    return {out_.begin(), out_.end()}; // no larger than it must be
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
    writer_.unsigned_integer(static_cast<std::uint8_t>(key.kind));
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
  bytes out_;
  detail::cbor_writer writer_{out_};
};

struct record_view {
  record_key key;
  std::span<const std::uint8_t> value;
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
    std::uint64_t kind = 0;
    std::uint64_t group = 0;
    auto& added = records.emplace_back();
    if (!items.unsigned_integer(kind) || !items.unsigned_integer(group)
        || !items.unsigned_integer(added.key.index) || !items.byte_string(added.value))
      return make_error(errc::store_corrupt, "a packed session is not readable behind record "
                                                 + std::to_string(records.size() - 1));
    added.key.kind = static_cast<record_kind>(kind);
    added.key.group = static_cast<std::uint32_t>(group);
  }
  return records;
}

} // namespace

packed_session pack(const session_data& data) {
  assert(data.changed.empty() && data.past_plans.empty() && data.retired.empty());
  packed_session packed;
  packed.records = packer{data}.pack();
  packed.first_event = data.first_event;
  packed.last_change = data.last_change;
  return packed;
}

result<session_data> unpack(const packed_session& packed) {
  auto sequence = read_sequence(packed.records);
  if (!sequence)
    return std::move(sequence.error());
  session_data data;
  packed_records records{std::move(*sequence)};
  if (auto error = load_records(records, 0, data))
    return error;
  data.first_event = packed.first_event;
  data.last_change = packed.last_change;
  return data;
}

} // namespace fermata::core
