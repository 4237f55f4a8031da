#include <fermata/actors/sim/detail/campaign_loop.hpp>

#include <fermata_catch.hpp>

#include <algorithm>
#include <numeric>

namespace campaign_test {

using namespace fermata;
using namespace fermata::sim;
namespace loop = fermata::sim::detail;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t fault_count = 60;
constexpr std::size_t session_count = 6;

std::vector<std::size_t> all(std::size_t count) {
  std::vector<std::size_t> parts(count);
  std::iota(parts.begin(), parts.end(), std::size_t{0});
  return parts;
}

bool has(const std::vector<std::size_t>& parts, std::size_t one) {
  return std::find(parts.begin(), parts.end(), one) != parts.end();
}

/// What a made-up world has, after some of it was left out.
struct remains {
  std::vector<std::size_t> faults;
  std::vector<std::size_t> sessions;
};

/// A made-up world, in which `judge` decides what is wrong.
loop::player
played_by(std::function<std::optional<violation>(std::uint64_t, const remains&)> judge) {
  return [judge](std::uint64_t seed, const loop::kept_parts& kept, bool with_trace) {
    const remains left{kept.faults.value_or(all(fault_count)),
                       kept.sessions.value_or(all(session_count))};
    loop::played_world played;
    played.faults = fault_count;
    played.sessions = session_count;
    played.resumes = 10;
    played.simulated = 1h;
    played.reached.count(rare_state::plan_expired);
    played.broken = judge(seed, left);
    if (with_trace) {
      trace_entry entry;
      entry.text = std::to_string(left.faults.size()) + " faults, "
                   + std::to_string(left.sessions.size()) + " sessions";
      played.seen.push_back(entry);
    }
    return played;
  };
}

std::optional<violation> all_is_well(std::uint64_t, const remains&) {
  return std::nullopt;
}

campaign_options seeds(std::uint64_t first, std::uint64_t last) {
  campaign_options options;
  options.seeds = {first, last};
  return options;
}

} // namespace

