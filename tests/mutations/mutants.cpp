// Whether the simulation finds the planted defects, and how soon.
//
//   mutants --list
//   mutants NAME|--none --seeds N|A-B
//     Runs seeds until one finds something. --none: nothing is planted.
//   mutants NAME|--none --show N
//     Shows one seed to its end.
//   mutants --check [ROUNDS]
//     Each defect is found within its number of seeds, and the same seeds find nothing where
//     nothing is planted. Another round, with other seeds, for a better median.
//
// Ends with 0 if it is as it should be: a defect is found, and without one nothing is.

#include "hunt.hpp"

#include <fermata/actors/sim/trace.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
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
             "     mutants NAME|--none --seeds N|A-B\n"
             "     mutants NAME|--none --show N\n"
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
int search(const mutation* what, const sim::seed_range& seeds) {
  std::uint64_t reached = 0;
  for (auto seed = seeds.first; seed <= seeds.last; ++seed) {
    const auto outcome = hunt(what, seed);
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
int show(const mutation* what, std::uint64_t seed) {
  select_mutation(what != nullptr ? what->name : std::string_view{});
  const auto ran = sim::replay_seed(campaign_of(seed), seed);
  std::fputs(sim::timeline(ran.seen).c_str(), stdout);
  if (ran.failure)
    std::printf("%s: %s\n", ran.failure->promise.c_str(), ran.failure->text.c_str());
  if (what != nullptr)
    std::printf("the planted code ran %llu times\n",
                static_cast<unsigned long long>(times_mutated()));
  return (what != nullptr) == ran.failure.has_value() ? as_it_should_be : not_as_it_should_be;
}

/// Rounds begin at seeds that are far enough from each other.
constexpr std::uint64_t seeds_between_rounds = 10'000;

/// How many seeds were needed, in each round; nothing: it was not found within the stated number.
std::vector<std::optional<std::uint64_t>> needed(const mutation& what, std::uint64_t rounds) {
  std::vector<std::optional<std::uint64_t>> counts;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    auto& count = counts.emplace_back();
    for (std::uint64_t tried = 1; tried <= what.found_within && !count; ++tried)
      if (hunt(&what, round * seeds_between_rounds + tried).found)
        count = tried;
  }
  return counts;
}

/// The middle one of those, which are not empty.
std::uint64_t median_of(std::vector<std::uint64_t> counts) {
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  return *middle;
}

/// Prints one line for a mutation. True: it was found in each round.
bool report(const mutation& what, const std::vector<std::optional<std::uint64_t>>& counts,
            std::vector<std::uint64_t>& all) {
  std::vector<std::uint64_t> found;
  for (const auto& count : counts)
    if (count)
      found.push_back(*count);
  std::printf("%-36.*s %-7.*s ", static_cast<int>(what.name.size()), what.name.data(),
              static_cast<int>(what.breaks.size()), what.breaks.data());
  if (found.size() == counts.size())
    std::printf("median %4llu  worst %4llu  stated %4u\n",
                static_cast<unsigned long long>(median_of(found)),
                static_cast<unsigned long long>(*std::max_element(found.begin(), found.end())),
                what.found_within);
  else
    std::printf("NOT FOUND within %u seeds in %zu of %zu rounds\n", what.found_within,
                counts.size() - found.size(), counts.size());
  std::fflush(stdout);
  all.insert(all.end(), found.begin(), found.end());
  return found.size() == counts.size();
}

int check(std::uint64_t rounds) {
  bool good = true;
  std::uint64_t most = 0;
  std::vector<std::uint64_t> all;
  for (const auto& one : all_mutations()) {
    good = report(one, needed(one, rounds), all) && good;
    most = std::max<std::uint64_t>(most, one.found_within);
  }
  if (!all.empty())
    std::printf("all %zu: median %llu, worst %llu seeds\n", all_mutations().size(),
                static_cast<unsigned long long>(median_of(all)),
                static_cast<unsigned long long>(*std::max_element(all.begin(), all.end())));
  std::printf("with nothing planted, the same seeds:\n");
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const auto first = round * seeds_between_rounds + 1;
    good = search(nullptr, sim::seed_range{first, first + most - 1}) == as_it_should_be && good;
  }
  return good ? as_it_should_be : not_as_it_should_be;
}

} // namespace

int main(int count, char** values) {
  const std::vector<std::string_view> arguments{values + 1, values + count};
  if (arguments.size() == 1 && arguments[0] == "--list")
    return list();
  if (!arguments.empty() && arguments[0] == "--check" && arguments.size() <= 2) {
    const auto rounds = arguments.size() == 2 ? number_in(arguments[1]) : 1;
    return rounds && *rounds > 0 ? check(*rounds) : use();
  }
  if (arguments.size() != 3)
    return use();
  const auto* what = arguments[0] == "--none" ? nullptr : find_mutation(arguments[0]);
  if (what == nullptr && arguments[0] != "--none") {
    std::fprintf(stderr, "no mutation is called %s; --list lists them\n", values[1]);
    return wrong_usage;
  }
  const auto seeds = sim::parse_seed_range(arguments[2]);
  if (!seeds) {
    std::fprintf(stderr, "%s\n", message_of(seeds.error()).c_str());
    return wrong_usage;
  }
  if (arguments[1] == "--seeds")
    return search(what, *seeds);
  return arguments[1] == "--show" ? show(what, seeds->first) : use();
}
