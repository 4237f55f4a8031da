#pragma once

#include <fermata/actors/seams.hpp>
#include <fermata/messages/errors.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/response_promise.hpp>

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace fermata::detail {

/// What the host answers other nodes; it may block.
using request_handler = std::function<result<std::string>(const std::string&)>;

/// A request that has its answer, on its way back to the actor that took it in.
struct answered_request {
  caf::response_promise promise;
  result<std::string> answer{std::string{}};

  answered_request() = default;
};
using answered_request_ptr = std::shared_ptr<answered_request>;

struct desk_options {
  request_handler handler; ///< Absent: requests are refused.
  std::shared_ptr<blocking_pool> pool;
  std::size_t max_waiting = 0; ///< For the pool; over it: `overloaded`.
  std::size_t request_size_bytes = 0;
  std::size_t answer_size_bytes = 0;

  desk_options() = default;
};

/// Has the host answer what other nodes ask it, on threads of the pool. Used by the one actor whose
/// promises it is given, which gets an `answered_request_ptr` for each.
class request_desk {
public:
  request_desk(caf::actor owner, desk_options options)
      : owner_{std::move(owner)}, options_{std::move(options)} {}

  /// Errors, as answers: `not_allowed` without a handler, `limit_exceeded`, `overloaded`.
  void take(std::string what, caf::response_promise promise);

  /// Answers one, and begins with the next one.
  void deliver(const answered_request_ptr& one);

private:
  struct request {
    std::string what;
    caf::response_promise promise;
  };

  void begin(request one);

  caf::actor owner_;
  desk_options options_;
  std::size_t under_way_ = 0;
  std::deque<request> waiting_;
};

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::answered_request_ptr)
