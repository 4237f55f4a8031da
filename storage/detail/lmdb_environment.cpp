#include <fermata/storage/detail/lmdb_environment.hpp>

#include <fermata/storage/detail/disk_space.hpp>
#include <fermata/storage/detail/entries.hpp>
#include <fermata/storage/detail/lmdb_file.hpp>
#include <fermata/storage/detail/owner_lock.hpp>
#include <fermata/storage/detail/paced_copy.hpp>
#include <fermata/storage/detail/reclaim.hpp>
#include <fermata/storage/verify_store.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <map>
#include <system_error>

namespace fermata::detail {

namespace fs = std::filesystem;

namespace {

/// Stale readers (processes that died with a view open) keep old pages from being used again:
/// looked for on opening, and once in so many writes.
constexpr std::uint64_t writes_between_reader_checks = 256;

caf::error unavailable(const fs::path& directory, const std::string& why) {
  return make_error(errc::store_unavailable, "the store in " + directory.string() + " " + why);
}

/// Keeps signals from this thread, and from those that it starts.
class no_signals {
public:
  no_signals() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  no_signals(const no_signals&) = delete;
  no_signals& operator=(const no_signals&) = delete;
  ~no_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
  sigset_t before_{};
};

class write_transaction {
public:
  write_transaction(MDB_txn* transaction, const lmdb_handles& handles) noexcept
      : tables{transaction, handles}, transaction_{transaction} {}
  write_transaction(const write_transaction&) = delete;
  write_transaction& operator=(const write_transaction&) = delete;
  ~write_transaction() {
    if (transaction_ != nullptr)
      mdb_txn_abort(transaction_);
  }

  [[nodiscard]] std::size_t number() const noexcept { return mdb_txn_id(transaction_); }
  [[nodiscard]] int commit() noexcept {
    return mdb_txn_commit(std::exchange(transaction_, nullptr));
  }

  lmdb_tables tables;

private:
  MDB_txn* transaction_;
};

std::uint64_t complete_size_bytes(MDB_env* environment) {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(environment, &info);
  mdb_env_stat(environment, &stat);
  return (info.me_last_pgno + 1) * stat.ms_psize;
}

} // namespace

// --- lmdb_handle ---

caf::error lmdb_handle::open(const fs::path& directory, const lmdb_options& options) {
  const auto in_place = lock_for_opening(directory);
  auto error = map(directory, options);
  if (!error)
    error = open_tables(directory, options.access == store_access::read_write && options.create);
  if (error)
    reset();
  return error;
}

void lmdb_handle::reset() noexcept {
  auto* closing = std::exchange(environment_, nullptr);
  if (closing != nullptr && !is_inherited())
    mdb_env_close(closing);
}

caf::error lmdb_handle::map(const fs::path& directory, const lmdb_options& options) {
  pid_ = ::getpid();
  if (const auto code = mdb_env_create(&environment_))
    return lmdb_error(code, "opening the store");
  mdb_env_set_maxdbs(environment_, all_tables.size());
  mdb_env_set_maxreaders(environment_, options.max_readers);
  mdb_env_set_mapsize(environment_, options.map_size_bytes);
  // Views belong to no thread: they may be used and ended on any.
  const auto read_only = options.access == store_access::read_only;
  const auto flags = MDB_NOTLS | (read_only ? MDB_RDONLY : 0U) | (options.sync ? 0U : MDB_NOSYNC);
  const auto code = mdb_env_open(environment_, directory.c_str(), flags, 0600);
  switch (code) {
  case MDB_SUCCESS:
    break;
  case ENOMEM:
    return unavailable(directory, "cannot reserve " + std::to_string(options.map_size_bytes)
                                      + " bytes of address space: lower map_size_bytes, or raise "
                                        "the limit (ulimit -v)");
  case ENOENT:
    return unavailable(directory, "does not exist");
  case EACCES:
  case EPERM:
  case EROFS:
    return unavailable(directory, "cannot be opened: " + std::string{mdb_strerror(code)}
                                      + (read_only ? "; reading it needs permission to write "
                                                         + std::string{reader_file_name}
                                                         + ", where readers are registered"
                                                   : std::string{}));
  default:
    return lmdb_error(code, "opening the store in " + directory.string());
  }
  int stale_readers = 0;
  mdb_reader_check(environment_, &stale_readers);
  return caf::none;
}

caf::error lmdb_handle::open_tables(const fs::path& directory, bool may_create) {
  MDB_txn* transaction = nullptr;
  if (const auto code = mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction))
    return lmdb_error(code, "opening the store");
  const auto code = tables_.open(transaction, false);
  if (code != MDB_SUCCESS) {
    MDB_stat stat{};
    mdb_env_stat(environment_, &stat);
    mdb_txn_abort(transaction);
    if (code != MDB_NOTFOUND)
      return lmdb_error(code, "opening the store in " + directory.string());
    if (stat.ms_entries != 0)
      return make_error(errc::store_corrupt, (directory / data_file_name).string()
                                                 + " is an LMDB file, but not a store of Fermata");
    if (!may_create)
      return unavailable(directory, "was not finished by who made it; it holds nothing");
    return create_tables();
  }
  caf::error error;
  {
    lmdb_tables tables{transaction, tables_};
    auto format = read_meta(tables, meta_format);
    if (!format)
      error = format.error();
    else if (!*format)
      error = make_error(errc::store_corrupt,
                         "the store in " + directory.string() + " does not say its format");
    else if (**format > store_format)
      error = make_error(errc::store_too_new, "the store in " + directory.string() + " has format "
                                                  + std::to_string(**format)
                                                  + "; this version reads formats up to "
                                                  + std::to_string(store_format));
  }
  // Ending a read transaction this way, and not with an abort, keeps the tables' handles open.
  mdb_txn_commit(transaction);
  return error;
}

