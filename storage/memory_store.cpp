#include <fermata/storage/memory_store.hpp>

#include <fermata/storage/detail/check_tables.hpp>
#include <fermata/storage/detail/commit_writer.hpp>
#include <fermata/storage/detail/ordered_map.hpp>
#include <fermata/storage/detail/reclaim.hpp>
#include <fermata/storage/detail/table_view.hpp>
#include <fermata/storage/record_codec.hpp>

#include <array>
#include <deque>
#include <mutex>
#include <utility>

namespace fermata {

using namespace detail;

namespace {

/// One of the two places that point to what is stored, as LMDB's two meta pages do: a transaction
/// writes new data beside the old, and then the place that is not in force. What is torn has a
/// wrong checksum, and the other place holds.
struct root {
  /// All tables in one map: each key begins with its table's letter.
  ordered_map content;
  std::uint64_t transaction = 0;
  std::uint32_t checksum = 0;

  [[nodiscard]] std::uint32_t expected_checksum() const {
    const std::uint64_t numbers[] = {transaction, content.size()};
    return crc32c({reinterpret_cast<const std::uint8_t*>(numbers), sizeof numbers});
  }
  [[nodiscard]] bool is_sound() const { return checksum == expected_checksum(); }
};

/// What all openings of the same data have in common.
struct stored_data {
  stored_data() { roots[0].checksum = roots[0].expected_checksum(); }

  [[nodiscard]] ordered_map& content() { return roots[in_force].content; }

  /// Puts a transaction's tables in force; with `torn`: writes the place, but not to its end.
  void store_root(ordered_map content, bool torn = false) {
    auto& other = roots[1 - in_force];
    other.transaction = roots[in_force].transaction + 1;
    other.content = std::move(content);
    other.checksum = other.expected_checksum() ^ (torn ? 1u : 0u);
    if (!torn)
      in_force = 1 - in_force;
  }

  /// What a process finds that opens the store: the younger of those places that are sound.
  void find_root() {
    in_force =
        roots[0].is_sound() && (!roots[1].is_sound() || roots[0].transaction > roots[1].transaction)
            ? 0
            : 1;
  }

  /// Also that of the openings: there is only one.
  std::mutex mutex;
  std::array<root, 2> roots;
  std::size_t in_force = 0;
};

caf::error crashed_error() {
  return make_error(errc::store_unavailable,
                    "the store has crashed; it serves again after a restart");
}

caf::error unreachable_error() {
  return make_error(errc::io_error, "injected: the store cannot be reached");
}

} // namespace

/// One opening.
struct memory_store::state {
  explicit state(std::shared_ptr<stored_data> opened)
      : data{std::move(opened)}, mutex{data->mutex} {}

  [[nodiscard]] ordered_map& stored() const { return data->content(); }

  /// What every call is refused with; none: it is served.
  [[nodiscard]] caf::error refusal() const {
    if (down)
      return crashed_error();
    return is_reachable ? caf::error{} : unreachable_error();
  }

  [[nodiscard]] memory_fault draw_fault(std::uint64_t write_number) {
    auto fault = lasting_fault.value_or(memory_fault::none);
    if (hook)
      if (const auto drawn = hook(write_number); drawn != memory_fault::none)
        fault = drawn;
    if (next_fault)
      fault = *std::exchange(next_fault, std::nullopt);
    return fault;
  }

  /// Stores what a transaction has come to, or does not.
  void finish(ordered_map content, memory_fault fault, std::span<const commit> commits,
              std::span<const commit_outcome> outcomes) {
    if (fault == memory_fault::none || fault == memory_fault::lose_ack
        || fault == memory_fault::crash_after) {
      data->store_root(std::move(content));
      if (stored_hook && !commits.empty())
        stored_hook(commits, outcomes);
    } else if (fault == memory_fault::crash_inside) {
      data->store_root(std::move(content), true);
    }
    if (fault >= memory_fault::crash_before)
      go_down();
    if (fault != memory_fault::none && write_fault_hook)
      write_fault_hook(fault);
  }

  void go_down() {
    down = true;
    ++life;
  }

