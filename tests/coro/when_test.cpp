#include "support.hpp"

#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace when_test {

using namespace coro_test;

namespace {

using coro::task;

task<int> after(host_state& st, caf::timespan pause, int x, std::string& log) {
  struct note {
    note(std::string& into, int number) : log(into), x(number) {}
    ~note() { log += std::to_string(x); }
    std::string& log;
    int x;
  };
  const note on_exit(log, x);
  co_await coro::delay(st.self, pause);
  co_return x;
}

task<int> fails_after(host_state& st, caf::timespan pause) {
  co_await coro::delay(st.self, pause);
  throw coro::failure(caf::sec::bad_function_call);
}

task<int> immediately(int x) {
  co_return x;
}

task<int> fails_immediately() {
  throw coro::failure(caf::sec::bad_function_call);
  co_return 0;
}

task<int> never_started(bool& started) {
  started = true;
  co_return 1;
}

task<> nothing() {
  co_return;
}

task<int> sum_of_all(host_state& st, std::string& log) {
  auto [a, none, b] =
      co_await coro::when_all(after(st, 2s, 1, log), coro::delay(st.self, 3s), immediately(2));
  static_assert(std::is_same_v<decltype(none), std::monostate>);
  co_return a * 10 + b;
}

task<int> sum_of_vector(host_state& st, std::string& log) {
  std::vector<task<int>> work;
  for (int i = 1; i <= 3; ++i)
    work.push_back(after(st, 1s * (4 - i), i, log));
  int digits = 0;
  for (const int x : co_await coro::when_all(std::move(work)))
    digits = digits * 10 + x;
  co_return digits;
}

task<int> all_with_one_failing(host_state& st, std::string& log) {
  try {
    co_await coro::when_all(after(st, 1h, 1, log), fails_after(st, 1s), after(st, 2h, 2, log));
  } catch (const coro::failure& first) {
    CHECK(first.reason() == caf::sec::bad_function_call);
    log += "caught";
    co_return -1;
  }
  co_return 0;
}

task<int> all_of_nothing() {
  co_await coro::when_all(std::vector<task<>>{});
  std::vector<task<>> some;
  some.push_back(nothing());
  some.push_back(nothing());
  co_await coro::when_all(std::move(some));
  const auto values = co_await coro::when_all(std::vector<task<int>>{});
  co_return static_cast<int>(values.size());
}

task<int> all_but_the_first_fails(bool& started) {
  const auto values = co_await coro::when_all(fails_immediately(), never_started(started));
  co_return std::get<0>(values);
}

int note(std::string& log, int value) {
  log += "won";
  return value;
}

// The losers have to be gone within the expression, which may await more.
task<int> first_of_three(host_state& st, std::string& log) {
  const auto pick = [&log](const std::variant<int, int, int>& first) {
    return note(log, static_cast<int>(first.index()) * 100 + std::get<1>(first));
  };
  co_return pick(
      co_await coro::when_any(after(st, 3s, 1, log), after(st, 1s, 2, log), after(st, 2s, 3, log)));
}

task<int> first_of_vector(host_state& st, std::string& log) {
  const auto pick = [&log](const coro::first_of<int>& first) {
    return note(log, static_cast<int>(first.index) * 100 + first.value);
  };
  std::vector<task<int>> work;
  for (int i = 1; i <= 3; ++i)
    work.push_back(after(st, 1s * (4 - i), i, log));
  co_return pick(co_await coro::when_any(std::move(work)));
}

task<int> first_fails(host_state& st, std::string& log) {
  auto first = co_await coro::when_any(after(st, 2s, 1, log), fails_after(st, 1s));
  co_return std::get<0>(first);
}

task<int> first_is_immediate(bool& started) {
  auto first = co_await coro::when_any(immediately(5), never_started(started));
  co_return std::get<0>(first);
}

task<int> with_deadline(host_state& st, caf::actor silent) {
  auto first = co_await coro::when_any(coro::ask<int>(st.self, silent, 1h, caf::get_atom_v),
                                       coro::delay(st.self, 2s));
  co_return first.index() == 1 ? -1 : std::get<0>(first);
}

task<int> cancels_all(host_state& st) {
  st.scope.cancel_all();
  co_await coro::delay(st.self, 1s);
  co_return 1;
}

task<int> first_branch_cancels(host_state& st, bool& started) {
  co_await coro::when_all(cancels_all(st), never_started(started));
  co_return 1;
}

/// What came out of a root, if anything has yet.
using result = std::optional<caf::expected<int>>;

coro::root_handle start(host_state& st, task<int> work, result& into) {
  return st.scope.spawn(std::move(work), [&](caf::expected<int> x) { into.emplace(std::move(x)); });
}

} // namespace

