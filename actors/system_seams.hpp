#pragma once

#include <fermata/actors/seams.hpp>

#include <memory>

/// The real things behind the seams.
namespace fermata {

/// The system's UTC clock.
[[nodiscard]] std::shared_ptr<wall_clock> system_clock();

/// The system's entropy (`std::random_device`).
[[nodiscard]] std::shared_ptr<random_source> system_random();

/// A pool of `threads` threads, at least one, which start with the first job.
[[nodiscard]] std::shared_ptr<blocking_pool> thread_pool(std::size_t threads);

} // namespace fermata
