#pragma once

#include <fermata/actors/sim/must.hpp>
#include <fermata/messages/errors.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

/// What the subjects of the benchmark share.
namespace fermata::bench {

using clock_type = std::chrono::steady_clock;
using namespace std::chrono_literals;
using seconds = std::chrono::duration<double>;

using sim::must;

/// Ends the benchmark when something that a figure depends on is not so.
inline void expect(bool is_so, const std::string& what) {
  if (!is_so)
    throw std::runtime_error{"expected: " + what};
}

inline double seconds_since(clock_type::time_point begin) {
  return seconds{clock_type::now() - begin}.count();
}
inline double microseconds_since(clock_type::time_point begin) {
  return seconds_since(begin) * 1e6;
}

/// Of all threads of this process, in seconds.
[[nodiscard]] double processor_time();

/// Memory that is this process's own, in bytes (`RssAnon`): VmRSS counts the mapped file, too.
[[nodiscard]] double own_memory();

struct spread {
  double least = 0;
  double median = 0;
  double most = 0;
};

/// `values` is not empty.
[[nodiscard]] spread spread_of(std::vector<double> values);
[[nodiscard]] double median(std::vector<double> values);
/// The value that `share` (0 to 1) of them do not exceed.
[[nodiscard]] double percentile(std::vector<double> values, double share);

/// One line of the table.
struct measurement {
  std::string what;
  std::string unit;
  spread value;
  std::optional<double> limit; ///< What it is compared with, in the same unit and the same run.
  std::optional<double> ratio; ///< The value by the limit: the median of the rounds.
  std::string reach;           ///< What the limit is, and how near it should be; may be empty.

  measurement(std::string of, std::string in, std::vector<double> values)
      : what{std::move(of)}, unit{std::move(in)}, value{spread_of(std::move(values))} {}

  /// Compares with what took turns with it: one limit for each value, in their order.
  measurement against(const std::vector<double>& values, const std::vector<double>& limits,
                      std::string to_reach) &&;
  /// Compares the medians.
  measurement against(double one_limit, std::string to_reach) &&;
};

/// How much is done, and where.
struct context {
  std::size_t sessions = 0;    ///< 0: as many as the subject likes.
  std::size_t subtasks = 0;    ///< Of one plan; 0: as many as the subject needs.
  std::size_t stored = 20'000; ///< Paused sessions in the store.
  std::size_t rounds = 5;
  bool brief = false;              ///< To see that it works, not how fast.
  std::filesystem::path directory; ///< For files; on the disk to measure.
  std::filesystem::path keep;      ///< Stores of paused sessions are kept here; empty: not.

  context() = default;
  [[nodiscard]] std::size_t sessions_or(std::size_t otherwise) const {
    return sessions != 0 ? sessions : scaled(otherwise);
  }
  /// So much of something, or a little when it is to be brief.
  [[nodiscard]] std::size_t scaled(std::size_t full) const {
    return brief ? std::max<std::size_t>(2, full / 100) : full;
  }
};

/// A figure, or several that belong together.
struct subject {
  const char* name;
  const char* sentence; ///< What it measures.
  std::vector<measurement> (*run)(const context&);
};

} // namespace fermata::bench