TEST_CASE("when_all waits for all and gives the values in the order of the arguments") {
  world w;
  std::string log;
  result sum;
  result digits;
  w.spawn_host([&](host_state& st) {
    start(st, sum_of_all(st, log), sum);
    start(st, sum_of_vector(st, log), digits);
  });
  w.run();
  w.advance(2s);
  CHECK(!sum);
  CHECK(!digits);
  w.advance(1s);
  CHECK(sum.value() == 12);
  CHECK(digits.value() == 123);
}

TEST_CASE("when_all throws the first error after it has cancelled the others") {
  world w;
  std::string log;
  result outcome;
  w.spawn_host([&](host_state& st) { start(st, all_with_one_failing(st, log), outcome); });
  w.run();
  w.advance(1s);
  CHECK(outcome.value() == -1);
  CHECK((log == "12caught" || log == "21caught"));
  CHECK_FALSE(w.scheduler().has_pending_timeout());
}

TEST_CASE("when_all of no tasks, and of tasks that do not suspend, completes at once") {
  world w;
  result outcome;
  w.spawn_host([&](host_state& st) {
    start(st, all_of_nothing(), outcome);
    CHECK(outcome.value() == 0);
  });
  w.run();
}

TEST_CASE("when_all starts nothing after a failure") {
  world w;
  bool started = false;
  result outcome;
  w.spawn_host([&](host_state& st) { start(st, all_but_the_first_fails(started), outcome); });
  w.run();
  CHECK(outcome.value() == caf::make_error(caf::sec::bad_function_call));
  CHECK_FALSE(started);
}

TEST_CASE("when_any gives the first and has cancelled the others before") {
  world w;
  std::string log;
  result first;
  result of_vector;
  const auto host =
      w.spawn_host([&](host_state& st) { start(st, first_of_three(st, log), first); });
  w.run();
  w.advance(1s);
  CHECK(first.value() == 102);
  CHECK(log == "213won");
  CHECK_FALSE(w.scheduler().has_pending_timeout());
  log.clear();
  w.in(host, [&](host_state& st) { start(st, first_of_vector(st, log), of_vector); });
  w.advance(1s);
  CHECK(of_vector.value() == 203);
  CHECK(log == "312won");
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("when_any throws if the first to complete fails") {
  world w;
  std::string log;
  result outcome;
  w.spawn_host([&](host_state& st) { start(st, first_fails(st, log), outcome); });
  w.run();
  w.advance(1s);
  CHECK(outcome.value() == caf::make_error(caf::sec::bad_function_call));
  CHECK(log == "1");
}

TEST_CASE("when_any does not start the others if the first completes at once") {
  world w;
  bool started = false;
  result outcome;
  w.spawn_host([&](host_state& st) { start(st, first_is_immediate(started), outcome); });
  w.run();
  CHECK(outcome.value() == 5);
  CHECK_FALSE(started);
}

TEST_CASE("when_any with a delay is a deadline for a request") {
  world w;
  const auto silent = w.spawn_host();
  result outcome;
  w.spawn_host([&](host_state& st) { start(st, with_deadline(st, silent), outcome); });
  w.run();
  w.advance(2s);
  CHECK(outcome.value() == -1);
  CHECK_FALSE(w.scheduler().has_pending_timeout());
  w.in(silent, [](host_state& st) { st.promises.at(0).deliver(1); });
}

TEST_CASE("a branch that cancels its root stops the start of the others") {
  world w;
  bool started = false;
  result outcome;
  w.spawn_host([&](host_state& st) {
    start(st, first_branch_cancels(st, started), outcome);
    CHECK(coro::live_frames() == 0);
  });
  w.run();
  CHECK_FALSE(started);
  CHECK(!outcome);
}

TEST_CASE("cancelling a root cancels the branches it waits for") {
  world w;
  std::string log;
  result outcome;
  const auto host =
      w.spawn_host([&](host_state& st) { start(st, sum_of_vector(st, log), outcome); });
  w.run();
  CHECK(coro::live_frames() == 5);
  w.in(host, [](host_state& st) { st.scope.cancel_all(); });
  CHECK(coro::live_frames() == 0);
  CHECK(log.size() == 3);
  w.advance(1h);
  CHECK(!outcome);
}

} // namespace when_test
