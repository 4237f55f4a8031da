#include "support.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

namespace scope_test {

using namespace coro_test;

namespace {

using coro::task;

task<int> immediately(int x) {
  co_return x;
}

task<int> after(host_state& st, caf::timespan pause, int x, bool* gone = nullptr) {
  bool ignored = false;
  const witness frame(gone != nullptr ? *gone : ignored);
  co_await coro::delay(st.self, pause);
  co_return x;
}

task<> fail(caf::sec code) {
  throw coro::failure(caf::make_error(code));
  co_return;
}

task<> throw_text(std::string text) {
  throw std::runtime_error(text);
  co_return;
}

task<> swap_pair(host_state& st, std::tuple<int, int>& into, caf::actor peer) {
  into = co_await coro::ask<int, int>(st.self, peer, 1s, caf::put_atom_v);
}

task<std::tuple<int, int>> two() {
  co_return std::tuple(1, 2);
}

/// Cancels the whole scope from inside a frame that was resumed by a timer, and goes on.
task<int> cancels_all(host_state& st, std::string& log, bool& gone, caf::actor peer) {
  const witness frame(gone);
  co_await coro::delay(st.self, 1s);
  st.scope.cancel_all();
  log += st.scope.empty() ? "empty " : "not empty ";
  log += gone ? "gone " : "running ";
  co_await coro::ask<>(st.self, peer, 1s, caf::ok_atom_v);
  log += "never";
  co_return 1;
}

task<int> cancels_all_and_ends(host_state& st) {
  co_await coro::delay(st.self, 1s);
  st.scope.cancel_all();
  co_return 1;
}

task<> cancels_itself_before_suspending(host_state& st, bool& gone) {
  const witness frame(gone);
  st.scope.cancel_all();
  co_await coro::delay(st.self, 1s);
}

task<> cancels_other(coro::root_handle& other) {
  other.cancel();
  co_return;
}

task<> spawns_canceller(host_state& st, coro::root_handle& own, bool& gone) {
  const witness frame(gone);
  co_await coro::delay(st.self, 1s);
  st.scope.spawn(cancels_other(own));
  CHECK_FALSE(gone);
  CHECK_FALSE(own.active());
  co_await coro::delay(st.self, 1s);
}

task<> counts(host_state& st, int& starts) {
  ++starts;
  co_await coro::delay(st.self, 1h);
}

/// Spawns a new root when it is destroyed.
class respawner {
public:
  respawner(host_state& st, int& starts) : st_(&st), starts_(starts) {}
  respawner(respawner&& other) noexcept
      : st_(std::exchange(other.st_, nullptr)), starts_(other.starts_) {}
  respawner& operator=(respawner&&) = delete;
  ~respawner() {
    if (st_ != nullptr)
      st_->scope.spawn(counts(*st_, starts_));
  }

private:
  host_state* st_;
  int& starts_;
};

task<> holds(host_state& st, respawner) {
  co_await coro::delay(st.self, 1h);
}

/// Answers a request after a pause; asked with an int it starts a reply, with `ok_atom` it quits.
caf::behavior server_behavior(host_actor* self, int) {
  return {
      [self](int x) {
        auto promise = self->make_response_promise();
        self->state.scope.reply(promise, after(self->state, 1s, x));
        return promise;
      },
      [self](caf::add_atom, int x) {
        auto promise = self->make_response_promise();
        self->state.scope.reply(promise, immediately(x));
        return promise;
      },
      [self](const std::string&) {
        auto promise = self->make_response_promise();
        self->state.scope.reply(promise, fail(caf::sec::bad_function_call));
        return promise;
      },
      [self](caf::put_atom) {
        auto promise = self->make_response_promise();
        self->state.scope.reply(promise, two());
        return promise;
      },
      [self](caf::update_atom) { self->state.scope.cancel_all(); },
      [self](caf::ok_atom) { self->quit(); },
  };
}

task<int> asks(host_state& st, caf::actor server, int x) {
  co_return co_await coro::ask<int>(st.self, server, 1h, x);
}

task<int> asks_immediate(host_state& st, caf::actor server, int x) {
  co_return co_await coro::ask<int>(st.self, server, 1h, caf::add_atom_v, x);
}

task<int> asks_in_vain(host_state& st, caf::actor server) {
  co_return co_await coro::ask<int>(st.self, server, 1h, std::string("please"));
}

/// An awaiter like those that users write: a frame waits until somebody opens it.
class gate {
public:
  explicit gate(bool& gone) : gone_(gone) {}
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  ~gate() { gone_ = true; }

