#pragma once

#include <fermata/actors/sim/faults.hpp>
#include <fermata/actors/sim/seed_range.hpp>
#include <fermata/actors/sim/trace.hpp>
#include <fermata/messages/fields.hpp>
#include <fermata/storage/memory_store.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// Many worlds with random sessions, people and faults, one for each seed: the search for defects
/// of Fermata itself, and of whatever agents and sessions it is given.
namespace fermata::sim {

struct campaign_options {
  seed_range seeds{1, 1'000};
  /// Ends the campaign after this much real time; nothing: when all seeds are done.
  std::optional<std::chrono::milliseconds> at_most;
  std::size_t nodes = 0;    ///< In each world; 0: the seed decides, from 1 to 3.
  std::size_t sessions = 0; ///< In each world; 0: the seed decides, from 1 to 8.
  bool share_store = false; ///< The nodes of a world are a cluster that shares a store.
  bool with_faults = true;
  /// Nothing: the seed decides, for each world anew. One every few minutes or hours; of all kinds,
  /// or of some of them alone, which lets others matter that would be drowned otherwise.
  std::optional<fault_mix> faults;
  /// How much virtual time a world has for its stories. Then faults and whims end.
  std::chrono::milliseconds horizon = std::chrono::hours{24};
  /// How much virtual time it has after that, until all is over. What the random sessions sleep and
  /// wait for at the longest fits into it.
  std::chrono::milliseconds settling = std::chrono::hours{24 * 30};
  /// False: a failure is reported as it was found.
  bool minimise = true;
  /// Of each world only these faults and sessions, by their places in the order of drawing, as
  /// `campaign_failure` names what is left of it: in ascending order, each once; places beyond the
  /// last are ignored. Nothing: all.
  std::optional<std::vector<std::size_t>> only_faults;
  std::optional<std::vector<std::size_t>> only_sessions;
  /// From so many worlds on, a campaign fails if it has never reached something that it is meant
  /// to reach (`reached`).
  std::uint64_t worlds_to_reach_all = 1'000;
  /// What the store of a node holds in the beginning, as `import_session` leaves it, besides the
  /// random sessions; null: nothing. Where not all of its sessions would live on one node, the
  /// world has only one, unless nodes share a store. Tools and agents that its sessions name, and
  /// that the random ones do not have, are played by stand-ins.
  std::shared_ptr<const memory_store> store;
  /// The wall clock begins then; nothing: in 2030. For `store`: when its last event happened.
  std::optional<timestamp> begins;
  /// Is given the trace of each world, but not of those that are tried in minimisation; empty: no
  /// traces are kept, which is faster.
  std::function<void(std::uint64_t seed, const trace&)> on_trace;

  campaign_options() = default;
};

/// A world in which something was wrong.
struct campaign_failure {
  std::uint64_t seed = 0;
  /// What was broken: P1 to P12, or `exception` for one that came out of the world.
  std::string promise;
  std::string text; ///< Of the first run.
  /// What is left in the smallest run that fails in the same way, of what there was.
  std::vector<std::size_t> faults; ///< For `campaign_options::only_faults`.
  std::size_t faults_before = 0;
  std::vector<std::size_t> sessions; ///< For `campaign_options::only_sessions`.
  std::size_t sessions_before = 0;
  std::size_t runs = 0; ///< That it took to find it.
  trace timeline;       ///< Of that run.

