#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/core/decide.hpp>
#include <fermata/actors/detail/live_hub.hpp>
#include <fermata/actors/detail/reply.hpp>
#include <fermata/actors/detail/session_router.hpp>
#include <fermata/actors/detail/stream_hub.hpp>
#include <fermata/actors/detail/tell.hpp>
#include <fermata/actors/detail/worker_table.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/actors/tool.hpp>

#include <caf/actor.hpp>

#include <algorithm>
#include <atomic>

namespace fermata::detail {

/// What the actors of one runtime share. Set up before the first actor starts; the members that
/// change are thread-safe.
struct services {
  /// Turns at a time, until the journal knows better.
  static constexpr std::uint32_t first_turns = 64;

  explicit services(runtime_options with)
      : options{std::move(with)}, workers{options.pool->capacity()},
        turns{std::min(first_turns, options.limits.commands_at_once)} {}

  runtime_options options;
  agent_registry agents;
  tool_registry tools;
  model_registry models;
  worker_table workers;
  stream_hub hub;
  live_hub live;
  turn_gate turns;
  std::atomic<std::uint32_t> under_way{0}; ///< Commands between admission and answer.
  std::atomic<std::uint32_t> resident{0};  ///< Sessions in memory (`count_presence`).
  std::atomic<std::uint32_t> packed{0};    ///< Those among them whose data is packed.
  std::atomic<std::uint32_t> parked{0};    ///< Messages for sessions that there is no room for.
  std::atomic<std::uint64_t> observer_failures{0};
  std::atomic<bool> stopping{false};

  [[nodiscard]] fermata::store& store() const { return *options.store; }
  /// False: the session lives on another node.
  [[nodiscard]] bool is_home_of(const session_id& session) const {
    return !options.router || options.router->is_home_of(session);
  }
  /// True: this runtime is one of several over one store, between which sessions move.
  [[nodiscard]] bool shares_store() const noexcept {
    return options.router && options.router->shares_store;
  }
  /// False: the session may have another home by now, so no effect of it may begin here.
  [[nodiscard]] bool may_begin_effect(const session_id& session) const {
    return !options.router || !options.router->may_begin_effect
           || options.router->may_begin_effect(session);
  }
  [[nodiscard]] core::environment environment() const {
    core::environment made{options.limits, options.policy, agents, tools};
    made.planner = options.planner;
    made.retention = options.retention;
    return made;
  }
  /// False: nobody would see a live update of the session.
  [[nodiscard]] bool is_watched(const session_id& session) const {
    return options.on_live != nullptr || live.has_listeners(session);
  }
  void show(const live_update& update) const {
    tell(options.on_live, update);
    live.show(update);
  }
  [[nodiscard]] bool is_observed() const noexcept { return options.observer != nullptr; }
  /// Calls `tell` with the observer, if there is one. What that throws ends here.
  template <class Tell>
  void observe(const Tell& tell) noexcept {
    if (!options.observer)
      return;
    try {
      tell(*options.observer);
    } catch (...) {
      ++observer_failures;
    }
  }
  /// Where a duration begins that an observer is told of.
  [[nodiscard]] std::chrono::steady_clock::time_point observed_now() const {
    return is_observed() ? options.clock->steady() : std::chrono::steady_clock::time_point{};
  }
  [[nodiscard]] std::chrono::nanoseconds
  observed_since(std::chrono::steady_clock::time_point begin) const {
    return options.clock->steady() - begin;
  }
  [[nodiscard]] runtime_load load() const;
};
using services_ptr = std::shared_ptr<services>;

/// Counts a session as resident as long as what it returns lives: kept by the session itself, so
/// that what is counted is what is in memory.
[[nodiscard]] std::shared_ptr<const void> count_presence(const services_ptr& shared);

/// Tells the observer what becomes of a command that is admitted now; empty where there is none.
[[nodiscard]] reply::witness watch_answer(const services_ptr& shared, const session_id& session,
                                          std::string_view type);

/// Refuses a command that would be one too many. Errors: `overloaded`, `shutting_down`.
[[nodiscard]] caf::error check_admission(const services& shared);

} // namespace fermata::detail
