#include "progress_bar.hpp"

#include "fold.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace fermata::command_line {

namespace {

constexpr std::chrono::milliseconds between_drawings{100};
constexpr std::size_t bar_columns = 24;
/// Back to the first column, and clears what is behind the cursor.
constexpr std::string_view clear = "\r\x1b[K";

/// How much of it is done, from 0 to 1: by seeds or by time, whichever ends first.
double share_of(const sim::campaign_options& of, const sim::campaign_report& so_far) {
  const auto seeds = static_cast<double>(of.seeds.last - of.seeds.first) + 1;
  auto share = static_cast<double>(so_far.worlds) / seeds;
  if (of.at_most && of.at_most->count() > 0)
    share = std::max(share, static_cast<double>(so_far.took.count())
                                / static_cast<double>(of.at_most->count()));
  return std::min(share, 1.0);
}

void write_error(const std::string& text) {
  // It is only a picture: a terminal that is gone needs none.
  static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
}

} // namespace

progress_bar::progress_bar(bool wanted) : draws_{wanted && ::isatty(STDERR_FILENO) == 1} {}

progress_bar::~progress_bar() {
  if (draws_)
    write_error(std::string{clear});
}

void progress_bar::draw(const sim::campaign_options& of, const sim::campaign_report& so_far,
                        std::uint64_t next) {
  const auto now = std::chrono::steady_clock::now();
  if (!draws_ || now - drawn_at_ < between_drawings)
    return;
  drawn_at_ = now;
  write_error(std::string{clear} + line(of, so_far, next, terminal_columns() - 1));
}

std::string progress_bar::line(const sim::campaign_options& of, const sim::campaign_report& so_far,
                               std::uint64_t next, std::size_t columns) {
  const auto share = share_of(of, so_far);
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(bar_columns));
  const auto milliseconds = std::max<std::int64_t>(1, so_far.took.count());
  auto text = "[" + std::string(filled, '#') + std::string(bar_columns - filled, '-') + "] "
              + std::to_string(static_cast<int>(share * 100)) + "%  "
              + std::to_string(so_far.worlds) + " worlds, "
              + std::to_string(so_far.resumes * 1'000 / static_cast<std::uint64_t>(milliseconds))
              + " resumes a second, seed " + std::to_string(next);
  if (so_far.failure)
    text += ": it fails; looking for a smaller run (" + std::to_string(so_far.failure->runs) + ")";
  text.resize(std::min(text.size(), columns));
  return text;
}

} // namespace fermata::command_line
