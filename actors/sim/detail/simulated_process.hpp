#pragma once

#include <fermata/actors/cluster/detail/peer_links.hpp>
#include <fermata/actors/cluster/detail/slot_map.hpp>
#include <fermata/actors/cluster/slots.hpp>
#include <fermata/actors/detail/node.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/world.hpp>

#include <fermata/messages/cluster.hpp>
#include <fermata/storage/session_ownership.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/fwd.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace fermata::sim::detail {

using namespace fermata::detail;

/// Wall time that passes only when the world says so.
class virtual_clock final : public wall_clock {
public:
  timestamp now() override { return now_; }
  std::chrono::steady_clock::time_point steady() override { return steady_; }
  void pass(std::chrono::milliseconds duration) {
    now_ += duration;
    steady_ += duration;
  }
  void set(timestamp to) { now_ = to; }

private:
  timestamp now_{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};
  std::chrono::steady_clock::time_point steady_;
};

/// The wall clock of a node's machine, which may be wrong. Its time passes as the world's.
class node_clock final : public wall_clock {
public:
  explicit node_clock(std::shared_ptr<virtual_clock> of_world) : world_{std::move(of_world)} {}
  timestamp now() override { return world_->now() + offset_; }
  std::chrono::steady_clock::time_point steady() override { return world_->steady(); }
  void set_offset(std::chrono::milliseconds offset) { offset_ = offset; }
  /// Negative: back.
  void set_forward(std::chrono::milliseconds by) { offset_ += by; }

private:
  std::shared_ptr<virtual_clock> world_;
  std::chrono::milliseconds offset_{0};
};

/// Blocking functions, run by the world one at a time, when their turn comes.
class simulated_pool final : public blocking_pool {
public:
  explicit simulated_pool(std::size_t capacity) : capacity_{capacity} {}
  void post(std::function<void()> job) override { jobs.push_back(std::move(job)); }
  [[nodiscard]] std::size_t capacity() const noexcept override { return capacity_; }

  std::deque<std::function<void()>> jobs;

private:
  std::size_t capacity_;
};

/// Told of what server tools do outside of the process.
struct run_hooks {
  std::function<void(const tool&, const tool_context&)> began;
  std::function<void(const tool&, const tool_context&, const json* content, bool cut_off)> ended;
};

/// Which node of a cluster a process is, and how its actor system gets onto the network.
struct membership {
  node_hello hello;
  std::function<void(caf::actor_system_config&)> prepare;
  std::function<void(const peer_report&)> on_contact;
  /// What it owns of the store that it shares with others; null: it has one of its own.
  std::shared_ptr<session_ownership> ownership;
  std::chrono::milliseconds handover_patience{0};
  std::chrono::milliseconds handover_wait{0};
  std::function<void(const slot_report&)> on_slots;

  membership() = default;
};

/// What dies with the process: a node's actors, with all that they hold in memory.
class simulated_process {
public:
  /// `member`: null where it is in no cluster.
  simulated_process(const node_options& options, std::shared_ptr<memory_store> store,
                    std::shared_ptr<wall_clock> clock, std::shared_ptr<seeded_random> random,
                    const run_hooks& hooks, const membership* member);
  /// Kills it: nothing that an actor does from here on has an effect, since the store has crashed
  /// or is replaced, answers are ignored, and no tool is begun.
  ~simulated_process();
  simulated_process(const simulated_process&) = delete;
  simulated_process& operator=(const simulated_process&) = delete;

  /// How many actors, and blocking functions, could take a turn now.
  [[nodiscard]] std::size_t ready_actors() const { return scheduler_->jobs.size(); }
  [[nodiscard]] std::size_t ready_functions() const { return pool_->jobs.size(); }
  void run_actor(std::size_t which);
  void run_function(std::size_t which);
  /// Names a ready actor within this process, in the order of their making.
  [[nodiscard]] std::uint64_t id_of(std::size_t which) const;
  /// Where the journal is among those that are ready.
  [[nodiscard]] std::optional<std::size_t> place_of_journal() const;

  /// Fires what is due after `duration`.
  void pass(std::chrono::milliseconds duration) { scheduler_->advance_time(duration); }
  /// How long until the next timeout; at least 1 ms.
  [[nodiscard]] std::optional<std::chrono::milliseconds> next_timeout() const;

  /// Begins to connect with the others of its cluster, now that they can reach it.
  void open();

  /// Stops it as a host does, first come, first served. Calls `between` after each turn: false, it
  /// has died in the middle of it.
  void stop(const std::function<bool()>& between);

  [[nodiscard]] caf::actor_system& system() { return *system_; }
  [[nodiscard]] std::size_t actors() const { return system_->registry().running(); }

  services_ptr shared;
  fermata::detail::node node;
  /// What others reach of it, and what reaches the others; null: it is in no cluster.
  caf::actor gate;
  caf::actor links;
  std::shared_ptr<contact_board> board = std::make_shared<contact_board>();
  // Null: it shares no store.
  caf::actor keeper;
  std::shared_ptr<slot_map> slots;

private:
  void keep_slots(const membership& member, std::shared_ptr<wall_clock> clock);
  bool run_all(const std::function<bool()>& between);

  std::shared_ptr<bool> is_dying_ = std::make_shared<bool>(false);

  caf::actor_system_config config_;
  std::shared_ptr<simulated_pool> pool_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* scheduler_ = nullptr;
  const caf::resumable* journal_ = nullptr;
};

} // namespace fermata::sim::detail
