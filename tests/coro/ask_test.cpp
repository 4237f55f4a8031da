#include "support.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <optional>
#include <string>
#include <tuple>

namespace ask_test {

using namespace coro_test;

namespace {

using coro::task;

task<int> successor(host_state& st, caf::actor peer, int x) {
  co_return co_await coro::ask<int>(st.self, peer, 1s, x);
}

task<std::tuple<int, int>> pair(host_state& st, caf::actor peer) {
  co_return co_await coro::ask<int, int>(st.self, peer, 1s, 3, 4);
}

task<int> nothing(host_state& st, caf::actor peer) {
  co_await coro::ask<>(st.self, peer, 1s, caf::ok_atom_v);
  co_return 1;
}

task<int> refused(host_state& st, caf::actor peer) {
  co_return co_await coro::ask<int>(st.self, peer, 1s, std::string("no"));
}

task<int> unanswered(host_state& st, caf::actor peer, caf::timespan timeout) {
  co_return co_await coro::ask<int>(st.self, peer, timeout, caf::get_atom_v);
}

task<std::string> mistyped(host_state& st, caf::actor peer) {
  co_return co_await coro::ask<std::string>(st.self, peer, 1s, 1);
}

task<int> recovers(host_state& st, caf::actor peer) {
  try {
    co_await coro::ask<int>(st.self, peer, 1s, std::string("no"));
  } catch (const coro::failure& refusal) {
    CHECK(refusal.reason() == caf::sec::bad_function_call);
  }
  co_return co_await coro::ask<int>(st.self, peer, 1s, 41);
}

task<int> quits_and_asks(host_state& st, caf::actor peer) {
  st.self->quit();
  co_return co_await coro::ask<int>(st.self, peer, 1s, 1);
}

using doubler = caf::typed_actor<caf::replies_to<int>::with<int>>;

class doubler_state {
public:
  explicit doubler_state(doubler::pointer actor) : scope(actor) {}
  coro::actor_scope scope;
};

task<int> product(int x, int factor) {
  const int result = x * factor;
  co_return result;
}

doubler::behavior_type doubler_behavior(doubler::stateful_pointer<doubler_state> self, int factor) {
  return {[=](int x) {
    auto promise = self->make_response_promise<int>();
    self->state.scope.reply(promise, product(x, factor));
    return promise;
  }};
}

task<int> doubled(host_state& st, doubler peer) {
  co_return co_await coro::ask<int>(st.self, peer, 1s, 21);
}

/// Starts a task in a new host, runs, and returns what came out of it, if anything.
template <class T, class... Params, class... Args>
std::optional<caf::expected<T>> outcome(world& w, task<T> (*work)(host_state&, Params...),
                                        Args... args) {
  auto result = std::make_shared<std::optional<caf::expected<T>>>();
  w.spawn_host([=](host_state& st) {
    st.scope.spawn(work(st, args...), [result](caf::expected<T> x) { result->emplace(x); });
  });
  w.run();
  return *result;
}

} // namespace

TEST_CASE("ask gives one value, several as a tuple, or nothing") {
  world w;
  const auto peer = w.spawn_peer();
  CHECK(outcome(w, successor, peer, 41).value() == 42);
  CHECK(outcome(w, pair, peer).value() == std::tuple(3, 4));
  CHECK(outcome(w, nothing, peer).value() == 1);
}

TEST_CASE("ask and reply know the types of a typed actor") {
  world w;
  auto peer = w.system.spawn(doubler_behavior, 2);
  CHECK(outcome(w, doubled, peer).value() == 42);
  caf::anon_send_exit(peer, caf::exit_reason::kill);
}

TEST_CASE("an error response is thrown as failure and is the root's outcome") {
  world w;
  const auto peer = w.spawn_peer();
  CHECK(outcome(w, refused, peer).value() == caf::make_error(caf::sec::bad_function_call));
  CHECK(outcome(w, recovers, peer).value() == 42);
}

TEST_CASE("a response of another type is unexpected_response") {
  world w;
  CHECK(outcome(w, mistyped, w.spawn_peer()).value()
        == caf::make_error(caf::sec::unexpected_response));
}

TEST_CASE("asking nobody is invalid_argument") {
  world w;
  CHECK(outcome(w, successor, caf::actor{}, 1).value()
        == caf::make_error(caf::sec::invalid_argument));
}

TEST_CASE("asking a dead actor fails at once") {
  world w;
  const auto peer = w.spawn_peer();
  caf::anon_send_exit(peer, caf::exit_reason::user_shutdown);
  w.run();
  CHECK(outcome(w, successor, peer, 1).value() == caf::make_error(caf::sec::request_receiver_down));
}

TEST_CASE("a peer that takes the promise and dies is request_timeout") {
  world w;
  const auto peer = w.spawn_host();
  std::optional<caf::expected<int>> result;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(unanswered(st, peer, 5s), [&](caf::expected<int> x) { result.emplace(x); });
  });
  w.run();
  caf::anon_send(peer, caf::ok_atom_v);
  w.run();
  CHECK(!result);
  w.advance(4s);
  CHECK(!result);
  w.advance(1s);
  CHECK(result.value() == caf::make_error(caf::sec::request_timeout));
}

TEST_CASE("a response after the timeout is ignored") {
  world w;
  caf::response_promise late;
  const auto peer = w.spawn_host();
  CHECK(!outcome(w, unanswered, peer, 1s));
  w.advance(1s);
  w.in(peer, [](host_state& st) { st.promises.at(0).deliver(1); });
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a response to a destroyed frame is ignored, and its timer is gone") {
  world w;
  const auto peer = w.spawn_host();
  bool called = false;
  const auto asker = w.spawn_host([&](host_state& st) {
    st.scope.spawn(unanswered(st, peer, 1s), [&](caf::expected<int>) { called = true; });
  });
  w.run();
  w.in(asker, [](host_state& st) { st.scope.cancel_all(); });
  CHECK(coro::live_frames() == 0);
  CHECK_FALSE(w.scheduler().has_pending_timeout());
  w.in(peer, [](host_state& st) { st.promises.at(0).deliver(1); });
  CHECK_FALSE(called);
}

TEST_CASE("a cancelled request does not keep an actor without behavior alive") {
  world w;
  const auto peer = w.spawn_host();
  const auto asker = w.spawn_host(
      [&](host_state& st) { st.scope.spawn(unanswered(st, peer, 1h), [](caf::expected<int>) {}); });
  w.run();
  CHECK(w.system.registry().running() == 2);
  w.in(asker, [](host_state& st) {
    st.scope.cancel_all();
    st.self->unbecome();
  });
  CHECK(w.system.registry().running() == 1);
}

TEST_CASE("after quit() nothing is sent and the frame ends with its actor") {
  world w;
  bool sent = false;
  const auto peer = w.keep(w.system.spawn(
      [&](caf::event_based_actor*, int) -> caf::behavior {
        return {[&](int x) {
          sent = true;
          return x;
        }};
      },
      0));
  CHECK(!outcome(w, quits_and_asks, peer));
  CHECK_FALSE(sent);
  CHECK(coro::live_frames() == 0);
  CHECK(w.system.registry().running() == 1);
}

} // namespace ask_test
