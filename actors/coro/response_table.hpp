#pragma once

#include <caf/scheduled_actor.hpp>

namespace fermata::coro::detail {

/// Names the table in which CAF 0.17 keeps what an actor does with the responses that it waits for,
/// one behavior for each, and which CAF protects. An actor with an entry in it is alive.
class response_table : public caf::scheduled_actor {
public:
  [[nodiscard]] static auto& of(caf::scheduled_actor* self) {
    return self->*&response_table::multiplexed_responses_;
  }
};

} // namespace fermata::coro::detail
