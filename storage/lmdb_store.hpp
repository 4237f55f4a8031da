#pragma once

#include <fermata/storage/store.hpp>
#include <fermata/storage/store_access.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>

namespace fermata {

namespace detail {
class lmdb_environment;
}

struct lmdb_options {
  store_access access = store_access::read_write;
  /// Whether `read_write` makes a store where there is none.
  bool create = true;
  /// Address space to reserve, and with it the most that the store can ever hold: it is not resized
  /// while it is open. Memory and disk are only used for what is stored.
  std::uint64_t map_size_bytes = std::uint64_t{1} << 40;
  /// Views that can be open at once, over all processes. The first process to open a store decides.
  std::uint32_t max_readers = 512;
  /// False: `write` does not wait for the disk, and a machine that loses power loses what was
  /// acknowledged, or the whole store. For measurements only.
  bool sync = true;

  lmdb_options() = default;
};

/// How a backup is made.
struct backup_options {
  /// It writes no faster, and what is written goes to the disk once a second; 0: no limit.
  std::uint64_t bytes_per_second = 0;
  /// Asked after each piece (of 4 KiB to 256 KiB) with what is written so far, on a thread of the
  /// backup; must not throw. False: the backup ends with `shutting_down`. Empty: nobody is asked.
  std::function<bool(std::uint64_t written_bytes)> goes_on;

  backup_options() = default;
};

/// What `lmdb_store::compact` did.
struct compact_outcome {
  std::uint64_t erased = 0; ///< Of what was deleted or dropped: see `store::reclaim`.
  std::uint64_t size_before_bytes = 0;
  std::uint64_t size_after_bytes = 0;

  compact_outcome() = default;
};

/// The default store: a directory with an LMDB file, `data.mdb`.
///
/// One process owns a store for writing (`owner.lock`); others may open it `read_only` beside the
/// owner, and also when nobody owns it. Within one process a store is opened once: a second opening
/// for writing is `store_busy`, a `read_only` one shares what is open.
///
/// Durability: `write` returns after an fsync. A process that is killed, or a machine that loses
/// power, loses nothing that was acknowledged.
///
/// Failures: when a transaction fails, the environment is closed and opened again as soon as no
/// view is open, since the system's cache may hold what the disk does not. Failed before LMDB's
/// last step, writing the meta page: nothing was stored, and the store serves on meanwhile. Failed
/// in that step: what is stored is not known. Then nothing is served (`io_error`) until the store
/// is open again and has settled it with a durable write of its own; if the transaction turns out
/// to be stored, `write` reports success. A store that cannot be reopened tries again on each call.
///
/// Forking: in a child process, a store of its parent is `store_unavailable`. The child may open
/// the same directory itself, to read.
class lmdb_store final : public store {
public:
  /// Opens or creates the store in `directory`, which is created with mode 0700, its files with
  /// 0600. Reading the whole file is not part of it (`verify_store` does that), except when the
  /// file is shorter than its last state: then it is read in a child process to tell a truncated
  /// file from a harmless one.
  ///
  /// Errors: `store_busy` (the message names the owner's pid), `store_unavailable` (there is no
  /// store, the directory cannot be created or written, or the address space is not to be had),
  /// `store_corrupt`, `store_too_new`, `disk_full`, `io_error`.
  [[nodiscard]] static result<std::shared_ptr<lmdb_store>>
  open(const std::filesystem::path& directory, const lmdb_options& options = {});

  ~lmdb_store() override;

  /// Also refuses: `store_unavailable` when it is open `read_only`; `disk_full` also when the map
  /// is full; `limit_exceeded` when one batch changes more than about 500 MB of pages.
  std::vector<commit_outcome> write(std::span<const commit> commits) override;

  /// Also refuses: `store_unavailable` when it is open `read_only`. What is erased makes room in
  /// the file for what is written later; `compact` gives it back to the system.
  result<reclaim_outcome> reclaim(std::size_t limit) override;

  result<std::optional<session_anchor>> find(const session_id& session) override;

  /// A long view blocks nobody, but what is erased meanwhile stays on the disk. Also refuses:
  /// `overloaded` when `max_readers` views are open.
  result<std::unique_ptr<view>> read() override;

  /// Writes a compact copy of the last committed state as a new store, while this one goes on. It
  /// counts as an open view: what is replaced meanwhile stays on the disk until it is done.
  /// `directory` is created if need be and must not hold a store. Errors: `store_unavailable`,
  /// `disk_full`, `io_error`, `shutting_down` (by `goes_on`); what was written by then is removed.
  [[nodiscard]] caf::error backup_to(const std::filesystem::path& directory,
                                     const backup_options& options = {});

  /// Gives the space of what was erased back to the system: erases all that is to be reclaimed, and
  /// replaces the file by a compact copy, which is checked (`verify_store`) before. The store must
  /// not be open anywhere, also not for reading: LMDB's table of readers belongs to one file, and
  /// who had the old one open would write or read by the state of the other. Whoever opens it
  /// meanwhile gets the old file, and then it is not replaced.
  ///
  /// Needs as much free space as the copy takes. When it fails, is ended by `options.goes_on` or
  /// killed, the old file is in place and whole; what is left of the copy is removed, by the next
  /// owner at the latest.
  ///
  /// Errors: `store_busy` (the message names the pid of who has it open), `shutting_down` (by
  /// `goes_on`), `store_corrupt` when something in it is damaged, and those of `open`.
  [[nodiscard]] static result<compact_outcome> compact(const std::filesystem::path& directory,
                                                       const backup_options& options = {});

  /// Ends ownership, once the open views are gone; every call after it is `store_unavailable`. Not
  /// during a `write`.
  void close();

private:
  explicit lmdb_store(std::shared_ptr<detail::lmdb_environment> environment, store_access access);

  std::shared_ptr<detail::lmdb_environment> environment() const;

  mutable std::mutex mutex_;
  std::shared_ptr<detail::lmdb_environment> environment_;
  store_access access_;
};

} // namespace fermata
