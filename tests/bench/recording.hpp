#pragma once

#include <fermata/storage/store.hpp>

#include <span>
#include <vector>

namespace fermata::bench {

/// The commits of a workload: of the proposals, and of so many resumes of each session behind them.
struct recording {
  std::vector<commit> proposals;
  std::vector<commit> resumes;

  recording(std::size_t sessions, std::size_t rounds);

  /// How many resumes of a session there are from one that writes its records to the next: what is
  /// measured should be of a multiple of that.
  [[nodiscard]] std::size_t period() const;
};

/// A period as it is for most limits, to choose a number of rounds by.
inline constexpr std::size_t usual_period = 11;

/// Writes them in transactions of so many.
void write(store& to, std::span<const commit> commits, std::size_t batch);

} // namespace fermata::bench
