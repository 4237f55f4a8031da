#include <fermata/storage/memory_store.hpp>

#include <fermata/storage/detail/check_tables.hpp>
#include <fermata/storage/detail/commit_writer.hpp>
#include <fermata/storage/detail/ordered_map.hpp>
#include <fermata/storage/detail/table_view.hpp>
#include <fermata/storage/record_codec.hpp>

#include <mutex>
#include <utility>

namespace fermata {

using namespace detail;

struct memory_store::state {
  mutable std::mutex mutex;
  /// All tables in one map: each key begins with its table's letter.
  ordered_map stored;
  memory_fault_hook hook;
  std::optional<memory_fault> next_fault;
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  bool down = false;
  /// Counts crashes and restarts; a view of an earlier life is dead.
  std::uint64_t life = 0;
};

namespace {

caf::error crashed_error() {
  return make_error(errc::store_unavailable,
                    "the store has crashed; it serves again after a restart");
}

bytes map_key(table which, byte_view key) {
  bytes full;
  full.reserve(1 + key.size());
  full.push_back(static_cast<std::uint8_t>(which));
  full.insert(full.end(), key.begin(), key.end());
  return full;
}

/// Both sides of a transaction: it works on a version of its own.
class memory_tables final : public table_writer {
public:
  explicit memory_tables(ordered_map content, std::function<bool()> alive)
      : content_{std::move(content)}, alive_{std::move(alive)} {}

  result<std::optional<byte_view>> get(table which, byte_view key) override {
    if (!alive_())
      return crashed_error();
    const auto* value = content_.find(map_key(which, key));
    return value == nullptr ? std::optional<byte_view>{} : std::optional<byte_view>{*value};
  }

  result<std::uint64_t> last_number(table which) override {
    const auto bound = static_cast<std::uint8_t>(static_cast<std::uint8_t>(which) + 1);
    const auto key = content_.last_before({&bound, 1});
    if (key.empty() || key[0] != static_cast<std::uint8_t>(which))
      return std::uint64_t{0};
    return parse_number_key(which, key.subspan(1));
  }

  caf::error walk(table which, byte_view from, const visitor& visit) override {
    if (!alive_())
      return crashed_error();
    caf::error failure;
    const auto letter = static_cast<std::uint8_t>(which);
    content_.walk(map_key(which, from), [&](byte_view key, byte_view value) {
      if (key[0] != letter)
        return false;
      auto more = visit(key.subspan(1), value);
      if (!more)
        failure = more.error();
      return more && *more;
    });
    return failure;
  }

  caf::error put(table which, byte_view key, byte_view value) override {
    content_.insert_or_assign(map_key(which, key), {value.begin(), value.end()});
    return caf::none;
  }

  caf::error append(table which, byte_view key, byte_view value) override {
    return put(which, key, value);
  }

  caf::error erase(table which, byte_view key) override {
    content_.erase(map_key(which, key));
    return caf::none;
  }

