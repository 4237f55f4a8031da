#pragma once

#include "bench.hpp"
#include "child.hpp"

namespace fermata::bench {

// throughput.cpp
extern const subject throughput;
extern const subject no_fsync;
// latency.cpp
extern const subject alone;
extern const subject idle;
// coroutines.cpp
extern const subject coroutines;
// memory.cpp
extern const subject resident;
extern const subject passivated;
extern const child_task resident_child;
extern const child_task passivated_child;
// start.cpp
extern const subject start;
extern const subject activation;
extern const child_task start_child;
// growth.cpp
extern const subject growth;
extern const subject bytes_written;

} // namespace fermata::bench
