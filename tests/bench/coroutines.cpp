#include "allocations.hpp"
#include "subjects.hpp"

#include <fermata/actors/coro/coro.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

namespace fermata::bench {

namespace {

enum class way { then, awaited, task_each, then_for_ever };

constexpr auto timeout = 10s;

struct asker_state;
using asker_actor = caf::stateful_actor<asker_state>;

/// Asks a peer again and again, and answers with the nanoseconds and allocations of one request.
struct asker_state {
  explicit asker_state(asker_actor* actor) : self{actor}, scope{actor} {}

  asker_actor* self;
  caf::actor peer;
  int count = 0;
  int left = 0;
  clock_type::time_point begin;
  std::uint64_t allocated = 0;
  caf::response_promise promise;
  coro::actor_scope scope;
};

void finish(asker_state& state) {
  const auto each = 1.0 / state.count;
  state.promise.deliver(seconds_since(state.begin) * 1e9 * each,
                        static_cast<double>(test::allocations() - state.allocated) * each);
}

void request_next(asker_state& state, caf::duration within) {
  if (--state.left < 0)
    return finish(state);
  state.self->request(state.peer, within, 1).then([&state, within](int) {
    request_next(state, within);
  });
}

coro::task<> await_all(asker_state& state) {
  while (--state.left >= 0)
    co_await coro::ask<int>(state.self, state.peer, timeout, 1);
  finish(state);
}

coro::task<> await_one(asker_state& state) {
  co_await coro::ask<int>(state.self, state.peer, timeout, 1);
}

coro::task<> await_tasks(asker_state& state) {
  while (--state.left >= 0)
    co_await await_one(state);
  finish(state);
}

caf::behavior asker(asker_actor* self, caf::actor peer) {
  self->state.peer = std::move(peer);
  return {[self](int how, int count) {
    auto& state = self->state;
    state.count = state.left = count;
    state.promise = self->make_response_promise();
    state.allocated = test::allocations();
    state.begin = clock_type::now();
    switch (static_cast<way>(how)) {
    case way::then:
      request_next(state, caf::duration{timeout});
      break;
    case way::awaited:
      state.scope.spawn(await_all(state));
      break;
    case way::task_each:
      state.scope.spawn(await_tasks(state));
      break;
    case way::then_for_ever:
      request_next(state, caf::infinite);
      break;
    }
    return state.promise;
  }};
}

caf::behavior successor(caf::event_based_actor*, int step) {
  return {[step](int x) { return x + step; }};
}

struct costs {
  std::vector<double> nanoseconds;
  std::vector<double> allocations;
};

/// Two actors on one thread.
class exchange {
public:
  exchange() {
    config_.set("scheduler.max-threads", 1);
    system_.emplace(config_);
    asker_ = system_->spawn(asker, system_->spawn(successor, 1));
  }
  ~exchange() { caf::anon_send_exit(asker_, caf::exit_reason::kill); }

  void measure(way how, int count, costs& out) {
    caf::scoped_actor self{*system_};
    self->request(asker_, caf::infinite, static_cast<int>(how), count)
        .receive(
            [&](double nanoseconds, double allocated) {
              out.nanoseconds.push_back(nanoseconds);
              out.allocations.push_back(allocated);
            },
            [](const caf::error& error) { must(error); });
  }

private:
  caf::actor_system_config config_;
  std::optional<caf::actor_system> system_;
  caf::actor asker_;
};

std::vector<measurement> run_coroutines(const context& in) {
  const auto count = static_cast<int>(in.scaled(100'000));
  std::array<costs, 4> of;
  for (std::size_t round = 0; round <= in.rounds; ++round)
    for (std::size_t turn = 0; turn < of.size(); ++turn) {
      const auto which = (round + turn) % of.size();
      costs warm;
      // Each in a system of its own: timers that `then` leaves behind are not the next one's.
      exchange{}.measure(static_cast<way>(which), count, round == 0 ? warm : of[which]);
    }
  const auto& [then, awaited, task_each, then_for_ever] = of;
  std::vector<measurement> lines;
  const auto add = [&](const char* what, const costs& one, const std::string& to_reach) {
    lines.push_back(measurement{what, "ns", one.nanoseconds}.against(
        one.nanoseconds, then.nanoseconds, "request().then()" + to_reach));
    lines.push_back(measurement{"  allocations", "", one.allocations}.against(
        median(then.allocations), "request().then()"));
  };
  add("a request that is awaited", awaited, "; <= 1.15");
  add("the same in a task for each", task_each, ", which has no frame");
  add("request().then() without a timeout", then_for_ever, " with one");
  return lines;
}

} // namespace

const subject coroutines{"coroutines",
                         "A request that a coroutine awaits, between two actors on one thread.",
                         run_coroutines};

} // namespace fermata::bench