  [[nodiscard]] ordered_map take() && { return std::move(content_); }

private:
  ordered_map content_;
  std::function<bool()> alive_;
};

bool always_alive() {
  return true;
}

/// Gives every commit that was not refused on its own the same error.
void fail_all(std::vector<commit_outcome>& outcomes, const caf::error& error) {
  for (auto& outcome : outcomes) {
    outcome.number = 0;
    if (!outcome.error)
      outcome.error = error;
  }
}

} // namespace

memory_store::memory_store() : state_{std::make_shared<state>()} {}

memory_store::memory_store(std::shared_ptr<state> copied) : state_{std::move(copied)} {}

memory_store::~memory_store() = default;

std::vector<commit_outcome> memory_store::write(std::span<const commit> commits) {
  std::vector<commit_outcome> outcomes(commits.size());
  const std::lock_guard lock{state_->mutex};
  if (state_->down) {
    fail_all(outcomes, crashed_error());
    return outcomes;
  }
  const auto write_number = ++state_->writes;
  auto fault = memory_fault::none;
  if (state_->hook)
    fault = state_->hook(write_number);
  if (state_->next_fault)
    fault = *std::exchange(state_->next_fault, std::nullopt);

  memory_tables tables{state_->stored, always_alive};
  commit_writer writer{tables};
  for (std::size_t i = 0; i < commits.size(); ++i)
    if (auto error = writer.apply(commits[i], outcomes[i])) {
      fail_all(outcomes, error);
      return outcomes;
    }
  if (auto error = writer.finish()) {
    fail_all(outcomes, error);
    return outcomes;
  }
  const auto number = std::to_string(write_number);
  switch (fault) {
  case memory_fault::none:
    state_->stored = std::move(tables).take();
    break;
  case memory_fault::disk_full:
    fail_all(outcomes, make_error(errc::disk_full, "injected: no room for write " + number));
    break;
  case memory_fault::io_error:
    fail_all(outcomes, make_error(errc::io_error, "injected: write " + number + " failed"));
    break;
  case memory_fault::lose_ack:
    state_->stored = std::move(tables).take();
    fail_all(outcomes, make_error(errc::io_error,
                                  "injected: the acknowledgement of write " + number + " is lost"));
    break;
  case memory_fault::crash_after:
    state_->stored = std::move(tables).take();
    [[fallthrough]];
  case memory_fault::crash_before:
    state_->down = true;
    ++state_->life;
    for (auto& outcome : outcomes)
      outcome = {};
    fail_all(outcomes, crashed_error());
    break;
  }
  return outcomes;
}

result<std::optional<session_anchor>> memory_store::find(const session_id& session) {
  auto opened = read();
  if (!opened)
    return opened.error();
  return (*opened)->find(session);
}

result<std::unique_ptr<store::view>> memory_store::read() {
  const std::lock_guard lock{state_->mutex};
  if (state_->down)
    return crashed_error();
  auto alive = [state = state_, life = state_->life] {
    const std::lock_guard inner_lock{state->mutex};
    ++state->reads;
    return state->life == life;
  };
  return std::unique_ptr<view>{std::make_unique<table_view>(
      std::make_unique<memory_tables>(state_->stored, std::move(alive)))};
}

void memory_store::on_write(memory_fault_hook hook) {
  const std::lock_guard lock{state_->mutex};
  state_->hook = std::move(hook);
}

void memory_store::fail_next(memory_fault fault) {
  const std::lock_guard lock{state_->mutex};
  state_->next_fault = fault;
}

void memory_store::crash() {
  const std::lock_guard lock{state_->mutex};
  state_->down = true;
  ++state_->life;
}

bool memory_store::crashed() const {
  const std::lock_guard lock{state_->mutex};
  return state_->down;
}

void memory_store::restart() {
  const std::lock_guard lock{state_->mutex};
  state_->down = false;
  ++state_->life;
}

std::uint64_t memory_store::writes() const {
  const std::lock_guard lock{state_->mutex};
  return state_->writes;
}

std::uint64_t memory_store::reads() const {
  const std::lock_guard lock{state_->mutex};
  return state_->reads;
}

std::shared_ptr<memory_store> memory_store::clone() const {
  auto copied = std::make_shared<state>();
  const std::lock_guard lock{state_->mutex};
  copied->stored = state_->stored;
  copied->writes = state_->writes;
  return std::shared_ptr<memory_store>{new memory_store{std::move(copied)}};
}

namespace {

bool flip_bit(ordered_map& stored, table which, byte_view key) {
  const auto full = map_key(which, key);
  const auto* value = stored.find(full);
  if (value == nullptr)
    return false;
  auto flipped = *value;
  flipped.back() ^= 1;
  stored.insert_or_assign(full, std::move(flipped));
  return true;
}

} // namespace

bool memory_store::corrupt_record(session_number session, record_key key) {
  const std::lock_guard lock{state_->mutex};
  if (key == head_record_key)
    return flip_bit(state_->stored, table::heads, number_key(session));
  return flip_bit(state_->stored, table::parts, part_key(session, key));
}

bool memory_store::corrupt_event(session_number session, std::uint64_t number) {
  const std::lock_guard lock{state_->mutex};
  memory_tables tables{state_->stored, always_alive};
  auto head = read_head(tables, session);
  if (!head || !*head || number == 0 || number > (*head)->events)
    return false;
  for (auto position = (*head)->last_position; position != 0;) {
    auto entry = require_log(tables, position);
    if (!entry)
      return false;
    if (entry->first_event <= number)
      return flip_bit(state_->stored, table::log, number_key(position));
    position = entry->previous_position;
  }
  return false;
}

verify_report memory_store::verify() const {
  const std::lock_guard lock{state_->mutex};
  memory_tables tables{state_->stored, always_alive};
  verify_report report;
  check_tables(tables, report);
  return report;
}

std::uint32_t memory_store::fingerprint() const {
  const std::lock_guard lock{state_->mutex};
  std::uint32_t crc = 0;
  state_->stored.walk({}, [&](byte_view key, byte_view value) {
    crc = crc32c(value, crc32c(key, crc));
    return true;
  });
  return crc;
}

} // namespace fermata
