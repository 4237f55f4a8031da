#include <fermata/actors/sim/detail/campaign_loop.hpp>

#include <fermata/actors/sim/minimise.hpp>

#include <algorithm>
#include <utility>

namespace fermata::sim::detail {

namespace {

/// How often a world is run again to make it smaller, in each of the three passes.
constexpr std::size_t most_fault_runs = 200;
constexpr std::size_t most_session_runs = 50;

/// Those of `kept` that there are, in order; without it all.
std::vector<std::size_t> places_of(const std::optional<std::vector<std::size_t>>& kept,
                                   std::size_t count) {
  std::vector<std::size_t> places;
  for (std::size_t place = 0; place < count; ++place)
    if (!kept || std::find(kept->begin(), kept->end(), place) != kept->end())
      places.push_back(place);
  return places;
}

kept_parts parts_of(const campaign_options& options) {
  kept_parts parts;
  parts.faults = options.only_faults;
  parts.sessions = options.only_sessions;
  return parts;
}

campaign_failure describe_failure(std::uint64_t seed, const kept_parts& kept,
                                  const played_world& found) {
  campaign_failure failure;
  failure.seed = seed;
  failure.promise = found.broken->promise();
  failure.text = found.broken->text();
  failure.faults = places_of(kept.faults, found.faults);
  failure.faults_before = found.faults;
  failure.sessions = places_of(kept.sessions, found.sessions);
  failure.sessions_before = found.sessions;
  return failure;
}

/// Runs the world of a seed that fails again, and makes it smaller as long as it breaks the same
/// promise.
class shrinking {
public:
  shrinking(campaign_report& report, kept_parts kept, const campaign_progress& progress,
            const player& play)
      : report_{report}, failure_{*report.failure}, progress_{progress}, play_{play},
        kept_{std::move(kept)} {}

  void run(bool minimises) {
    if (!fails())
      failure_.text += " (The same world went otherwise the second time: P12 does not hold.)";
    else if (minimises)
      shrink_all();
    failure_.timeline = play_(failure_.seed, kept_, true).seen;
    ++failure_.runs;
  }

private:
  void shrink_all() {
    shrink(failure_.faults, kept_.faults, most_fault_runs);
    const auto sessions = failure_.sessions.size();
    shrink(failure_.sessions, kept_.sessions, most_session_runs);
    // With fewer sessions some of the faults may not be needed any more.
    if (failure_.sessions.size() < sessions)
      shrink(failure_.faults, kept_.faults, most_fault_runs);
  }

  /// Leaves out of `parts` what is not needed; `kept` is where the player is told of them.
  void shrink(std::vector<std::size_t>& parts, std::optional<std::vector<std::size_t>>& kept,
              std::size_t most_runs) {
    const auto chosen = [&](const std::vector<std::size_t>& places) {
      std::vector<std::size_t> some;
      for (const auto place : places)
        some.push_back(parts[place]);
      return some;
    };
    const auto found = minimise(
        parts.size(),
        [&](const std::vector<std::size_t>& places) {
          if (!goes_on())
            return false;
          kept = chosen(places);
          return fails();
        },
        most_runs);
    parts = chosen(found.parts);
    kept = parts;
  }

  bool fails() {
    ++failure_.runs;
    const auto played = play_(failure_.seed, kept_, false);
    return played.broken && played.broken->promise() == failure_.promise;
  }

  bool goes_on() {
    if (!report_.interrupted && progress_ && !progress_(report_, failure_.seed))
      report_.interrupted = true;
    return !report_.interrupted;
  }

  campaign_report& report_;
  campaign_failure& failure_;
  const campaign_progress& progress_;
  const player& play_;
  kept_parts kept_;
};

class campaign {
public:
  campaign(const campaign_options& options, const campaign_progress& progress, const player& play)
      : options_{options}, progress_{progress}, play_{play} {
    report_.first_seed = options.seeds.first;
  }

  campaign_report run() {
    for (auto seed = options_.seeds.first; begins(seed); ++seed) {
      add(seed, play_(seed, kept_, static_cast<bool>(options_.on_trace)));
      if (report_.failure || seed == options_.seeds.last)
        break;
    }
    if (report_.failure)
      shrinking{report_, kept_, progress_, play_}.run(options_.minimise);
    report_.stand_ins.assign(stand_ins_.begin(), stand_ins_.end());
    report_.reached = counts_.by_name();
    const auto meant = meant_to_be_reached(options_);
    for (const auto& name : meant)
      report_.reached.emplace(name, 0); // refusals are only there once they were reached
    if (report_.worlds >= options_.worlds_to_reach_all)
      for (const auto& name : meant)
        if (report_.reached.at(name) == 0)
          report_.missed.push_back(name);
    note_time();
    return std::move(report_);
  }

private:
  using clock = std::chrono::steady_clock;

  bool begins(std::uint64_t seed) {
    note_time();
    if (report_.worlds > 0 && options_.at_most && report_.took >= *options_.at_most)
      return false;
    if (progress_ && !progress_(report_, seed)) {
      report_.interrupted = true;
      return false;
    }
    return true;
  }

  void add(std::uint64_t seed, const played_world& played) {
    report_.last_seed = seed;
    ++report_.worlds;
    report_.resumes += played.resumes;
    report_.steps += played.steps;
    report_.crashes += played.crashes;
    report_.simulated += played.simulated;
    counts_ += played.reached;
    stand_ins_.insert(played.stand_ins.begin(), played.stand_ins.end());
    for (const auto& [state, times] : played.given)
      report_.given[state] += times;
    if (options_.on_trace)
      options_.on_trace(seed, played.seen);
    if (played.broken)
      report_.failure = describe_failure(seed, kept_, played);
  }

  void note_time() {
    report_.took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began_);
  }

  const campaign_options& options_;
  const campaign_progress& progress_;
  const player& play_;
  const kept_parts kept_ = parts_of(options_);
  clock::time_point began_ = clock::now();
  reach_counts counts_;
  std::set<std::string> stand_ins_;
  campaign_report report_;
};

} // namespace

campaign_report run_campaign(const campaign_options& options, const campaign_progress& progress,
                             const player& play) {
  return campaign{options, progress, play}.run();
}

replayed_seed replay_seed(const campaign_options& options, std::uint64_t seed, const player& play) {
  const auto kept = parts_of(options);
  auto played = play(seed, kept, true);
  replayed_seed replayed;
  if (played.broken)
    replayed.failure = describe_failure(seed, kept, played);
  replayed.seen = std::move(played.seen);
  return replayed;
}

} // namespace fermata::sim::detail