caf::error lmdb_handle::create_tables() {
  MDB_txn* begun = nullptr;
  if (const auto code = mdb_txn_begin(environment_, nullptr, 0, &begun))
    return lmdb_error(code, "creating the store");
  if (const auto code = tables_.open(begun, true)) {
    mdb_txn_abort(begun);
    return lmdb_error(code, "creating the store");
  }
  write_transaction transaction{begun, tables_};
  if (auto error = write_meta(transaction.tables, meta_format, first_format))
    return error;
  if (const auto code = transaction.commit())
    return lmdb_error(code, "creating the store");
  return caf::none;
}

// --- opening ---

/// What is open in this process. LMDB's rule makes it a fact of the process, not of an object.
struct lmdb_environment::registry {
  std::mutex mutex;
  std::condition_variable closed;
  std::map<identity, std::weak_ptr<lmdb_environment>> open;
  /// A child process has a copy of this, but nothing of it is open there.
  pid_t pid = ::getpid();
};

lmdb_environment::registry& lmdb_environment::open_environments() {
  static registry instance;
  return instance;
}

result<std::shared_ptr<lmdb_environment>> lmdb_environment::open(const fs::path& directory,
                                                                 const lmdb_options& options) {
  const auto writes = options.access == store_access::read_write;
  std::error_code failure;
  if (writes && options.create) {
    if (auto error = create_private_directory(directory))
      return error;
  } else if (!fs::is_directory(directory, failure)) {
    return unavailable(directory, "does not exist: there is no such directory");
  }
  file_descriptor owner_lock;
  if (writes) {
    auto locked = lock_for_owner(directory);
    if (!locked)
      return locked.error();
    owner_lock = std::move(*locked);
    fs::remove_all(directory / compact_folder_name, failure);
  }
  auto opened = open_registered(directory, options, std::move(owner_lock));
  if (opened && writes)
    if (auto error = sync_directory(directory))
      return error;
  return opened;
}

result<lmdb_environment::identity> lmdb_environment::identity_of(const fs::path& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0)
    return unavailable(directory, "cannot be examined: " + std::string{std::strerror(errno)});
  return identity{status.st_dev, status.st_ino};
}

