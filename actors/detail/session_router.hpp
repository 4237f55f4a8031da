#pragma once

#include <fermata/messages/ids.hpp>

#include <caf/actor.hpp>

#include <functional>

namespace fermata::detail {

/// Where sessions live, for a runtime that is one node of several.
struct session_router {
  /// True: the session lives here. Called by any thread; always the same for an id.
  std::function<bool(const session_id&)> is_home_of;
  /// Takes what is for the sessions of other nodes: `delivery_ptr` (a command or `wake`),
  /// `follow_chunks`, `unfollow_chunks`, `status_query`, the inquiries of local_messages.hpp and
  /// `abandoned`. When it has ended, what comes is dropped, which answers it with `shutting_down`.
  caf::actor forwarder;

  session_router() = default;
};

} // namespace fermata::detail
