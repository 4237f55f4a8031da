#include <fermata/actors/tools/diff.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace fermata {

namespace {

using lines = std::vector<std::string_view>;

enum class edit : char { keep = ' ', remove = '-', insert = '+' };

/// Lines keep their newline, so that a last line without one differs from one with it.
lines split(std::string_view text) {
  lines out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto size = end == std::string_view::npos ? text.size() : end + 1;
    out.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

/// Myers's greedy algorithm: the furthest end of a path with `d` edits on each diagonal
/// `k = x - y`, for growing `d`, and then the way back. Nothing when there are more than
/// `most_edits`.
class myers {
public:
  myers(const lines& before, const lines& after) : before_{before}, after_{after} {}

  std::optional<std::vector<edit>> script(std::size_t most_edits) {
    const auto most =
        static_cast<std::int64_t>(std::min(most_edits, before_.size() + after_.size()));
    std::vector<std::int64_t> furthest(static_cast<std::size_t>(2 * most + 3), 0);
    const auto at = [&](std::int64_t k) -> std::int64_t& {
      return furthest[static_cast<std::size_t>(k + most + 1)];
    };
    for (std::int64_t d = 0; d <= most; ++d) {
      // Only the diagonals -d..d are needed to find the way back.
      trace_.emplace_back(furthest.begin() + static_cast<std::ptrdiff_t>(most + 1 - d),
                          furthest.begin() + static_cast<std::ptrdiff_t>(most + 2 + d));
      for (std::int64_t k = -d; k <= d; k += 2) {
        const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
        auto x = down ? at(k + 1) : at(k - 1) + 1;
        x = slide(x, k);
        at(k) = x;
        if (x >= ssize(before_) && x - k >= ssize(after_))
          return way_back(d);
      }
    }
    return std::nullopt;
  }

private:
  static std::int64_t ssize(const lines& of) { return static_cast<std::int64_t>(of.size()); }

  std::int64_t slide(std::int64_t x, std::int64_t k) const {
    while (x < ssize(before_) && x - k < ssize(after_)
           && before_[static_cast<std::size_t>(x)] == after_[static_cast<std::size_t>(x - k)])
      ++x;
    return x;
  }

  std::vector<edit> way_back(std::int64_t edits) const {
    std::vector<edit> reversed;
    auto x = ssize(before_);
    auto y = ssize(after_);
    for (auto d = edits; d > 0; --d) {
      // The furthest ends as they were after d - 1 edits; diagonals beyond were still 0.
      const auto& ends = trace_[static_cast<std::size_t>(d)];
      const auto at = [&](std::int64_t k) { return ends[static_cast<std::size_t>(k + d)]; };
      const auto k = x - y;
      const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
      const auto previous_k = down ? k + 1 : k - 1;
      const auto previous_x = at(previous_k);
      const auto previous_y = previous_x - previous_k;
      for (; x > previous_x && y > previous_y; --x, --y)
        reversed.push_back(edit::keep);
      reversed.push_back(down ? edit::insert : edit::remove);
      x = previous_x;
      y = previous_y;
    }
    reversed.insert(reversed.end(), static_cast<std::size_t>(x), edit::keep);
    return {reversed.rbegin(), reversed.rend()};
  }

  const lines& before_;
  const lines& after_;
  std::vector<std::vector<std::int64_t>> trace_;
};

std::vector<edit> script_of(const lines& before, const lines& after, const diff_options& options) {
  const auto [end_before, end_after] =
      std::mismatch(before.begin(), before.end(), after.begin(), after.end());
  const auto same_begin = static_cast<std::size_t>(end_before - before.begin());
  std::size_t same_end = 0;
  while (same_end < std::min(before.size(), after.size()) - same_begin
         && before[before.size() - 1 - same_end] == after[after.size() - 1 - same_end])
    ++same_end;
  const lines old_middle(end_before, before.end() - static_cast<std::ptrdiff_t>(same_end));
  const lines new_middle(end_after, after.end() - static_cast<std::ptrdiff_t>(same_end));

  std::optional<std::vector<edit>> middle;
  if (old_middle.size() + new_middle.size() <= options.compared_lines)
    middle = myers{old_middle, new_middle}.script(options.edits);
  if (!middle) {
    middle.emplace(old_middle.size(), edit::remove);
    middle->insert(middle->end(), new_middle.size(), edit::insert);
  }
  std::vector<edit> script(same_begin, edit::keep);
  script.insert(script.end(), middle->begin(), middle->end());
  script.insert(script.end(), same_end, edit::keep);
  return script;
}

/// Writes hunks: runs of edits with the context around them.
class hunk_writer {
public:
  hunk_writer(const lines& before, const lines& after, const std::vector<edit>& script,
              const diff_options& options)
      : before_{before}, after_{after}, script_{script}, options_{options} {}

  void write(std::string& out) {
    std::size_t position = 0;
    while (position < script_.size()) {
      if (script_[position] == edit::keep) {
        advance(position++);
        continue;
      }
      // Back up by the context, which is never more than what was kept since the last hunk.
      const auto context = std::min(options_.context_lines, kept_);
      const auto end = end_of_hunk(position);
      old_line_ -= context;
      new_line_ -= context;
      write_hunk(position - context, end, out);
      position = end;
      kept_ = 0;
    }
    if (dropped_lines_ > 0)
      out += "[" + std::to_string(dropped_lines_) + " more lines of the diff are not shown]\n";
  }

private:
  void advance(std::size_t position) {
    old_line_ += script_[position] != edit::insert;
    new_line_ += script_[position] != edit::remove;
    kept_ += 1;
  }

  std::size_t end_of_hunk(std::size_t from) const {
    auto end = from;
    std::size_t kept = 0;
    for (auto at = from; at < script_.size() && kept <= 2 * options_.context_lines; ++at) {
      kept = script_[at] == edit::keep ? kept + 1 : 0;
      if (kept == 0)
        end = at + 1;
    }
    return std::min(script_.size(), end + options_.context_lines);
  }

  static std::string range(std::size_t line, std::size_t count) {
    // An empty range is named by the line before it.
    const auto first = count == 0 ? line : line + 1;
    return std::to_string(first) + (count == 1 ? "" : "," + std::to_string(count));
  }

  void write_hunk(std::size_t begin, std::size_t end, std::string& out) {
    std::size_t removed = 0;
    std::size_t added = 0;
    for (auto at = begin; at < end; ++at) {
      removed += script_[at] != edit::insert;
      added += script_[at] != edit::remove;
    }
    put("@@ -" + range(old_line_, removed) + " +" + range(new_line_, added) + " @@\n", out);
    for (auto at = begin; at < end; ++at) {
      const auto what = script_[at];
      const auto text = what == edit::insert ? after_[new_line_] : before_[old_line_];
      std::string line{static_cast<char>(what)};
      line += text;
      if (!text.ends_with('\n'))
        line += "\n\\ No newline at end of file\n";
      put(line, out);
      old_line_ += what != edit::insert;
      new_line_ += what != edit::remove;
    }
  }

  void put(const std::string& line, std::string& out) {
    if (dropped_lines_ > 0 || out.size() + line.size() > options_.size_bytes)
      ++dropped_lines_;
    else
      out += line;
  }

  const lines& before_;
  const lines& after_;
  const std::vector<edit>& script_;
  const diff_options& options_;
  std::size_t old_line_ = 0;
  std::size_t new_line_ = 0;
  std::size_t kept_ = 0;
  std::size_t dropped_lines_ = 0;
};

} // namespace

std::string unified_diff(std::string_view before, std::string_view after, std::string_view name,
                         const diff_options& options) {
  const auto header = [&](std::string_view text, std::string_view prefix) {
    return text.data() == nullptr ? std::string{"/dev/null"}
                                  : std::string{prefix} + std::string{name};
  };
  if (before == after && (before.data() == nullptr) == (after.data() == nullptr))
    return {};
  std::string out = "--- " + header(before, "a/") + "\n+++ " + header(after, "b/") + "\n";
  const auto old_lines = split(before);
  const auto new_lines = split(after);
  const auto script = script_of(old_lines, new_lines, options);
  hunk_writer{old_lines, new_lines, script, options}.write(out);
  return out;
}

} // namespace fermata
