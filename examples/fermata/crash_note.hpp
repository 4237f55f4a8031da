#pragma once

#include <array>
#include <csignal>
#include <cstdint>

namespace fermata::command_line {

/// While one exists, a process that dies of a fault of its own (SIGSEGV, an assertion's SIGABRT and
/// the like) says on standard error which seed it was running: no exception could. What would have
/// handled the signal otherwise (a core dump, a sanitizer's report) comes behind it. One at a time.
class crash_note {
public:
  crash_note();
  ~crash_note();
  crash_note(const crash_note&) = delete;
  crash_note& operator=(const crash_note&) = delete;

  /// The seed that is run from now on.
  void seed(std::uint64_t running) noexcept;

  static constexpr std::array signals{SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
};

} // namespace fermata::command_line
