#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

/// What is bounded in a workspace. Exceeding one is `limit_exceeded` where an operation cannot go
/// on, and a `truncated` flag where it can.
struct workspace_limits {
  std::size_t path_size_bytes = 4'000;      ///< One path.
  std::size_t file_size_bytes = 262'144;    ///< A file that is read whole.
  std::size_t write_size_bytes = 1'000'000; ///< A file that is written.
  std::size_t listed_entries = 2'000;       ///< Entries of one listing.
  std::size_t scanned_entries = 100'000;    ///< Directory entries that one operation looks at.
  std::size_t searched_file_size_bytes = 4'000'000; ///< Larger files are not searched.
  std::size_t searched_size_bytes = 256'000'000;    ///< All that one search reads.
  std::size_t matches = 200;                        ///< Matching lines of one search.
  std::size_t line_size_bytes = 400; ///< One matching line; what is beyond is cut off.
  /// Content up to this size is fingerprinted by its SHA-256; larger files by inode, size and
  /// times of change, because a fingerprint must be quick.
  std::size_t hashed_size_bytes = 4'000'000;

  workspace_limits() = default;
};

enum class file_kind : std::uint8_t { file, directory, symlink, other };

/// One line of a listing.
struct file_entry {
  std::string path; ///< Relative to the workspace.
  file_kind kind = file_kind::other;
  std::uint64_t size_bytes = 0; ///< Of a file; 0 for anything else.

  file_entry() = default;
};

struct file_listing {
  std::vector<file_entry>
      entries; ///< In the order of their paths, directories before what is in them.
  /// Entries left out: names that are not UTF-8, directories that cannot be read (any more).
  std::size_t skipped_entries = 0;
  bool truncated = false; ///< There is more than the limits let through.

  file_listing() = default;
};

struct search_options {
  std::string path = ".";
  std::string pattern;
  bool regex = false; ///< RE2 syntax; otherwise the text itself.
  bool ignore_case = false;

  search_options() = default;
};

struct search_match {
  std::string path;
  std::size_t line = 0; ///< Counted from 1.
  std::string text;     ///< The line without its end, cut off at `line_size_bytes`.

  search_match() = default;
};

struct search_result {
  std::vector<search_match> matches;
  std::size_t skipped_files = 0; ///< Binary, too large or unreadable ones.
  bool truncated = false;        ///< Not everything was searched, or there were more matches.

  search_result() = default;
};

/// A directory that operations never leave. Every path is relative to it and is resolved by the
/// kernel (`openat2` with `RESOLVE_BENEATH`) at the moment of use, so a path that is swapped for a
/// symbolic link between two operations, or during one, leads nowhere outside. Links that stay
/// inside are followed, except by what changes the link's own place (write, move, delete). What
/// is mounted or hard-linked into the directory counts as inside.
///
/// Blocking; to be used from any thread, also from several at once. Every operation can fail with
///   - `outside_workspace`: the path is absolute, or leads outside by `..` or a symbolic link;
///   - `invalid_arguments`: the path is empty, not UTF-8, too long or has a NUL character;
///   - `tool_failed`: what the file system says (no such file, not a directory, permission...).
class workspace {
public:
  /// Opens a directory. Errors: `tool_failed` when there is none, or when the kernel has no
  /// `openat2` (Linux before 5.6, or a sandbox that hides it): there is no unsafe fallback.
  [[nodiscard]] static result<workspace> open(const std::filesystem::path& directory,
                                              workspace_limits limits = {});

  /// Lists a directory, or all that is below it; links are listed, not followed.
  [[nodiscard]] result<file_listing> list_files(std::string_view path, bool recursive,
                                                std::stop_token stop = {}) const;

  /// Reads a text file. Errors: `limit_exceeded`, and `tool_failed` for content that is not text
  /// in UTF-8.
  [[nodiscard]] result<std::string> read_file(std::string_view path) const;

  /// Searches the lines of a file, or of all files below a directory in the order of their paths.
  /// Folders named `.git`, binary files (with a NUL) and links are skipped. Errors:
  /// `invalid_arguments` for a pattern that RE2 does not accept.
  [[nodiscard]] result<search_result> search_files(const search_options& options,
                                                   std::stop_token stop = {}) const;

  /// Puts `content` in the place of a file, or makes a new one, in one step: whoever reads sees the
  /// old or the new content, also after a crash. An existing file keeps its mode; a new one gets
  /// 0666 less the umask. The parent directory must exist. `expected` is what `fingerprint` must
  /// give immediately before; a file that must be absent is never overwritten, for one that must be
  /// present a window of microseconds remains. Errors: `stale_approval`, `limit_exceeded`.
  [[nodiscard]] caf::error write_file(std::string_view path, std::string_view content,
                                      const std::optional<std::string>& expected = {}) const;

  /// Makes one directory. True when it was made, false when it was there already.
  [[nodiscard]] result<bool> create_directory(std::string_view path) const;

  /// Moves a file, directory or link; never onto something that exists.
  [[nodiscard]] caf::error move_file(std::string_view from, std::string_view to) const;

  /// Deletes a file, a link (not what it points to) or an empty directory.
  [[nodiscard]] caf::error delete_file(std::string_view path) const;

  /// Identifies what is at `path` now, links not followed: `absent`, `directory`, `file:<sha256 of
  /// the content>`, `large:<sha256 of inode, size and times>`, `symlink:<sha256 of the target>` or
  /// `other`. A missing parent is `absent` as well.
  [[nodiscard]] result<std::string> fingerprint(std::string_view path) const;

  /// The path in the file system of a directory inside, for the working directory of a command.
  [[nodiscard]] result<std::filesystem::path> directory(std::string_view path) const;

private:
  workspace(std::filesystem::path path, file_descriptor root, workspace_limits limits)
      : path_{std::move(path)}, root_{std::move(root)}, limits_{limits} {}

  struct place; // An opened parent directory and a name in it.
  class scan;   // A walk through a directory, sorted and bounded.

  [[nodiscard]] caf::error check_path(std::string_view path) const;
  [[nodiscard]] result<file_descriptor> open_beneath(std::string_view path, int flags) const;
  [[nodiscard]] result<place> locate(std::string_view path) const;
  [[nodiscard]] result<std::string> fingerprint(const place& where, std::string_view path) const;
  [[nodiscard]] caf::error check_replaceable(const place& where, std::string_view path) const;

  std::filesystem::path path_;
  file_descriptor root_;
  workspace_limits limits_;
};

} // namespace fermata
