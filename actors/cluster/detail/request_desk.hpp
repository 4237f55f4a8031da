#pragma once

#include <fermata/actors/seams.hpp>
#include <fermata/messages/errors.hpp>

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/response_promise.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fermata::detail {

/// What the host answers other nodes; it may block.
using request_handler = std::function<result<std::string>(const std::string&)>;

/// A request that has its answer, on its way back to the actor that took it in.
struct answered_request {
  caf::response_promise promise;
  result<std::string> answer{std::string{}};
  bool nobody_waits = false; ///< Of the actor's alone, also while the answer is made.

  answered_request() = default;
};
using answered_request_ptr = std::shared_ptr<answered_request>;

/// To the actor that has the desk: it is time to forget the rest of an answer.
struct unasked_answer {
  std::uint64_t number = 0;
  std::size_t given = 0; ///< So much of it was out by then.

  unasked_answer() = default;
  unasked_answer(std::uint64_t of, std::size_t by_then) : number{of}, given{by_then} {}
};

struct desk_options {
  request_handler handler; ///< Absent: requests are refused.
  std::shared_ptr<blocking_pool> pool;
  std::size_t max_waiting = 0; ///< For the pool; over it: `overloaded`.
  std::size_t request_size_bytes = 0;
  std::size_t answer_size_bytes = 0;
  /// How long the rest of an answer is kept that nobody asks for: longer than anybody waits.
  std::chrono::milliseconds patience{60'000};

  desk_options() = default;
};

/// Has the host answer what other nodes ask it, on threads of the pool. Used by the one actor whose
/// promises it is given, which gets an `answered_request_ptr` for each, and `unasked_answer`s. An
/// answer goes out in pieces, the next one when it is asked for. It is kept until the last one is
/// out, whoever asked is lost, or has not asked for so long that he does not wait any more.
class request_desk {
public:
  request_desk(caf::actor owner, desk_options options)
      : owner_{std::move(owner)}, options_{std::move(options)} {}

  /// Errors, as answers: `not_allowed` without a handler, `limit_exceeded`, `overloaded`.
  void take(std::string what, caf::response_promise promise);

  /// Answers one, with its first piece, and begins with the next one.
  void deliver(const answered_request_ptr& one);

  /// Answers with the next piece. Errors, as answers: `node_unavailable`: there is none for who
  /// asks, who was lost meanwhile.
  void give_piece(std::uint64_t number, caf::response_promise promise);

  /// Forgets the rest of an answer, if nobody has asked for more of it since.
  void forget(const unasked_answer& what);

  /// That actor waits for nothing any more.
  void lost(const caf::actor_addr& who);

  /// How many answers have pieces that were not asked for yet.
  [[nodiscard]] std::size_t kept() const noexcept { return kept_.size(); }

private:
  struct request {
    std::string what;
    caf::response_promise promise;
  };

  struct answer {
    caf::actor_addr asked_by;
    std::string bytes;
    std::size_t given = 0; ///< So many of them.
  };

  void begin(request one);
  void give(std::uint64_t number, caf::response_promise promise);
  caf::actor owner_;
  desk_options options_;
  std::vector<answered_request_ptr> under_way_;
  std::deque<request> waiting_;
  std::map<std::uint64_t, answer> kept_;
  std::uint64_t answers_ = 0; ///< How many there were.
};

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::answered_request_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::unasked_answer)
