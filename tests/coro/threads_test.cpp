// With CAF's real scheduler and clock: many actors on several threads.

#include "support.hpp"

#include <caf/scoped_actor.hpp>

namespace threads_test {

using namespace coro_test;

namespace {

using coro::task;

task<int> add_up(host_state& st, caf::actor peer, int rounds) {
  int x = 0;
  for (int i = 0; i < rounds; ++i) {
    x = co_await coro::ask<int>(st.self, peer, 1min, x);
    if (i % 16 == 0)
      co_await coro::when_any(coro::delay(st.self, 1ms), coro::ask<int>(st.self, peer, 1min, 0));
  }
  co_return x;
}

caf::behavior worker_behavior(host_actor* self, caf::actor peer) {
  return {
      [self, peer](int rounds) {
        auto promise = self->make_response_promise();
        self->state.scope.reply(promise, add_up(self->state, peer, rounds));
        return promise;
      },
  };
}

} // namespace

TEST_CASE("tasks of many actors run on several threads, and killed actors leave no frame") {
  caf::actor_system_config config;
  config.set("scheduler.max-threads", std::size_t{4});
  config.set("scheduler.policy", caf::atom("sharing"));
  {
    caf::actor_system system(config);
    const auto peer = system.spawn(peer_behavior, 0);
    caf::scoped_actor driver(system);
    std::vector<caf::actor> workers;
    for (int i = 0; i < 20; ++i)
      workers.push_back(system.spawn(worker_behavior, peer));
    for (const auto& worker : workers)
      driver->send(worker, 200);
    for (std::size_t i = 0; i < workers.size(); ++i)
      driver->receive([](int sum) { CHECK(sum == 200); });
    for (const auto& worker : workers)
      driver->send(worker, 1'000'000);
    for (const auto& worker : workers)
      driver->send_exit(worker, caf::exit_reason::kill);
    driver->wait_for(workers);
    driver->send_exit(peer, caf::exit_reason::kill);
  }
  CHECK(coro::live_frames() == 0);
}

} // namespace threads_test
