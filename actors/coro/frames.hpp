#pragma once

#include <atomic>
#include <cstddef>

namespace fermata::coro {

namespace detail {

inline std::atomic<std::size_t> frame_count = 0;

/// Counts one frame for as long as it lives; every task's promise has one.
class counted_frame {
public:
  counted_frame() noexcept { frame_count.fetch_add(1, std::memory_order_relaxed); }
  counted_frame(const counted_frame&) = delete;
  counted_frame& operator=(const counted_frame&) = delete;
  ~counted_frame() { frame_count.fetch_sub(1, std::memory_order_relaxed); }
};

} // namespace detail

/// How many task frames exist in this process, started or not, of all actors and threads. Meant for
/// tests, which assert that it is back to zero once the actors are gone.
[[nodiscard]] inline std::size_t live_frames() noexcept {
  return detail::frame_count.load(std::memory_order_relaxed);
}

} // namespace fermata::coro
