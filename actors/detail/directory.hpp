#pragma once

#include <fermata/actors/detail/alarm_clock.hpp>
#include <fermata/actors/detail/arrivals.hpp>
#include <fermata/actors/detail/departures.hpp>
#include <fermata/actors/detail/followers.hpp>
#include <fermata/actors/detail/live_outlets.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/turns.hpp>

#include <caf/actor.hpp>
#include <caf/actor_clock.hpp>
#include <caf/stateful_actor.hpp>

#include <deque>
#include <list>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace fermata::detail {

/// Finds a session's actor, or activates the session; passivates idle ones; bounds how many are
/// resident and how much waits for each; lets sessions take turns. Only its address is handed out,
/// so no message is lost to a passivation (P2).
///
/// Where nodes share a store, sessions come and go (`sessions_arrived`, `sessions_departed`). What
/// is for a session that lives elsewhere never activates it here.
class directory {
public:
  directory(caf::event_based_actor* self, services_ptr shared, caf::actor journal);

  /// Passes a message on to its session.
  void deliver(delivery_ptr message);
  /// The session has left memory: what comes now activates it again.
  void left(const session_id& id);
  /// An actor ended. False: the directory did not expect it, and it was no session.
  [[nodiscard]] bool ended(const caf::actor_addr& who);
  /// The session's commit has failed, or it could not be loaded: activates it again a little later,
  /// for what was under way.
  void activate_again(const session_id& id, std::chrono::milliseconds delay);
  void retry(const session_id& id, std::chrono::milliseconds delay);
  /// Sessions of these slots live here by now: goes on with what is under way in them.
  void arrive(const sessions_arrived& what);
  /// Some sessions do not live here any more: they leave memory, and their messages go on.
  void depart(sessions_departed what);
  /// Lets commands go on that wait for a turn, as far as turns are free.
  void give_turns();
  void tick();
  void stop();
  [[nodiscard]] followers& readers() noexcept { return followers_; }
  [[nodiscard]] live_outlets& live() noexcept { return live_; }
  /// That node is lost.
  void gone(const caf::node_id& node);
  [[nodiscard]] alarm_clock& alarms() noexcept { return alarms_; }
  [[nodiscard]] arrivals& newcomers() noexcept { return arrivals_; }

private:
  struct resident {
    caf::actor actor;
    std::list<session_id>::iterator place; ///< In `by_use_`.
    caf::actor_clock::time_point used;
    bool is_unpacked = false; ///< It was used, and was not told to pack since.
    std::shared_ptr<std::atomic<std::uint32_t>>
        waiting;              ///< Commands that the session has not looked at yet.
    std::uint64_t served = 0; ///< The last turn that it had.
    resident() = default;
  };

  /// The session lives elsewhere by now, and is not in memory.
  [[nodiscard]] bool is_away(const session_id& id) const {
    return shared_->shares_store() && !residents_.contains(id) && !shared_->is_home_of(id);
  }
  /// For a session that lives elsewhere: what people ask goes there, and what this runtime has to
  /// say to it is of no account there.
  void send_away(delivery_ptr message);
  /// The same where the session may still be in memory: then it comes behind what waits in the
  /// session's queue, all of which that hands back when it leaves.
  void send_on(delivery_ptr message);
  /// Tells runs of sessions that live elsewhere to stop, and forgets what they report.
  void drop_runs(const std::vector<call_id>& calls);
  /// False: it is unknown.
  [[nodiscard]] bool forget(const caf::actor_addr& who);
  /// Passes a message on now, if there is room for its session.
  void forward(delivery_ptr message);
  /// Takes a command in: its turn is now or later, or too many wait already.
  void take_in(delivery_ptr command);
  void give_turn(delivery_ptr command);
  /// The session's actor, activated if need be; null: as many are resident as may be.
  resident* find_or_activate(const session_id& id);
  void park(delivery_ptr message);
  /// Takes what is parked of a session, whose place in `parked_order_` is the caller's affair.
  [[nodiscard]] std::vector<delivery_ptr> take_parked(const session_id& id);
  void deliver_parked();
  void pass_on(resident& to, delivery_ptr message);
  /// It is used.
  void touch(resident& one);
  /// Among those that leave or are packed, it is the last now.
  void put_last(resident& one);
  /// Has those packed that were not used for longest, if too many are unpacked.
  void pack_resting();
  void arm_tick();
  void make_room();
  void remove(std::unordered_map<session_id, resident>::iterator gone);
  /// Delivers what waits for room; while stopping, ends the worker once nobody is left.
  void make_use_of_room();
  void stop_worker();

  caf::event_based_actor* self_;
  services_ptr shared_;
  caf::actor journal_;
  caf::actor worker_;
  std::unordered_map<session_id, resident> residents_;
  std::list<session_id> by_use_; ///< Least recently used first.
  /// None before it is unpacked.
  std::list<session_id>::iterator first_unpacked_ = by_use_.end();
  std::size_t unpacked_ = 0;
  std::set<session_id> activated_again_; ///< Those that `retry` will activate.
  std::set<caf::actor_addr> leaving_; ///< Sessions that have left and whose actors have not ended.
  /// For sessions that there is no room for yet; a resident one has none here.
  std::unordered_map<session_id, std::vector<delivery_ptr>> parked_;
  std::deque<session_id> parked_order_;
  turn_queue turns_;
  std::uint64_t turns_begun_ = 0;
  followers followers_;
  live_outlets live_;
  alarm_clock alarms_;
  arrivals arrivals_;
  departures departures_;
  std::optional<caf::actor_clock::time_point> next_tick_;
  bool stopping_ = false;
};

struct directory_state {
  static inline const char* name = "fermata.directory";
  std::unique_ptr<directory> body;
};

caf::behavior directory_actor(caf::stateful_actor<directory_state>* self, services_ptr shared,
                              caf::actor journal);

} // namespace fermata::detail
