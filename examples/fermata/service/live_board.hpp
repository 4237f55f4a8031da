#pragma once

#include "stream_inbox.hpp"

#include <fermata/actors/live.hpp>
#include <fermata/actors/observer.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/messages/redaction.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace fermata::service {

/// Hands what is said of a session, and not recorded, to the streams that show it: live updates,
/// from whichever node it lives on, and what this runtime tells its observer, that events could not
/// be committed. All calls from any thread; it outlives the runtime.
class live_board : public runtime_observer {
public:
  /// Without secrets: where some are hidden, an agent's text is only shown once it is recorded,
  /// since a secret could come in pieces.
  explicit live_board(redactor redaction = {}) : redaction_{std::move(redaction)} {}

  /// Where live updates of a session come from.
  struct live_source {
    /// As `session_handle::listen`.
    std::function<live_watch(live_observer, std::function<void(std::uint64_t)>)> listen;
    /// It may live on another node, whose events can overtake its updates.
    bool is_distant = false;
  };

  /// Shows an `error`, which ends no stream: the session begins again from what is committed.
  void commit_failed(const session_id& session, const caf::error& why) override;

  /// The inbox gets the session's updates from now on, until it `leave`s. The first one begins to
  /// listen to `from`, and the last one ends it: what nobody looks at is not asked for.
  void enter(const session_id& session, std::shared_ptr<stream_inbox> inbox,
             const live_source& from);
  void leave(const session_id& session, const std::shared_ptr<stream_inbox>& inbox);

private:
  /// Those who look at one session.
  struct audience {
    std::vector<std::shared_ptr<stream_inbox>> inboxes;
    std::uint64_t number = 0; ///< Another one each time that somebody begins to listen.
    live_watch watch;
  };

  /// Calls `put` with each inbox of a session, if it is still that audience; 0: whichever it is.
  template <class Put>
  void for_each(const session_id& session, std::uint64_t audience, Put put);
  void show(const live_update& update, std::uint64_t audience, bool is_distant);

  redactor redaction_;
  std::mutex mutex_;
  std::map<session_id, audience> audiences_;
  std::uint64_t begun_ = 0;
};

} // namespace fermata::service
