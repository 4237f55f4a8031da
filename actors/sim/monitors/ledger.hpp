#pragma once

#include <fermata/actors/sim/reference_session.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/storage/session_slots.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

/// What the monitors of one world share.
namespace fermata::sim {

/// An event that was stored, as far as receipts are compared with it.
struct noted_event {
  std::uint8_t type = 0; ///< Place in `event_body`.
  /// The session's state after the transaction of the event.
  session_state state = session_state::idle;
  std::uint64_t subject = 0; ///< A call's number, a plan's revision or a decision's; 0: none.

  noted_event() = default;
};

/// A session as its journal tells it.
struct known_session {
  std::size_t index = 0;   ///< Sessions are counted from 0, in the order in which they are seen.
  std::string node;        ///< Where it lives, or has lived last.
  std::uint32_t moves = 0; ///< How often it came to another node.
  reference_session model;
  std::vector<noted_event> noted; ///< Those with numbers 1, 2, ...
  /// A step, or a run of a tool, is under way or about to be.
  bool is_busy = false;
  /// It was busy when its process ended, and nobody has spoken to it since its node was started
  /// again: to wake it is the host's part.
  bool is_interrupted = false;
  /// The first contradiction in its journal: what follows from that is not judged any more.
  std::optional<contradiction> flaw;
  bool flaw_is_told = false;
  /// Which session of this id it is, from 1: it may be made again after it was deleted.
  std::uint32_t life = 1;

  known_session() = default;
  /// Null: there is no event of that number.
  [[nodiscard]] const noted_event* find_event(std::uint64_t number) const {
    return number == 0 || number > noted.size() ? nullptr : &noted[number - 1];
  }
};

/// What is known of a node.
struct known_node {
  fermata::limits limits;
  policy_spec policy; ///< That its process started with.
  std::chrono::milliseconds passivate_after{0};
  std::chrono::milliseconds clock_check_interval{0};
  bool fires_timers = true;
  std::uint32_t busy_sessions = 0; ///< Of those that live there.
  /// When something was seen there last, counted from the beginning of the world.
  std::chrono::milliseconds active{0};

  known_node() = default;
};

/// What the monitors of one world know in common: its sessions, replayed by the reference model,
/// its nodes, and the runs of tools that are under way. One of them, `journal_monitor`, keeps it.
class ledger {
public:
  explicit ledger(const world& of);

  /// A session that something was stored of. Null: there is none. One that is older than the
  /// monitors is replayed from the store.
  [[nodiscard]] known_session* find(const world& in, const session_id& session);

  /// Replays a commit, after which `noted` and the model are those behind it. Says what is wrong
  /// with its session's journal, once.
  [[nodiscard]] std::optional<contradiction> replay(const world& in, const stored_commit& what);

  /// Calls this between all events, also between two of one transaction, and before the first.
  void on_boundary(std::function<void(const known_session&)> look) {
    boundaries_.push_back(std::move(look));
  }

  [[nodiscard]] const std::deque<known_session>& sessions() const noexcept { return sessions_; }

  [[nodiscard]] known_node& node(const std::string& name) { return nodes_[name]; }
  [[nodiscard]] const std::map<std::string, known_node>& nodes() const noexcept { return nodes_; }
  /// Takes a look at how a node is set up now; to be called when its process starts.
  void look_at(const world& of, const std::string& node);
  /// Its process has ended. `wakes_sessions`: whoever gets its sessions wakes those that were busy.
  void interrupt(const std::string& node, bool wakes_sessions);
  /// The sessions of a slot live on that node from now on.
  void move(std::uint32_t slot, const std::string& to);

  /// Runs of tools that have begun and not ended, by their numbers, with the nodes that they are
  /// on: one of a node that has lost its session may go on beside the next one.
  std::map<std::pair<call_id, std::uint32_t>, std::string> running;

  /// How many coroutines there are besides those that there were when the world was first looked
  /// at. Only of use where all of them are Fermata's: other worlds in this process count as well.
  [[nodiscard]] std::size_t frames();

private:
  known_session& add(const session_id& session, const std::string& node);
  void replay(known_session& known, const stored_commit& what);
  void load(const world& in, known_session& known, std::uint64_t events);
  void count_busy(known_session& known);

  std::deque<known_session> sessions_;
  std::unordered_map<session_id, std::size_t> places_;
  std::array<std::vector<std::size_t>, session_slots> by_slot_;
  std::map<std::string, known_node> nodes_;
  std::vector<std::function<void(const known_session&)>> boundaries_;
  std::size_t frames_before_;
};

using ledger_ptr = std::shared_ptr<ledger>;

/// How messages begin: `session s1, event 12: `.
[[nodiscard]] std::string about(const session_id& session, std::uint64_t event = 0);

} // namespace fermata::sim