  campaign_failure() = default;
  friend bool operator==(const campaign_failure&, const campaign_failure&) = default;
  static constexpr auto fields() {
    return field_list{field("seed", &campaign_failure::seed),
                      field("promise", &campaign_failure::promise),
                      field("text", &campaign_failure::text),
                      field("faults", &campaign_failure::faults),
                      field("faults_before", &campaign_failure::faults_before),
                      field("sessions", &campaign_failure::sessions),
                      field("sessions_before", &campaign_failure::sessions_before),
                      field("runs", &campaign_failure::runs),
                      field("timeline", &campaign_failure::timeline)};
  }
};

/// What a campaign went through, and found. The object that `fermata sim --json` prints.
struct campaign_report {
  std::uint64_t first_seed = 0;
  std::uint64_t last_seed = 0; ///< The last one that was run.
  std::uint64_t worlds = 0;
  std::uint64_t resumes = 0; ///< As `coverage::resumes`.
  std::uint64_t steps = 0;   ///< Turns of actors, blocking functions and the network.
  std::uint64_t crashes = 0;
  std::chrono::milliseconds simulated{0}; ///< Virtual time, of all worlds together.
  std::chrono::milliseconds took{0};      ///< Real time, minimisation included.
  bool interrupted = false;               ///< It ended because it was told so.
  /// How often the sessions of `campaign_options::store` were in each state in the end of a world
  /// that broke nothing, by its name.
  std::map<std::string, std::uint64_t> given;
  /// Whom they name and stand-ins played: `agent miner`, `tool blast`.
  std::vector<std::string> stand_ins;
  /// How often fault points and rare states were reached, by name (coverage.hpp); what never was is
  /// there with 0. Filled in at the end.
  std::map<std::string, std::uint64_t> reached;
  /// Those of them with 0 that such a campaign is meant to reach; empty for one that was too short
  /// to say so.
  std::vector<std::string> missed;
  std::optional<campaign_failure> failure; ///< The first one: a campaign ends with it.

  campaign_report() = default;
  friend bool operator==(const campaign_report&, const campaign_report&) = default;
  static constexpr auto fields() {
    return field_list{field("first_seed", &campaign_report::first_seed),
                      field("last_seed", &campaign_report::last_seed),
                      field("worlds", &campaign_report::worlds),
                      field("resumes", &campaign_report::resumes),
                      field("steps", &campaign_report::steps),
                      field("crashes", &campaign_report::crashes),
                      field("simulated_ms", &campaign_report::simulated),
                      field("took_ms", &campaign_report::took),
                      field("interrupted", &campaign_report::interrupted),
                      optional_field("given", &campaign_report::given),
                      optional_field("stand_ins", &campaign_report::stand_ins),
                      field("reached", &campaign_report::reached),
                      field("missed", &campaign_report::missed),
                      field("failure", &campaign_report::failure)};
  }

  /// Nothing was wrong, and nothing was missed.
  [[nodiscard]] bool passed() const noexcept { return !failure && missed.empty(); }
};

/// Asked before each world, with what there is so far and the seed that comes next. False: that is
/// enough. Asked during minimisation, too, when `failure` is there already.
using campaign_progress = std::function<bool(const campaign_report& so_far, std::uint64_t next)>;

/// Runs a world for each seed, until one fails or all are done, or it is told to end. What a world
/// does follows from its seed and the options alone; a defect is found by breaking a promise of P1
/// to P11, or of a cluster, as the monitors see it, by an exception, by a store that is not sound
/// in the end, by a session that does not come to an end although all others do what they can (P6),
/// and by a world in which a million turns are taken while no time passes.
///
/// A failure is minimised: first the faults, then the sessions, then the faults once more, by some
/// hundreds of runs at most.
///
/// One thread. To use more processors, run more processes with other seeds: what is global in CAF,
/// and counts of Fermata's own (`coro::live_frames`), are a process's.
[[nodiscard]] campaign_report run_campaign(const campaign_options& options,
                                           const campaign_progress& progress = {});

/// One world of a campaign again.
struct replayed_seed {
  trace seen;
  std::optional<campaign_failure> failure; ///< Not minimised, and without `timeline`: see `seen`.

  replayed_seed() = default;
};

[[nodiscard]] replayed_seed replay_seed(const campaign_options& options, std::uint64_t seed);

/// What a campaign of these options is meant to reach, by the names in coverage.hpp: nothing in
/// particular where `sessions` is from 1 to 3.
[[nodiscard]] std::vector<std::string> meant_to_be_reached(const campaign_options& options);

} // namespace fermata::sim
