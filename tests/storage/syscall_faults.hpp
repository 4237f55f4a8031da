#pragma once

#include <string>

namespace fermata::test {

/// Makes calls fail that write to, or synchronise, files named `data.mdb`: this program defines
/// `pwrite`, `writev` and `fdatasync` in front of the C library's, and LMDB calls ours.
struct syscall_fault {
  int call = 0;      ///< Which call fails, counted from 1 since `arm`; 0: none.
  int code = 0;      ///< The error it reports.
  bool done = false; ///< Whether it was carried out all the same; those that follow are not.
  bool meta = false; ///< Only calls count that write a meta page, the last step of a commit.
  int times = 1;     ///< How many calls fail in a row.
};

/// Arms a fault and counts from 0 again. Not thread-safe.
void arm(const syscall_fault& fault);

/// Disarms it; returns how many calls were made since it was armed.
int disarm();

/// What was called while armed, in order: `w` writes data, `s` synchronises, `m` writes a meta
/// page, `M` does so through a file that synchronises each write.
std::string traced_calls();

} // namespace fermata::test
