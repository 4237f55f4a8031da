#pragma once

#include <fermata/actors/detail/services.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

namespace fermata::detail {

/// The actors of one runtime.
struct node {
  caf::actor journal;
  caf::actor directory;
  node() = default;
};

/// Fills in the seams that the options leave open.
void complete(runtime_options& options);

/// Spawns the actors. They end when the directory and then the journal get `stop`.
[[nodiscard]] node spawn_node(caf::actor_system& system, const services_ptr& shared);

} // namespace fermata::detail
