#pragma once

#include "bench.hpp"
#include "child.hpp"

namespace fermata::bench {

// throughput.cpp
extern const subject throughput;
extern const subject no_fsync;
extern const subject sweep;
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
// load.cpp
extern const subject fairness;
extern const subject overload;
extern const child_task overload_child;
// subscribers.cpp
extern const subject subscribers;
// cluster.cpp
extern const subject cluster;
// timers.cpp
extern const subject timers;
extern const child_task timers_child;
extern const child_task pending_child;
// postgres.cpp, where there is libpq
extern const subject postgres;
// sharing.cpp, likewise
extern const subject sharing;
extern const child_task sharing_child;
// simulation.cpp
extern const subject simulation;
#ifdef FERMATA_BENCH_OBSERVER
// observer.cpp
extern const subject observer;
#endif

} // namespace fermata::bench
