// Whether the simulation finds the planted defects, and how soon.
//
//   mutants --list
//   mutants NAME|--none|--none-shared --seeds N|A-B
//     Runs seeds until one finds something. --none: nothing is planted; --none-shared: nor where
//     nodes share a store.
//   mutants NAME|--none|--none-shared --show N
//     Shows one seed to its end.
//   mutants --check [ROUNDS]
//     Each defect is found within its stated number of seeds, and nothing is found in those seeds
//     where nothing is planted. More rounds, with other seeds, for a better median.
//
// Ends with 0 if it is as it should be: a defect is found, and without one nothing is.

#include "hunt.hpp"

#include <fermata/actors/sim/trace.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

using namespace fermata;
using namespace fermata::test;

namespace {

constexpr int as_it_should_be = 0;
constexpr int not_as_it_should_be = 1;
constexpr int wrong_usage = 2;

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                  : std::nullopt;
}

const mutation* find_mutation(std::string_view name) {
  const auto all = all_mutations();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const mutation& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

int use() {
  std::fputs("use: mutants --list\n"
             "     mutants NAME|--none|--none-shared --seeds N|A-B\n"
             "     mutants NAME|--none|--none-shared --show N\n"
             "     mutants --check [ROUNDS]\n",
             stderr);
  return wrong_usage;
}

int list() {
  for (const auto& one : all_mutations())
    std::printf("%-36.*s %-7.*s %4u  %.*s\n", static_cast<int>(one.name.size()), one.name.data(),
                static_cast<int>(one.breaks.size()), one.breaks.data(), one.found_within,
                static_cast<int>(one.what.size()), one.what.data());
  return as_it_should_be;
}

/// Runs seeds until one finds something.
int search(const mutation* what, const sim::seed_range& seeds, bool shares_store) {
  std::uint64_t reached = 0;
  for (auto seed = seeds.first; seed <= seeds.last; ++seed) {
    const auto outcome = hunt(what, seed, shares_store);
    reached += outcome.times_mutated > 0;
    if (!outcome.found)
      continue;
    std::printf("seed %llu: %s: %s\n", static_cast<unsigned long long>(seed),
                outcome.found->promise.c_str(), outcome.found->text.c_str());
    return what != nullptr ? as_it_should_be : not_as_it_should_be;
  }
  std::printf("nothing found\n");
  if (what == nullptr)
    return as_it_should_be;
  std::printf("the planted code ran in %llu of the worlds\n",
              static_cast<unsigned long long>(reached));
  return not_as_it_should_be;
}

/// Shows one seed to its end, in this process, so that a debugger can look at it.
int show(const mutation* what, std::uint64_t seed, bool shares_store) {
  select_mutation(what != nullptr ? what->name : std::string_view{});
  const auto ran = sim::replay_seed(campaign_of(seed, shares_store), seed);
  std::fputs(sim::timeline(ran.seen).c_str(), stdout);
  if (ran.failure)
    std::printf("%s: %s\n", ran.failure->promise.c_str(), ran.failure->text.c_str());
  if (what != nullptr)
    std::printf("the planted code ran %llu times\n",
                static_cast<unsigned long long>(times_mutated()));
  return (what != nullptr) == ran.failure.has_value() ? as_it_should_be : not_as_it_should_be;
}

/// Rounds begin at seeds that are far enough from each other.
constexpr std::uint64_t seeds_between_rounds = 100'000;

/// Looks for all defects, and counts.
class checker {
public:
  explicit checker(std::uint64_t rounds) : rounds_{rounds} {}

  /// Prints a line for each, and what it all comes to. True: each is found in each round.
  bool check_all() {
    bool good = true;
    for (const auto& one : all_mutations())
      good = check(one) && good;
    const auto unclean =
        std::count_if(clean_.begin(), clean_.end(), [](const auto& seed) { return !seed.second; });
    if (!needed_.empty())
      std::printf("all %zu: median %llu, worst %llu seeds; where nothing is planted something is "
                  "found in %td of these seeds\n",
                  all_mutations().size(), static_cast<unsigned long long>(median_of(needed_)),
                  static_cast<unsigned long long>(worst_of(needed_)), unclean);
    return good && unclean == 0;
  }

private:
  bool check(const mutation& what) {
    std::vector<std::uint64_t> counts;
    std::string promises;
    bool good = true;
    for (std::uint64_t round = 0; round < rounds_; ++round) {
      const auto found = find(what, round * seeds_between_rounds + 1);
      good = found && good;
      if (!found)
        continue;
      counts.push_back(found->seeds);
      if (promises.find(found->promise) == std::string::npos)
        promises += (promises.empty() ? "" : " ") + found->promise;
    }
    std::printf("%-36.*s ", static_cast<int>(what.name.size()), what.name.data());
    if (good)
      std::printf("median %4llu  worst %4llu  stated %4u  breaks %.*s, seen as %s\n",
                  static_cast<unsigned long long>(median_of(counts)),
                  static_cast<unsigned long long>(worst_of(counts)), what.found_within,
                  static_cast<int>(what.breaks.size()), what.breaks.data(), promises.c_str());
    else
      std::printf("NOT FOUND within %u seeds in %zu of %llu rounds\n", what.found_within,
                  static_cast<std::size_t>(rounds_) - counts.size(),
                  static_cast<unsigned long long>(rounds_));
    std::fflush(stdout);
    needed_.insert(needed_.end(), counts.begin(), counts.end());
    return good;
  }

  struct found_defect {
    std::uint64_t seeds; ///< That it took.
    std::string promise;
  };

  /// Nothing: it is not found within the stated number of seeds.
  std::optional<found_defect> find(const mutation& what, std::uint64_t first) {
    for (std::uint64_t tried = 0; tried < what.found_within; ++tried)
      if (const auto seed = first + tried; comes_to(what, seed))
        if (auto outcome = hunt(&what, seed, what.shares_store);
            outcome.found && is_clean(seed, what.shares_store))
          return found_defect{tried + 1, std::move(outcome.found->promise)};
    return std::nullopt;
  }

  /// False when the seed is the same with this mutation as without it.
  bool comes_to(const mutation& what, std::uint64_t seed) {
    const auto [known, added] = reached_.try_emplace({seed, what.shares_store});
    if (added) {
      auto outcome = hunt(nullptr, seed, what.shares_store, aim::places);
      if (outcome.found)
        note_unclean(seed, what.shares_store, *outcome.found);
      known->second = std::move(outcome.reached);
    }
    return known->second.contains(what.name);
  }

  /// True when nothing is found in a seed where nothing is planted: else it says nothing about what
  /// is.
  bool is_clean(std::uint64_t seed, bool shares_store) {
    const auto [known, added] = clean_.try_emplace({seed, shares_store}, true);
    if (!added)
      return known->second;
    if (const auto outcome = hunt(nullptr, seed, shares_store); outcome.found)
      note_unclean(seed, shares_store, *outcome.found);
    return known->second;
  }

  void note_unclean(std::uint64_t seed, bool shares_store, const finding& found) {
    clean_[{seed, shares_store}] = false;
    std::printf("seed %llu fails where nothing is planted: %s: %s\n",
                static_cast<unsigned long long>(seed), found.promise.c_str(), found.text.c_str());
  }

  static std::uint64_t worst_of(const std::vector<std::uint64_t>& counts) {
    return *std::max_element(counts.begin(), counts.end());
  }

  /// The middle one of those, which are not empty.
  static std::uint64_t median_of(std::vector<std::uint64_t> counts) {
    const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
    std::nth_element(counts.begin(), middle, counts.end());
    return *middle;
  }

  std::uint64_t rounds_;
  std::vector<std::uint64_t> needed_; ///< Seeds, of all defects and rounds.

  using world = std::pair<std::uint64_t, bool>; ///< A seed, and whether nodes share a store.
  std::map<world, bool> clean_;
  std::map<world, std::set<std::string, std::less<>>> reached_; ///< The mutations whose places.
};

} // namespace

