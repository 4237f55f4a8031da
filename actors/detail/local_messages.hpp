#pragma once

#include <fermata/actors/detail/reply.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/type_ids.hpp>
#include <fermata/storage/store.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

/// What the actors of one runtime tell each other. These never leave the process.
namespace fermata::detail {

/// Activates the session; answered when what its last process left has been dealt with.
struct wake {
  /// How long the directory has waited to try again what failed; 0: somebody asks for it.
  std::chrono::milliseconds retried_after{0};

  wake() = default;
};

/// A worker has the outcome of a run, which the worker table keeps until it is committed.
struct run_finished {
  std::uint64_t call = 0;
  std::uint32_t run = 0;
  run_finished() = default;
  run_finished(std::uint64_t of, std::uint32_t number) : call{of}, run{number} {}
};

/// A run's time is up, and it does not end although it was told to.
struct run_overdue {
  std::uint64_t call = 0;
  std::uint32_t run = 0;
  run_overdue() = default;
};

/// The session's earliest alarm may be due.
struct timer_due {
  timer_due() = default;
};

/// A worker may be free for a queued call.
struct worker_freed {
  worker_freed() = default;
};

/// Something for a session, by way of the directory.
struct delivery {
  session_id session;
  std::variant<command, wake, run_finished, worker_freed, run_overdue, timer_due> body;
  reply answer;
  /// How long a command may wait for its session's node where that cannot be reached.
  std::chrono::milliseconds wait_for_node{0};
  bool promise_given_away = false; ///< To the actor that it is on its way to.

  delivery() = default;
  /// Commands and `wake` count against the session's queue; a runtime's own messages are never
  /// refused.
  [[nodiscard]] bool is_command() const noexcept { return body.index() <= 1; }
  /// Nobody outside of the runtime has asked for it.
  [[nodiscard]] bool is_own() const noexcept {
    const auto* woken = std::get_if<wake>(&body);
    return !is_command() || (woken != nullptr && woken->retried_after.count() > 0);
  }
  /// Takes the promise over that the sender gave away with the message, if it did.
  template <class MakePromise>
  void take_promise_over(const MakePromise& make) {
    if (std::exchange(promise_given_away, false))
      answer.take_over(make());
  }
};
using delivery_ptr = std::shared_ptr<delivery>;

/// Passes a message on to another actor of this runtime, with the promise that it may have.
template <class Self>
void hand_on(Self* self, const caf::actor& to, delivery_ptr message) {
  auto promise = message->answer.take_promise();
  message->promise_given_away = promise.has_value();
  if (promise)
    promise->delegate(to, std::move(message));
  else
    self->send(to, std::move(message));
}

/// What all inquiries have in common.
class any_inquiry {
public:
  any_inquiry() = default;
  any_inquiry(const any_inquiry&) = delete;
  any_inquiry& operator=(const any_inquiry&) = delete;
  virtual ~any_inquiry() = default;

  /// By whoever asked: he does not wait for an answer any more.
  void abandon() noexcept { abandoned_ = true; }
  [[nodiscard]] bool is_abandoned() const noexcept { return abandoned_; }

private:
  std::atomic<bool> abandoned_{false};
};

/// A question about a session of another node, from a thread of the host. Answered exactly once:
/// whoever drops it unanswered answers with `shutting_down`.
template <class What, class Answer>
class inquiry : public any_inquiry {
public:
  using callback = std::function<void(result<Answer>)>; ///< Called by an actor; must not block.

  inquiry(What asked, std::chrono::milliseconds wait, callback tell)
      : what{std::move(asked)}, wait_for_node{wait}, tell_{std::move(tell)} {}
  ~inquiry() override {
    if (tell_)
      answer(make_error(errc::shutting_down, "the runtime is not started, or stopped"));
  }

  void answer(result<Answer> given) { std::exchange(tell_, nullptr)(std::move(given)); }

  What what;
  std::chrono::milliseconds wait_for_node;

private:
  callback tell_;
};

using status_inquiry = std::shared_ptr<inquiry<status_query, session_status>>;
using follow_inquiry = std::shared_ptr<inquiry<follow_chunks, chunk_batch>>;

/// Nobody waits for its answer any more, as it says itself where it has not arrived yet.
struct abandoned {
  std::weak_ptr<any_inquiry> what;

  abandoned() = default;
  explicit abandoned(std::weak_ptr<any_inquiry> which) : what{std::move(which)} {}
};

/// Says to the directory that sessions of these slots live here by now. Those that an earlier home
/// has left amid something are woken, and timers that are due fire.
struct sessions_arrived {
  std::vector<std::uint32_t> slots;

  sessions_arrived() = default;
  explicit sessions_arrived(std::vector<std::uint32_t> which) : slots{std::move(which)} {}
};

/// Says to the directory that some sessions do not live here any more: they leave memory, after the
/// transaction that each may have under way, and what waits for them goes to the forwarder.
struct sessions_departed {
  /// Called by the directory's actor once none of the sessions is in memory any more that live
  /// elsewhere when it gets this message; so also while the runtime stops. Tools that do not end
  /// when told to may still run: what they report is of no account. Not called if the directory has
  /// ended.
  std::function<void()> cleared;

  sessions_departed() = default;
  explicit sessions_departed(std::function<void()> then) : cleared{std::move(then)} {}
};

/// Ends an actor of this process; no other node can send it.
struct close_down {
  close_down() = default;
};

/// One session's transaction on its way to the journal, and back again with what became of it:
/// whoever has made it takes its memory back.
struct append {
  caf::actor session; ///< Who it goes back to.
  commit body;
  commit_outcome outcome;
  append() = default;
};
using append_ptr = std::shared_ptr<append>;

/// Asks a session to pack its data: too many others were used after it.
struct pack_up {
  pack_up() = default;
};

/// A command has been answered that it was the turn of.
struct turn_ended {
  turn_ended() = default;
};

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::session_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::delivery_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::append_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::pack_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::turn_ended)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::status_inquiry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::follow_inquiry)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::abandoned)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::sessions_arrived)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::sessions_departed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::close_down)
