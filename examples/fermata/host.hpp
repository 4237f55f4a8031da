#pragma once

#include "arguments.hpp"
#include "databases.hpp"
#include "live_feed.hpp"
#include "models.hpp"
#include "policies.hpp"
#include "store_memory.hpp"

#include <fermata/actors/cluster/cluster_node.hpp>
#include <fermata/actors/runtime.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace fermata::command_line {

struct host_options {
  std::filesystem::path store;
  bool create_store = false;
  approval_mode approve = approval_mode::reads;
  std::filesystem::path workspace; ///< Instead of the session's; empty: the session's.
  bool watches = false;            ///< Somebody sees live updates, by `live`.
  /// True: all sessions go on when their time comes. False: only one that is addressed does.
  bool fires_timers = false;
  fermata::retention retention; ///< What is deleted by itself.
  chosen_models models;
  chosen_policy policy;
  std::shared_ptr<runtime_observer> observer; ///< Null: nobody is told what happens.
  /// Where sessions are, as was said now; nothing: where the store remembers.
  std::optional<database_setting> database;
  std::chrono::milliseconds lease = std::chrono::seconds{10}; ///< Of a node's sessions there.
  /// The runtime is this node's; nothing: it is one alone.
  std::optional<cluster_options> cluster; ///< That `check` accepts.
};

/// Owns a store and a runtime over it, or a node of a cluster, from `prepare` or `open` until it is
/// destroyed.
class host {
public:
  /// Opens the store, whose sessions stay as they are until `start`. Errors: those of `open_store`
  /// for changes; `store_busy` also when commands of a process that was killed still run.
  [[nodiscard]] static result<std::unique_ptr<host>> prepare(const host_options& options);

  /// `prepare` and `start`.
  [[nodiscard]] static result<std::unique_ptr<host>> open(const host_options& options);

  /// Starts the runtime: from now on timers that are due fire, and tools run. Called once. Errors:
  /// `cannot_listen` of a node, which is stopped then.
  [[nodiscard]] caf::error start();

  ~host();
  host(const host&) = delete;
  host& operator=(const host&) = delete;

  [[nodiscard]] runtime& running() noexcept { return node_ ? node_->local() : *runtime_; }
  /// Null: it is no node.
  [[nodiscard]] cluster_node* node() noexcept { return node_.get(); }
  [[nodiscard]] fermata::store& store() noexcept { return *store_; }
  [[nodiscard]] live_feed& live() noexcept { return *live_; }
  /// The files that the store is to remember once a command is accepted.
  [[nodiscard]] store_memory& memory() noexcept { return memory_; }

  /// Stops the runtime; the store can still be queried.
  void stop();

private:
  host() = default;

  std::shared_ptr<fermata::store> store_;
  std::shared_ptr<live_feed> live_; ///< Stays empty unless somebody watches.
  store_memory memory_;
  std::unique_ptr<runtime> runtime_;   ///< Or a node.
  std::unique_ptr<cluster_node> node_; ///< Or a runtime alone.
};

} // namespace fermata::command_line