  static bool await_ready() { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    waiting_ = coro::suspension(frame);
  }
  static void await_resume() {}
  void open() { waiting_.resume(); }

private:
  bool& gone_;
  coro::suspension waiting_;
};

task<> passes(host_state& st, gate*& entrance, bool& gone) {
  gate here(gone);
  entrance = &here;
  co_await here;
  st.scope.cancel_all();
  CHECK_FALSE(gone);
}

/// An actor that is a class: CAF destroys its members only when nobody refers to it any more.
class class_server : public caf::event_based_actor {
public:
  explicit class_server(caf::actor_config& cfg) : caf::event_based_actor(cfg), scope_(this) {}

  caf::behavior make_behavior() override {
    return {
        [this](int) {
          auto promise = make_response_promise();
          scope_.reply(promise, forever(this));
          return promise;
        },
        [this](caf::ok_atom) { quit(); },
    };
  }

private:
  static task<int> forever(caf::event_based_actor* self) {
    co_await coro::delay(self, 1h);
    co_return 1;
  }

  coro::actor_scope scope_;
};

} // namespace

TEST_CASE("a completion callback runs once, inside spawn if nothing suspends") {
  world w;
  int calls = 0;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(immediately(7), [&](caf::expected<int> x) {
      CHECK(*x == 7);
      CHECK(st.scope.empty());
      CHECK(coro::live_frames() == 0);
      ++calls;
    });
    CHECK(calls == 1);
  });
  w.run();
  CHECK(calls == 1);
}

TEST_CASE("a completion callback runs once, in a later message if the task suspends") {
  world w;
  int calls = 0;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(after(st, 1s, 7), [&](caf::expected<int> x) {
      CHECK(*x == 7);
      CHECK(st.scope.empty());
      ++calls;
    });
    CHECK(st.scope.size() == 1);
  });
  w.run();
  CHECK(calls == 0);
  w.advance(1s);
  CHECK(calls == 1);
  w.advance(1h);
  CHECK(calls == 1);
}

TEST_CASE("errors leave a root as caf::error") {
  world w;
  caf::error carried;
  caf::error wrapped;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(fail(caf::sec::bad_function_call),
                   [&](caf::error reason) { carried = std::move(reason); });
    st.scope.spawn(throw_text("as planned"), [&](caf::expected<void> x) { wrapped = x.error(); });
  });
  w.run();
  CHECK(carried == caf::sec::bad_function_call);
  CHECK(wrapped == caf::sec::runtime_error);
  CHECK(to_string(wrapped).find("as planned") != std::string::npos);
}

TEST_CASE("a failed root without a callback reaches the actor's error handler") {
  world w;
  w.spawn_host([](host_state& st) { st.scope.spawn(fail(caf::sec::bad_function_call)); });
  w.run();
  CHECK(w.system.registry().running() == 0);
}

TEST_CASE("what a callback throws ends the actor, not the process") {
  world w;
  const auto host = w.spawn_host([](host_state& st) {
    st.self->set_exception_handler([](std::exception_ptr&) { return caf::sec::runtime_error; });
    st.scope.spawn(after(st, 1s, 1), [](caf::expected<int>) { throw std::runtime_error("late"); });
  });
  w.run();
  CHECK(w.system.registry().running() == 1);
  w.advance(1s);
  CHECK(w.system.registry().running() == 0);
}

