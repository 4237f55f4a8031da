#pragma once

#include "stream_inbox.hpp"

#include <fermata/actors/live.hpp>
#include <fermata/actors/observer.hpp>
#include <fermata/messages/redaction.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace fermata::service {

/// Hands what the runtime says of a session, and what is not recorded, to the streams that show it:
/// live updates, and, to one that observes it, that events could not be committed. All calls from
/// any thread; it outlives the runtime.
class live_board : public runtime_observer {
public:
  /// Without secrets: where some are hidden, an agent's text is only shown once it is recorded,
  /// since a secret could come in pieces.
  explicit live_board(redactor redaction = {}) : redaction_{std::move(redaction)} {}

  /// For `runtime_options::on_live`.
  void show(const live_update& update);

  /// Shows an `error`, which ends no stream: the session begins again from what is committed.
  void commit_failed(const session_id& session, const caf::error& why) override;

  /// The inbox gets the session's updates from now on, until it `leave`s.
  void enter(const session_id& session, std::shared_ptr<stream_inbox> inbox);
  void leave(const session_id& session, const std::shared_ptr<stream_inbox>& inbox);

private:
  /// Writes it once, however many look, and not at all when nobody does.
  template <class Make>
  void push(const session_id& session, Make make);

  redactor redaction_;
  std::mutex mutex_;
  std::map<session_id, std::vector<std::shared_ptr<stream_inbox>>> inboxes_;
};

} // namespace fermata::service
