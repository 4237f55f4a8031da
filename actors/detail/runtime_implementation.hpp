#pragma once

#include <fermata/actors/detail/node.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/runtime.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <memory>
#include <shared_mutex>

namespace fermata {

struct runtime::implementation {
  implementation(caf::actor_system* host, runtime_options options);

  caf::actor_system& system() { return joined ? *joined : *own; }

  /// Shared by those who hand a message to the directory, exclusive for `start` and `stop`: what
  /// was handed over comes before the order to stop, and nothing comes after it.
  mutable std::shared_mutex gate;
  caf::actor_system* joined;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> own;
  detail::services_ptr shared;
  detail::node node;
  bool started = false;
};

} // namespace fermata
