// Counted against a scripted run in virtual time: what the text says is what happened.
#include "support.hpp"

#include <fermata/actors/metrics.hpp>

#include <re2/re2.h>

#include <atomic>
#include <set>
#include <sstream>
#include <thread>

namespace metrics_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in{text};
  for (std::string line; std::getline(in, line);)
    lines.push_back(std::move(line));
  return lines;
}

/// The value of one series; 0 where there is none.
double value_of(const metrics& of, const std::string& series) {
  for (const auto& line : lines_of(of.text()))
    if (line.starts_with(series + " "))
      return std::stod(line.substr(series.size() + 1));
  return 0;
}

bool has(const metrics& of, const std::string& series) {
  for (const auto& line : lines_of(of.text()))
    if (line.starts_with(series + " "))
      return true;
  return false;
}

coro::task<step> model_asker(step_context& ctx) {
  ctx.usage += model_usage{2, 30, 40};
  co_return step::finish("done");
}

sim::world_options setup(const std::shared_ptr<metrics>& counted) {
  return observed(counted, options_with([](agent_registry& agents, tool_registry& tools) {
                    must(agents.add("model_asker", model_asker));
                    tool good;
                    good.name = tid("good");
                    good.run = blocking_tool{[](const tool_context&) -> result<json> { return 1; }};
                    must(tools.add(std::move(good)));
                  }));
}

} // namespace