TEST_CASE("a handle cancels its root only") {
  world w;
  bool first_gone = false;
  bool second_gone = false;
  bool called = false;
  const auto host = w.spawn_host([&](host_state& st) {
    const auto first =
        st.scope.spawn(after(st, 1s, 1, &first_gone), [&](caf::expected<int>) { called = true; });
    const auto second = st.scope.spawn(after(st, 1s, 2, &second_gone), [](caf::expected<int>) {});
    CHECK(first.active());
    first.cancel();
    CHECK_FALSE(first.active());
    CHECK(first_gone);
    CHECK_FALSE(second_gone);
    CHECK(second.active());
    CHECK(st.scope.size() == 1);
    first.cancel();
    CHECK(st.scope.size() == 1);
  });
  w.run();
  w.advance(1s);
  CHECK(second_gone);
  CHECK_FALSE(called);
}

TEST_CASE("a handle of a root that is over, or whose scope is gone, does nothing") {
  world w;
  coro::root_handle handle;
  CHECK_FALSE(handle.active());
  const auto host = w.spawn_host([&](host_state& st) {
    handle = st.scope.spawn(immediately(1), [](caf::expected<int>) {});
    CHECK_FALSE(handle.active());
    handle.cancel();
  });
  w.run();
  caf::anon_send(host, caf::ok_atom_v);
  w.run();
  handle.cancel();
  CHECK_FALSE(handle.active());
}

TEST_CASE("a frame that cancels the whole scope is destroyed when it suspends") {
  world w;
  std::string log;
  bool gone = false;
  bool other_gone = false;
  bool called = false;
  const auto peer = w.keep(w.system.spawn(
      [&log](caf::event_based_actor*, int) -> caf::behavior {
        return {[&log](caf::ok_atom) { log += "asked"; }};
      },
      0));
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(after(st, 1h, 1, &other_gone), [&](caf::expected<int>) { called = true; });
    st.scope.spawn(cancels_all(st, log, gone, peer), [&](caf::expected<int>) { called = true; });
  });
  w.run();
  w.advance(1s);
  CHECK(log == "empty running ");
  CHECK(gone);
  CHECK(other_gone);
  CHECK_FALSE(called);
  CHECK(coro::live_frames() == 0);
  CHECK_FALSE(w.scheduler().has_pending_timeout());
}

TEST_CASE("a root that was cancelled from inside reports no result") {
  world w;
  bool called = false;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(cancels_all_and_ends(st), [&](caf::expected<int>) { called = true; });
  });
  w.run();
  w.advance(1s);
  CHECK_FALSE(called);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a root may cancel itself while spawn runs it") {
  world w;
  bool gone = false;
  w.spawn_host([&](host_state& st) {
    const auto root = st.scope.spawn(cancels_itself_before_suspending(st, gone));
    CHECK(gone);
    CHECK_FALSE(root.active());
  });
  w.run();
}

