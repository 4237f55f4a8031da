#pragma once

#include "stream_inbox.hpp"

#include <fermata/actors/live.hpp>
#include <fermata/messages/redaction.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace fermata::service {

/// Hands the runtime's live updates to the streams that show their session. All calls from any
/// thread; it outlives the runtime.
class live_board {
public:
  /// Without secrets: where some are hidden, an agent's text is only shown once it is recorded,
  /// since a secret could come in pieces.
  explicit live_board(redactor redaction = {}) : redaction_{std::move(redaction)} {}

  /// For `runtime_options::on_live`.
  void show(const live_update& update);

  /// The inbox gets the session's updates from now on, until it `leave`s.
  void enter(const session_id& session, std::shared_ptr<stream_inbox> inbox);
  void leave(const session_id& session, const std::shared_ptr<stream_inbox>& inbox);

private:
  redactor redaction_;
  std::mutex mutex_;
  std::map<session_id, std::vector<std::shared_ptr<stream_inbox>>> inboxes_;
};

} // namespace fermata::service
