#pragma once

#include <fermata/actors/sim/chance_agent.hpp>
#include <fermata/actors/sim/chance_model.hpp>
#include <fermata/actors/sim/human.hpp>
#include <fermata/actors/sim/outside.hpp>
#include <fermata/actors/sim/session_author.hpp>
#include <fermata/actors/sim/session_operator.hpp>
#include <fermata/actors/sim/tool_host.hpp>
#include <fermata/actors/sim/workload.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/messages/policy.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Whole deployments as plain data: what a campaign draws from a seed, minimises and runs again.
namespace fermata::sim {

/// Limits that are small in some worlds; the others are the defaults.
struct planned_limits {
  std::uint32_t resident_sessions = limits{}.resident_sessions;
  std::uint32_t unpacked_sessions = limits{}.unpacked_sessions;
  std::uint32_t session_queue = limits{}.session_queue;
  std::uint32_t tail_events = limits{}.tail_events;
  std::uint32_t runtime_queue = limits{}.runtime_queue;
  std::uint32_t commands_at_once = limits{}.commands_at_once;
  std::uint32_t blocking_threads = limits{}.blocking_threads;
  std::uint32_t remembered_decisions = limits{}.remembered_decisions;
  std::uint32_t late_results = limits{}.late_results;
  std::uint32_t plan_messages = limits{}.plan_messages;
  std::uint32_t subtask_attempts = limits{}.subtask_attempts;
  std::uint32_t calls_per_step = limits{}.calls_per_step;
  std::uint32_t subtask_entries = limits{}.subtask_entries;

  planned_limits() = default;
  friend bool operator==(const planned_limits&, const planned_limits&) = default;
  [[nodiscard]] limits to_limits() const;
  static constexpr auto fields() {
    return field_list{optional_field("resident_sessions", &planned_limits::resident_sessions),
                      optional_field("unpacked_sessions", &planned_limits::unpacked_sessions),
                      optional_field("session_queue", &planned_limits::session_queue),
                      optional_field("tail_events", &planned_limits::tail_events),
                      optional_field("runtime_queue", &planned_limits::runtime_queue),
                      optional_field("commands_at_once", &planned_limits::commands_at_once),
                      optional_field("blocking_threads", &planned_limits::blocking_threads),
                      optional_field("remembered_decisions", &planned_limits::remembered_decisions),
                      optional_field("late_results", &planned_limits::late_results),
                      optional_field("plan_messages", &planned_limits::plan_messages),
                      optional_field("subtask_attempts", &planned_limits::subtask_attempts),
                      optional_field("calls_per_step", &planned_limits::calls_per_step),
                      optional_field("subtask_entries", &planned_limits::subtask_entries)};
  }
};

/// A participant with a name and a place.
template <class Character>
struct planned_participant {
  std::string name;
  std::string node; ///< Where his commands are taken; empty: at each session's home.
  Character character;

  planned_participant() = default;
  planned_participant(std::string called, Character with, std::string at = {})
      : name{std::move(called)}, node{std::move(at)}, character{std::move(with)} {}
  friend bool operator==(const planned_participant&, const planned_participant&) = default;
  static constexpr auto fields() {
    return field_list{field("name", &planned_participant::name),
                      optional_field("node", &planned_participant::node),
                      optional_field("character", &planned_participant::character)};
  }
};

/// What is deleted by itself, as `retention` has it.
struct planned_retention {
  std::optional<std::chrono::milliseconds> delete_finished_after;
  std::optional<std::uint64_t> keep_events;