  const std::shared_ptr<stored_data> data;
  std::mutex& mutex;
  memory_fault_hook hook;
  memory_guard guard;
  std::optional<memory_fault> next_fault;
  std::optional<memory_fault> lasting_fault;
  std::optional<memory_read_fault> next_read_fault;
  std::uint64_t read_fault_bit = 0;
  memory_stored_hook stored_hook;
  std::function<void(memory_fault)> write_fault_hook;
  std::function<void(memory_read_fault)> read_fault_hook;
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  bool down = false;
  bool is_reachable = true;
  /// Counts crashes and restarts; a view of an earlier life is dead.
  std::uint64_t life = 0;
};

namespace {

bytes map_key(table which, byte_view key) {
  bytes full;
  full.reserve(1 + key.size());
  full.push_back(static_cast<std::uint8_t>(which));
  full.insert(full.end(), key.begin(), key.end());
  return full;
}

/// What becomes of one read.
struct read_state {
  caf::error refused;
  std::optional<memory_read_fault> fault;
  std::uint64_t bit = 0;
};
/// What is read. A range is looked up once, and its entries come with it; only a value that has a
/// bit can have one flipped.
enum class read_of : std::uint8_t { lookup, entry_of_range };

/// Asked before each read.
using look = std::function<read_state(read_of what, bool has_value)>;

/// Both sides of a transaction: it works on a version of its own.
class memory_tables final : public table_writer {
public:
  explicit memory_tables(ordered_map content, look at = {}, bool torn = false)
      : content_{std::move(content)}, look_{std::move(at)}, torn_{torn} {}

  result<std::optional<byte_view>> get(table which, byte_view key) override {
    const auto* value = content_.find(map_key(which, key));
    if (value == nullptr) {
      auto looked = read({}, read_of::lookup);
      return looked ? std::optional<byte_view>{} : result<std::optional<byte_view>>{looked.error()};
    }
    auto seen = read(*value, read_of::lookup);
    if (!seen)
      return std::move(seen.error());
    return std::optional<byte_view>{*seen};
  }

  result<std::uint64_t> last_number(table which) override {
    const auto bound = static_cast<std::uint8_t>(static_cast<std::uint8_t>(which) + 1);
    const auto key = content_.last_before({&bound, 1});
    if (key.empty() || key[0] != static_cast<std::uint8_t>(which))
      return std::uint64_t{0};
    return parse_number_key(which, key.subspan(1));
  }

  caf::error walk(table which, byte_view from, const visitor& visit) override {
    if (auto looked = read({}, read_of::lookup); !looked)
      return std::move(looked.error());
    caf::error failure;
    const auto letter = static_cast<std::uint8_t>(which);
    content_.walk(map_key(which, from), [&](byte_view key, byte_view value) {
      if (key[0] != letter)
        return false;
      auto seen = read(value, read_of::entry_of_range);
      auto more = seen ? visit(key.subspan(1), *seen) : result<bool>{seen.error()};
      if (!more)
        failure = more.error();
      return more && *more;
    });
    return failure;
  }

