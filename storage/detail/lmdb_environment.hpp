#pragma once

#include <fermata/storage/detail/lmdb_tables.hpp>
#include <fermata/storage/file_descriptor.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace fermata::detail {

/// An LMDB environment as a resource, with its tables; null after a move or `reset`.
class lmdb_handle {
public:
  lmdb_handle() = default;
  lmdb_handle(lmdb_handle&& other) noexcept
      : environment_{std::exchange(other.environment_, nullptr)}, tables_{other.tables_},
        pid_{other.pid_} {}
  lmdb_handle& operator=(lmdb_handle&& other) noexcept {
    std::swap(environment_, other.environment_);
    std::swap(tables_, other.tables_);
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~lmdb_handle() { reset(); }

  /// Opens the environment and its tables, and checks the format. Creates both when `options` allow
  /// it. Does not look at the file before it is mapped: see `check_lmdb_file`.
  [[nodiscard]] caf::error open(const std::filesystem::path& directory,
                                const lmdb_options& options);
  void reset() noexcept;

  [[nodiscard]] MDB_env* environment() const noexcept { return environment_; }
  [[nodiscard]] const lmdb_handles& tables() const noexcept { return tables_; }
  /// Takes over the tables of a transaction that is committed.
  void set_tables(const lmdb_handles& tables) noexcept { tables_ = tables; }
  explicit operator bool() const noexcept { return environment_ != nullptr; }
  /// True in a child of the process that opened it. There it must not be touched, not even closed:
  /// LMDB would do that to the parent's entries in the shared table of readers.
  [[nodiscard]] bool is_inherited() const noexcept { return pid_ != ::getpid(); }

private:
  caf::error map(const std::filesystem::path& directory, const lmdb_options& options);
  caf::error open_tables(const std::filesystem::path& directory, bool may_create);
  caf::error create_tables();

  MDB_env* environment_ = nullptr;
  lmdb_handles tables_;
  pid_t pid_ = ::getpid();
};

/// One store that is open in this process, with its owner lock, its views and its recovery from
/// failed commits. LMDB must not open a file twice in one process (closing it once would release
/// the locks of both), so all `lmdb_store`s of one directory share it.
class lmdb_environment : public std::enable_shared_from_this<lmdb_environment> {
public:
  [[nodiscard]] static result<std::shared_ptr<lmdb_environment>>
  open(const std::filesystem::path& directory, const lmdb_options& options);

  ~lmdb_environment();
  lmdb_environment(const lmdb_environment&) = delete;
  lmdb_environment& operator=(const lmdb_environment&) = delete;

  /// The tables as of now; keeps this alive.
  [[nodiscard]] result<std::unique_ptr<table_reader>> read();

  /// Runs `fill` in a write transaction, which is committed if it returns true. An error of `fill`
  /// aborts. Called by one thread at a time. After an error nothing of it is stored, or nothing is
  /// served before that is settled.
  using filler = std::function<result<bool>(table_writer&)>;
  [[nodiscard]] caf::error write(const filler& fill);

  /// As `store::reclaim`; a `write`.
  [[nodiscard]] result<reclaim_outcome> reclaim(std::size_t limit);

  [[nodiscard]] caf::error backup_to(const std::filesystem::path& directory,
                                     const backup_options& options);

  /// As `lmdb_store::compact`.
  [[nodiscard]] static result<compact_outcome> compact(const std::filesystem::path& directory,
                                                       const backup_options& options);

private:
  class snapshot;
  /// Identifies a directory by its device and inode.
  using identity = std::pair<std::uint64_t, std::uint64_t>;
  struct registry;

  lmdb_environment(std::filesystem::path directory, const lmdb_options& options, identity self,
                   file_descriptor owner_lock, lmdb_handle handle);

  static registry& open_environments();
  static result<std::shared_ptr<lmdb_environment>>
  open_registered(const std::filesystem::path& directory, const lmdb_options& options,
                  file_descriptor owner_lock);

  static result<identity> identity_of(const std::filesystem::path& directory);
  /// Refuses with `store_busy` when a store is open anywhere. `open_environments` is locked.
  static caf::error check_closed(const std::filesystem::path& directory, identity self);
  /// Replaces the file of a store that this process owns, and has closed, by `copy`.
  static caf::error replace_file(const std::filesystem::path& directory, identity self,
                                 const std::filesystem::path& copy);

  /// What follows is called with `mutex_` locked.
  caf::error ensure_usable();
  caf::error reopen();
  /// After a commit whose fate is unknown: finds out whether it is stored, and writes on top of it
  /// so that what is found is also what the disk holds.
  caf::error settle();

  caf::error after_failed_commit(int code, std::size_t transaction, std::uint64_t size_bytes);
  caf::error explain_failed_commit(int code, std::uint64_t size_bytes) const;
  void end_snapshot(MDB_txn* transaction) noexcept;
  void keep_file_complete() noexcept;
  /// Writes a compact copy of the file. An `errno`, or an error of LMDB.
  int copy(int file, const backup_options& options);

  const std::filesystem::path directory_;
  const lmdb_options options_;
  const identity self_;
  file_descriptor owner_lock_;

  std::mutex mutex_;
  lmdb_handle handle_;
  std::size_t snapshots_ = 0;
  /// A commit failed: open the environment again when nobody uses it.
  bool stale_ = false;
  /// The number of the transaction whose fate is unknown.
  std::optional<std::size_t> unsettled_;
  /// What `settle` found last: the unsettled transaction is stored.
  bool landed_ = false;
  std::uint64_t writes_ = 0;
};

} // namespace fermata::detail
