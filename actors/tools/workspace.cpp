#include <fermata/actors/tools/text.hpp>
#include <fermata/actors/tools/workspace.hpp>
#include <fermata/actors/tools/workspace_files.hpp>
#include <fermata/messages/digest.hpp>
#include <fermata/messages/limits.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace fermata {

namespace detail {

file_descriptor open_below(int root, std::string_view path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const std::string text{path.empty() ? std::string_view{"."} : path};
  // The kernel answers EAGAIN when something is renamed while it resolves "..", since it cannot
  // tell then whether the path stays inside.
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto fd = ::syscall(SYS_openat2, root, text.c_str(), &how, sizeof how);
    if (fd >= 0)
      return file_descriptor{static_cast<int>(fd)};
    if (errno != EAGAIN && errno != EINTR)
      break;
  }
  return file_descriptor{};
}

caf::error system_error(std::string_view action, std::string_view path, int code) {
  if (code == EXDEV)
    return make_error(errc::outside_workspace,
                      in_quotes(path)
                          + " leads outside the workspace; use a path that stays in it");
  return make_error(errc::tool_failed, "cannot " + std::string{action} + " " + in_quotes(path)
                                           + ": " + std::generic_category().message(code));
}

result<std::string> read_whole(int file, std::string_view path, std::string_view limit_name,
                               std::size_t limit_bytes) {
  std::string content;
  std::array<char, 65'536> chunk;
  for (;;) {
    const auto got = ::read(file, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return system_error("read", path, errno);
    if (got == 0)
      return content;
    content.append(chunk.data(), static_cast<std::size_t>(got));
    if (content.size() > limit_bytes)
      return make_error(errc::limit_exceeded, in_quotes(path) + " has more than the "
                                                  + std::to_string(limit_bytes) + " bytes of "
                                                  + std::string{limit_name});
  }
}

caf::error stale(std::string_view path) {
  return make_error(errc::stale_approval,
                    in_quotes(path) + " has changed since it was shown; look at it again");
}

} // namespace detail

using detail::open_below;
using detail::stale;
using detail::system_error;

namespace {

caf::error write_whole(int file, std::string_view content, std::string_view path) {
  while (!content.empty()) {
    const auto put = ::write(file, content.data(), content.size());
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return system_error("write", path, errno);
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(file) != 0)
    return system_error("write", path, errno);
  return caf::none;
}

std::string temporary_name() {
  std::uint64_t number = 0;
  // Cannot fail for 8 bytes; uniqueness is guarded by O_EXCL in any case.
  [[maybe_unused]] const auto got = ::getrandom(&number, sizeof number, 0);
  std::array<char, 40> name;
  std::snprintf(name.data(), name.size(), ".fermata-%016llx.tmp",
                static_cast<unsigned long long>(number));
  return name.data();
}

bool is_absent(int code) {
  return code == ENOENT || code == ENOTDIR;
}

std::string fingerprint_of_metadata(const struct stat& info) {
  return "large:"
         + sha256(std::to_string(info.st_dev) + " " + std::to_string(info.st_ino) + " "
                  + std::to_string(info.st_size) + " " + std::to_string(info.st_mtim.tv_sec) + "."
                  + std::to_string(info.st_mtim.tv_nsec) + " " + std::to_string(info.st_ctim.tv_sec)
                  + "." + std::to_string(info.st_ctim.tv_nsec));
}

} // namespace

/// Removes a temporary file unless it has got its final name.
class temporary_file {
public:
  temporary_file(int directory, std::string name) : directory_{directory}, name_{std::move(name)} {}
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() {
    if (!name_.empty())
      ::unlinkat(directory_, name_.c_str(), 0);
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  void keep() noexcept { name_.clear(); }

private:
  int directory_;
  std::string name_;
};

struct workspace::place {
  file_descriptor parent;
  std::string name;

