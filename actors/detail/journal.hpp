#pragma once

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/turns.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <memory>
#include <vector>

namespace fermata::detail {

struct journal_state {
  std::vector<append_ptr> batch;
  transaction_costs costs;
  static inline const char* name = "fermata.journal";
};

/// The one writer: takes the appends of all sessions that are ready, writes them in one transaction
/// (group commit), and tells each session what became of its own.
caf::behavior journal(caf::stateful_actor<journal_state>* self, services_ptr shared);

} // namespace fermata::detail
