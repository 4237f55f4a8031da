#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <string>
#include <string_view>

/// Shared by the source files of class `workspace` and of its tools; not installed as an interface.
namespace fermata::detail {

/// Resolves `path` below the directory `root`, with `O_CLOEXEC`. Gives an invalid descriptor and
/// sets `errno` when that fails: `EXDEV` when the path leads outside.
[[nodiscard]] file_descriptor open_below(int root, std::string_view path, int flags);

/// What the system call `action` on `path` ended with, as an error: `outside_workspace` for
/// `EXDEV`, otherwise `tool_failed`.
[[nodiscard]] caf::error system_error(std::string_view action, std::string_view path, int code);

/// `stale_approval`: `path` is not as it was shown.
[[nodiscard]] caf::error stale(std::string_view path);

/// Reads at most `limit_bytes` of a regular file that is open as `file`. Errors: `tool_failed`,
/// `limit_exceeded` when there is more.
[[nodiscard]] result<std::string> read_whole(int file, std::string_view path,
                                             std::string_view limit_name, std::size_t limit_bytes);

} // namespace fermata::detail