  place() = default;
};

result<workspace> workspace::open(const std::filesystem::path& directory, workspace_limits limits) {
  if (directory.empty())
    return make_error(errc::tool_failed, "this session has no workspace");
  file_descriptor root{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!root)
    return make_error(errc::tool_failed, "cannot open the workspace "
                                             + in_quotes(directory.native()) + ": "
                                             + std::generic_category().message(errno));
  if (!open_below(root.get(), ".", O_PATH | O_DIRECTORY))
    return make_error(errc::tool_failed,
                      "cannot use the workspace: openat2 does not work here ("
                          + std::generic_category().message(errno)
                          + "); Linux 5.6 or later is needed, and a sandbox that allows it");
  return workspace{directory, std::move(root), limits};
}

caf::error workspace::check_path(std::string_view path) const {
  const auto refuse = [&](const std::string& why) {
    return make_error(errc::invalid_arguments,
                      "the path " + in_quotes(cut_utf8(path, 200)) + " " + why);
  };
  if (path.empty())
    return refuse("is empty; \".\" is the workspace itself");
  if (path.size() > limits_.path_size_bytes)
    return refuse("is longer than " + std::to_string(limits_.path_size_bytes) + " bytes");
  if (path.find('\0') != std::string_view::npos)
    return refuse("has a NUL character");
  if (!is_utf8(path))
    return refuse("is not UTF-8");
  if (path.front() == '/')
    return make_error(errc::outside_workspace,
                      in_quotes(path) + " is absolute; paths are relative to the workspace");
  return caf::none;
}

result<file_descriptor> workspace::open_beneath(std::string_view path, int flags) const {
  if (auto error = check_path(path))
    return error;
  auto opened = open_below(root_.get(), path, flags);
  if (!opened)
    return system_error("open", path, errno);
  return opened;
}

result<workspace::place> workspace::locate(std::string_view path) const {
  if (auto error = check_path(path))
    return error;
  auto rest = path;
  while (rest.ends_with('/'))
    rest.remove_suffix(1);
  const auto slash = rest.rfind('/');
  const auto name = slash == std::string_view::npos ? rest : rest.substr(slash + 1);
  const auto parent =
      slash == std::string_view::npos ? std::string_view{"."} : rest.substr(0, slash);
  if (name == "." || name == "..") {
    // Says "outside" rather than "not a name" where that is what it is.
    auto there = open_below(root_.get(), path, O_PATH);
    if (!there && errno == EXDEV)
      return system_error("open", path, EXDEV);
    return make_error(errc::invalid_arguments,
                      "the path " + in_quotes(path)
                          + " must end with the name of a file or directory");
  }
  place found;
  found.parent = open_below(root_.get(), parent, O_RDONLY | O_DIRECTORY);
  if (!found.parent)
    return system_error("open the directory of", path, errno);
  found.name = name;
  return found;
}

result<std::string> workspace::read_file(std::string_view path) const {
  // O_NONBLOCK: opening a named pipe must not wait for somebody to write to it.
  auto file = open_beneath(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file)
    return std::move(file.error());
  struct stat info {};
  if (::fstat(file->get(), &info) != 0)
    return system_error("read", path, errno);
  if (!S_ISREG(info.st_mode))
    return make_error(errc::tool_failed, "cannot read " + in_quotes(path) + ": it is not a file");
  auto content = detail::read_whole(file->get(), path, "file_size_bytes", limits_.file_size_bytes);
  if (!content)
    return content;
  if (content->find('\0') != std::string::npos || !is_utf8(*content))
    return make_error(errc::tool_failed,
                      "cannot read " + in_quotes(path) + ": it is binary, not text in UTF-8");
  return content;
}

caf::error workspace::check_replaceable(const place& where, std::string_view path) const {
  struct stat info {};
  if (::fstatat(where.parent.get(), where.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? caf::error{} : system_error("write", path, errno);
  if (S_ISLNK(info.st_mode)) {
    if (!open_below(root_.get(), path, O_PATH) && errno == EXDEV)
      return system_error("write", path, EXDEV);
    return make_error(errc::invalid_arguments,
                      in_quotes(path)
                          + " is a symbolic link; write to the file it points to instead");
  }
  if (!S_ISREG(info.st_mode))
    return make_error(errc::tool_failed, "cannot write " + in_quotes(path) + ": it is not a file");
  return caf::none;
}

caf::error workspace::write_file(std::string_view path, std::string_view content,
                                 const std::optional<std::string>& expected) const {
  if (auto error = check_limit("write_size_bytes", content.size(), limits_.write_size_bytes))
    return error;
  auto where = locate(path);
  if (!where)
    return std::move(where.error());
  if (path.ends_with('/'))
    return make_error(errc::invalid_arguments, in_quotes(path) + " must not end with a slash");
  if (auto error = check_replaceable(*where, path))
    return error;

  const int parent = where->parent.get();
  temporary_file temporary{parent, temporary_name()};
  file_descriptor file{::openat(parent, temporary.name().c_str(),
                                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666)};
  if (!file)
    return system_error("write", path, errno);
  struct stat before {};
  if (::fstatat(parent, where->name.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0) {
    // Giving the file to its former owner is only possible for root, and only then needed.
    [[maybe_unused]] const auto ignored = ::fchown(file.get(), before.st_uid, before.st_gid);
    if (::fchmod(file.get(), before.st_mode & 07777U) != 0)
      return system_error("write", path, errno);
  }
  if (auto error = write_whole(file.get(), content, path))
    return error;

  // As late as possible: what is there must still be what was approved.
  if (expected) {
    auto found = fingerprint(*where, path);
    if (!found)
      return std::move(found.error());
    if (*found != *expected)
      return stale(path);
  }
  const unsigned flags = expected == "absent" ? RENAME_NOREPLACE : 0;
  if (::renameat2(parent, temporary.name().c_str(), parent, where->name.c_str(), flags) != 0)
    return errno == EEXIST ? stale(path) : system_error("write", path, errno);
  temporary.keep();
  if (::fsync(parent) != 0)
    return system_error("write", path, errno);
  return caf::none;
}

result<bool> workspace::create_directory(std::string_view path) const {
  auto where = locate(path);
  if (!where)
    return std::move(where.error());
  const int parent = where->parent.get();
  if (::mkdirat(parent, where->name.c_str(), 0777) == 0) {
    if (::fsync(parent) != 0)
      return system_error("create", path, errno);
    return true;
  }
  if (errno != EEXIST)
    return system_error("create", path, errno);
  const auto there = open_below(root_.get(), path, O_PATH | O_DIRECTORY);
  if (!there)
    return system_error("create", path, errno == ENOTDIR ? EEXIST : errno);
  return false;
}

caf::error workspace::move_file(std::string_view from, std::string_view to) const {
  auto source = locate(from);
  if (!source)
    return std::move(source.error());
  auto target = locate(to);
  if (!target)
    return std::move(target.error());
  if (::renameat2(source->parent.get(), source->name.c_str(), target->parent.get(),
                  target->name.c_str(), RENAME_NOREPLACE)
      != 0) {
    const int code = errno;
    // Between file systems rename says EXDEV, which has nothing to do with leaving the workspace.
    if (code == EXDEV)
      return make_error(errc::tool_failed, "cannot move " + in_quotes(from) + " to " + in_quotes(to)
                                               + ": they are on different file systems");
    return system_error("move " + in_quotes(from) + " to", to, code);
  }
  if (::fsync(target->parent.get()) != 0 || ::fsync(source->parent.get()) != 0)
    return system_error("move", from, errno);
  return caf::none;
}

caf::error workspace::delete_file(std::string_view path) const {
  auto where = locate(path);
  if (!where)
    return std::move(where.error());
  const int parent = where->parent.get();
  const auto* name = where->name.c_str();
  struct stat info {};
  if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    return system_error("delete", path, errno);
  if (::unlinkat(parent, name, S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0) != 0)
    return system_error("delete", path, errno);
  if (::fsync(parent) != 0)
    return system_error("delete", path, errno);
  return caf::none;
}

result<std::string> workspace::fingerprint(std::string_view path) const {
  auto where = locate(path);
  if (where)
    return fingerprint(*where, path);
  // A missing parent means that the thing is absent; every other reason is an error.
  if (is(where.error(), errc::tool_failed) && !open_below(root_.get(), path, O_PATH | O_NOFOLLOW)
      && is_absent(errno))
    return std::string{"absent"};
  return std::move(where.error());
}

result<std::string> workspace::fingerprint(const place& where, std::string_view path) const {
  struct stat info {};
  const int parent = where.parent.get();
  if (::fstatat(parent, where.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT)
      return std::string{"absent"};
    return system_error("read", path, errno);
  }
  if (S_ISDIR(info.st_mode))
    return std::string{"directory"};
  if (S_ISLNK(info.st_mode)) {
    std::string link(limits_.path_size_bytes + 200, '\0');
    const auto size = ::readlinkat(parent, where.name.c_str(), link.data(), link.size());
    if (size < 0)
      return system_error("read", path, errno);
    return "symlink:" + sha256(std::string_view{link}.substr(0, static_cast<std::size_t>(size)));
  }
  if (!S_ISREG(info.st_mode))
    return std::string{"other"};
  const file_descriptor file{::openat(parent, where.name.c_str(),
                                      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!file || ::fstat(file.get(), &info) != 0)
    return system_error("read", path, errno);
  if (static_cast<std::uint64_t>(info.st_size) > limits_.hashed_size_bytes)
    return fingerprint_of_metadata(info);
  auto content =
      detail::read_whole(file.get(), path, "hashed_size_bytes", limits_.hashed_size_bytes);
  if (!content)
    return content;
  return "file:" + sha256(*content);
}

result<std::filesystem::path> workspace::directory(std::string_view path) const {
  auto opened = open_beneath(path, O_PATH | O_DIRECTORY);
  if (!opened)
    return std::move(opened.error());
  return path_ / path;
}

} // namespace fermata
