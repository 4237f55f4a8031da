#pragma once

#include <fermata/messages/ids.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

namespace fermata::detail {

/// Tells readers of events that there are more. It carries numbers only: readers take the events
/// from the store at their own pace, so a slow one costs a session nothing, and none can miss or
/// repeat one. All calls from any thread.
class stream_hub {
public:
  /// The session has committed events up to `number`.
  /// True: somebody watches the session.
  bool publish(const session_id& session, std::uint64_t number);

  /// The session is deleted, or may be: its numbers begin anew, and who waits for one, or observes
  /// it, looks again.
  /// True: somebody watches the session.
  bool end(const session_id& session);

  /// Registers a reader, which makes `publish` remember the session's numbers.
  void enter(const session_id& session);
  void leave(const session_id& session);

  /// Has `observer` called with the session's last number by each `publish` and `end`, until
  /// `forget`. It runs within them, must not block, and must not call the hub. Gives what `forget`
  /// wants.
  [[nodiscard]] std::uint64_t observe(const session_id& session,
                                      std::function<void(std::uint64_t)> observer);
  /// When it returns, the observer does not run and is not called any more.
  void forget(const session_id& session, std::uint64_t observation);

  /// Makes `publish` say that somebody watches the session; as often undone as done.
  void watch(const session_id& session);
  void unwatch(const session_id& session);

  /// How often the session was ended since `enter`. A reader asks before it looks into the store.
  [[nodiscard]] std::uint64_t endings(const session_id& session);

  /// Waits until the session has event `number`, as far as has been published since `enter`, or was
  /// ended more often than `endings`. False: not in time, or the hub was closed.
  [[nodiscard]] bool wait_for(const session_id& session, std::uint64_t number,
                              std::uint64_t endings, std::chrono::milliseconds timeout);

  void close();

private:
  struct topic {
    std::uint64_t number = 0;
    std::uint64_t endings = 0;
    std::size_t readers = 0;
    std::size_t watchers = 0;
    std::map<std::uint64_t, std::function<void(std::uint64_t)>> observers;
  };

  /// Under the lock. True: somebody watches.
  bool tell(const topic& about);
  void drop_if_unused(const session_id& session);

  std::mutex mutex_;
  std::condition_variable more_;
  std::map<session_id, topic> topics_;
  std::uint64_t observations_ = 0; ///< How many there were.
  bool closed_ = false;
};

} // namespace fermata::detail
