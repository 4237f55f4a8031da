#pragma once

#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/coro/suspension.hpp>
#include <fermata/actors/coro/task.hpp>

#include <caf/expected.hpp>
#include <caf/response_promise.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <cassert>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fermata::coro {

namespace detail {

/// The live roots of one scope, oldest first.
class root_table {
public:
  using root_id = std::uint64_t;

  explicit root_table(caf::scheduled_actor* owner) noexcept : self(owner) {}

  void cancel(root_id id) {
    if (auto found = roots.extract(id))
      found.mapped()->cancel();
  }

  /// Cancels the roots that exist now, newest first; not those that destructors of their frames
  /// spawn.
  void cancel_all() {
    const auto end = next;
    for (auto it = roots.lower_bound(end); it != roots.begin(); it = roots.lower_bound(end))
      cancel(std::prev(it)->first);
  }

  void close() {
    closed = true;
    cancel_all();
  }

  caf::scheduled_actor* self;
  std::map<root_id, activity*> roots;
  root_id next = 0;
  bool closed = false;
};

/// A task that a scope owns, with what is to be done with its result.
template <class T, class Finish>
class root final : public activity, public completion {
public:
  root(std::shared_ptr<root_table> table, root_table::root_id id, task<T> work, Finish finish)
      : table_(std::move(table)), id_(id), finish_(std::move(finish)), work_(std::move(work)) {}

  void start() { run(work_.prepare(*this, this)); }

  std::coroutine_handle<> completed() noexcept override {
    finish();
    return std::noop_coroutine();
  }

private:
  void settle() override {
    const std::unique_ptr<root> dying(this);
    if (cancelled())
      return;
    table_->roots.erase(id_);
    auto outcome = take();
    work_.reset();
    finish_(std::move(outcome));
  }

  caf::expected<T> take() {
    if (const auto& thrown = work_.exception())
      return to_error(thrown);
    if constexpr (std::is_void_v<T>)
      return caf::unit;
    else
      return work_.take();
  }

  std::shared_ptr<root_table> table_;
  root_table::root_id id_;
  Finish finish_;
  task<T> work_;
};

/// Whether the value of a `task<T>` is a response of the types `Ts`.
template <class T, class... Ts>
inline constexpr bool stands_for = std::is_same_v<T, std::tuple<Ts...>>;
template <class T>
inline constexpr bool stands_for<T, T> = true;
template <>
inline constexpr bool stands_for<void> = true;

/// Answers a request exactly once: with a task's outcome, or with an error when it is destroyed
/// before.
class promise_keeper {
public:
  explicit promise_keeper(caf::response_promise promise) noexcept : promise_(std::move(promise)) {}
  promise_keeper(promise_keeper&& other) noexcept
      : promise_(std::exchange(other.promise_, caf::response_promise{})) {}
  promise_keeper& operator=(promise_keeper&&) = delete;

  ~promise_keeper() {
    if (promise_.pending())
      fail(caf::make_error(caf::sec::request_receiver_down,
                           "the task that had to answer was cancelled"));
  }

  template <class T>
  void operator()(caf::expected<T> outcome) {
    if (!outcome)
      return fail(outcome.error());
    auto promise = std::exchange(promise_, caf::response_promise{});
    if (!promise.pending())
      return;
    if constexpr (!std::is_void_v<T>)
      deliver(promise, std::move(*outcome));
    else if (!promise.async())
      promise.deliver(caf::unit);
  }

private:
  template <class T>
  static void deliver(caf::response_promise& promise, T value) {
    promise.deliver(std::move(value));
  }

  template <class... Ts>
  static void deliver(caf::response_promise& promise, std::tuple<Ts...> values) {
    std::apply([&](Ts&... xs) { promise.deliver(std::move(xs)...); }, values);
  }

  /// An error sent to somebody who asked for no response would end that actor: it is dropped.
  void fail(caf::error reason) {
    auto promise = std::exchange(promise_, caf::response_promise{});
    if (promise.pending() && !promise.async())
      promise.deliver(std::move(reason));
  }

  caf::response_promise promise_;
};

} // namespace detail

/// Names one root of an `actor_scope`. Does not own it: destroying the handle changes nothing. May
/// outlive the scope.
class root_handle {
public:
  root_handle() = default;

  /// Destroys the root's frames; its callback is not called, its promise is answered with an error.
  /// Nothing happens if the root has ended. From code inside the root: see `actor_scope`.
  void cancel() const {
    if (auto table = table_.lock())
      table->cancel(id_);
  }

  /// Whether the root has neither completed nor been cancelled.
  [[nodiscard]] bool active() const {
    const auto table = table_.lock();
    return table != nullptr && table->roots.contains(id_);
  }

private:
  friend class actor_scope;

  root_handle(const std::shared_ptr<detail::root_table>& table, detail::root_table::root_id id)
      : table_(table), id_(id) {}

