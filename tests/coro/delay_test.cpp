#include "support.hpp"

#include <string>

namespace delay_test {

using namespace coro_test;

namespace {

using coro::task;

task<> note_after(host_state& st, caf::timespan pause, std::string& log, char letter) {
  co_await coro::delay(st.self, pause);
  log += letter;
}

task<> note_twice(host_state& st, std::string& log) {
  log += '1';
  co_await coro::yield(st.self);
  log += '2';
}

task<int> one() {
  co_return 1;
}

/// Long runs of synchronous completions, with a pause for the mailbox now and then.
task<int> count_to(host_state& st, int end) {
  int sum = 0;
  while (sum < end) {
    sum += co_await one();
    if (sum % 1'000 == 0)
      co_await coro::yield(st.self);
  }
  co_return sum;
}

} // namespace

TEST_CASE("delays end in virtual time, in the order of their deadlines") {
  world w;
  std::string log;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(note_after(st, 3h, log, 'c'));
    st.scope.spawn(note_after(st, 1h, log, 'a'));
    st.scope.spawn(note_after(st, 2h, log, 'b'));
  });
  w.run();
  CHECK(log.empty());
  w.advance(59min);
  CHECK(log.empty());
  w.advance(1min);
  CHECK(log == "a");
  w.advance(2h);
  CHECK(log == "abc");
}

TEST_CASE("a cancelled delay does not end and leaves no timer") {
  world w;
  std::string log;
  const auto host =
      w.spawn_host([&](host_state& st) { st.scope.spawn(note_after(st, 1h, log, 'a')); });
  w.run();
  CHECK(w.scheduler().has_pending_timeout());
  w.in(host, [](host_state& st) { st.scope.cancel_all(); });
  CHECK_FALSE(w.scheduler().has_pending_timeout());
  w.advance(2h);
  CHECK(log.empty());
}

TEST_CASE("a timeout that is already in the mailbox does not reach a destroyed frame") {
  world w;
  std::string log;
  const auto host =
      w.spawn_host([&](host_state& st) { st.scope.spawn(note_after(st, 1h, log, 'a')); });
  w.run();
  caf::anon_send(host, script([](host_state& st) { st.scope.cancel_all(); }));
  w.scheduler().advance_time(1h);
  w.run();
  CHECK(log.empty());
}

TEST_CASE("the longest delay does not overflow the clock") {
  world w;
  std::string log;
  w.spawn_host(
      [&](host_state& st) { st.scope.spawn(note_after(st, caf::timespan::max(), log, 'a')); });
  w.run();
  w.advance(24h);
  CHECK(log.empty());
}

TEST_CASE("yield continues behind the messages that are waiting") {
  world w;
  std::string log;
  const auto host = w.spawn_host();
  w.run();
  caf::anon_send(host, script([&](host_state& st) { st.scope.spawn(note_twice(st, log)); }));
  caf::anon_send(host, script([&](host_state&) { log += 'm'; }));
  w.run();
  CHECK(log == "1m2");
}

TEST_CASE("100,000 synchronous completions with yields do not overflow the stack") {
  world w;
  int sum = 0;
  w.spawn_host([&](host_state& st) {
    st.scope.spawn(count_to(st, 100'000), [&](caf::expected<int> x) { sum = *x; });
  });
  w.run();
  CHECK(sum == 100'000);
}

} // namespace delay_test