result<std::shared_ptr<lmdb_environment>>
lmdb_environment::open_registered(const fs::path& directory, const lmdb_options& options,
                                  file_descriptor owner_lock) {
  auto found = identity_of(directory);
  if (!found)
    return found.error();
  const auto self = *found;
  auto& known = open_environments();
  std::unique_lock lock{known.mutex};
  if (std::exchange(known.pid, ::getpid()) != ::getpid())
    known.open.clear();
  // An environment that nobody holds any more, but that is still listed, is about to be closed.
  std::shared_ptr<lmdb_environment> shared;
  known.closed.wait(lock, [&] {
    const auto entry = known.open.find(self);
    if (entry != known.open.end())
      shared = entry->second.lock();
    return entry == known.open.end() || shared != nullptr;
  });
  if (shared) {
    lock.unlock(); // should nobody else hold it by now, it is closed here
    if (options.access == store_access::read_write)
      return make_error(errc::store_busy, "the store in " + directory.string()
                                              + " is open for reading in this process (pid "
                                              + std::to_string(::getpid())
                                              + "): close it before opening it for writing");
    return shared;
  }
  const auto file = directory / data_file_name;
  auto state = check_lmdb_file(file);
  if (!state)
    return state.error();
  const auto may_create = options.access == store_access::read_write && options.create;
  if (*state == file_state::absent && !may_create)
    return unavailable(directory, "does not exist: there is no " + std::string{data_file_name});
  if (*state == file_state::short_) {
    const auto report = verify_store(directory);
    if (!report)
      return report.error();
    if (!report->sound())
      return make_error(
          errc::store_corrupt,
          file.string() + " is shorter than what it says it holds: " + report->problems.front());
  }
  lmdb_handle handle;
  if (auto error = handle.open(directory, options))
    return error;
  std::shared_ptr<lmdb_environment> environment{
      new lmdb_environment{directory, options, self, std::move(owner_lock), std::move(handle)}};
  environment->keep_file_complete();
  known.open.emplace(self, environment);
  return environment;
}

lmdb_environment::lmdb_environment(fs::path directory, const lmdb_options& options, identity self,
                                   file_descriptor owner_lock, lmdb_handle handle)
    : directory_{std::move(directory)}, options_{options}, self_{self},
      owner_lock_{std::move(owner_lock)}, handle_{std::move(handle)} {}

lmdb_environment::~lmdb_environment() {
  if (handle_.is_inherited())
    return;
  auto& known = open_environments();
  const std::lock_guard lock{known.mutex};
  handle_.reset();
  known.open.erase(self_);
  known.closed.notify_all();
}

// --- reading ---

class lmdb_environment::snapshot final : public lmdb_tables {
public:
  snapshot(std::shared_ptr<lmdb_environment> environment, MDB_txn* transaction)
      : lmdb_tables{transaction, environment->handle_.tables()}, environment_{
                                                                     std::move(environment)} {}
  ~snapshot() override { environment_->end_snapshot(transaction_); }

private:
  std::shared_ptr<lmdb_environment> environment_;
};

result<std::unique_ptr<table_reader>> lmdb_environment::read() {
  const std::lock_guard lock{mutex_};
  if (auto error = ensure_usable())
    return error;
  MDB_txn* transaction = nullptr;
  if (const auto code = mdb_txn_begin(handle_.environment(), nullptr, MDB_RDONLY, &transaction))
    return lmdb_error(code, "reading the store");
  ++snapshots_;
  return std::unique_ptr<table_reader>{std::make_unique<snapshot>(shared_from_this(), transaction)};
}

void lmdb_environment::end_snapshot(MDB_txn* transaction) noexcept {
  if (handle_.is_inherited())
    return;
  const std::lock_guard lock{mutex_};
  mdb_txn_abort(transaction);
  --snapshots_;
}

// --- writing ---

