#pragma once

#include "stream_inbox.hpp"

#include <fermata/actors/live.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace fermata::service {

/// Hands the runtime's live updates to the streams that show their session. All calls from any
/// thread; it outlives the runtime.
class live_board {
public:
  /// For `runtime_options::on_live`.
  void show(const live_update& update);

  /// The inbox gets the session's updates from now on, until it `leave`s.
  void enter(const session_id& session, std::shared_ptr<stream_inbox> inbox);
  void leave(const session_id& session, const std::shared_ptr<stream_inbox>& inbox);

private:
  std::mutex mutex_;
  std::map<session_id, std::vector<std::shared_ptr<stream_inbox>>> inboxes_;
};

} // namespace fermata::service
