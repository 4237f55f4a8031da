#include "new_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace fermata::command_line {

namespace {

constexpr std::size_t buffer_size_bytes = 65'536;

caf::error taken(const std::string& path) {
  return make_error(errc::invalid_field, path + ": exists already, and is not replaced");
}

/// What errno says of a file that was to be written.
caf::error unwritable(const std::string& path) {
  const bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return make_error(is_full ? errc::disk_full : errc::io_error,
                    path + ": cannot be written: " + std::strerror(errno));
}

/// Renames, unless there is something of the new name. Sets errno.
bool rename_to_free_name(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
    return true;
  if (errno != EINVAL && errno != ENOSYS)
    return false;
  // The file system cannot do that; but a second name is refused by all where there is one.
  return ::link(from.c_str(), to.c_str()) == 0 && ::unlink(from.c_str()) == 0;
}

/// Makes the entries of a folder outlast a power cut. Sets errno.
bool sync_folder_of(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
  const file_descriptor opened{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return opened && ::fsync(opened.get()) == 0;
}

} // namespace

result<new_file> new_file::make(const std::string& path) {
  // Also refused at the end; but before all the work is better. A dangling link is something, too.
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) == 0)
    return taken(path);
  auto temporary = path + ".XXXXXX";
  file_descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (!file)
    return make_error(errc::invalid_field, path + ": cannot be made: " + std::strerror(errno));
  return new_file{path, std::move(temporary), std::move(file)};
}

new_file::~new_file() {
  if (!temporary_.empty())
    ::unlink(temporary_.c_str());
}

caf::error new_file::write(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < buffer_size_bytes ? caf::none : flush();
}

caf::error new_file::flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const auto written = ::write(file_.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return unwritable(path_);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return caf::none;
}

caf::error new_file::keep() {
  if (auto error = flush())
    return error;
  if (::fsync(file_.get()) != 0)
    return unwritable(path_);
  if (!rename_to_free_name(temporary_, path_))
    return errno == EEXIST ? taken(path_) : unwritable(path_);
  temporary_.clear();
  return sync_folder_of(path_) ? caf::none : unwritable(path_);
}

} // namespace fermata::command_line