TEST_CASE("a campaign runs a world for each seed and adds up what they went through") {
  std::vector<std::uint64_t> asked;
  const auto report = loop::run_campaign(
      seeds(5, 14),
      [&](const campaign_report& so_far, std::uint64_t next) {
        CHECK(so_far.worlds == asked.size());
        asked.push_back(next);
        return true;
      },
      played_by(all_is_well));
  CHECK(asked == std::vector<std::uint64_t>{5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
  CHECK(report.first_seed == 5);
  CHECK(report.last_seed == 14);
  CHECK(report.worlds == 10);
  CHECK(report.resumes == 100);
  CHECK(report.simulated == 10h);
  CHECK(report.reached.at("rare/plan_expired") == 10);
  CHECK(report.reached.at("rare/denied_call") == 0);
  CHECK_FALSE(report.interrupted);
  CHECK(report.passed());
}

TEST_CASE("the last seed that there is ends a campaign") {
  const auto last = std::numeric_limits<std::uint64_t>::max();
  CHECK(loop::run_campaign(seeds(last - 1, last), {}, played_by(all_is_well)).worlds == 2);
}

TEST_CASE("a campaign ends when it is told to, and reports what there is") {
  const auto report = loop::run_campaign(
      seeds(1, 1'000), [](const campaign_report&, std::uint64_t next) { return next <= 7; },
      played_by(all_is_well));
  CHECK(report.interrupted);
  CHECK(report.worlds == 7);
  CHECK(report.last_seed == 7);
  CHECK(report.passed());
}

TEST_CASE("a campaign that has no time left has run one world") {
  auto options = seeds(1, 1'000);
  options.at_most = 0ms;
  const auto report = loop::run_campaign(options, {}, played_by(all_is_well));
  CHECK(report.worlds == 1);
  CHECK_FALSE(report.interrupted);
}

TEST_CASE("a campaign ends with the first failure, made as small as it gets") {
  // It takes faults 7 and 40, if session 3 is there, or else fault 12 as well.
  const auto judge = [](std::uint64_t seed, const remains& left) -> std::optional<violation> {
    if (seed == 9 && has(left.faults, 7) && has(left.faults, 40)
        && (has(left.sessions, 3) || has(left.faults, 12)))
      return violation{"P4", "a call has two results"};
    return std::nullopt;
  };
  const auto report = loop::run_campaign(seeds(1, 100), {}, played_by(judge));
  CHECK(report.worlds == 9);
  CHECK_FALSE(report.passed());
  REQUIRE(report.failure);
  CHECK(report.failure->seed == 9);
  CHECK(report.failure->promise == "P4");
  CHECK(report.failure->text == "a call has two results");
  CHECK(report.failure->faults_before == fault_count);
  CHECK(report.failure->sessions_before == session_count);
  CHECK(report.failure->faults == std::vector<std::size_t>{7, 40});
  CHECK(report.failure->sessions == std::vector<std::size_t>{3});
  REQUIRE(report.failure->timeline.size() == 1);
  CHECK(report.failure->timeline[0].text == "2 faults, 1 sessions");
}

TEST_CASE("faults that only left-out sessions needed are left out, too") {
  // Session 0 takes fault 1, session 5 no fault; with all sessions it takes fault 1 as well.
  const auto judge = [](std::uint64_t, const remains& left) -> std::optional<violation> {
    if (left.sessions.size() < session_count || has(left.faults, 1))
      return violation{"P6", "a dead end"};
    return std::nullopt;
  };
  const auto report = loop::run_campaign(seeds(1, 1), {}, played_by(judge));
  REQUIRE(report.failure);
  CHECK(report.failure->sessions.empty());
  CHECK(report.failure->faults.empty());
}

TEST_CASE("a smaller world that breaks another promise is not the same failure") {
  const auto judge = [](std::uint64_t, const remains& left) -> std::optional<violation> {
    return has(left.faults, 33) ? violation{"P1", "one"} : violation{"P2", "other"};
  };
  const auto report = loop::run_campaign(seeds(1, 1), {}, played_by(judge));
  REQUIRE(report.failure);
  CHECK(report.failure->promise == "P1");
  CHECK(report.failure->faults == std::vector<std::size_t>{33});
}

TEST_CASE("a failure that does not come back is called a broken P12") {
  int runs = 0;
  const auto judge = [&](std::uint64_t, const remains&) -> std::optional<violation> {
    return ++runs == 1 ? std::optional{violation{"P4", "once"}} : std::nullopt;
  };
  const auto report = loop::run_campaign(seeds(1, 1), {}, played_by(judge));
  REQUIRE(report.failure);
  CHECK(report.failure->text.find("P12 does not hold") != std::string::npos);
  CHECK(report.failure->faults.size() == fault_count);
}

TEST_CASE("a campaign plays only those parts of a world that it is told to, and shrinks these") {
  const auto judge = [](std::uint64_t, const remains& left) -> std::optional<violation> {
    CHECK(left.sessions.size() <= 2);
    return has(left.faults, 33) ? std::optional{violation{"P1", "one"}} : std::nullopt;
  };
  auto options = seeds(1, 2);
  options.only_faults = {3, 40};
  options.only_sessions = {0, 2};
  CHECK(loop::run_campaign(options, {}, played_by(judge)).passed());
  options.only_faults = {3, 33, 40, 900};
  const auto report = loop::run_campaign(options, {}, played_by(judge));
  REQUIRE(report.failure);
  CHECK(report.failure->faults == std::vector<std::size_t>{33});
  CHECK(report.failure->sessions.empty());
  CHECK(loop::replay_seed(options, 1, played_by(judge)).failure->faults
        == std::vector<std::size_t>{3, 33, 40});
}

TEST_CASE("minimisation can be left out, and interrupted") {
  const auto judge = [](std::uint64_t, const remains&) {
    return std::optional{violation{"P4", "always"}};
  };
  auto options = seeds(1, 1);
  options.minimise = false;
  const auto whole = loop::run_campaign(options, {}, played_by(judge));
  REQUIRE(whole.failure);
  CHECK(whole.failure->faults.size() == fault_count);
  CHECK(whole.failure->timeline.at(0).text == "60 faults, 6 sessions");

  options.minimise = true;
  const auto cut = loop::run_campaign(
      options, [](const campaign_report& so_far, std::uint64_t) { return !so_far.failure; },
      played_by(judge));
  REQUIRE(cut.failure);
  CHECK(cut.interrupted);
  CHECK(cut.failure->faults.size() == fault_count);
}

TEST_CASE("a long campaign fails if it never reached what it is meant to reach") {
  auto options = seeds(1, 50);
  options.worlds_to_reach_all = 50;
  const auto report = loop::run_campaign(options, {}, played_by(all_is_well));
  CHECK_FALSE(report.failure);
  CHECK_FALSE(report.passed());
  CHECK(std::find(report.missed.begin(), report.missed.end(), "rare/plan_expired")
        == report.missed.end());
  CHECK(std::find(report.missed.begin(), report.missed.end(), "event/late_result")
        != report.missed.end());
  options.seeds.last = 49;
  CHECK(loop::run_campaign(options, {}, played_by(all_is_well)).passed());
}

TEST_CASE("traces are given away as they come, those of smaller worlds are not") {
  auto options = seeds(1, 5);
  std::vector<std::uint64_t> given;
  options.on_trace = [&](std::uint64_t seed, const trace& seen) {
    given.push_back(seed);
    CHECK(seen.size() == 1);
  };
  const auto judge = [](std::uint64_t seed, const remains&) {
    return seed == 3 ? std::optional{violation{"P4", "always"}} : std::nullopt;
  };
  CHECK_FALSE(loop::run_campaign(options, {}, played_by(judge)).passed());
  CHECK(given == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("the report is an object with documented fields") {
  const auto judge = [](std::uint64_t, const remains&) {
    return std::optional{violation{"P4", "always"}};
  };
  const auto report = loop::run_campaign(seeds(1, 1), {}, played_by(judge));
  const auto object = to_json(report);
  CHECK(object.at("failure").at("seed") == 1);
  CHECK(object.at("failure").at("timeline").at(0).at("text") == "0 faults, 0 sessions");
  CHECK(object.at("reached").at("fault/crash_inside") == 0);
}

} // namespace campaign_test
