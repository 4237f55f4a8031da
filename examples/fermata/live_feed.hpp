#pragma once

#include <fermata/actors/live.hpp>

#include <cstddef>
#include <mutex>
#include <vector>

namespace fermata::command_line {

/// Takes live updates from the runtime's threads to the one that shows them. Bounded: when nobody
/// takes them, further ones are dropped.
class live_feed {
public:
  struct batch {
    std::vector<live_update> updates; ///< Oldest first.
    bool is_complete = true;          ///< False: some behind these were dropped.

    batch() = default;
  };

  /// Called from any thread.
  void push(const live_update& update);

  /// What came since the last time.
  [[nodiscard]] batch take();

private:
  std::mutex mutex_;
  batch waiting_;
  std::size_t size_bytes_ = 0;
};

} // namespace fermata::command_line