TEST_CASE("what a scripted run did is what is counted") {
  const auto counted = std::make_shared<metrics>();
  sim::world world{1, setup(counted)};
  accept(world, propose_plan{seed_plan()});
  world.advance(30min);
  accept(world, approve_plan());
  accept(world, approve_plan());
  world.advance(2h);
  accept(world, approve(1));
  CHECK(is(refuse(world, resolve_outcome{cid(1), outcome_resolution::rerun}), errc::not_allowed));
  world.advance(3h);
  accept(world, tool_result{cid(1), "tea"});
  const auto value = [&](const std::string& series) { return value_of(*counted, series); };

  CHECK(value(R"(fermata_commands_total{result="accepted",type="propose_plan"})") == 1);
  CHECK(value(R"(fermata_commands_total{result="accepted",type="decide_plan"})") == 1);
  CHECK(value(R"(fermata_commands_total{result="duplicate",type="decide_plan"})") == 1);
  CHECK(value(R"(fermata_commands_total{result="accepted",type="decide_call"})") == 1);
  CHECK(value(R"(fermata_commands_total{result="not_allowed",type="resolve_outcome"})") == 1);
  CHECK(value("fermata_command_duration_seconds_count") == 6);

  std::map<std::string, int> types;
  for (const auto& one : world.events(sid()))
    ++types[std::string{name_of(one.body)}];
  for (const auto& [type, count] : types)
    CHECK(value("fermata_events_total{type=\"" + type + "\"}") == count);
  CHECK(has(*counted, R"(fermata_events_total{type="outcome_unknown"})")); // from 0 on

  CHECK(value("fermata_commits_total") == 4);
  CHECK(value("fermata_transactions_total") == 4);
  CHECK(value("fermata_transaction_commits_sum") == 4);
  CHECK(value("fermata_transaction_duration_seconds_count") == 4);
  CHECK(value("fermata_written_bytes_total") > 1'000);

  CHECK(value(R"(fermata_wait_seconds_sum{cause="decision",item="plan"})") == 1'800);
  CHECK(value(R"(fermata_wait_seconds_count{cause="decision",item="plan"})") == 1);
  CHECK(value(R"(fermata_wait_seconds_sum{cause="decision",item="call"})") == 7'200);
  CHECK(value(R"(fermata_wait_seconds_sum{cause="result",item="call"})") == 10'800);

  CHECK(value(R"(fermata_subtasks_total{result="done"})") == 2);
  CHECK(value(R"(fermata_subtasks_total{result="failed"})") == 0);
  CHECK(value(R"(fermata_plans_total{result="completed"})") == 1);
  CHECK(value(R"(fermata_steps_total{agent="script",result="returned"})")
        == value(R"(fermata_step_duration_seconds_count{agent="script"})"));
  CHECK(value(R"(fermata_steps_total{agent="script",result="returned"})") == 3);
}

TEST_CASE("pauses, subtasks that failed and failed commits are counted") {
  const auto counted = std::make_shared<metrics>();
  sim::world world{1, setup(counted)};
  const auto value = [&](const std::string& series) { return value_of(*counted, series); };
  accept(world, propose_plan{script_plan(R"({"tool": "ask", "on_rejected": "fail"})")});
  accept(world, approve_plan());
  world.store().fail_next(memory_fault::disk_full);
  refuse(world, reject(1, "no"));
  accept(world, reject(1, "no"));
  CHECK(value(R"(fermata_commit_failures_total{error="disk_full"})") == 1);
  CHECK(value(R"(fermata_commands_total{result="disk_full",type="decide_call"})") == 1);
  CHECK(value(R"(fermata_subtasks_total{result="failed"})") == 1);
  // Within a commit it ran from one pause to the next.
  CHECK(value(R"(fermata_pauses_total{state="awaiting_plan_decision"})") == 0);
  CHECK(value(R"(fermata_pauses_total{state="waiting"})") == 1);
  CHECK(value(R"(fermata_pauses_total{state="needs_attention"})") == 1);
  accept(world, suspend_session{"lunch"});
  CHECK(value(R"(fermata_pauses_total{state="suspended"})") == 0); // it did not run
}

TEST_CASE("what observers throw is counted, and stays so when their runtime is gone") {
  class thrower final : public runtime_observer {
  public:
    void activated(const session_id&, std::size_t) override { throw std::runtime_error("no"); }
  };
  const auto counted = std::make_shared<metrics>();
  {
    sim::world world{1, setup(counted)};
    CHECK(value_of(*counted, "fermata_observer_failures_total") == 0);
  }
  {
    sim::world world{1, observed(observe_with({counted, std::make_shared<thrower>()}))};
    accept(world, propose_plan{seed_plan()});
    accept(world, propose_plan{seed_plan()}, "s2");
    CHECK(value_of(*counted, "fermata_observer_failures_total") == 2);
    CHECK(value_of(*counted, "fermata_observer_failures_total") == 2);
  }
  CHECK(value_of(*counted, "fermata_observer_failures_total") == 2);
}

TEST_CASE("runs of tools and tokens of models are counted") {
  const auto counted = std::make_shared<metrics>();
  auto options = setup(counted);
  options.policy = approval_policy::allow_everything();
  sim::world world{1, std::move(options)};
  const auto value = [&](const std::string& series) { return value_of(*counted, series); };
  accept(world, propose_plan{script_plan(R"({"tool": "good"}, {"tool": "good"})")});
  accept(world, propose_plan{agent_plan(R"({"id": "a", "agent": "model_asker"})")}, "s2");
  CHECK(value(R"(fermata_tool_runs_total{result="succeeded",tool="good"})") == 2);
  CHECK(has(*counted, R"(fermata_tool_runs_total{result="unknown",tool="good"})"));
  CHECK(value(R"(fermata_tool_run_duration_seconds_count{tool="good"})") == 2);
  CHECK(value("fermata_model_requests_total") == 2);
  CHECK(value(R"(fermata_model_tokens_total{direction="input"})") == 30);
  CHECK(value(R"(fermata_model_tokens_total{direction="output"})") == 40);
}

TEST_CASE("how full a runtime is, is read when it is asked for, and of all runtimes together") {
  const auto counted = std::make_shared<metrics>();
  const auto value = [&](const std::string& series) { return value_of(*counted, series); };
  CHECK(value("fermata_resident_sessions") == 0);
  {
    auto options = setup(counted);
    options.limits.unpacked_sessions = 1;
    options.pack_after = 0ms;
    sim::world one{1, options};
    sim::world other{1, setup(counted)};
    accept(one, propose_plan{seed_plan()});
    accept(one, propose_plan{seed_plan()}, "s2");
    accept(other, propose_plan{seed_plan()});
    CHECK(value("fermata_resident_sessions") == 3);
    CHECK(value("fermata_packed_sessions") == 1);
    one.advance(10min);
    CHECK(value("fermata_resident_sessions") == 1);
    CHECK(value("fermata_activations_total") == 3);
    CHECK(value("fermata_passivations_total") == 2);
  }
  CHECK(value("fermata_resident_sessions") == 0);
}

TEST_CASE("what many threads do adds up, while others read it") {
  constexpr std::size_t sessions = 60;
  const auto counted = std::make_shared<metrics>();
  runtime_options options;
  options.store = std::make_shared<memory_store>();
  options.observer = counted;
  runtime rt{std::move(options)};
  rt.start();
  std::atomic<bool> done{false};
  std::atomic<bool> was_readable{true}; // Catch's assertions are for one thread
  std::thread reader{[&] {
    while (!done)
      if (!contains(counted->text(), "fermata_build_info"))
        was_readable = false;
  }};
  std::vector<std::future<result<receipt>>> sent;
  for (std::size_t i = 0; i < sessions; ++i) {
    const auto session = rt.session(sid("s" + std::to_string(i)));
    sent.push_back(session.send(propose_plan{seed_plan()}));
    sent.push_back(session.send(approve_plan()));
    sent.push_back(session.send(decide_call{call_id{session.id(), 1}, call_verdict::approve}));
    sent.push_back(session.send(tool_result{call_id{session.id(), 1}, "tea"}));
  }
  for (auto& one : sent)
    CHECK(one.get());
  done = true;
  reader.join();
  CHECK(was_readable);
  const auto value = [&](const std::string& series) { return value_of(*counted, series); };
  for (const auto* type : {"propose_plan", "decide_plan", "decide_call", "tool_result"})
    CHECK(value("fermata_commands_total{result=\"accepted\",type=\"" + std::string{type} + "\"}")
          == sessions);
  CHECK(value(R"(fermata_subtasks_total{result="done"})") == 2 * sessions);
  CHECK(value("fermata_commits_total") == value("fermata_transaction_commits_sum"));
  CHECK(value("fermata_commands_under_way") == 0);
  CHECK(rt.load().resident_sessions == sessions);
}

TEST_CASE("there are never more than a hundred tools and agents, and the others are one") {
  metrics counted;
  const caf::error none;
  const auto call = cid(1);
  for (int i = 0; i < 250; ++i) {
    const auto tool = tid("tool_" + std::to_string(i));
    counted.run_ended({call, tool, 1, run_ending::succeeded, none, 1s});
  }
  counted.run_ended({call, tid("tool_0"), 1, run_ending::failed, none, 1s});
  std::set<std::string> series;
  for (const auto& line : lines_of(counted.text()))
    if (line.starts_with("fermata_tool_runs_total{result=\"succeeded\""))
      series.insert(line.substr(0, line.find(' ')));
  CHECK(series.size() == 101);
  CHECK(value_of(counted, R"(fermata_tool_runs_total{result="succeeded",tool="other"})") == 150);
  CHECK(value_of(counted, R"(fermata_tool_runs_total{result="failed",tool="tool_0"})") == 1);
}

TEST_CASE("no session, call or subtask is a label, and names follow Prometheus' conventions") {
  const auto counted = std::make_shared<metrics>();
  sim::world world{1, setup(counted)};
  accept(world, propose_plan{seed_plan()}, "a-very-special-session");
  accept(world, approve_plan(), "a-very-special-session");
  const auto text = counted->text();
  CHECK_FALSE(contains(text, "special"));
  CHECK_FALSE(contains(text, "first"));
  const RE2 sample{R"(fermata_[a-z_]+(\{([a-z]+="[^"\n]*",?)*\})? [-+0-9.e]+)"};
  std::string type;
  for (const auto& line : lines_of(text)) {
    INFO(line);
    if (line.starts_with("# TYPE ")) {
      type = line.substr(line.rfind(' ') + 1);
      const auto name = line.substr(7, line.rfind(' ') - 7);
      CHECK((type == "counter") == name.ends_with("_total"));
      if (type == "histogram")
        CHECK((name.ends_with("_seconds") || name == "fermata_transaction_commits"));
    } else if (!line.starts_with("# HELP ")) {
      CHECK(RE2::FullMatch(line, sample));
    }
  }
  CHECK(contains(text, "fermata_build_info{version=\""));
}

} // namespace metrics_test
