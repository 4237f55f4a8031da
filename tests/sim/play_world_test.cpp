// Campaigns of real worlds.
#include <fermata/actors/sim/campaign.hpp>

#include <fermata/actors/sim/world.hpp>

#include <fermata_catch.hpp>

#include <algorithm>

namespace play_world_test {

using namespace fermata;
using namespace fermata::sim;
using namespace std::chrono_literals;

namespace {

campaign_options seeds(std::uint64_t first, std::uint64_t last) {
  campaign_options options;
  options.seeds = {first, last};
  return options;
}

bool has_line(const trace& seen, std::string_view session, std::string_view part) {
  return std::any_of(seen.begin(), seen.end(), [&](const auto& entry) {
    return entry.session == session && entry.text.find(part) != std::string::npos;
  });
}

/// A session of agents and tools that no world knows, in the middle of its plan: a call of a server
/// tool waits for a decision, and another agent comes behind it.
std::shared_ptr<memory_store> foreign_session(const char* name = "foreign") {
  world_options options;
  options.setup = [](agent_registry&, tool_registry& tools) {
    tool blast;
    blast.name = *tool_name::parse("blast");
    blast.version = 7;
    blast.run = blocking_tool{[](const tool_context&) { return json("done"); }};
    REQUIRE_FALSE(tools.add(std::move(blast)));
  };
  options.setup = [own = options.setup](agent_registry& agents, tool_registry& tools) {
    own(agents, tools);
    REQUIRE_FALSE(agents.add(
        "miner", [](step_context&) -> coro::task<step> { co_return step::finish("done"); }));
  };
  world in{1, options};
  const auto session = *session_id::parse(name);
  const auto proposed = in.send(session, propose_plan{*parse_plan(
                                             R"({"goal": "dig", "subtasks": [
          {"id": "blast", "steps": [{"tool": "blast", "arguments": {}}]},
          {"id": "mine", "depends_on": ["blast"], "agent": "miner"}]})")});
  in.run();
  const auto approved = in.send(session, decide_plan{1, plan_verdict::approve});
  in.run();
  REQUIRE(approved.accepted());
  REQUIRE(in.pending(session).size() == 1);
  return in.store().clone();
}

} // namespace

TEST_CASE("worlds of all faults break no promise") {
  const auto report = run_campaign(seeds(1, 25));
  INFO((report.failure ? report.failure->text + "\n" + timeline(report.failure->timeline) : ""));
  CHECK(report.passed());
  CHECK(report.worlds == 25);
  CHECK(report.resumes > 100);
  CHECK(report.crashes > 0);
  CHECK(report.reached.at("fault/crash_inside") > 0);
}

TEST_CASE("a run that never began may fail by itself, although one before it was lost") {
  // In this world a run waits for a thread until its call is given up; monitors took it for the run
  // before, whose process had died.
  const auto report = run_campaign(seeds(104'063, 104'063));
  CHECK(report.passed());
}

TEST_CASE("worlds without faults have none") {
  auto options = seeds(1, 10);
  options.with_faults = false;
  const auto report = run_campaign(options);
  CHECK(report.passed());
  CHECK(report.crashes == 0);
  for (const auto& [name, times] : report.reached)
    if (name.starts_with("fault/"))
      CHECK(times == 0);
}

TEST_CASE("faults are those that the options name") {
  auto options = seeds(1, 5);
  options.faults = fault_mix{20min};
  options.faults->weights = {{fault_kind::freeze, 1}};
  const auto report = run_campaign(options);
  CHECK(report.passed());
  for (const auto& [name, times] : report.reached)
    if (name.starts_with("fault/"))
      CHECK((times > 0) == (name == "fault/freeze"));
}

TEST_CASE("sessions that were there before go on, with stand-ins for whom they name") {
  auto options = seeds(1, 10);
  options.store = foreign_session();
  options.sessions = 1;
  std::size_t ran = 0;
  options.on_trace = [&](std::uint64_t, const trace& seen) {
    ran += has_line(seen, "foreign", "run 1 of blast begins")
           && has_line(seen, "foreign", "subtask_started mine");
  };
  const auto report = run_campaign(options);
  INFO((report.failure ? report.failure->text + "\n" + timeline(report.failure->timeline) : ""));
  CHECK(report.passed());
  CHECK(ran > 0);
  CHECK(report.stand_ins == std::vector<std::string>{"agent miner", "tool blast"});
  std::uint64_t ended = 0;
  for (const auto& [state, times] : report.given)
    ended += times;
  CHECK(ended == 10);
  CHECK(report.given.contains("completed"));
}

TEST_CASE("a session that was there before keeps its name for itself") {
  auto options = seeds(1, 3);
  options.store = foreign_session("s1");
  options.sessions = 1;
  options.on_trace = [](std::uint64_t, const trace& seen) {
    CHECK_FALSE(has_line(seen, "s1", "sent propose_plan"));
    CHECK(has_line(seen, "s2", "sent "));
  };
  CHECK(run_campaign(options).passed());
}

TEST_CASE("what a campaign is meant to reach depends on what it has") {
  const auto has = [](const campaign_options& options, const char* name) {
    const auto all = meant_to_be_reached(options);
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  campaign_options options;
  CHECK(has(options, "fault/partition"));
  CHECK(has(options, "rare/timer_due_while_down"));
  CHECK_FALSE(has(options, "state/idle"));
  options.nodes = 1;
  CHECK_FALSE(has(options, "fault/partition"));
  CHECK(has(options, "fault/crash_inside"));
  options.with_faults = false;
  CHECK_FALSE(has(options, "fault/crash_inside"));
  CHECK_FALSE(has(options, "rare/timer_due_while_down"));
  CHECK(has(options, "event/late_result"));
  CHECK(has(options, "refusal/stale_approval"));
  options.with_faults = true;
  options.faults.emplace().weights = {{fault_kind::crash, 1}, {fault_kind::freeze, 0}};
  CHECK(has(options, "fault/crash"));
  CHECK_FALSE(has(options, "fault/freeze"));
  CHECK_FALSE(has(options, "fault/disk_full"));
  CHECK_FALSE(has(options, "refusal/disk_full"));
  options.sessions = 3;
  CHECK(meant_to_be_reached(options).empty());
}

} // namespace play_world_test
