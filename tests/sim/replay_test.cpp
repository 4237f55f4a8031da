// P12: what a world does follows from its seed, whatever the process did before. That it is the
// same in another process is tests/cli/sim_test.cpp's.
#include <fermata/actors/sim/campaign.hpp>

#include <fermata_catch.hpp>
#include <sanitized.hpp>

namespace replay_test {

using namespace fermata;
using namespace fermata::sim;
using namespace std::chrono_literals;

namespace {

/// Small worlds, so that there can be many.
campaign_options small_worlds() {
  campaign_options options;
  options.sessions = 2;
  options.minimise = false;
  return options;
}

/// The traces of a campaign, by the order of its seeds.
std::vector<trace> traces_of(campaign_options options, seed_range seeds) {
  std::vector<trace> traces;
  options.seeds = seeds;
  options.on_trace = [&](std::uint64_t, const trace& seen) { traces.push_back(seen); };
  const auto report = run_campaign(options);
  INFO(to_json(report).dump());
  CHECK_FALSE(report.failure);
  return traces;
}

} // namespace

TEST_CASE("P12: the trace of a seed equals itself after 300 other worlds") {
  constexpr std::uint64_t seeds = test::is_sanitized ? 20 : 200;
  const auto options = small_worlds();
  const auto first = traces_of(options, {1, seeds});
  static_cast<void>(traces_of(options, {1'001, 1'000 + (test::is_sanitized ? 20 : 101)}));
  const auto again = traces_of(options, {1, seeds});
  REQUIRE(first.size() == seeds);
  REQUIRE(again.size() == seeds);
  for (std::size_t place = 0; place < first.size(); ++place) {
    INFO("seed " << place + 1 << ": " << first_difference(first[place], again[place]));
    CHECK(to_text(first[place]) == to_text(again[place]));
  }
}

TEST_CASE("P12: seeds differ from each other") {
  const auto traces = traces_of(small_worlds(), {1, 2});
  REQUIRE(traces.size() == 2);
  CHECK_FALSE(first_difference(traces[0], traces[1]).empty());
}

TEST_CASE("a replayed seed is the one of the campaign") {
  const auto options = small_worlds();
  const auto seen = traces_of(options, {17, 17});
  const auto replayed = replay_seed(options, 17);
  CHECK_FALSE(replayed.failure);
  REQUIRE(seen.size() == 1);
  CHECK(first_difference(seen[0], replayed.seen).empty());
}

TEST_CASE("watching a world and keeping its trace do not change it") {
  auto options = small_worlds();
  options.seeds = {1, 20};
  const auto silent = run_campaign(options);
  options.on_trace = [](std::uint64_t, const trace&) {};
  const auto traced = run_campaign(options);
  CHECK(silent.steps == traced.steps);
  CHECK(silent.simulated == traced.simulated);
  CHECK(silent.reached == traced.reached);
}

} // namespace replay_test