  planned_retention() = default;
  friend bool operator==(const planned_retention&, const planned_retention&) = default;
  static constexpr auto fields() {
    return field_list{
        optional_field("delete_finished_after_ms", &planned_retention::delete_finished_after),
        optional_field("keep_events", &planned_retention::keep_events)};
  }
};

/// Everything in a world but its faults.
struct deployment {
  std::uint64_t seed = 0; ///< What models, agents and tools draw from.
  std::vector<std::string> nodes;
  /// The nodes are a cluster that shares a store, with leases of that length; nothing: each has its
  /// own.
  std::optional<std::chrono::milliseconds> shared_lease;
  policy_spec policy;
  planned_limits limits;
  std::chrono::milliseconds passivate_after{60'000};
  std::chrono::milliseconds pack_after{10'000};
  bool planner = false; ///< There is one: messages become plans.
  planned_retention retention;
  std::vector<planned_tool> tools;
  agent_character agent; ///< Of the agent `improviser`.
  model_character model; ///< Of what the agent `model` and the planner ask.
  author_character author;
  std::vector<planned_participant<human_character>> people;
  std::vector<planned_participant<host_character>> hosts;
  std::vector<planned_participant<operator_character>> operators;
  std::vector<planned_session> sessions;

  deployment() = default;
  friend bool operator==(const deployment&, const deployment&) = default;
  static constexpr auto fields() {
    return field_list{field("seed", &deployment::seed),
                      field("nodes", &deployment::nodes),
                      optional_field("shared_lease_ms", &deployment::shared_lease),
                      field("policy", &deployment::policy),
                      optional_field("limits", &deployment::limits),
                      optional_field("passivate_after_ms", &deployment::passivate_after),
                      optional_field("pack_after_ms", &deployment::pack_after),
                      optional_field("planner", &deployment::planner),
                      optional_field("retention", &deployment::retention),
                      optional_field("tools", &deployment::tools),
                      optional_field("agent", &deployment::agent),
                      optional_field("model", &deployment::model),
                      optional_field("author", &deployment::author),
                      optional_field("people", &deployment::people),
                      optional_field("hosts", &deployment::hosts),
                      optional_field("operators", &deployment::operators),
                      optional_field("sessions", &deployment::sessions)};
  }
};

/// The nodes of a deployment: `n1`, `n2`, ...
[[nodiscard]] std::vector<std::string> node_names(std::size_t count);

/// What deployments are drawn from.
struct deployment_options {
  std::size_t nodes = 1;
  bool share_store = false; ///< The nodes are a cluster that shares a store.
  std::size_t sessions = 4;
  std::set<session_id> taken; ///< Names that none of them may have.
  /// Sessions begin in the first half of it.
  std::chrono::milliseconds horizon = std::chrono::hours{24};

  deployment_options() = default;
};

/// Draws a deployment of `node_names` in which somebody looks after everything. Parts are
/// drawn each for itself: fewer sessions are the same ones, with the same people.
[[nodiscard]] deployment draw_deployment(std::uint64_t seed, const deployment_options& options);

/// Changes how a node is set up before it is added. `effects`: of the tools of all nodes.
using node_adjustment = std::function<void(const std::string& node, node_options& options,
                                           const std::shared_ptr<outside>& effects)>;

/// Who plays in a world. The world owns them; this one tells them what all must know.
class cast {
public:
  /// Lets everything come to an end: nobody meddles, nothing is forgotten, tools behave. To be
  /// called once, when no more faults happen. After that each session is over in bounded time, or
  /// waits for somebody whom nobody plays.
  void settle(world& in);

  /// Looks at a session that was there before, as one that was imported into a node's store.
  void look_at(world& in, const session_id& session);

  /// As `session_author`'s.
  [[nodiscard]] bool is_done() const noexcept { return author_->is_done(); }
  [[nodiscard]] std::vector<session_id> unfinished() const { return author_->unfinished(); }

  [[nodiscard]] outside& effects() const noexcept { return *effects_; }

private:
  friend cast enact(world& in, const deployment& what, const node_adjustment& adjust);

  std::shared_ptr<outside> effects_ = std::make_shared<outside>();
  std::vector<participant*> participants_;
  session_author* author_ = nullptr;
};

/// What a node of a deployment is made of. `effects` is for all nodes of one world, over all
/// crashes. Throws `std::invalid_argument` for a policy that does not compile.
[[nodiscard]] node_options options_for(const deployment& what, std::shared_ptr<outside> effects);

/// Fills a world: adds the nodes, as `adjust` wants them, if it has none; several are a cluster.
/// Adds all participants, a host that wakes what died running (nodes that share a store do so by
/// themselves), and has the sessions begin.
/// Throws as `options_for`.
[[nodiscard]] cast enact(world& in, const deployment& what, const node_adjustment& adjust = {});

} // namespace fermata::sim