int main(int count, char** values) {
  const std::vector<std::string_view> arguments{values + 1, values + count};
  if (arguments.size() == 1 && arguments[0] == "--list")
    return list();
  if (!arguments.empty() && arguments[0] == "--check" && arguments.size() <= 2) {
    const auto rounds = arguments.size() == 2 ? number_in(arguments[1]) : 1;
    if (!rounds || *rounds == 0)
      return use();
    return checker{*rounds}.check_all() ? as_it_should_be : not_as_it_should_be;
  }
  if (arguments.size() != 3)
    return use();
  const bool plants = arguments[0] != "--none" && arguments[0] != "--none-shared";
  const auto* what = plants ? find_mutation(arguments[0]) : nullptr;
  const bool shares_store =
      plants ? what != nullptr && what->shares_store : arguments[0] == "--none-shared";
  if (what == nullptr && plants) {
    std::fprintf(stderr, "no mutation is called %s; --list lists them\n", values[1]);
    return wrong_usage;
  }
  const auto seeds = sim::parse_seed_range(arguments[2]);
  if (!seeds) {
    std::fprintf(stderr, "%s\n", message_of(seeds.error()).c_str());
    return wrong_usage;
  }
  if (arguments[1] == "--seeds")
    return search(what, *seeds, shares_store);
  return arguments[1] == "--show" ? show(what, seeds->first, shares_store) : use();
}
