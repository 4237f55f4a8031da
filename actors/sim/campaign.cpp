#include <fermata/actors/sim/campaign.hpp>

#include <fermata/actors/sim/detail/campaign_loop.hpp>
#include <fermata/actors/sim/detail/play_world.hpp>

#include <algorithm>
#include <array>

namespace fermata::sim {

namespace {

/// In a world with fewer too little happens to demand anything.
constexpr std::size_t sessions_to_reach_all = 4;

/// What only faults bring about.
constexpr std::array needs_faults{"event/step_restarted",       "event/session_activated",
                                  "event/outcome_unknown",      "event/outcome_resolved",
                                  "rare/open_claim_asked",      "rare/open_claim_rerun",
                                  "rare/open_claim_reconciled", "rare/run_ended_after_all",
                                  "rare/timer_due_while_down",  "rare/backoff_over_crash",
                                  "rare/pause_over_crash",      "rare/suspension_over_crash",
                                  "rare/crash_during_recovery", "rare/reloaded_after_failure",
                                  "rare/repeated_over_crash",   "rare/taken_over",
                                  "rare/moved_while_running",   "refusal/shutting_down",
                                  "refusal/io_error",           "refusal/disk_full",
                                  "refusal/store_corrupt"};

/// What only several nodes bring about.
constexpr std::array needs_links{
    "rare/handed_over",   "rare/taken_over",   "rare/moved_while_running",
    "fault/partition",    "fault/slow_link",   "fault/drop_connections",
    "fault/clock_offset", "refusal/timed_out", "refusal/node_unavailable"};

/// What only nodes that share a store bring about.
bool needs_shared_store(std::string_view name) {
  const auto is_one = [name]<class Kind>(std::string_view group, Kind kinds) {
    const auto names = enum_names(kinds);
    for (std::size_t kind = 0; kind < names.size(); ++kind)
      if (name == std::string{group} + std::string{names[kind]})
        return sim::needs_shared_store(static_cast<Kind>(kind));
    return false;
  };
  return is_one("fault/", fault_kind{}) || is_one("rare/", rare_state{});
}

/// No session comes back to it.
constexpr std::array never{"state/idle"};

/// What sessions refuse commands with. Others are for what no participant can say here (text that
/// cannot be understood, stores of other versions and processes, defects), or come so seldom that
/// a campaign could miss them by chance (denied_by_policy: some four times in 1,000 worlds).
constexpr std::array refusals{
    "refusal/invalid_field",     "refusal/limit_exceeded",   "refusal/empty_plan",
    "refusal/duplicate_subtask", "refusal/self_dependency",  "refusal/dependency_cycle",
    "refusal/unknown_agent",     "refusal/unknown_tool",     "refusal/unknown_dependency",
    "refusal/invalid_arguments", "refusal/invalid_answer",   "refusal/unknown_session",
    "refusal/unknown_subtask",   "refusal/unknown_call",     "refusal/unknown_approval",
    "refusal/unknown_decision",  "refusal/session_busy",     "refusal/not_allowed",
    "refusal/not_approved",      "refusal/already_answered", "refusal/already_decided",
    "refusal/superseded",        "refusal/stale_approval",   "refusal/overloaded",
    "refusal/timed_out",         "refusal/shutting_down",    "refusal/io_error",
    "refusal/disk_full",         "refusal/store_corrupt",    "refusal/node_unavailable"};

/// Some kinds alone need not bring about what faults do together.
bool has_chosen_kinds(const campaign_options& options) {
  return options.faults && !options.faults->weights.empty();
}

/// May a fault of this kind, `fault/crash`, happen at all?
bool can_hit(const campaign_options& options, std::string_view name) {
  if (!options.with_faults || !has_chosen_kinds(options))
    return options.with_faults;
  const auto kinds = enum_names(fault_kind{});
  const auto found = std::find(kinds.begin(), kinds.end(), name.substr(name.find('/') + 1));
  const auto weight = options.faults->weights.find(static_cast<fault_kind>(found - kinds.begin()));
  return weight != options.faults->weights.end() && weight->second > 0;
}

template <std::size_t Size>
bool contains(const std::array<const char*, Size>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

} // namespace

campaign_report run_campaign(const campaign_options& options, const campaign_progress& progress) {
  return detail::run_campaign(options, progress, detail::real_worlds(options));
}

replayed_seed replay_seed(const campaign_options& options, std::uint64_t seed) {
  return detail::replay_seed(options, seed, detail::real_worlds(options));
}

std::vector<std::string> meant_to_be_reached(const campaign_options& options) {
  std::vector<std::string> names;
  if (options.sessions != 0 && options.sessions < sessions_to_reach_all)
    return names;
  const auto add = [&](const std::string& name) {
    const bool lacks_faults =
        (name.starts_with("fault/") && !can_hit(options, name))
        || ((!options.with_faults || has_chosen_kinds(options)) && contains(needs_faults, name));
    const bool lacks_links = options.nodes == 1 && contains(needs_links, name);
    const bool lacks_store = !options.share_store && needs_shared_store(name);
    if (!lacks_faults && !lacks_links && !lacks_store && !contains(never, name))
      names.push_back(name);
  };
  for (const auto& [name, count] : reach_counts{}.by_name())
    add(name);
  for (const auto* name : refusals)
    add(name);
  return names;
}

} // namespace fermata::sim
