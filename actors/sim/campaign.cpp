#include <fermata/actors/sim/campaign.hpp>

#include <fermata/actors/sim/detail/campaign_loop.hpp>
#include <fermata/actors/sim/detail/play_world.hpp>

#include <algorithm>
#include <array>

namespace fermata::sim {

namespace {

constexpr std::array faults_of_links{"fault/partition", "fault/slow_link",
                                     "fault/drop_connections"};

/// What only faults bring about.
constexpr std::array needs_faults{
    "event/step_restarted",       "event/session_activated",     "rare/open_claim_asked",
    "rare/open_claim_rerun",      "rare/open_claim_reconciled",  "rare/timer_due_while_down",
    "rare/backoff_over_crash",    "rare/pause_over_crash",       "rare/suspension_over_crash",
    "rare/crash_during_recovery", "rare/reloaded_after_failure", "rare/repeated_over_crash"};

/// No session comes back to it.
constexpr std::array never{"state/idle"};

template <std::size_t Size>
bool contains(const std::array<const char*, Size>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

} // namespace

campaign_report run_campaign(const campaign_options& options, const campaign_progress& progress) {
  return detail::run_campaign(options, progress, detail::real_worlds(options));
}

replayed_seed replay_seed(const campaign_options& options, std::uint64_t seed) {
  return detail::replay_seed(seed, detail::real_worlds(options));
}

std::vector<std::string> meant_to_be_reached(const campaign_options& options) {
  std::vector<std::string> names;
  for (const auto& [name, count] : reach_counts{}.by_name()) {
    const bool left_out =
        contains(never, name) || (options.nodes == 1 && contains(faults_of_links, name))
        || (!options.with_faults && (name.starts_with("fault/") || contains(needs_faults, name)));
    if (!left_out)
      names.push_back(name);
  }
  return names;
}

} // namespace fermata::sim