  std::weak_ptr<detail::root_table> table_;
  detail::root_table::root_id id_ = 0;
};

/// Owns the root tasks of one actor. Make it the **last** member of the actor's state, so that it
/// is destroyed, and the frames with it, before what they refer to. Used by that actor only, inside
/// its handlers.
///
/// A root runs in `spawn` until its first suspension, and is destroyed when it has completed.
/// Errors leave it once, as a `caf::error`: what a `failure` carries, else
/// `caf::sec::runtime_error`.
///
/// Cancelling destroys the frames at once, in `cancel`, `cancel_all` or the destructor; nothing is
/// thrown in them and no callback is called. Code inside a frame may cancel its own root, or the
/// whole scope: the root then leaves the scope at once, what it awaits from now on is not started,
/// it reports no result, and its frames are destroyed as soon as it suspends or ends. (So they then
/// outlive the scope if it was the destructor that cancelled.)
///
/// When the actor ends, all roots are cancelled: a stateful actor destroys its state and so the
/// scope; for any other actor the scope closes itself, so that promises held by frames do not keep
/// the actor alive. A closed scope destroys what is spawned into it without starting it. One scope
/// per actor is meant: each leaves a small record in the actor until that ends.
class actor_scope {
public:
  /// `self` owns the scope.
  explicit actor_scope(caf::scheduled_actor* self)
      : table_(std::make_shared<detail::root_table>(self)) {
    assert(self != nullptr);
    self->attach_functor([table = std::weak_ptr(table_)] {
      if (auto open = table.lock())
        open->close();
    });
  }

  actor_scope(const actor_scope&) = delete;
  actor_scope& operator=(const actor_scope&) = delete;

  ~actor_scope() { table_->close(); }

  /// Starts `work`. If it fails, the actor's error handler gets the error; CAF's default one quits
  /// the actor with it.
  root_handle spawn(task<void> work) {
    return launch(std::move(work), [self = table_->self](caf::expected<void> outcome) {
      if (outcome)
        return;
      auto reason = outcome.error();
      self->call_error_handler(reason);
    });
  }

  /// Starts `work` and calls `on_done` with its outcome (`caf::expected<T>`) exactly once, unless
  /// the root is cancelled. For a `task<void>`, a callback that takes just a `caf::error` is called
  /// only if the task fails.
  ///
  /// The callback runs when the root has left the scope and its frames are destroyed: in a later
  /// message, or inside `spawn` if the task never suspends. It may use the scope. What it throws
  /// reaches CAF's exception handler, or the caller of `spawn`.
  template <class T, class Callback>
  requires std::invocable<Callback&, caf::expected<T>> ||(
      std::is_void_v<T>&& std::invocable<Callback&, caf::error>)root_handle
      spawn(task<T> work, Callback on_done) {
    if constexpr (std::invocable<Callback&, caf::expected<T>>) {
      return launch(std::move(work), std::move(on_done));
    } else {
      return launch(std::move(work),
                    [on_error = std::move(on_done)](caf::expected<void> outcome) mutable {
                      if (!outcome)
                        on_error(outcome.error());
                    });
    }
  }

  /// Starts `work` and answers `promise` with its value (a `std::tuple` as several values, void as
  /// an empty message) or its error. If the root is cancelled or the actor ends first, the answer
  /// is `caf::sec::request_receiver_down`. Errors are dropped if `promise` belongs to a message
  /// that asked for no response.
  template <class T>
  root_handle reply(caf::response_promise promise, task<T> work) {
    return launch(std::move(work), detail::promise_keeper(std::move(promise)));
  }

  /// The same for the promise of a typed actor, whose types must be the task's.
  template <class... Ts, class T>
  root_handle reply(caf::typed_response_promise<Ts...> promise, task<T> work) {
    static_assert(detail::stands_for<T, Ts...>, "the promise does not stand for the task's value");
    return reply(static_cast<caf::response_promise&>(promise), std::move(work));
  }

  /// Cancels all roots, newest first.
  void cancel_all() { table_->cancel_all(); }

  /// How many roots have neither completed nor been cancelled.
  [[nodiscard]] std::size_t size() const noexcept { return table_->roots.size(); }

  [[nodiscard]] bool empty() const noexcept { return table_->roots.empty(); }

private:
  template <class T, class Finish>
  root_handle launch(task<T> work, Finish finish) {
    assert(work && "an empty or moved-from task cannot be spawned");
    // A callback may destroy the scope: only the table is used once the root runs.
    const auto table = table_;
    const auto id = table->next++;
    if (!table->closed) {
      auto added =
          std::make_unique<detail::root<T, Finish>>(table, id, std::move(work), std::move(finish));
      table->roots.emplace(id, added.get());
      added.release()->start();
    }
    return {table, id};
  }

  std::shared_ptr<detail::root_table> table_;
};

} // namespace fermata::coro
