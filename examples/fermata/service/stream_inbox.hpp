#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace fermata::service {

/// What the runtime's threads leave for one stream: how far the session has come, and live updates.
/// Bounded: a stream that does not take its updates in time loses some, and is told how many.
class stream_inbox {
public:
  static constexpr std::size_t max_updates = 64;
  static constexpr std::size_t max_size_bytes = 256 * 1024;

  /// `ring` is called from any thread when something has come; it must not block.
  explicit stream_inbox(std::function<void()> ring) : ring_{std::move(ring)} {}

  /// The session has committed its events up to `number`. From any thread.
  void committed(std::uint64_t number);

  /// How often `committed` was called. From any thread.
  [[nodiscard]] std::uint64_t commits() const {
    const std::lock_guard lock{mutex_};
    return commits_;
  }

  /// Puts an update, as text for the client, behind the events committed so far. From any thread.
  void push(std::shared_ptr<const std::string> update);

  struct live_piece {
    std::uint64_t after = 0; ///< The number of the event that it comes behind.
    std::shared_ptr<const std::string> text;

    live_piece() = default;
  };

  struct batch {
    std::deque<live_piece> pieces; ///< Oldest first.
    std::uint64_t dropped = 0;     ///< How many behind these were dropped.

    batch() = default;
  };

  /// What came since the last time.
  [[nodiscard]] batch take();

private:
  std::function<void()> ring_;
  mutable std::mutex mutex_;
  std::uint64_t committed_ = 0;
  std::uint64_t commits_ = 0;
  batch waiting_;
  std::size_t size_bytes_ = 0;
};

} // namespace fermata::service
