#pragma once

#include <fermata/actors/coro/scope.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/tool.hpp>

#include <caf/actor_clock.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <atomic>
#include <map>
#include <optional>

namespace fermata::detail {

/// One claimed run on its way to the worker, or the look of a tool's `reconcile` at one.
struct run_request {
  const tool* what = nullptr;
  tool_context context;
  bool reconciles = false;
  std::atomic<bool> timed_out{false};
  std::chrono::steady_clock::time_point begin; ///< For observers.
  std::atomic<bool> observed{false};           ///< Its end was told already.
  run_request() = default;
};
using run_ptr = std::shared_ptr<run_request>;

/// Ends a run that nobody waits for any more.
struct stop_run {
  call_id call;
  /// Its token was told already. By the time that this arrives, the call may have another run.
  bool is_told = false;
  stop_run() = default;
};
using stop_run_ptr = std::shared_ptr<stop_run>;

/// A blocking function has ended, and was reported.
struct run_over {
  run_ptr run;
  run_over() = default;
};
using run_over_ptr = std::shared_ptr<run_over>;

/// A blocking function was not called, since its effect might have come too late.
struct run_refused {
  run_ptr run;
  run_refused() = default;
};
using run_refused_ptr = std::shared_ptr<run_refused>;

/// Runs claimed calls: coroutine tools on its actor, blocking ones on the pool, each within its
/// time limit. A run's outcome goes to the worker table and then to its session, by way of the
/// directory.
///
/// Where nodes share a store, a run begins only while its session certainly lives here. One that
/// must wait for that stays claimed, and its time limit begins with it.
class tool_worker {
public:
  tool_worker(caf::event_based_actor* self, services_ptr shared, caf::actor directory)
      : self_{self}, shared_{std::move(shared)}, directory_{std::move(directory)}, scope_{self} {}

  void start(run_ptr run);
  /// The run is cancelled: a coroutine is destroyed, a blocking function asked to end.
  void stop(const stop_run& which);
  /// A blocking function has ended, and was reported.
  void ended(const run_ptr& run);
  /// A run must not begin now: tries again soon.
  void hold(const run_ptr& run);
  /// Looks whose time is up, and which runs may begin by now.
  void tick();

private:
  /// A run that can be destroyed, or whose time is limited.
  struct watched {
    run_ptr run;
    coro::root_handle task; ///< Of a coroutine.
    std::optional<caf::actor_clock::time_point> deadline;
    watched() = default;
  };

  void start_blocking(const run_ptr& run);
  void start_coroutine(const run_ptr& run, const coroutine_tool& coroutine);
  watched& watch(const run_ptr& run);
  void time_is_up(watched& of);
  void set_deadline(watched& of, std::chrono::milliseconds wait);
  void arm_tick(caf::actor_clock::time_point at);

  caf::event_based_actor* self_;
  services_ptr shared_;
  caf::actor directory_;
  std::map<call_id, watched> watched_;
  std::map<call_id, run_ptr> held_; ///< Those that must not begin yet.
  std::optional<caf::actor_clock::time_point> next_tick_;
  coro::actor_scope scope_; // last: frames refer to the rest
};

struct tool_worker_state {
  static inline const char* name = "fermata.tool_worker";
  std::unique_ptr<tool_worker> body;
};

caf::behavior tool_worker_actor(caf::stateful_actor<tool_worker_state>* self, services_ptr shared,
                                caf::actor directory);

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::run_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::stop_run_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::run_over_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::run_refused_ptr)
