#pragma once

#include <fermata/actors/cluster/contact.hpp>
#include <fermata/actors/cluster/detail/renewal_watch.hpp>
#include <fermata/actors/cluster/detail/slot_map.hpp>
#include <fermata/actors/cluster/detail/slot_messages.hpp>
#include <fermata/actors/cluster/detail/slot_plan.hpp>
#include <fermata/actors/cluster/slots.hpp>
#include <fermata/actors/seams.hpp>
#include <fermata/storage/session_ownership.hpp>

#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::detail {

/// What has become of a node's slots, for any thread.
struct slot_counters {
  std::atomic<std::uint64_t> acquired{0};
  std::atomic<std::uint64_t> given{0};
  std::atomic<std::uint64_t> lost{0};
};

struct keeper_options {
  std::shared_ptr<session_ownership> ownership;
  std::shared_ptr<slot_map> map;     ///< Which the keeper writes.
  std::shared_ptr<wall_clock> clock; ///< That of the map.
  caf::actor directory;              ///< Is told what arrives and departs.
  caf::actor links;                  ///< Are told that homes have changed.
  std::function<slot_set()> busy;    ///< Slots with tools' runs under way; absent: none has.
  /// How this node stands with the others. Asked until this node has begun: see `slot_keeper`.
  /// Absent: it begins at once.
  std::function<std::vector<peer_report>()> peers;
  std::chrono::milliseconds handover_patience{30'000};
  std::function<void(const slot_report&)> on_slots;
  std::shared_ptr<slot_counters> counters = std::make_shared<slot_counters>();

  keeper_options() = default;
};

/// Keeps a node's lease and its slots, in a cluster whose nodes share a store: it renews the lease
/// four times in its length, looks who owns what, and acquires and gives what `slot_planner` says.
/// It calls the store, which blocks, and waits for nothing else. What it acquires and gives may
/// wait there for whatever else is written, and the lease with it: so that must be long beside the
/// time that the store waits for a node that is frozen amid a transaction. A call that fails is
/// tried again when the next one is due.
///
/// It begins when another node has a lease of the same store. Otherwise it first waits for the
/// first attempts to reach the other members, and does not begin while one has another store: which
/// of the two is meant cannot be known here, and sessions of one name would be in both. That
/// member's end changes nothing, since it may be about to come back; but that it has this store,
/// does. Who has begun goes on, whoever comes.
///
/// A slot is served from its acquisition until it is to be given, or found to be lost; then its
/// sessions leave memory (`sessions_departed`), and only when they have is it moved to its next
/// owner, or may it be acquired here again.
class slot_keeper {
public:
  slot_keeper(caf::event_based_actor* self, keeper_options options);

  /// Looks soon: at once, unless it has just looked.
  void look();
  void tick();
  void cleared(std::uint64_t departure);
  void drain(drain_order order);
  /// Gives all back, and ends.
  void leave();

private:
  using time = caf::actor_clock::time_point;

  /// Slots that are not served any more, until nothing of them is in memory.
  struct departure {
    slot_set slots;
    node_name to; ///< Who gets them then; empty: nobody, they were lost.
  };

  void round();
  /// Whether this node takes part.
  [[nodiscard]] bool may_begin();
  void withhold();
  /// False: it failed.
  [[nodiscard]] bool renew();
  void act();
  void acquire(const std::vector<std::uint32_t>& slots);
  /// Serves what is this node's and is not on its way out.
  void arrive();
  void depart(const slot_set& slots, node_name to);
  void hand_over(const std::vector<std::uint32_t>& slots, const node_name& to);
  void check_drain(const slot_sight& sees);
  /// Nobody takes what this node gives, or has given: it takes slots again.
  void end_giving(const caf::error& why);
  void end_drain(const caf::error& how);
  void failed(const caf::error& why);
  /// Another process has this node's name.
  void replaced(const caf::error& why);
  void report(slot_change change, std::vector<std::uint32_t> slots, node_name to = {},
              std::string reason = {});
  [[nodiscard]] slot_set acquired() const;
  [[nodiscard]] slot_set leaving() const;
  void arm(time at);
  [[nodiscard]] time now() const { return self_->clock().now(); }

  caf::event_based_actor* self_;
  keeper_options options_;
  slot_planner planner_;
  slot_wish wish_ = slot_wish::take;
  renewal_watch others_;
  bool has_begun_ = false;
  std::map<node_name, std::string> strangers_; ///< Who has another store, and what says so.
  std::string withheld_; ///< Why it does not begin; empty: it has, or still looks for the others.
  bool is_replaced_ = false;
  std::string reason_; ///< Why the store could not be asked; empty: it could.
  std::map<std::uint64_t, departure> departures_;
  std::uint64_t last_departure_ = 0;
  std::vector<drain_order> drains_;
  std::optional<time> looked_at_;
  std::optional<time> next_round_;
};

struct slot_keeper_state {
  static inline const char* name = "fermata.slot_keeper";
  std::unique_ptr<slot_keeper> body;
};

/// Gives its slots back and ends when it gets `close_down`, or the directory has ended. Whatever
/// ends it, nothing is served from then on.
caf::behavior slot_keeper_actor(caf::stateful_actor<slot_keeper_state>* self,
                                keeper_options options);

} // namespace fermata::detail
