#include <fermata/actors/tools/text.hpp>
#include <fermata/actors/tools/workspace.hpp>
#include <fermata/actors/tools/workspace_files.hpp>

#include <re2/re2.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace fermata {

namespace {

struct directory_closer {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

file_kind kind_of(mode_t mode) {
  return S_ISREG(mode)   ? file_kind::file
         : S_ISDIR(mode) ? file_kind::directory
         : S_ISLNK(mode) ? file_kind::symlink
                         : file_kind::other;
}

std::string_view name_in(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

} // namespace

/// Gives the entries below a directory one by one, in the order of their paths, each directory
/// before what is in it. Keeps paths, not descriptors, so its depth is not bounded by them.
class workspace::scan {
public:
  scan(const workspace& within, std::stop_token stop) : within_{within}, stop_{std::move(stop)} {}

  /// Puts the entries of a directory in front of what comes next. Errors: see `workspace`.
  caf::error enter(std::string_view path) {
    auto opened = within_.open_beneath(path, O_RDONLY | O_DIRECTORY);
    if (!opened)
      return std::move(opened.error());
    const std::unique_ptr<DIR, directory_closer> directory{::fdopendir(opened->get())};
    if (!directory)
      return detail::system_error("list", path, errno);
    [[maybe_unused]] const int owned_by_directory = opened->release();

    const auto first = ahead_.size();
    while (const auto* entry = ::readdir(directory.get())) {
      const std::string_view name{entry->d_name};
      if (name == "." || name == "..")
        continue;
      if (++scanned_ > within_.limits_.scanned_entries || stop_.stop_requested()) {
        truncated = true;
        break;
      }
      add(::dirfd(directory.get()), path, name);
    }
    // The next entry is taken from the end.
    std::sort(ahead_.begin() + static_cast<std::ptrdiff_t>(first), ahead_.end(),
              [](const file_entry& a, const file_entry& b) { return a.path > b.path; });
    return caf::none;
  }

  std::optional<file_entry> next() {
    if (ahead_.empty() || stop_.stop_requested()) {
      truncated = truncated || !ahead_.empty();
      return std::nullopt;
    }
    auto entry = std::move(ahead_.back());
    ahead_.pop_back();
    return entry;
  }

  bool truncated = false;
  std::size_t skipped = 0;

private:
  void add(int directory, std::string_view path, std::string_view name) {
    struct stat info {};
    file_entry entry;
    entry.path = path == "." ? std::string{name} : std::string{path} + "/" + std::string{name};
    const auto known = ::fstatat(directory, std::string{name}.c_str(), &info, AT_SYMLINK_NOFOLLOW);
    if (known != 0 || within_.check_path(entry.path)) {
      ++skipped;
      return;
    }
    entry.kind = kind_of(info.st_mode);
    if (entry.kind == file_kind::file)
      entry.size_bytes = static_cast<std::uint64_t>(info.st_size);
    ahead_.push_back(std::move(entry));
  }

  const workspace& within_;
  std::stop_token stop_;
  std::vector<file_entry> ahead_;
  std::size_t scanned_ = 0;
};

namespace {

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/'))
    path.remove_suffix(1);
  return path;
}

/// Adds the lines of one file that match. False when there are more matches than may be shown.
bool add_matches(const std::string& path, std::string_view content, const RE2& pattern,
                 const workspace_limits& limits, search_result& found) {
  for (std::size_t line = 1; !content.empty(); ++line) {
    const auto end = content.find('\n');
    auto text = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    if (text.ends_with('\r'))
      text.remove_suffix(1);
    if (!RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), pattern))
      continue;
    if (found.matches.size() == limits.matches)
      return false;
    search_match match;
    match.path = path;
    match.line = line;
    match.text = as_utf8(std::string{cut_utf8(text, limits.line_size_bytes)});
    found.matches.push_back(std::move(match));
  }
  return true;
}

RE2::Options re2_options(const search_options& options) {
  RE2::Options made;
  made.set_log_errors(false);
  made.set_literal(!options.regex);
  made.set_case_sensitive(!options.ignore_case);
  return made;
}

} // namespace

result<file_listing> workspace::list_files(std::string_view path, bool recursive,
                                           std::stop_token stop) const {
  scan walk{*this, std::move(stop)};
  if (auto error = walk.enter(without_trailing_slashes(path)))
    return error;
  file_listing listing;
  while (auto entry = walk.next()) {
    if (listing.entries.size() == limits_.listed_entries) {
      walk.truncated = true;
      break;
    }
    const bool descend = recursive && entry->kind == file_kind::directory;
    listing.entries.push_back(std::move(*entry));
    // It can vanish, or be swapped for something else, in the meantime.
    if (descend && walk.enter(listing.entries.back().path))
      ++walk.skipped;
  }
  listing.truncated = walk.truncated;
  listing.skipped_entries = walk.skipped;
  return listing;
}

result<search_result> workspace::search_files(const search_options& options,
                                              std::stop_token stop) const {
  const RE2 pattern{options.pattern, re2_options(options)};
  if (!pattern.ok())
    return make_error(errc::invalid_arguments,
                      "the pattern " + in_quotes(cut_utf8(options.pattern, 200))
                          + " is not a regular expression of RE2: " + pattern.error());
  scan walk{*this, std::move(stop)};
  search_result found;
  std::size_t left = limits_.searched_size_bytes;
  // False when the search is over.
  const auto search = [&](const std::string& path) {
    auto file = open_beneath(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat info {};
    if (!file || ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode)
        || std::cmp_greater(info.st_size, limits_.searched_file_size_bytes)) {
      found.skipped_files += 1;
      return true;
    }
    const auto size_bytes = static_cast<std::size_t>(info.st_size);
    if (size_bytes > left)
      return false;
    auto content = detail::read_whole(file->get(), path, "searched_file_size_bytes",
                                      std::min(left, limits_.searched_file_size_bytes));
    // Some files are larger than they say.
    left -= std::min(left, content ? content->size() : limits_.searched_file_size_bytes);
    if (!content || content->find('\0') != std::string::npos) {
      found.skipped_files += 1;
      return true;
    }
    return add_matches(path, *content, pattern, limits_, found);
  };

  const auto start = without_trailing_slashes(options.path);
  auto opened = open_beneath(start, O_PATH);
  if (!opened)
    return std::move(opened.error());
  struct stat info {};
  if (::fstat(opened->get(), &info) == 0 && !S_ISDIR(info.st_mode)) {
    found.truncated = !search(std::string{start});
    return found;
  }
  if (auto error = walk.enter(start))
    return error;
  while (auto entry = walk.next()) {
    if (entry->kind == file_kind::directory && name_in(entry->path) != ".git") {
      if (walk.enter(entry->path))
        ++walk.skipped;
    } else if (entry->kind == file_kind::file && (left == 0 || !search(entry->path))) {
      walk.truncated = true;
      break;
    }
  }
  found.truncated = walk.truncated;
  found.skipped_files += walk.skipped;
  return found;
}

} // namespace fermata
