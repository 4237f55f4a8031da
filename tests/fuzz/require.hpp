#pragma once

#include <cstdio>
#include <cstdlib>

namespace fermata::fuzz {

/// What must hold for every input; a violation ends the process, which libFuzzer reports.
inline void require(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

} // namespace fermata::fuzz
