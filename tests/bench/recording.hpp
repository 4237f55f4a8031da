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
};

/// Writes them in transactions of so many.
void write(store& to, std::span<const commit> commits, std::size_t batch);

} // namespace fermata::bench
