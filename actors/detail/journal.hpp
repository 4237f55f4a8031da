#pragma once

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/turns.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace fermata::detail {

struct journal_state {
  std::vector<append_ptr> batch;
  transaction_pace pace;
  bool garbage = false;               ///< Something may be left to reclaim.
  bool failed = false;                ///< Reclaiming did, the last time.
  std::string damage;                 ///< What it passed over then; empty: nothing.
  bool looks = false;                 ///< It has sent itself a message to reclaim some of it.
  std::size_t written_since_step = 0; ///< Entries.
  unsigned batches_since_step = 0;    ///< Since something was reclaimed.
  static inline const char* name = "fermata.journal";
};

/// The one writer: takes the appends of all sessions that are ready, writes them in one transaction
/// (group commit), and tells each session what became of its own. While nobody has anything to
/// write, and now and then while somebody always does, it reclaims what was deleted, a step at a
/// time.
caf::behavior journal(caf::stateful_actor<journal_state>* self, services_ptr shared);

} // namespace fermata::detail