TEST_CASE("a root may be cancelled by another one that it has just spawned") {
  world w;
  bool gone = false;
  coro::root_handle own;
  w.spawn_host([&](host_state& st) { own = st.scope.spawn(spawns_canceller(st, own, gone)); });
  w.run();
  w.advance(1s);
  CHECK(gone);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a frame resumed by an awaiter of one's own may cancel its root") {
  world w;
  gate* entrance = nullptr;
  bool gone = false;
  const auto host =
      w.spawn_host([&](host_state& st) { st.scope.spawn(passes(st, entrance, gone)); });
  w.run();
  w.in(host, [&](host_state&) { entrance->open(); });
  CHECK(gone);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("cancel_all ends although a destructor spawns, and a closed scope starts nothing") {
  world w;
  int starts = 0;
  const auto host = w.spawn_host([&](host_state& st) {
    st.scope.spawn(holds(st, respawner(st, starts)));
    st.scope.cancel_all();
    CHECK(st.scope.size() == 1);
    CHECK(starts == 1);
    st.scope.spawn(holds(st, respawner(st, starts)));
  });
  w.run();
  CHECK(coro::live_frames() == 2);
  caf::anon_send(host, caf::ok_atom_v);
  w.run();
  CHECK(starts == 1);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("an actor that quits with suspended frames leaves nothing") {
  world w;
  bool gone = false;
  const auto host = w.spawn_host([&](host_state& st) {
    for (int i = 0; i < 10; ++i)
      st.scope.spawn(after(st, 1h, i, &gone), [](caf::expected<int>) {});
  });
  w.run();
  CHECK(coro::live_frames() == 10);
  caf::anon_send(host, caf::ok_atom_v);
  w.run();
  CHECK(gone);
  CHECK(coro::live_frames() == 0);
  CHECK(w.system.registry().running() == 0);
  CHECK_FALSE(w.scheduler().has_pending_timeout());
}

TEST_CASE("reply answers with the task's value or error") {
  world w;
  const auto server = w.keep(w.system.spawn(server_behavior, 0));
  std::optional<caf::expected<int>> later;
  std::optional<caf::expected<int>> at_once;
  std::optional<caf::expected<int>> failed;
  std::tuple<int, int> several;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(asks(st, server, 5), [&](caf::expected<int> x) { later.emplace(x); });
    st.scope.spawn(asks_immediate(st, server, 6),
                   [&](caf::expected<int> x) { at_once.emplace(x); });
    st.scope.spawn(asks_in_vain(st, server), [&](caf::expected<int> x) { failed.emplace(x); });
    st.scope.spawn(swap_pair(st, several, server));
  });
  w.run();
  CHECK(!later);
  CHECK(at_once.value() == 6);
  CHECK(failed.value() == caf::make_error(caf::sec::bad_function_call));
  CHECK(several == std::tuple(1, 2));
  w.advance(1s);
  CHECK(later.value() == 5);
}

TEST_CASE("reply answers request_receiver_down when its frame is cancelled") {
  world w;
  const auto server = w.keep(w.system.spawn(server_behavior, 0));
  std::optional<caf::expected<int>> answer;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(asks(st, server, 5), [&](caf::expected<int> x) { answer.emplace(x); });
  });
  w.run();
  CHECK(!answer);
  caf::anon_send(server, caf::update_atom_v);
  w.run();
  CHECK(answer.value() == caf::make_error(caf::sec::request_receiver_down));
}

TEST_CASE("reply answers request_receiver_down when its actor quits or is killed") {
  world w;
  const auto kill = GENERATE(false, true);
  const auto server = w.keep(w.system.spawn(server_behavior, 0));
  std::optional<caf::expected<int>> answer;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(asks(st, server, 5), [&](caf::expected<int> x) { answer.emplace(x); });
  });
  w.run();
  if (kill)
    caf::anon_send_exit(server, caf::exit_reason::kill);
  else
    caf::anon_send(server, caf::ok_atom_v);
  w.run();
  CHECK(answer.value() == caf::make_error(caf::sec::request_receiver_down));
}

TEST_CASE("an actor that is a class answers what its frames owe when it quits") {
  world w;
  auto server = w.system.spawn<class_server>();
  std::optional<caf::expected<int>> answer;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(asks(st, server, 5), [&](caf::expected<int> x) { answer.emplace(x); });
  });
  w.run();
  CHECK(!answer);
  caf::anon_send(server, caf::ok_atom_v);
  server = nullptr;
  w.run();
  CHECK(answer.value() == caf::make_error(caf::sec::request_receiver_down));
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("an error is not sent to somebody who asked for no response") {
  world w;
  const auto server = w.keep(w.system.spawn(server_behavior, 0));
  const auto sender =
      w.spawn_host([&](host_state& st) { st.self->send(server, std::string("please")); });
  w.run();
  CHECK(w.system.registry().running() == 2);
}

} // namespace scope_test
