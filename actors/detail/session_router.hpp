#pragma once

#include <fermata/messages/ids.hpp>

#include <caf/actor.hpp>

#include <functional>

namespace fermata::detail {

/// Where sessions live, for a runtime that is one node of several.
struct session_router {
  /// True: the session lives here. Called by any thread. Always the same for an id, unless nodes
  /// share a store.
  std::function<bool(const session_id&)> is_home_of;
  /// Takes what is for the sessions of other nodes: `delivery_ptr` (a command or `wake`),
  /// `follow_chunks`, `unfollow_chunks`, `status_query`, the inquiries of local_messages.hpp,
  /// `abandoned`, and `live_ear_ptr`. When it has ended, what comes is dropped, which answers it
  /// with `shutting_down`. Where nodes share a store it also takes what is for sessions that live
  /// here, and hands it back to the directory.
  caf::actor forwarder;

  /// True: nodes share the store, and sessions move from one to another. Once this node has begun
  /// to be the home of sessions, and once it has ceased to be, its directory gets
  /// `sessions_arrived` and `sessions_departed`.
  bool shares_store = false;
  /// Whether an effect of a session may begin at this moment, as far as this node knows: it is its
  /// home, and nobody else can be. Called by any thread. Empty: always.
  std::function<bool(const session_id&)> may_begin_effect;
  /// Told, by any thread, that a commit was refused since its session has another home by now.
  std::function<void()> on_stale_commit;

  session_router() = default;
};

} // namespace fermata::detail
