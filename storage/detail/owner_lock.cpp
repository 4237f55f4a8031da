#include <fermata/storage/detail/owner_lock.hpp>

#include <fermata/storage/detail/lmdb_file.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

namespace fermata::detail {

namespace fs = std::filesystem;

namespace {

caf::error unavailable(const fs::path& directory, std::string_view what, int code) {
  return make_error(errc::store_unavailable, "the store in " + directory.string() + " "
                                                 + std::string{what} + ": " + std::strerror(code));
}

std::string read_pid(int descriptor) {
  std::array<char, 32> text{};
  const auto size = ::pread(descriptor, text.data(), text.size() - 1, 0);
  std::string pid{text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  while (!pid.empty() && pid.back() == '\n')
    pid.pop_back();
  return pid;
}

/// Also where the process is in another namespace, so do not believe it for long.
bool has_ended(const std::string& process) {
  pid_t pid = 0;
  const auto [end, failed] = std::from_chars(process.data(), process.data() + process.size(), pid);
  return failed == std::errc{} && pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

/// How long a lock is waited for whose owner has ended: a child that it had just forked, to check a
/// store, has the lock as well until it first runs and closes what it inherited.
constexpr std::chrono::seconds patience_with_the_dead{2};

file_descriptor open_directory(const fs::path& directory) {
  return file_descriptor{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}

} // namespace

caf::error create_private_directory(const fs::path& directory) {
  std::error_code failure;
  if (fs::is_directory(directory, failure))
    return caf::none;
  const auto parent = fs::absolute(directory).lexically_normal().parent_path();
  fs::create_directories(parent, failure);
  if (failure)
    return unavailable(directory, "cannot be created", failure.value());
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return unavailable(directory, "cannot be created", errno);
  if (!fs::is_directory(directory, failure))
    return unavailable(directory, "cannot be created", ENOTDIR);
  return caf::none;
}

caf::error sync_directory(const fs::path& directory) {
  for (const auto& path : {directory, directory / ".."}) {
    const auto opened = open_directory(path);
    // A parent that may not be read is somebody else's: its entries are not ours to make durable.
    if (!opened && path != directory)
      continue;
    // Some file systems have no such operation, and say so with EINVAL.
    if (!opened || (::fsync(opened.get()) != 0 && errno != EINVAL))
      return unavailable(directory, "cannot be made durable", errno);
  }
  return caf::none;
}

result<file_descriptor> lock_for_owner(const fs::path& directory) {
  const auto path = directory / owner_file_name;
  file_descriptor file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file)
    return unavailable(directory, "cannot be opened for writing", errno);
  const auto deadline = std::chrono::steady_clock::now() + patience_with_the_dead;
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return unavailable(directory, "cannot be locked", errno);
    const auto pid = read_pid(file.get());
    if (!has_ended(pid) || std::chrono::steady_clock::now() >= deadline)
      return make_error(errc::store_busy,
                        "the store in " + directory.string() + " is owned by "
                            + (pid.empty() ? "a process that is just starting" : "process " + pid)
                            + "; one process at a time may write to it");
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  const auto pid = std::to_string(::getpid()) + "\n";
  // The pid is for people: a disk without room for it does not keep the store from opening.
  const auto noted =
      ::ftruncate(file.get(), 0) == 0 && ::pwrite(file.get(), pid.data(), pid.size(), 0) > 0;
  static_cast<void>(noted);
  return file;
}

file_descriptor lock_for_opening(const fs::path& directory) {
  auto opened = open_directory(directory);
  if (opened)
    while (::flock(opened.get(), LOCK_SH) != 0 && errno == EINTR)
      continue;
  return opened;
}

result<file_descriptor> lock_for_replacing(const fs::path& directory) {
  auto opened = open_directory(directory);
  if (!opened || ::flock(opened.get(), LOCK_EX) != 0)
    return unavailable(directory, "cannot be locked", errno);
  return opened;
}

caf::error check_unused(const fs::path& directory) {
  const auto path = directory / reader_file_name;
  const file_descriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  if (!file && errno == ENOENT)
    return caf::none;
  // LMDB keeps the first byte locked for as long as it has a store open. Closing this file would
  // end the locks of this process.
  struct flock found {};
  found.l_type = F_WRLCK;
  found.l_whence = SEEK_SET;
  found.l_len = 1;
  if (!file || ::fcntl(file.get(), F_GETLK, &found) != 0)
    return unavailable(directory, "cannot be examined", errno);
  if (found.l_type == F_UNLCK)
    return caf::none;
  return make_error(errc::store_busy, "the store in " + directory.string() + " is open in process "
                                          + std::to_string(found.l_pid)
                                          + ", which would go on with the old file: end it first");
}

} // namespace fermata::detail