caf::error lmdb_environment::write(const filler& fill) {
  std::unique_lock lock{mutex_};
  if (auto error = ensure_usable())
    return error;
  if (++writes_ % writes_between_reader_checks == 0) {
    int stale_readers = 0;
    mdb_reader_check(handle_.environment(), &stale_readers);
  }
  MDB_txn* begun = nullptr;
  if (const auto code = mdb_txn_begin(handle_.environment(), nullptr, 0, &begun))
    return lmdb_error(code, "writing to the store");
  // Counts as a use of the environment: nobody reopens it now, although the lock is released.
  ++snapshots_;
  lock.unlock();
  int code = MDB_SUCCESS;
  std::size_t number = 0;
  std::uint64_t size_bytes = 0;
  auto used = handle_.tables();
  caf::error refused;
  {
    write_transaction transaction{begun, handle_.tables()};
    number = transaction.number();
    auto filled = fill(transaction.tables);
    size_bytes = transaction.tables.written_size_bytes();
    if (!filled)
      refused = transaction.tables.is_map_full() ? explain_failed_commit(MDB_MAP_FULL, size_bytes)
                                                 : filled.error();
    else if (*filled) {
      used = transaction.tables.handles();
      code = transaction.commit();
    }
  }
  lock.lock();
  --snapshots_;
  if (refused)
    return refused;
  if (code != MDB_SUCCESS)
    return after_failed_commit(code, number, size_bytes);
  handle_.set_tables(used);
  keep_file_complete();
  return caf::none;
}

result<reclaim_outcome> lmdb_environment::reclaim(std::size_t limit) {
  reclaim_outcome outcome;
  const auto fill = [&](table_writer& tables) -> result<bool> {
    auto found = has_garbage(tables);
    if (!found || !*found)
      return found;
    auto step = detail::reclaim(tables, limit);
    if (!step)
      return step.error();
    outcome = *step;
    return limit > 0; // else it was only a look
  };
  if (auto error = write(fill))
    return error;
  return outcome;
}

caf::error lmdb_environment::after_failed_commit(int code, std::size_t transaction,
                                                 std::uint64_t size_bytes) {
  auto error = explain_failed_commit(code, size_bytes);
  if (code == MDB_MAP_FULL)
    return error; // Found before anything was written.
  stale_ = true;
  // LMDB refuses all further writing if, and only if, it was the meta page that failed. Failed
  // before that, the transaction is unknown to the file: its pages are free ones there.
  MDB_txn* probe = nullptr;
  if (mdb_txn_begin(handle_.environment(), nullptr, 0, &probe) == MDB_SUCCESS)
    mdb_txn_abort(probe);
  else
    unsettled_ = transaction;
  const auto fate_unknown = unsettled_.has_value();
  landed_ = false;
  if (auto pending = ensure_usable())
    return fate_unknown ? make_error(errc::io_error, message_of(error)
                                                         + "; whether it is stored is not known "
                                                           "yet: "
                                                         + message_of(pending))
                        : error;
  return fate_unknown && landed_ ? caf::error{} : error;
}

caf::error lmdb_environment::ensure_usable() {
  if (handle_.is_inherited())
    return unavailable(directory_, "was opened by the parent of this process");
  if (stale_ && snapshots_ == 0)
    if (auto error = reopen())
      return error;
  if (unsettled_)
    return make_error(errc::io_error,
                      "a commit failed and the store must be opened again, for which "
                          + std::to_string(snapshots_) + " open views must end first");
  return caf::none;
}

caf::error lmdb_environment::reopen() {
  handle_.reset();
  // The file is checked as on the first opening: what a failing disk left must not be mapped.
  auto state = check_lmdb_file(directory_ / data_file_name);
  if (!state)
    return state.error();
  if (*state == file_state::absent)
    return make_error(errc::store_corrupt,
                      (directory_ / data_file_name).string() + " has disappeared");
  auto options = options_;
  options.create = false;
  if (auto error = handle_.open(directory_, options))
    return error;
  if (unsettled_)
    if (auto error = settle()) {
      handle_.reset();
      return error;
    }
  stale_ = false;
  return caf::none;
}

