#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/core/decide.hpp>
#include <fermata/actors/detail/stream_hub.hpp>
#include <fermata/actors/detail/worker_table.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/actors/tool.hpp>

#include <caf/actor.hpp>

#include <atomic>

namespace fermata::detail {

/// What the actors of one runtime share. Set up before the first actor starts; the members that
/// change are thread-safe.
struct services {
  explicit services(runtime_options with)
      : options{std::move(with)}, workers{options.pool->capacity()} {}

  runtime_options options;
  agent_registry agents;
  tool_registry tools;
  model_registry models;
  worker_table workers;
  stream_hub hub;
  std::atomic<std::uint32_t> under_way{0}; ///< Commands between admission and answer.
  std::atomic<bool> stopping{false};

  [[nodiscard]] fermata::store& store() const { return *options.store; }
  [[nodiscard]] core::environment environment() const {
    core::environment made{options.limits, options.policy, agents, tools};
    made.planner = options.planner;
    return made;
  }
  void show(const live_update& update) const {
    if (options.on_live)
      options.on_live(update);
  }
};
using services_ptr = std::shared_ptr<services>;

/// Refuses a command that would be one too many. Errors: `overloaded`, `shutting_down`.
[[nodiscard]] caf::error check_admission(const services& shared);

} // namespace fermata::detail
