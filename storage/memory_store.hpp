#pragma once

#include <fermata/storage/store.hpp>
#include <fermata/storage/verify_store.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace fermata {

/// What goes wrong in one write of a `memory_store`.
enum class memory_fault : std::uint8_t {
  none,
  disk_full,    ///< Nothing is stored; the caller is told `disk_full`.
  io_error,     ///< Nothing is stored; the caller is told `io_error`.
  lose_ack,     ///< All is stored, but the caller is told `io_error`: it cannot know.
  crash_before, ///< The process dies before anything is stored.
  crash_inside, ///< It dies while it writes: what is written of it is torn, and must not be
                ///< believed.
  crash_after,  ///< The process dies after all is stored, before the caller hears of it.
};

/// What goes wrong in one read.
enum class memory_read_fault : std::uint8_t {
  io_error,    ///< The caller is told `io_error`.
  flipped_bit, ///< One bit of what is read is another, this once: to be detected, not believed.
};

/// Asked at the beginning of each write, which are counted from 1.
using memory_fault_hook = std::function<memory_fault(std::uint64_t write_number)>;

/// Told what became durable: the commits of one write that was stored, and their outcomes as the
/// store knows them; also where the caller is told otherwise, or the process dies first.
using memory_stored_hook =
    std::function<void(std::span<const commit> commits, std::span<const commit_outcome> outcomes)>;

/// Asked for each commit of a write; an error is its outcome, and the rest of the batch is written
/// all the same.
using memory_guard = std::function<caf::error(const session_id& session)>;

/// A store in memory, for simulations and tests: the same contract and the same records, checksums
/// included, without a disk. What it does depends on nothing but the calls made to it.
///
/// After a crash every call, also on open views, fails with `store_unavailable` until `restart`.
///
/// Several openings of the same data (`beside`) are as several processes that are connected to one
/// database. Each sees what the others commit, and has faults, hooks, counters, crashes and
/// restarts of its own. What hooks must not call of one opening, they must not call of the others.
/// May be used from any thread, and different openings from different ones.
class memory_store final : public store {
public:
  memory_store();
  ~memory_store() override;

  std::vector<commit_outcome> write(std::span<const commit> commits) override;
  /// A write like any other where something is left: it is counted, and faults hit it.
  result<reclaim_outcome> reclaim(std::size_t limit) override;
  result<std::optional<session_anchor>> find(const session_id& session) override;
  result<std::unique_ptr<view>> read() override;

  /// Consults `hook` on every write from now on; it is called on the writer's thread and must not
  /// call the store. An empty hook: no faults.
  void on_write(memory_fault_hook hook);

  /// The next write fails with `fault`, whatever the hook says.
  void fail_next(memory_fault fault);

  /// All writes fail with `fault` from now on, unless the hook says something worse; nothing: they
  /// succeed again.
  void fail_writes(std::optional<memory_fault> fault);

  /// The next value that is read through a view meets `fault`; `bit` says which bit is flipped.
  void fail_next_read(memory_read_fault fault, std::uint64_t bit = 0);

  /// Forgets what `fail_next` and `fail_next_read` have armed.
  void disarm();

  /// Calls `hook` whenever something became durable; on the writer's thread, inside of the write,
  /// so it must not call the store.
  void on_stored(memory_stored_hook hook);

  /// Calls one of these whenever a fault has hit, as `on_stored`; of reads on the reader's thread.
  void on_fault(std::function<void(memory_fault)> of_write,
                std::function<void(memory_read_fault)> of_read);

  /// Asks `guard` before each commit of this opening; on the writer's thread, inside of the write,
  /// so it must not call the store. An empty one: nothing is refused.
  void on_commit(memory_guard guard);

  /// Runs `body`, and returns its error, while nothing is written through any opening: what it
  /// changes is in force for each commit either before that is decided on, or after it is stored.
  /// It must not call the store. Also refuses: `store_unavailable`; `io_error` while the data
  /// cannot be reached.
  [[nodiscard]] caf::error between_writes(const std::function<caf::error()>& body);

  /// Cuts this opening off from its data, as a lost network does with a database: until that ends,
  /// every call, also on open views, is `io_error`, and no write is stored or counted.
  void set_reachable(bool is_reachable);

  /// Crashes now, between two writes.
  void crash();

  [[nodiscard]] bool crashed() const;

  /// Goes on after a crash with what was stored last; without a crash it only ends open views.
  void restart();

  /// How many writes were attempted, failed ones included; those are not counted that a store
  /// refuses which has crashed or cannot be reached.
  [[nodiscard]] std::uint64_t writes() const;

  /// How many records, and ranges of them, were looked up through views.
  [[nodiscard]] std::uint64_t reads() const;

  /// An independent store that holds the same and goes on counting from the same write. It has no
  /// faults armed and no guard, and has not crashed even if this one has. Takes O(1) time and
  /// memory: the two share what neither changes.
  [[nodiscard]] std::shared_ptr<memory_store> clone() const;

  /// Another opening of the same data. It has no faults, hooks or guard yet, and has not crashed
  /// even if this one has.
  [[nodiscard]] std::shared_ptr<memory_store> beside() const;

  /// Flips one bit in a stored record, as a bad disk does. False: there is no such record. A head
  /// record shares its place with what the store knows of the session, so corrupting it makes the
  /// session unreadable.
  bool corrupt_record(session_number session, record_key key);

  /// The same for an event.
  bool corrupt_event(session_number session, std::uint64_t number);

  /// The same for the session's timer `timer` in the due-time index, for its entry of the index of
  /// what is pending, and for what is to be reclaimed of it.
  bool corrupt_timer(session_number session, timestamp due, std::uint64_t timer);
  bool corrupt_pending(session_number session, std::uint64_t item);
  bool corrupt_garbage(session_number session);

  /// Checks everything, as `verify_store` does.
  [[nodiscard]] verify_report verify() const;

  /// Makes two stores comparable: the CRC-32C of all that is stored.
  [[nodiscard]] std::uint32_t fingerprint() const;

private:
  struct state;

  explicit memory_store(std::shared_ptr<state> opened);

  std::shared_ptr<state> state_;
};

} // namespace fermata
