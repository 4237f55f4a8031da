#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/cluster/contact.hpp>
#include <fermata/actors/queries.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/actors/sim/faults.hpp>
#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/network.hpp>
#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/trace.hpp>
#include <fermata/actors/sim/witness.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/session_ownership.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Whole deployments in a simulated world, for tests: virtual time, a seeded schedule, nodes that
/// crash, disks that fail, people who do not answer. The same seed is the same run (P12).
namespace fermata::sim {

namespace detail {
struct stage;
}

/// What became of a command that was sent.
class ticket {
public:
  /// The answer; nothing while there is none. A crash takes the answers with it that were under
  /// way.
  [[nodiscard]] const std::optional<result<receipt>>& answer() const noexcept {
    return state_->answer;
  }
  [[nodiscard]] bool accepted() const noexcept { return state_->answer && *state_->answer; }
  /// The process that would have answered is gone: there will be no answer.
  [[nodiscard]] bool lost() const noexcept { return state_->lost; }

private:
  friend struct detail::stage;
  struct state {
    std::optional<result<receipt>> answer;
    bool lost = false;
  };
  std::shared_ptr<state> state_ = std::make_shared<state>();
};

/// How a node is set up.
struct node_options {
  approval_policy policy;
  fermata::limits limits;
  std::chrono::milliseconds passivate_after{60'000};
  std::chrono::milliseconds pack_after{10'000}; ///< As in `runtime_options`.
  fermata::retention retention;
  std::chrono::milliseconds tool_grace{10'000}; ///< As in `runtime_options`.
  agent_name planner;                           ///< As `runtime_options::planner`.
  bool fire_timers = true;
  /// As in `runtime_options`; long, since virtual time only jumps when the test says so.
  std::chrono::milliseconds clock_check_interval{3'600'000};
  /// How long a node is down after a crash that a fault has caused.
  std::chrono::milliseconds restart_after{0};
  live_observer on_live;
  std::shared_ptr<runtime_observer> observer; ///< As in `runtime_options`.
  /// Fills in agents and tools; called each time the node starts.
  std::function<void(agent_registry&, tool_registry&)> setup;
  /// Fills in models; called each time the node starts.
  std::function<void(model_registry&)> setup_models;
  /// The node starts with a copy of it, without its faults and hooks; null: with an empty store.
  std::shared_ptr<const memory_store> store;

  node_options() = default;
};

/// How a world of one node is set up.
struct world_options : node_options {
  /// True: actors run in a random order that the seed decides, and some of them are starved now and
  /// then. False: first come, first served.
  bool random_schedule = true;

  world_options() = default;
};

/// What the nodes of a cluster have in common that share a store.
struct shared_store {
  /// As `memory_ownership::join`. Nodes renew it four times in its length, so a short one lets time
  /// pass more slowly in the world: a minute costs some thousands of turns a day.
  std::chrono::milliseconds lease{60'000};
  std::chrono::milliseconds handover_patience{30'000}; ///< As in `cluster_options`.
  std::chrono::milliseconds handover_wait{2'000};      ///< As in `cluster_options`.

  shared_store() = default;
  explicit shared_store(std::chrono::milliseconds length) : lease{length} {}
};

/// A simulated world. Everything happens on the caller's thread, inside `run`, `advance` and
/// `run_until`, which throw the first `violation` that a monitor reports.
class world {
public:
  /// Without nodes, for `add_node`.
  explicit world(std::uint64_t seed);
  /// With one node, "n1".
  world(std::uint64_t seed, world_options options);
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world();

  [[nodiscard]] std::uint64_t seed() const noexcept;
  /// A stream of random numbers of one's own, which the seed and the name decide.
  [[nodiscard]] seeded_random random(std::string_view name) const;

  // -- nodes: names are for the user to choose; functions without a name mean the first one

  /// Adds a node that no other one reaches: sessions live on the first one. Throws
  /// `std::logic_error` for a name that is there, or is none (`node_name`).
  void add_node(std::string name, node_options options = {});
  /// Adds the nodes of a cluster, by their names: what `cluster_node` is made of, over a simulated
  /// network (CAF's middleman and broker, byte by byte). A session lives where `home_of` says, and
  /// each node takes commands for all. Throws as `add_node`, and where there is a node already,
  /// since a cluster has all of its members from the beginning. Costs some memory and time.
  void add_cluster(std::map<std::string, node_options> nodes);
  /// Adds the nodes of a cluster that share a store: each has opened the same data and owns some of
  /// the sessions, by leases on a clock that only `store_clock_forward` and `store_clock_back` set.
  /// Sessions move, so what is said of a session's home is so at that moment. The data begins with
  /// a copy of `node_options::store` of the first node that has one. Throws as the other one, and
  /// `std::runtime_error` for a lease that `memory_ownership::join` refuses.
  void add_cluster(std::map<std::string, node_options> nodes, shared_store shared);
  [[nodiscard]] const std::vector<std::string>& nodes() const noexcept;
  /// Where a session lives, whether or not there is such a session; where nodes share a store the
  /// one that owns it, or owned it last.
  [[nodiscard]] const std::string& home(const session_id& session) const;

  // -- what people and hosts do

  /// Sends a command to its session's home; it is handled by `run`. With `from`: to that node of
  /// the cluster, which forwards it.
  [[nodiscard]] ticket send(const session_id& session, command body);
  [[nodiscard]] ticket send(const session_id& session, command body, const std::string& from);
  /// Wakes a session, as `session_handle::wake`.
  [[nodiscard]] ticket wake(const session_id& session);

  /// Calls a function when so much time has passed, in between the actors' turns.
  void after(std::chrono::milliseconds delay, std::function<void()> what);

  // -- time

  /// Runs until nothing can run without the passing of time. When a store crashes
  /// (`memory_store::on_write`), its node dies at once with all that it holds in memory, and is
  /// started again (`node_options::restart_after`); `crashes` counts that. A million turns while no
  /// time passes, those of `after` included, are a circle that nobody leaves: a violation of P6.
  void run();

  /// Lets time pass, running whatever becomes due.
  void advance(std::chrono::milliseconds duration);

  /// Lets time pass, from one thing that is due to the next, until `done` says so, which is asked
  /// whenever nothing runs; at most for `at_most`. What `done` said last.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds at_most);

  /// By the clock of people and hosts. Those of a cluster's nodes may be wrong (`clock_offset`).
  [[nodiscard]] timestamp now() const;
  /// By the wall clock of a node's machine, also while it is down.
  [[nodiscard]] timestamp now(const std::string& node) const;
  /// By the one of them that is the furthest ahead.
  [[nodiscard]] timestamp latest_now() const;
  /// How much time has passed since the beginning. Other than `now` it never goes back.
  [[nodiscard]] std::chrono::milliseconds elapsed() const;
  /// How many turns there were: of actors, of blocking functions, of the network.
  [[nodiscard]] std::uint64_t steps() const noexcept;

  // -- what goes wrong

  /// Lets these faults happen, from now on; `at` counts from the beginning of the world.
  void plan_faults(const std::vector<fault>& faults);
  /// Draws faults for the nodes that there are by now, until `horizon`, and plans them. Without a
  /// node it throws `std::logic_error`, as `send` does. Those of links end in a `repair` and with
  /// no delay, also of what a story has cut, held or delayed by itself.
  void faults(const fault_mix& mix, std::chrono::milliseconds horizon);
  /// Ends all that lasts, and lets no planned fault happen any more. Clocks that are wrong stay so.
  void stop_faults();
  /// Leaves out some of the faults that are planned, by their place in the order of planning; for
  /// minimisation. To be called before they are planned.
  void leave_out(std::set<std::size_t> faults);
  /// How many faults were planned so far.
  [[nodiscard]] std::size_t planned_faults() const noexcept;

  /// The links between the nodes of the cluster.
  [[nodiscard]] sim::network& network() noexcept;
  /// Sets the wall clocks forward or back while no time passes, as an operator or NTP does: that of
  /// `now`, and all those of nodes by as much.
  void set_clock(timestamp to);
  /// The same with the clock of one node alone.
  void set_clock(const std::string& node, timestamp to);
  /// Lets no blocking function run, as if all threads of the pool hung, until it is called again
  /// with false. Holds over crashes; a stop in order lets them end before.
  void hold_tools(bool held);
  void hold_tools(const std::string& node, bool held);
  /// Gives all nodes another policy from their next start on, as an operator does.
  void set_policy(approval_policy policy);
  /// Kills a node as SIGKILL does, between two events, and starts it again.
  void crash();
  void crash(const std::string& node);
  /// Stops a node as a host does, and starts it again.
  void restart();
  void restart(const std::string& node);
  /// The same in two steps, with time between them.
  void take_down(const std::string& node);
  void bring_up(const std::string& node);
  /// Orders a node that shares a store with others to give them its sessions, as
  /// `cluster_node::drain`; `run` and `advance` have it happen. `ended` is called once, with what
  /// has come of it, unless the process ends first. Throws `std::logic_error` while it is down, or
  /// has a store of its own.
  void drain(const std::string& node, std::function<void(const caf::error&)> ended = {});
  [[nodiscard]] bool is_up(const std::string& node) const;
  /// True while it is up and no fault lasts there that takes time: it is not frozen or slow, its
  /// disk, its tools and its links work. Where nothing can run then, nothing is under way.
  [[nodiscard]] bool is_calm(const std::string& node) const;
  /// True while its actors take their turns: it is up, and neither frozen nor slow. Its disk, its
  /// tools and its links may be.
  [[nodiscard]] bool is_responsive(const std::string& node) const;
  /// True while it is up, and what it asks of its store is done at once: that can be reached, is
  /// not full or slow.
  [[nodiscard]] bool reaches_store(const std::string& node) const;
  /// How a node is set up. What was changed of it since its start holds from the next one on.
  [[nodiscard]] const node_options& options(const std::string& node) const;
  /// Of all nodes together.
  [[nodiscard]] std::uint64_t crashes() const noexcept;

  // -- who watches

  /// Has a witness see what happens from now on. It lives as long as the world.
  template <class Witness>
  Witness& add(std::unique_ptr<Witness> one) {
    auto& added = *one;
    add_witness(std::move(one));
    return added;
  }
  /// Adds the `promise_monitors`.
  void watch_promises();
  /// Adds an invariant of one's own, which is asked after each turn of an actor: empty while it
  /// holds.
  void invariant(std::string name, std::function<std::string(world&)> check);
  /// As a monitor does, from wherever.
  void report(violation broken);
  /// Tells the witnesses that the story is over.
  void end();

  /// Keeps a trace from now on.
  void keep_trace();
  [[nodiscard]] const sim::trace& trace() const noexcept;
  /// Adds a line to the trace, if one is kept.
  void note(std::string text, const std::string& node = {}, const std::string& session = {});

  // -- what can be seen

  [[nodiscard]] memory_store& store() const noexcept;
  [[nodiscard]] memory_store& store(const std::string& node) const;
  /// A node's actor system and directory, for actors of one's own; until the next crash or restart.
  [[nodiscard]] caf::actor_system& system() const;
  [[nodiscard]] caf::actor directory() const;
  /// How many actors live for sessions right now, on all nodes that are up.
  [[nodiscard]] std::size_t resident_sessions() const;
  /// How many actors live at all.
  [[nodiscard]] std::size_t actors() const;
  /// How many blocking functions wait for their turn on a node.
  [[nodiscard]] std::size_t waiting_functions(const std::string& node) const;
  /// How a node of a cluster stands with the others; empty while it is down.
  [[nodiscard]] std::vector<peer_report> peers(const std::string& node) const;
  [[nodiscard]] bool shares_store() const noexcept;
  // Where nodes share a store; else `std::logic_error`:
  [[nodiscard]] std::chrono::milliseconds lease() const;
  [[nodiscard]] ownership_table ownership() const;
  /// How far the clock that leases go by was set forward in all; negative: back.
  [[nodiscard]] std::chrono::milliseconds store_clock_ahead() const;
  /// Whether a node takes commands for the sessions of a slot as its own; false while it is down.
  [[nodiscard]] bool serves(const std::string& node, std::uint32_t slot) const;
  /// How full a node is; nothing while it is down.
  [[nodiscard]] std::optional<runtime_load> load(const std::string& node) const;

  /// Queries, answered from what is durable; faults of the disk do not get in the way.
  [[nodiscard]] result<session_status> status(const session_id& session) const;
  [[nodiscard]] std::vector<pending_item> pending(const session_id& session) const;
  [[nodiscard]] std::vector<event> events(const session_id& session) const;

private:
  struct implementation;
  void add_witness(std::unique_ptr<witness> one);
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata::sim
