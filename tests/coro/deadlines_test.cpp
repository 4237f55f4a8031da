#include "support.hpp"

#include <allocations.hpp>

#include <optional>
#include <string>

namespace deadlines_test {

using namespace coro_test;

namespace {

using coro::task;

task<> answered(host_state& st, caf::actor peer, int times, caf::timespan timeout) {
  for (int i = 0; i < times; ++i)
    co_await coro::ask<int>(st.self, peer, timeout, i);
}

task<> note_timeout(host_state& st, caf::actor silent, caf::timespan timeout, std::string& log,
                    char letter) {
  try {
    co_await coro::ask<int>(st.self, silent, timeout, caf::get_atom_v);
  } catch (const coro::failure& failed) {
    CHECK(failed.reason() == caf::sec::request_timeout);
    log += letter;
  }
}

task<> answered_then_timeout(host_state& st, caf::actor peer, caf::actor silent, std::string& log) {
  co_await answered(st, peer, 10, 2s);
  co_await coro::delay(st.self, 1500ms);
  co_await answered(st, peer, 10, 2s);
  co_await note_timeout(st, silent, 2s, log, 't');
}

void request_plainly(host_state& st, const caf::actor& peer, int times) {
  if (times > 0)
    st.self->request(peer, caf::infinite, times).then([&st, peer, times](int) {
      request_plainly(st, peer, times - 1);
    });
}

/// An actor whose whole life is one task, without a behavior.
caf::behavior ask_and_end(host_actor* self, caf::actor peer) {
  self->state.scope.spawn(answered(self->state, std::move(peer), 1, 1s));
  return {};
}

} // namespace

TEST_CASE("1,000 requests of an actor have one timer, whether they wait or were answered") {
  world w;
  const auto peer = w.spawn_peer();
  const auto silent = w.spawn_host();
  std::string log;
  w.spawn_host([&](host_state& st) {
    for (int i = 0; i < 1'000; ++i)
      st.scope.spawn(note_timeout(st, silent, 1s, log, 'a'));
    st.scope.spawn(answered(st, peer, 1'000, 1s));
  });
  w.run();
  CHECK(w.timers() == 1);
  CHECK(coro::live_frames() == 1'000);
  w.advance(1s);
  CHECK(log == std::string(1'000, 'a'));
  CHECK(w.timers() == 0);
}

TEST_CASE("a timer that answered requests leave behind fires once") {
  world w;
  const auto peer = w.spawn_peer();
  w.spawn_host([&](host_state& st) { st.scope.spawn(answered(st, peer, 1'000, 1s)); });
  w.run();
  CHECK(coro::live_frames() == 0);
  CHECK(w.timers() == 1);
  w.advance(1s);
  CHECK(w.timers() == 0);
}

TEST_CASE("a timeout comes at its time, not at that of a request that was answered before") {
  world w;
  const auto peer = w.spawn_peer();
  const auto silent = w.spawn_host();
  std::string log;
  w.spawn_host(
      [&](host_state& st) { st.scope.spawn(answered_then_timeout(st, peer, silent, log)); });
  w.run();
  w.advance(1500ms); // The last request is sent now; the timer is that of the first, at 2 s.
  w.advance(500ms);
  CHECK(log.empty());
  w.advance(1499ms);
  CHECK(log.empty());
  w.advance(1ms);
  CHECK(log == "t");
}

TEST_CASE("timeouts of different lengths come in the order of their deadlines") {
  world w;
  const auto silent = w.spawn_host();
  std::string log;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(note_timeout(st, silent, 3s, log, 'd'));
    st.scope.spawn(note_timeout(st, silent, caf::timespan::max(), log, 'e'));
    st.scope.spawn(note_timeout(st, silent, 1s, log, 'a'));
    st.scope.spawn(note_timeout(st, silent, 2s, log, 'b'));
    st.scope.spawn(note_timeout(st, silent, 2s, log, 'c'));
    st.scope.spawn(note_timeout(st, silent, 0s, log, '0'));
  });
  w.run();
  CHECK(w.timers() == 1);
  w.advance(0s);
  CHECK(log == "0");
  w.advance(1s);
  CHECK(log == "0a");
  w.advance(1s);
  CHECK(log == "0abc");
  w.advance(1s);
  CHECK(log == "0abcd");
  CHECK(w.timers() == 0);
}

TEST_CASE("an awaited request allocates no more than a plain one without a timeout") {
  world w;
  const auto peer = w.spawn_peer();
  const auto host = w.spawn_host();
  const auto warm_up = [&](host_state& st) { st.scope.spawn(answered(st, peer, 10, 1s)); };
  w.in(host, warm_up);
  const auto count = [&](script what) {
    const auto before = fermata::test::allocations();
    w.in(host, std::move(what));
    return fermata::test::allocations() - before;
  };
  const auto plain = [&](int times) {
    return count([&, times](host_state& st) { request_plainly(st, peer, times); });
  };
  const auto awaited = [&](int times) {
    return count([&, times](host_state& st) { st.scope.spawn(answered(st, peer, times, 1s)); });
  };
  // The differences leave out what each way needs once, such as a frame; the division what the
  // scheduler's queues need now and then.
  CHECK((awaited(1'100) - awaited(100)) / 1'000 == (plain(1'100) - plain(100)) / 1'000);
}

TEST_CASE("a timer that is left behind does not keep an actor without behavior alive") {
  world w;
  const auto peer = w.spawn_peer();
  w.keep(w.system.spawn(ask_and_end, peer));
  w.run();
  CHECK(w.system.registry().running() == 1);
  CHECK(w.timers() == 0);
}

TEST_CASE("a timer is left behind for 30 seconds at most") {
  world w;
  const auto peer = w.spawn_peer();
  const auto host = w.spawn_host();
  w.in(host, [&](host_state& st) { st.scope.spawn(answered(st, peer, 1, 31s)); });
  CHECK(w.timers() == 0);
  w.in(host, [&](host_state& st) { st.scope.spawn(answered(st, peer, 1, 30s)); });
  CHECK(w.timers() == 1);
}

TEST_CASE("an actor that ends takes the timer of its requests with it") {
  world w;
  const auto peer = w.spawn_peer();
  const auto silent = w.spawn_host();
  std::string log;
  const auto host = w.spawn_host([&](host_state& st) {
    st.scope.spawn(answered(st, peer, 1, 1s));
    st.scope.spawn(note_timeout(st, silent, 2s, log, 'a'));
  });
  w.run();
  CHECK(w.timers() == 1);
  SECTION("by quitting") {
    caf::anon_send(host, caf::ok_atom_v);
  }
  SECTION("by being killed") {
    caf::anon_send_exit(host, caf::exit_reason::kill);
  }
  w.run();
  CHECK(w.timers() == 0);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a timer's message that was sent before its requests were cancelled does no harm") {
  world w;
  const auto silent = w.spawn_host();
  std::string log;
  const auto host = w.spawn_host([&](host_state& st) {
    st.self->set_default_handler([](caf::scheduled_actor*, caf::message_view&) {
      FAIL_CHECK("the timer is not the default handler's");
      return caf::result<caf::message>{caf::message{}};
    });
    st.scope.spawn(note_timeout(st, silent, 1s, log, 'a'));
  });
  w.run();
  bool asks_again = false;
  SECTION("and nothing is asked") {}
  SECTION("and another request waits") {
    asks_again = true;
  }
  caf::anon_send(host, script([&](host_state& st) {
                   st.scope.cancel_all();
                   if (asks_again)
                     st.scope.spawn(note_timeout(st, silent, 2s, log, 'b'));
                 }));
  w.advance(1s);
  CHECK(w.timers() == (asks_again ? 1 : 0));
  w.advance(1999ms);
  CHECK(log.empty());
  w.advance(1ms);
  CHECK(log == (asks_again ? "b" : ""));
}

TEST_CASE("a response that is in the mailbox before the timeout is the answer") {
  world w;
  const auto silent = w.spawn_host();
  std::optional<caf::expected<int>> outcome;
  const auto host = w.spawn_host([&](host_state& st) {
    const auto work = [](host_state& state, caf::actor peer) -> task<int> {
      co_return co_await coro::ask<int>(state.self, peer, 1s, caf::get_atom_v);
    };
    st.scope.spawn(work(st, silent), [&](caf::expected<int> x) { outcome.emplace(std::move(x)); });
  });
  w.run();
  caf::anon_send(silent, script([](host_state& st) { st.promises.at(0).deliver(7); }));
  w.scheduler().run_once();
  w.advance(1s);
  CHECK(outcome.value() == 7);
}

} // namespace deadlines_test