caf::error lmdb_environment::settle() {
  MDB_txn* begun = nullptr;
  if (const auto code = mdb_txn_begin(handle_.environment(), nullptr, 0, &begun))
    return lmdb_error(code, "recovering from a failed commit");
  write_transaction transaction{begun, handle_.tables()};
  const auto landed = transaction.number() > *unsettled_;
  auto recoveries = read_meta(transaction.tables, meta_recoveries);
  if (!recoveries)
    return recoveries.error();
  if (auto error = write_meta(transaction.tables, meta_recoveries, recoveries->value_or(0) + 1))
    return error;
  if (const auto code = transaction.commit())
    return lmdb_error(code, "recovering from a failed commit");
  landed_ = landed;
  unsettled_.reset();
  return caf::none;
}

caf::error lmdb_environment::explain_failed_commit(int code, std::uint64_t size_bytes) const {
  if (code == MDB_MAP_FULL)
    return make_error(errc::disk_full, "the store in " + directory_.string()
                                           + " has used up its map of "
                                           + std::to_string(options_.map_size_bytes)
                                           + " bytes: open it with a larger map_size_bytes");
  if (code < 0)
    return lmdb_error(code, "writing to the store in " + directory_.string());
  const std::string reason = mdb_strerror(code);
  if (code == ENOSPC || code == EDQUOT || lacks_space(directory_, size_bytes))
    return make_error(errc::disk_full, "the disk of the store in " + directory_.string()
                                           + " is full: a commit of up to "
                                           + std::to_string(size_bytes) + " bytes failed (" + reason
                                           + ")");
  return make_error(errc::io_error,
                    "a commit to the store in " + directory_.string() + " failed: " + reason);
}

void lmdb_environment::keep_file_complete() noexcept {
  if (options_.access == store_access::read_only)
    return;
  int descriptor = -1;
  if (mdb_env_get_fd(handle_.environment(), &descriptor) == MDB_SUCCESS)
    // Should it fail, the next opening takes longer; nothing is lost.
    static_cast<void>(extend_lmdb_file(descriptor, complete_size_bytes(handle_.environment())));
}

