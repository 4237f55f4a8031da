// Tasks by themselves: no actors, run by the smallest possible driver.

#include "support.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace task_test {

using namespace coro_test;

namespace {

using coro::task;

/// Runs a task that never suspends.
template <class T>
class driver final : public coro::detail::completion {
public:
  explicit driver(task<T> work) : work_(std::move(work)) {}

  T run() {
    work_.prepare(*this, nullptr).resume();
    CHECK(done_);
    return work_.take();
  }

  std::coroutine_handle<> completed() noexcept override {
    done_ = true;
    return std::noop_coroutine();
  }

private:
  task<T> work_;
  bool done_ = false;
};

template <class T>
T run(task<T> work) {
  return driver<T>(std::move(work)).run();
}

task<> set(bool& flag) {
  flag = true;
  co_return;
}

task<std::unique_ptr<int>> boxed(int value) {
  co_return std::make_unique<int>(value);
}

task<int> unboxed() {
  auto box = co_await boxed(20);
  co_return *box + 1;
}

task<int> thrower() {
  throw std::runtime_error("as planned");
  co_return 0;
}

task<std::string> catcher() {
  try {
    co_await thrower();
  } catch (const std::runtime_error& thrown) {
    co_return thrown.what();
  }
  co_return "nothing";
}

task<int> depth(int levels) {
  if (levels == 0)
    co_return 0;
  co_return 1 + co_await depth(levels - 1);
}

task<> keep(std::shared_ptr<int>) {
  co_return;
}

/// A task that suspends until it is destroyed, below `levels` others.
task<> suspended(int levels, std::vector<int>& destroyed) {
  struct note {
    note(int number, std::vector<int>& into) : level(number), log(into) {}
    ~note() { log.push_back(level); }
    int level;
    std::vector<int>& log;
  };
  const note on_exit(levels, destroyed);
  if (levels == 0)
    co_await std::suspend_always{};
  else
    co_await suspended(levels - 1, destroyed);
}

/// A parameter like the message types of users: with a constructor, and counting its copies.
class counted {
public:
  counted(std::shared_ptr<int> token, int value) : token_(std::move(token)), value_(value) {}
  int value() const { return value_; }

private:
  std::shared_ptr<int> token_;
  int value_;
};

task<int> value_of(counted parameter) {
  co_return parameter.value();
}

task<int> awaits_with_a_temporary(std::shared_ptr<int> token) {
  co_return co_await value_of(counted(token, 7));
}

} // namespace

TEST_CASE("a task does nothing until it is awaited") {
  bool ran = false;
  auto work = set(ran);
  CHECK_FALSE(ran);
  run(std::move(work));
  CHECK(ran);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a task hands a move-only value to the one who awaits it") {
  CHECK(run(unboxed()) == 21);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("an exception reaches the one who awaits the task") {
  CHECK(run(catcher()) == "as planned");
  CHECK_THROWS_AS(run(thrower()), std::runtime_error);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a task destroyed before its start frees its arguments and never runs") {
  auto token = std::make_shared<int>(1);
  {
    auto work = keep(token);
    CHECK(token.use_count() == 2);
    CHECK(coro::live_frames() == 1);
  }
  CHECK(token.use_count() == 1);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a moved-from task is empty and assigning destroys the old frame") {
  auto first = boxed(1);
  auto second = std::move(first);
  CHECK_FALSE(first); // NOLINT(bugprone-use-after-move)
  CHECK(second);
  CHECK(coro::live_frames() == 1);
  second = boxed(2);
  CHECK(coro::live_frames() == 1);
  CHECK(*run(std::move(second)) == 2);
}

TEST_CASE("a chain of 2,000 tasks completes") {
  CHECK(run(depth(2'000)) == 2'000);
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("destroying a suspended task destroys what it awaits first") {
  class ignore final : public coro::detail::completion {
  public:
    std::coroutine_handle<> completed() noexcept override { return std::noop_coroutine(); }
  } nobody;
  std::vector<int> destroyed;
  {
    auto work = suspended(3, destroyed);
    work.prepare(nobody, nullptr).resume();
    CHECK(coro::live_frames() == 4);
    CHECK(destroyed.empty());
  }
  CHECK(destroyed == std::vector<int>{0, 1, 2, 3});
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a temporary with a constructor in a co_await expression is destroyed once") {
  auto token = std::make_shared<int>(1);
  CHECK(run(awaits_with_a_temporary(token)) == 7);
  CHECK(token.use_count() == 1);
}

// g++ 12 destroys aggregates twice that are temporaries in a co_await expression.
template <class T>
constexpr bool has_constructors = !std::is_aggregate_v<T>;

static_assert(has_constructors<coro::task<int>> && has_constructors<coro::task<>>);
static_assert(
    has_constructors<coro::ask_request<>> && has_constructors<coro::ask_request<int, int>>);
static_assert(has_constructors<coro::delay_request>);
static_assert(has_constructors<coro::failure>);
static_assert(has_constructors<coro::first_of<int>>);
static_assert(has_constructors<coro::root_handle>);
static_assert(has_constructors<coro::suspension>);
static_assert(has_constructors<coro::detail::branches>);
static_assert(has_constructors<coro::detail::promise_base::final_awaiter>);
static_assert(has_constructors<decltype(std::declval<coro::task<int>>().operator co_await())>);
static_assert(has_constructors<decltype(std::declval<coro::delay_request>().operator co_await())>);
static_assert(
    has_constructors<decltype(std::declval<coro::ask_request<int>>().operator co_await())>);

static_assert(!std::is_copy_constructible_v<coro::task<int>>);
static_assert(std::is_nothrow_move_constructible_v<coro::task<int>>);

} // namespace task_test
