#pragma once

#include "bench.hpp"

namespace fermata::bench {

// throughput.cpp
extern const subject throughput;
extern const subject no_fsync;
// latency.cpp
extern const subject alone;
extern const subject idle;
// coroutines.cpp
extern const subject coroutines;

} // namespace fermata::bench
