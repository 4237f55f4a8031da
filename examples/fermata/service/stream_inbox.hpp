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

  /// Puts a text for the client behind the events committed so far. From any thread.
  void push(std::shared_ptr<const std::string> text);

  /// Puts a live update, as text for the client, behind the event of a number. `void_when_late`: it
  /// is not shown behind later ones, which have the whole of it. From any thread.
  void push(std::shared_ptr<const std::string> update, std::uint64_t after, bool void_when_late);

  /// So many updates were lost before they came here. From any thread.
  void lost(std::uint64_t count);

  struct live_piece {
    std::uint64_t after = 0; ///< The number of the event that it comes behind.
    bool void_when_late = false;
    std::shared_ptr<const std::string> text;

    live_piece() = default;
  };

  struct batch {
    std::deque<live_piece> pieces; ///< Oldest first.
    std::uint64_t dropped = 0;     ///< How many behind these were dropped.

    batch() = default;
    /// Drops what is void, since the events before number `next` were shown.
    void drop_late(std::uint64_t next);
    /// Takes what comes behind events before number `next`, and adds it to a text.
    void move_to(std::string& text, std::uint64_t next);
  };

  /// What came since the last time.
  [[nodiscard]] batch take();

private:
  void put(live_piece piece);

  std::function<void()> ring_;
  mutable std::mutex mutex_;
  std::uint64_t committed_ = 0;
  std::uint64_t commits_ = 0;
  batch waiting_;
  std::size_t size_bytes_ = 0;
  std::uint64_t lost_ = 0; ///< Before they came here.
};

} // namespace fermata::service