int lmdb_environment::copy(int file, const backup_options& options) {
  try {
    paced_copy paced{file, options};
    const no_signals meanwhile; // LMDB's thread does not go on after one
    const auto code = mdb_env_copyfd2(handle_.environment(), paced.input(), MDB_CP_COMPACT);
    const auto failure = paced.finish(); // says more than a copy that was cut off by it
    return failure != 0 ? failure : code;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

caf::error lmdb_environment::backup_to(const fs::path& directory, const backup_options& options) {
  auto kept = read();
  if (!kept)
    return kept.error();
  if (auto error = create_private_directory(directory))
    return error;
  const auto target = directory / data_file_name;
  auto partial = target;
  partial += ".partial";
  const auto fail = [&](int code) {
    ::unlink(partial.c_str());
    const auto what = "writing a backup to " + directory.string();
    return code == ECANCELED ? make_error(errc::shutting_down, what + ": it was ended")
                             : lmdb_error(code, what);
  };
  const file_descriptor file{::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  if (!file)
    return fail(errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
    return unavailable(directory, "is being written by another backup");
  // Now nobody else can be about to make it of this file.
  if (std::error_code failure; fs::exists(target, failure)) {
    ::unlink(partial.c_str());
    return unavailable(directory, "exists already: a backup does not overwrite one");
  }
  if (::ftruncate(file.get(), 0) != 0) // what a backup has left that was killed
    return fail(errno);
  if (const auto code = copy(file.get(), options))
    return fail(code);
  if (::fsync(file.get()) != 0 || ::rename(partial.c_str(), target.c_str()) != 0)
    return fail(errno);
  return sync_directory(directory);
}

// --- compacting ---

namespace {

/// A folder that is gone when this is.
class temporary_folder {
public:
  explicit temporary_folder(fs::path path) : path_{std::move(path)} {}
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

private:
  fs::path path_;
};

result<std::uint64_t> size_of(const fs::path& file) {
  std::error_code failure;
  const auto size_bytes = fs::file_size(file, failure);
  if (failure)
    return make_error(errc::io_error, file.string() + " cannot be examined: " + failure.message());
  return std::uint64_t{size_bytes};
}

/// Who may read and write a file holds for the one that takes its place.
caf::error pass_access_on(const fs::path& from, const fs::path& to) {
  struct stat old {};
  if (::stat(from.c_str(), &old) != 0)
    return lmdb_error(errno, "examining " + from.string());
  if (::chown(to.c_str(), old.st_uid, old.st_gid) != 0
      || ::chmod(to.c_str(), old.st_mode & 07777) != 0)
    return lmdb_error(errno, "giving the copy the owner and the mode of " + from.string());
  return caf::none;
}

result<std::uint64_t> reclaim_all(lmdb_environment& store, const backup_options& options) {
  constexpr std::size_t entries_at_once = 4'096;
  std::uint64_t erased = 0;
  for (;;) {
    if (options.goes_on && !options.goes_on(0))
      return make_error(errc::shutting_down, "compacting the store was ended");
    auto step = store.reclaim(entries_at_once);
    if (!step)
      return step.error();
    erased += step->erased;
    if (!step->more)
      return erased;
  }
}

caf::error check_copy(const fs::path& copy) {
  const auto report = verify_store(copy);
  if (!report)
    return report.error();
  if (!report->sound())
    return make_error(errc::store_corrupt,
                      "the copy would be damaged: " + report->problems.front());
  return caf::none;
}

} // namespace

result<compact_outcome> lmdb_environment::compact(const fs::path& directory,
                                                  const backup_options& options) {
  std::error_code failure;
  if (!fs::is_directory(directory, failure))
    return unavailable(directory, "does not exist: there is no such directory");
  auto owner_lock = lock_for_owner(directory);
  if (!owner_lock)
    return owner_lock.error();
  auto self = identity_of(directory);
  if (!self)
    return self.error();
  {
    // Said now, and not when the copy is made.
    const std::lock_guard lock{open_environments().mutex};
    if (auto error = check_closed(directory, *self))
      return error;
  }
  lmdb_options existing;
  existing.create = false;
  auto opened = open_registered(directory, existing, {});
  if (!opened)
    return opened.error();
  auto& store = **opened;
  fs::remove_all(directory / compact_folder_name, failure); // of one that was killed
  const temporary_folder copy{directory / compact_folder_name};
  compact_outcome outcome;
  auto before = size_of(directory / data_file_name);
  if (!before)
    return before.error();
  outcome.size_before_bytes = *before;
  auto erased = reclaim_all(store, options);
  if (!erased)
    return erased.error();
  outcome.erased = *erased;
  if (auto error = store.backup_to(copy.path(), options))
    return error;
  opened->reset(); // It stays ours.
  if (auto error = check_copy(copy.path()))
    return error;
  auto after = size_of(copy.path() / data_file_name);
  if (!after)
    return after.error();
  outcome.size_after_bytes = *after;
  if (auto error = replace_file(directory, *self, copy.path() / data_file_name))
    return error;
  return outcome;
}

caf::error lmdb_environment::check_closed(const fs::path& directory, identity self) {
  const auto& known = open_environments();
  if (known.pid == ::getpid() && known.open.contains(self))
    return make_error(errc::store_busy, "the store in " + directory.string()
                                            + " is open for reading in this process (pid "
                                            + std::to_string(::getpid()) + "): close it first");
  return check_unused(directory);
}

caf::error lmdb_environment::replace_file(const fs::path& directory, identity self,
                                          const fs::path& copy) {
  const std::lock_guard lock{open_environments().mutex};
  const auto replacing = lock_for_replacing(directory);
  if (!replacing)
    return replacing.error();
  if (auto error = check_closed(directory, self))
    return error;
  const auto file = directory / data_file_name;
  if (auto error = pass_access_on(file, copy))
    return error;
  if (::rename(copy.c_str(), file.c_str()) != 0)
    return lmdb_error(errno, "replacing " + file.string());
  return sync_directory(directory);
}

} // namespace fermata::detail
