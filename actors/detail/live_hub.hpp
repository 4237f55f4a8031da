#pragma once

#include <fermata/actors/live.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace fermata::detail {

/// Hands live updates to those who listen to their session. All calls from any thread.
class live_hub {
public:
  /// Has `observer` called with each update of the session, until `forget`. It runs within `show`,
  /// and must neither block nor forget itself; what it throws ends there. Gives what `forget`
  /// wants.
  [[nodiscard]] std::uint64_t listen(const session_id& session, live_observer observer);
  /// When it returns, the observer does not run and is not called any more.
  void forget(const session_id& session, std::uint64_t listener);

  /// False: an update need not be made. Costs nothing while nobody listens to any session.
  [[nodiscard]] bool has_listeners(const session_id& session) const;
  void show(const live_update& update) const;

private:
  struct listener {
    std::mutex mutex;       ///< Held while it is called.
    live_observer observer; ///< Null: it is forgotten.
  };

  std::atomic<std::size_t> count_{0}; ///< Of all listeners.
  mutable std::mutex mutex_;          ///< Not held while one is called.
  std::map<session_id, std::map<std::uint64_t, std::shared_ptr<listener>>> listeners_;
  std::uint64_t begun_ = 0;
};

} // namespace fermata::detail
