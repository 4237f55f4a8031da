#pragma once

#include <fermata/actors/detail/reply.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/type_ids.hpp>
#include <fermata/storage/store.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <memory>
#include <variant>

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

  delivery() = default;
  /// Commands and `wake` count against the session's queue; a runtime's own messages are never
  /// refused.
  [[nodiscard]] bool is_command() const noexcept { return body.index() <= 1; }
  /// Takes the promise over that the sender gave away with the message, if it did.
  template <class MakePromise>
  void take_promise_over(const MakePromise& make) {
    if (!answer && std::holds_alternative<command>(body))
      answer.take_over(make());
  }
};
using delivery_ptr = std::shared_ptr<delivery>;

/// One session's transaction on its way to the journal.
struct append {
  caf::actor session;
  commit body;
  append() = default;
};
using append_ptr = std::shared_ptr<append>;

using outcome_ptr = std::shared_ptr<commit_outcome>;

/// A command has been answered that it was the turn of.
struct turn_ended {
  turn_ended() = default;
};

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::session_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::delivery_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::append_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::outcome_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::turn_ended)
