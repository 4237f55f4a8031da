#pragma once

#include <fermata/actors/sim/campaign.hpp>
#include <fermata/actors/sim/coverage.hpp>
#include <fermata/actors/sim/monitor.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fermata::sim::detail {

/// What is left of the world that follows from a seed: places in the order of drawing.
struct kept_parts {
  std::optional<std::vector<std::size_t>> faults;   ///< Nothing: all.
  std::optional<std::vector<std::size_t>> sessions; ///< Nothing: all.

  kept_parts() = default;
};

/// How one world of a campaign went.
struct played_world {
  std::optional<violation> broken; ///< Nothing: it went well.
  std::size_t faults = 0;          ///< How many there are without leaving any out.
  std::size_t sessions = 0;
  reach_counts reached;
  std::uint64_t resumes = 0;
  std::uint64_t steps = 0;
  std::uint64_t crashes = 0;
  std::chrono::milliseconds simulated{0};
  trace seen;                                 ///< Where one was asked for.
  std::map<std::string, std::uint64_t> given; ///< As `campaign_report::given`.
  std::set<std::string> stand_ins;            ///< As `campaign_report::stand_ins`.

  played_world() = default;
};

/// Plays the world of a seed. The same arguments give the same world, and nothing is thrown.
using player =
    std::function<played_world(std::uint64_t seed, const kept_parts& kept, bool with_trace)>;

/// A campaign of worlds that somebody else plays: seeds, time, minimisation, the report.
[[nodiscard]] campaign_report run_campaign(const campaign_options& options,
                                           const campaign_progress& progress, const player& play);

/// The same for one seed.
[[nodiscard]] replayed_seed replay_seed(const campaign_options& options, std::uint64_t seed,
                                        const player& play);

} // namespace fermata::sim::detail
