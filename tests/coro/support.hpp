#pragma once

#include <fermata/actors/coro/coro.hpp>

#include <fermata_catch.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <chrono>
#include <functional>
#include <vector>

namespace coro_test {

namespace coro = fermata::coro;
using namespace std::chrono_literals;

/// The state of an actor that runs what a test sends to it.
struct host_state {
  explicit host_state(caf::event_based_actor* actor) : self(actor), scope(actor) {}

  caf::event_based_actor* self;
  std::vector<caf::response_promise> promises;
  coro::actor_scope scope;
};

using host_actor = caf::stateful_actor<host_state>;
using script = std::function<void(host_state&)>;

} // namespace coro_test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(coro_test::script)

namespace coro_test {

/// Runs scripts. Asked with `get_atom` it takes a promise and never answers; `ok_atom` makes it
/// quit.
inline caf::behavior host_behavior(host_actor* self, script first) {
  first(self->state);
  return {
      [self](const script& next) { next(self->state); },
      [self](caf::get_atom) {
        self->state.promises.push_back(self->make_response_promise());
        return self->state.promises.back();
      },
      [self](caf::ok_atom) { self->quit(); },
  };
}

/// Answers an int with its successor, two ints with both, a string with an error, an atom with
/// nothing.
inline caf::behavior peer_behavior(caf::event_based_actor*, int) {
  return {
      [](int x) { return x + 1; },
      [](int x, int y) { return caf::make_message(x, y); },
      [](const std::string& text) -> caf::result<int> {
        return caf::make_error(caf::sec::bad_function_call, text);
      },
      [](caf::ok_atom) {},
  };
}

class testing_config : public caf::actor_system_config {
public:
  testing_config() { set("scheduler.policy", caf::atom("testing")); }
};

/// An actor system in virtual time. At its end no frame and no actor may be left.
class world {
public:
  ~world() {
    for (const auto& each : actors_)
      caf::anon_send_exit(each, caf::exit_reason::kill);
    actors_.clear();
    run();
    CHECK(coro::live_frames() == 0);
    CHECK(system.registry().running() == 0);
    CHECK_FALSE(scheduler().has_pending_timeout());
  }

  caf::actor spawn_host(script first = [](host_state&) {}) {
    return keep(system.spawn(host_behavior, std::move(first)));
  }

  caf::actor spawn_peer() { return keep(system.spawn(peer_behavior, 0)); }

  caf::actor keep(caf::actor added) {
    actors_.push_back(added);
    return added;
  }

  /// Runs `what` inside the host.
  void in(const caf::actor& host, script what) {
    caf::anon_send(host, std::move(what));
    run();
  }

  void run() { scheduler().run(); }

  void advance(caf::timespan duration) {
    scheduler().advance_time(duration);
    run();
  }

  /// How many timers the system's clock has armed.
  std::size_t timers() { return scheduler().clock().schedule().size(); }

  caf::scheduler::test_coordinator& scheduler() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }

  testing_config config;
  caf::actor_system system{config};

private:
  std::vector<caf::actor> actors_;
};

/// Sets a flag when it is destroyed: a local of a frame that is cancelled.
class witness {
public:
  explicit witness(bool& gone) : gone_(&gone) {}
  witness(witness&& other) noexcept : gone_(std::exchange(other.gone_, nullptr)) {}
  witness& operator=(witness&&) = delete;
  ~witness() {
    if (gone_ != nullptr)
      *gone_ = true;
  }

private:
  bool* gone_;
};

} // namespace coro_test
