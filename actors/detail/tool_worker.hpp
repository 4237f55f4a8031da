#pragma once

#include <fermata/actors/coro/scope.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/tool.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

namespace fermata::detail {

/// One claimed run on its way to the worker.
struct run_request {
  const tool* what = nullptr;
  std::uint32_t run = 0;
  tool_context context;
  run_request() = default;
};
using run_ptr = std::shared_ptr<run_request>;

struct tool_worker_state {
  explicit tool_worker_state(caf::event_based_actor* self) : scope{self} {}
  static inline const char* name = "fermata.tool_worker";
  coro::actor_scope scope;
};

/// Starts claimed runs: coroutine tools on itself, blocking ones on the pool. Each run's outcome
/// goes to the worker table and then to its session, by way of `directory`.
caf::behavior tool_worker(caf::stateful_actor<tool_worker_state>* self, services_ptr shared,
                          caf::actor directory);

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::run_ptr)
