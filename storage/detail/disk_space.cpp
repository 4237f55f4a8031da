#include <fermata/storage/detail/disk_space.hpp>

#include <fermata/storage/detail/lmdb_file.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace fermata::detail {

namespace fs = std::filesystem;

namespace {

bool exceeds_file_size_limit(const fs::path& directory, std::uint64_t size_bytes) {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return false;
  std::error_code failure;
  const auto size = fs::file_size(directory / data_file_name, failure);
  return !failure && size + size_bytes > limit.rlim_cur;
}

bool exceeds_file_system(const fs::path& directory, std::uint64_t size_bytes) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0)
    return false;
  const auto blocks = ::geteuid() == 0 ? status.f_bfree : status.f_bavail;
  return std::uint64_t{blocks} * status.f_frsize < size_bytes;
}

/// A quota shows only when it is hit.
bool exceeds_quota(const fs::path& directory, std::uint64_t size_bytes) {
  constexpr std::uint64_t largest_probe = 1 << 20;
  const auto path = directory / "space.probe";
  const file_descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
  if (!file)
    return errno == ENOSPC || errno == EDQUOT;
  const std::vector<char> block(static_cast<std::size_t>(std::min(size_bytes, largest_probe)));
  const auto written = ::pwrite(file.get(), block.data(), block.size(), 0);
  const auto code = errno;
  ::unlink(path.c_str());
  if (written < 0)
    return code == ENOSPC || code == EDQUOT;
  return static_cast<std::size_t>(written) < block.size();
}

} // namespace

bool lacks_space(const fs::path& directory, std::uint64_t size_bytes) {
  return exceeds_file_size_limit(directory, size_bytes)
         || exceeds_file_system(directory, size_bytes) || exceeds_quota(directory, size_bytes);
}

} // namespace fermata::detail
