#include "wall_clock_shift.hpp"

#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <ctime>

namespace {

thread_local time_t shift_seconds = 0;

} // namespace

// These stand in the place of the C library's.
extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto code = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
  if (code == 0 && clock == CLOCK_REALTIME)
    now->tv_sec += shift_seconds;
  return code;
}

int gettimeofday(timeval* now, void*) noexcept {
  timespec precise{};
  const auto code = clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return code;
}

time_t time(time_t* now) noexcept {
  timespec precise{};
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now != nullptr)
    *now = precise.tv_sec;
  return precise.tv_sec;
}

} // extern "C"

namespace fermata::test {

wall_clock_shift::wall_clock_shift(std::chrono::seconds by) noexcept {
  shift_seconds = by.count();
}

wall_clock_shift::~wall_clock_shift() {
  shift_seconds = 0;
}

} // namespace fermata::test