  caf::error put(table which, byte_view key, byte_view value) override {
    const auto written = torn_ ? value.first(value.size() / 2) : value;
    content_.insert_or_assign(map_key(which, key), {written.begin(), written.end()});
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
  /// What the reader gets of a value.
  result<byte_view> read(byte_view value, read_of what) {
    if (!look_)
      return value;
    auto found = look_(what, !value.empty());
    if (found.refused)
      return std::move(found.refused);
    if (!found.fault)
      return value;
    if (*found.fault == memory_read_fault::io_error)
      return make_error(errc::io_error, "injected: a read failed");
    auto& flipped = flipped_.emplace_back(value.begin(), value.end());
    const auto bit = found.bit % (flipped.size() * 8);
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    return byte_view{flipped};
  }

  ordered_map content_;
  look look_;
  bool torn_;
  std::deque<bytes> flipped_; ///< Lent to readers until the end of the view.
};

/// Gives every commit that was not refused on its own the same error.
/// What a fault lets the caller of a write know; none: it succeeded.
caf::error told(memory_fault fault, std::uint64_t write_number) {
  const auto number = std::to_string(write_number);
  switch (fault) {
  case memory_fault::none:
    break;
  case memory_fault::disk_full:
    return make_error(errc::disk_full, "injected: no room for write " + number);
  case memory_fault::io_error:
    return make_error(errc::io_error, "injected: write " + number + " failed");
  case memory_fault::lose_ack:
    return make_error(errc::io_error,
                      "injected: the acknowledgement of write " + number + " is lost");
  case memory_fault::crash_before:
  case memory_fault::crash_inside:
  case memory_fault::crash_after:
    return crashed_error();
  }
  return caf::none;
}

} // namespace

memory_store::memory_store()
    : memory_store{std::make_shared<state>(std::make_shared<stored_data>())} {}

memory_store::memory_store(std::shared_ptr<state> opened) : state_{std::move(opened)} {}

memory_store::~memory_store() = default;

std::vector<commit_outcome> memory_store::write(std::span<const commit> commits) {
  std::vector<commit_outcome> outcomes(commits.size());
  const std::lock_guard lock{state_->mutex};
  if (const auto refused = state_->refusal()) {
    fail_all(outcomes, refused);
    return outcomes;
  }
  const auto write_number = ++state_->writes;
  const auto fault = state_->draw_fault(write_number);
  memory_tables tables{state_->stored(), {}, fault == memory_fault::crash_inside};
  commit_check check;
  if (state_->guard)
    check = [this](const commit& one) { return state_->guard(one.session); };
  if (const auto applied = apply_all(tables, commits, outcomes, check); !applied) {
    fail_all(outcomes, applied.error());
    return outcomes;
  }
  state_->finish(std::move(tables).take(), fault, commits, outcomes);
  if (fault >= memory_fault::crash_before)
    outcomes.assign(commits.size(), {});
  if (auto error = told(fault, write_number))
    fail_all(outcomes, error);
  return outcomes;
}

result<reclaim_outcome> memory_store::reclaim(std::size_t limit) {
  const std::lock_guard lock{state_->mutex};
  if (auto refused = state_->refusal())
    return refused;
  memory_tables stored{state_->stored()};
  auto found = has_garbage(stored);
  if (!found)
    return found.error();
  if (!*found || limit == 0) {
    reclaim_outcome looked;
    looked.more = *found;
    return looked;
  }
  const auto write_number = ++state_->writes;
  const auto fault = state_->draw_fault(write_number);
  const auto torn = fault == memory_fault::crash_inside;
  memory_tables tables{state_->stored(), {}, torn};
  auto outcome = detail::reclaim(tables, limit);
  // What is torn is not readable any more, also to who has torn it.
  if (!outcome && !torn)
    return outcome;
  state_->finish(std::move(tables).take(), fault, {}, {});
  if (auto error = told(fault, write_number))
    return error;
  return outcome;
}

result<std::optional<session_anchor>> memory_store::find(const session_id& session) {
  auto opened = read();
  if (!opened)
    return opened.error();
  return (*opened)->find(session);
}

result<std::unique_ptr<store::view>> memory_store::read() {
  const std::lock_guard lock{state_->mutex};
  if (auto refused = state_->refusal())
    return refused;
  look at = [state = state_, life = state_->life](read_of what, bool has_value) {
    const std::lock_guard inner_lock{state->mutex};
    if (what == read_of::lookup)
      ++state->reads;
    read_state found;
    found.refused = state->life == life ? state->refusal() : crashed_error();
    if (!found.refused && has_value && state->next_read_fault) {
      found.fault = std::exchange(state->next_read_fault, std::nullopt);
      found.bit = state->read_fault_bit;
      if (state->read_fault_hook)
        state->read_fault_hook(*found.fault);
    }
    return found;
  };
  return std::unique_ptr<view>{std::make_unique<table_view>(
      std::make_unique<memory_tables>(state_->stored(), std::move(at)))};
}

void memory_store::on_write(memory_fault_hook hook) {
  const std::lock_guard lock{state_->mutex};
  state_->hook = std::move(hook);
}

void memory_store::fail_next(memory_fault fault) {
  const std::lock_guard lock{state_->mutex};
  state_->next_fault = fault;
}

void memory_store::fail_writes(std::optional<memory_fault> fault) {
  const std::lock_guard lock{state_->mutex};
  state_->lasting_fault = fault;
}

void memory_store::fail_next_read(memory_read_fault fault, std::uint64_t bit) {
  const std::lock_guard lock{state_->mutex};
  state_->next_read_fault = fault;
  state_->read_fault_bit = bit;
}

void memory_store::disarm() {
  const std::lock_guard lock{state_->mutex};
  state_->next_fault.reset();
  state_->next_read_fault.reset();
}

void memory_store::on_stored(memory_stored_hook hook) {
  const std::lock_guard lock{state_->mutex};
  state_->stored_hook = std::move(hook);
}

void memory_store::on_fault(std::function<void(memory_fault)> of_write,
                            std::function<void(memory_read_fault)> of_read) {
  const std::lock_guard lock{state_->mutex};
  state_->write_fault_hook = std::move(of_write);
  state_->read_fault_hook = std::move(of_read);
}

void memory_store::on_commit(memory_guard guard) {
  const std::lock_guard lock{state_->mutex};
  state_->guard = std::move(guard);
}

caf::error memory_store::between_writes(const std::function<caf::error()>& body) {
  const std::lock_guard lock{state_->mutex};
  if (auto refused = state_->refusal())
    return refused;
  return body();
}

void memory_store::set_reachable(bool is_reachable) {
  const std::lock_guard lock{state_->mutex};
  state_->is_reachable = is_reachable;
}

void memory_store::crash() {
  const std::lock_guard lock{state_->mutex};
  state_->go_down();
}

bool memory_store::crashed() const {
  const std::lock_guard lock{state_->mutex};
  return state_->down;
}

void memory_store::restart() {
  const std::lock_guard lock{state_->mutex};
  state_->down = false;
  state_->data->find_root();
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
  auto copied = std::make_shared<state>(std::make_shared<stored_data>());
  const std::lock_guard lock{state_->mutex};
  copied->data->store_root(state_->stored());
  copied->writes = state_->writes;
  return std::shared_ptr<memory_store>{new memory_store{std::move(copied)}};
}

std::shared_ptr<memory_store> memory_store::beside() const {
  return std::shared_ptr<memory_store>{new memory_store{std::make_shared<state>(state_->data)}};
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
    return flip_bit(state_->stored(), table::heads, number_key(session));
  return flip_bit(state_->stored(), table::parts, part_key(session, key));
}

bool memory_store::corrupt_event(session_number session, std::uint64_t number) {
  const std::lock_guard lock{state_->mutex};
  memory_tables tables{state_->stored()};
  auto head = read_head(tables, session);
  if (!head || !*head || number < (*head)->first_event || number > (*head)->events)
    return false;
  for (auto position = (*head)->last_position; position != 0;) {
    auto entry = require_log(tables, position);
    if (!entry)
      return false;
    if (entry->first_event <= number)
      return flip_bit(state_->stored(), table::log, number_key(position));
    position = entry->previous_position;
  }
  return false;
}

bool memory_store::corrupt_timer(session_number session, timestamp due, std::uint64_t timer) {
  const std::lock_guard lock{state_->mutex};
  return flip_bit(state_->stored(), table::timers, timer_key(due, session, timer));
}

bool memory_store::corrupt_pending(session_number session, std::uint64_t item) {
  const std::lock_guard lock{state_->mutex};
  return flip_bit(state_->stored(), table::pending, pending_key(session, item));
}

bool memory_store::corrupt_garbage(session_number session) {
  const std::lock_guard lock{state_->mutex};
  std::optional<table_key> found;
  const auto visit = [&](byte_view key, byte_view) -> result<bool> {
    if (const auto address = parse_garbage_key(key); address && address->session == session)
      found = garbage_key(session, address->below);
    return !found;
  };
  memory_tables tables{state_->stored()};
  const auto error = tables.walk(table::garbage, garbage_key(session, 0), visit);
  return !error && found && flip_bit(state_->stored(), table::garbage, *found);
}

verify_report memory_store::verify() const {
  const std::lock_guard lock{state_->mutex};
  memory_tables tables{state_->stored()};
  verify_report report;
  check_tables(tables, report);
  return report;
}

std::uint32_t memory_store::fingerprint() const {
  const std::lock_guard lock{state_->mutex};
  std::uint32_t crc = 0;
  state_->stored().walk({}, [&](byte_view key, byte_view value) {
    crc = crc32c(value, crc32c(key, crc));
    return true;
  });
  return crc;
}

} // namespace fermata
