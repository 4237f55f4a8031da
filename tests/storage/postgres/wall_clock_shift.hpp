#pragma once

#include <chrono>

namespace fermata::test {

/// While it lives, the wall clock of this thread is wrong by so much, for whoever reads it by
/// `clock_gettime`, `gettimeofday` or `time`.
class wall_clock_shift {
public:
  explicit wall_clock_shift(std::chrono::seconds by) noexcept;
  wall_clock_shift(const wall_clock_shift&) = delete;
  wall_clock_shift& operator=(const wall_clock_shift&) = delete;
  ~wall_clock_shift();
};

} // namespace fermata::test
