#pragma once

#include <fermata/storage/store.hpp>
#include <fermata/storage/verify_store.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace fermata {

/// What goes wrong in one write of a `memory_store`.
enum class memory_fault : std::uint8_t {
  none,
  disk_full,    ///< Nothing is stored; the caller is told `disk_full`.
  io_error,     ///< Nothing is stored; the caller is told `io_error`.
  lose_ack,     ///< All is stored, but the caller is told `io_error`: it cannot know.
  crash_before, ///< The process dies before anything is stored.
  crash_after,  ///< The process dies after all is stored, before the caller hears of it.
};

/// Asked at the beginning of each write, which are counted from 1.
using memory_fault_hook = std::function<memory_fault(std::uint64_t write_number)>;

/// A store in memory, for simulations and tests: the same contract and the same records, checksums
/// included, without a disk. What it does depends on nothing but the calls made to it.
///
/// After a crash every call, also on open views, fails with `store_unavailable` until `restart`.
class memory_store final : public store {
public:
  memory_store();
  ~memory_store() override;

  std::vector<commit_outcome> write(std::span<const commit> commits) override;
  result<std::optional<session_anchor>> find(const session_id& session) override;
  result<std::unique_ptr<view>> read() override;

  /// Consults `hook` on every write from now on; it is called on the writer's thread and must not
  /// call the store. An empty hook: no faults.
  void on_write(memory_fault_hook hook);

  /// The next write fails with `fault`, whatever the hook says.
  void fail_next(memory_fault fault);

  /// Crashes now, between two writes.
  void crash();

  [[nodiscard]] bool crashed() const;

  /// Goes on after a crash with what was stored last; without a crash it only ends open views.
  void restart();

  /// How many writes were attempted, failed ones included; those that a crashed store refuses are
  /// not counted.
  [[nodiscard]] std::uint64_t writes() const;

  /// How many records, and ranges of them, were looked up through views.
  [[nodiscard]] std::uint64_t reads() const;

  /// An independent store that holds the same and goes on counting from the same write. It has no
  /// faults armed, and has not crashed even if this one has. Takes O(1) time and memory: the two
  /// share what neither changes.
  [[nodiscard]] std::shared_ptr<memory_store> clone() const;

  /// Flips one bit in a stored record, as a bad disk does. False: there is no such record. A head
  /// record shares its place with what the store knows of the session, so corrupting it makes the
  /// session unreadable.
  bool corrupt_record(session_number session, record_key key);

  /// The same for an event.
  bool corrupt_event(session_number session, std::uint64_t number);

  /// Checks everything, as `verify_store` does.
  [[nodiscard]] verify_report verify() const;

  /// Makes two stores comparable: the CRC-32C of all that is stored.
  [[nodiscard]] std::uint32_t fingerprint() const;

private:
  struct state;

  explicit memory_store(std::shared_ptr<state> copied);

  std::shared_ptr<state> state_;
};

} // namespace fermata
