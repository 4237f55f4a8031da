#pragma once

#include <fermata/messages/commands.hpp>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <functional>
#include <memory>
#include <string>

namespace fermata::sim::detail {

/// A command on its way to another node.
struct remote_request {
  std::string to;
  caf::actor directory; ///< Of that node.
  session_command what;
  std::function<void(result<receipt>)> answer; ///< Called at most once.

  remote_request() = default;
};
using remote_request_ptr = std::shared_ptr<remote_request>;

/// Spawns the actor that sends commands to other nodes for people and hosts of this one. It waits a
/// minute for an answer. Calls `broken` when a connection is gone, with the directory that was
/// reached by it; whoever waits for an answer over it gets none.
[[nodiscard]] caf::actor spawn_front_end(caf::actor_system& system,
                                         std::function<void(const caf::actor_addr&)> broken);

} // namespace fermata::sim::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::sim::detail::remote_request_ptr)
