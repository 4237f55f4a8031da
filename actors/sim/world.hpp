#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/queries.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/storage/memory_store.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

/// A runtime in a simulated world, for tests: virtual time, a seeded schedule, a store that crashes
/// on command. The same seed is the same run (P12).
namespace fermata::sim {

/// Random numbers that depend on nothing but their seed (splitmix64: Steele, Lea and Flood, OOPSLA
/// 2014).
class seeded_random final : public random_source {
public:
  explicit seeded_random(std::uint64_t seed) : state_{seed} {}
  std::uint64_t next() override;
  /// A number below `bound`, which is not 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return next() % bound; }

private:
  std::uint64_t state_;
};

/// What became of a command that the test sent.
class ticket {
public:
  /// The answer; nothing while there is none. A crash takes the answers with it that were under
  /// way.
  [[nodiscard]] const std::optional<result<receipt>>& answer() const noexcept {
    return state_->answer;
  }
  [[nodiscard]] bool accepted() const noexcept { return state_->answer && *state_->answer; }

private:
  friend class world;
  struct state {
    std::optional<result<receipt>> answer;
  };
  std::shared_ptr<state> state_ = std::make_shared<state>();
};

/// How a world is set up.
struct world_options {
  approval_policy policy;
  fermata::limits limits;
  std::chrono::milliseconds passivate_after{60'000};
  std::chrono::milliseconds tool_grace{10'000}; ///< As in `runtime_options`.
  /// True: actors run in a random order that the seed decides. False: first come, first served.
  bool random_schedule = true;
  agent_name planner; ///< As `runtime_options::planner`.
  bool fire_timers = true;
  /// As in `runtime_options`; long, since virtual time only jumps when the test says so.
  std::chrono::milliseconds clock_check_interval{3'600'000};
  live_observer on_live;
  std::shared_ptr<runtime_observer> observer; ///< As in `runtime_options`; told of every node.
  /// Fills in agents and tools; called each time the node starts.
  std::function<void(agent_registry&, tool_registry&)> setup;
  /// Fills in models; called each time the node starts.
  std::function<void(model_registry&)> setup_models;
  /// The store to start from; null: an empty one.
  std::shared_ptr<memory_store> store;

  world_options() = default;
};

/// One node. Everything happens on the caller's thread, inside `run` and `advance`.
class world {
public:
  world(std::uint64_t seed, world_options options);
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world();

  [[nodiscard]] std::uint64_t seed() const noexcept;

  /// Sends a command; it is handled by `run`.
  [[nodiscard]] ticket send(const session_id& session, command body);
  /// Wakes a session, as `session_handle::wake`.
  [[nodiscard]] ticket wake(const session_id& session);

  /// Runs until nothing can run without the passing of time. When the store crashes
  /// (`memory_store::on_write`), the node dies at once with all that it holds in memory, and is
  /// started again; `crashes` counts that.
  void run();

  /// Lets time pass, running whatever becomes due.
  void advance(std::chrono::milliseconds duration);

  /// Sets the wall clock forward or back while no time passes, as an operator or NTP does.
  void set_clock(timestamp to);

  /// Lets no blocking function run, as if all threads of the pool hung, until it is called again
  /// with false. Holds over crashes.
  void hold_tools(bool held);

  /// Gives the node another policy from its next start on, as an operator does.
  void set_policy(approval_policy policy);

  /// Kills the node as SIGKILL does, between two events, and starts it again.
  void crash();
  /// Stops the node as a host does, and starts it again.
  void restart();

  [[nodiscard]] std::uint64_t crashes() const noexcept;
  [[nodiscard]] timestamp now() const;
  [[nodiscard]] memory_store& store() const noexcept;

  /// The node's actor system and directory, for actors of one's own; until the next crash or
  /// restart.
  [[nodiscard]] caf::actor_system& system() const;
  [[nodiscard]] caf::actor directory() const;

  /// How many actors live for sessions right now.
  [[nodiscard]] std::size_t resident_sessions() const;
  /// How many actors live at all.
  [[nodiscard]] std::size_t actors() const;

  [[nodiscard]] result<session_status> status(const session_id& session) const {
    return query_status(store(), session);
  }
  [[nodiscard]] std::vector<event> events(const session_id& session) const;

private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata::sim
