#include <fermata/actors/sim/each_seed.hpp>

#include <fermata/actors/sim/minimise.hpp>
#include <fermata/actors/sim/seed_range.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <typeinfo>
#include <utility>

namespace fermata::sim {

namespace {

/// How often a failing story is run again. A test framework reports each failure of its own.
constexpr std::size_t most_runs = 300;
constexpr std::size_t most_reported_runs = 25;
/// What is shown of a timeline, from its end.
constexpr std::size_t longest_timeline = 300;

/// One run that failed.
struct failed_run {
  std::string way;  ///< Equal for runs that fail in the same way.
  std::string text; ///< For people.
  bool is_foreign = false;
  std::size_t faults = 0; ///< Planned, those that were left out included.
  trace seen;
};

std::optional<failed_run> run(std::uint64_t seed, const story& told, std::set<std::size_t> left_out,
                              bool with_trace) {
  world in{seed};
  in.leave_out(std::move(left_out));
  if (with_trace)
    in.keep_trace();
  in.watch_promises();
  failed_run failed;
  try {
    told(in);
    return std::nullopt;
  } catch (const violation& broken) {
    failed.way = "violation of " + broken.promise();
    failed.text = one_line(broken.promise() + ": " + broken.text());
  } catch (const std::exception& error) {
    failed.way = typeid(error).name();
    failed.text = one_line(error.what());
  } catch (...) {
    failed.is_foreign = true;
    failed.text = "an assertion failed, the first of those that are reported above (the others are "
                  "of runs with fewer faults), or it threw what is no std::exception";
  }
  failed.faults = in.planned_faults();
  failed.seen = in.trace();
  return failed;
}

/// All faults but these.
std::set<std::size_t> all_but(const std::vector<std::size_t>& kept, std::size_t count) {
  std::set<std::size_t> rest;
  for (std::size_t index = 0; index < count; ++index)
    if (!std::binary_search(kept.begin(), kept.end(), index))
      rest.insert(rest.end(), index);
  return rest;
}

[[noreturn]] void report(std::uint64_t seed, const story& told, const failed_run& failed) {
  const auto fails = [&](const std::vector<std::size_t>& kept) {
    const auto again = run(seed, told, all_but(kept, failed.faults), false);
    return again && again->way == failed.way;
  };
  const auto smallest =
      minimise(failed.faults, fails, failed.is_foreign ? most_reported_runs : most_runs);
  const auto shown = run(seed, told, all_but(smallest.parts, failed.faults), true);
  auto text = "seed " + std::to_string(seed) + ": " + failed.text
              + "\nIt runs again, alone, with FERMATA_SIM_SEEDS=" + std::to_string(seed)
              + " in the environment.\n";
  if (!shown || shown->way != failed.way)
    throw failed_seed{seed, text
                                + "The same run ends otherwise the second time: the story depends "
                                  "on something besides the world and its seed.\n"};
  text += smallest.parts.empty()
              ? std::string{"It fails without any fault:\n"}
              : std::to_string(smallest.parts.size()) + " of its " + std::to_string(failed.faults)
                    + " faults are enough" + (smallest.is_minimal ? "" : " (there may be fewer)")
                    + ":\n";
  text += timeline(shown->seen, longest_timeline) + "=> " + shown->text;
  throw failed_seed{seed, text};
}

seed_range seeds_from_environment(seed_range otherwise) {
  const auto* text = std::getenv("FERMATA_SIM_SEEDS");
  if (text == nullptr || *text == '\0')
    return otherwise;
  const auto parsed = parse_seed_range(text);
  if (!parsed)
    throw std::invalid_argument{"FERMATA_SIM_SEEDS: " + message_of(parsed.error())};
  return *parsed;
}

} // namespace

void each_seed(std::uint64_t from, std::uint64_t to, const story& told) {
  if (from > to)
    throw std::invalid_argument{"seeds from " + std::to_string(from) + " to " + std::to_string(to)
                                + ": the smaller one comes first"};
  const auto seeds = seeds_from_environment({from, to});
  for (auto seed = seeds.first;; ++seed) {
    if (const auto failed = run(seed, told, {}, false))
      report(seed, told, *failed);
    if (seed == seeds.last)
      break;
  }
}

} // namespace fermata::sim
