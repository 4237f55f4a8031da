// Steps of agents: what folds into one commit, what awaits, what is too much, and what a step
// costs.

#include "support.hpp"

#include <mutex>
#include <optional>
#include <span>
#include <tuple>

namespace agent_step_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// What the agents of this file saw, oldest first; reset by `agent_options`.
std::vector<json>& contexts() {
  static std::vector<json> seen;
  return seen;
}

json describe(const step_context& ctx) {
  json described = {{"session", ctx.session.str()},  {"goal", ctx.goal},
                    {"revision", ctx.revision},      {"subtask", to_json(ctx.subtask)},
                    {"attempt", ctx.attempt},        {"transcript", json::array()},
                    {"dependencies", json::object()}};
  for (const auto& one : ctx.dependencies)
    described["dependencies"][one.subtask.str()] = one.result;
  for (const auto& entry : ctx.transcript) {
    json calls = json::array();
    for (const auto& call : entry.calls)
      calls.push_back({{"id", call.id.str()},
                       {"tool", call.tool.str()},
                       {"proposed", call.proposed},
                       {"ran", call.ran},
                       {"answer", to_json(call.answer)}});
    described["transcript"].push_back({{"text", entry.text}, {"calls", calls}});
  }
  return described;
}

/// Says as many things as its parameters tell, then finishes with how many it has said.
coro::task<step> talker(step_context& ctx) {
  const auto wanted =
      ctx.subtask.parameters.is_null() ? 0 : ctx.subtask.parameters.get<std::size_t>();
  if (ctx.transcript.size() < wanted)
    co_return step::say("word " + std::to_string(ctx.transcript.size()));
  co_return step::finish(ctx.transcript.size());
}

/// Calls `ask`, says something a minute later, thinks for another minute, and finishes.
coro::task<step> thinker(step_context& ctx) {
  contexts().push_back(describe(ctx));
  if (ctx.transcript.empty())
    co_return step::call("ask", {{"n", 1}});
  co_await coro::delay(ctx.self, std::chrono::minutes{1});
  if (ctx.transcript.size() == 1)
    co_return step::say("hm");
  co_return step::finish(describe(ctx));
}

coro::task<step> thrower(step_context& ctx) {
  if (ctx.subtask.parameters == "later")
    co_await coro::delay(ctx.self, std::chrono::minutes{1});
  throw std::runtime_error("out of ideas " + std::string(3'000, '.'));
}

/// Is no coroutine: what it throws comes before there is a frame.
coro::task<step> early_thrower(step_context& ctx) {
  if (ctx.subtask.parameters == "number")
    throw 42;
  throw std::runtime_error("no frame yet");
}

/// Returns the step that its parameters name.
coro::task<step> odd(step_context& ctx) {
  const auto what = ctx.subtask.parameters.get<std::string>();
  if (what == "no calls")
    co_return step::calls({});
  if (what == "too many calls")
    co_return step::calls(std::vector<tool_request>(4, tool_request{tid("ask"), json::object()}));
  if (what == "endless")
    co_return step::say("again");
  if (what == "long text")
    co_return step::say(std::string(3'001, 'x'));
  if (what == "unreadable text")
    co_return step::say("\xFF");
  if (what == "long reason")
    co_return step::fail(std::string(5'000, 'x'));
  if (what == "large result")
    co_return step::finish(std::string(3'001, 'x'));
  co_return step::call("unheard_of", json::object());
}

sim::world_options agent_options() {
  contexts().clear();
  auto options = options_with([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("talker", talker));
    must(agents.add("thinker", thinker));
    must(agents.add("thrower", thrower));
    must(agents.add("early_thrower", early_thrower));
    must(agents.add("odd", odd));
    tool ask;
    ask.name = tid("ask");
    must(tools.add(std::move(ask)));
  });
  options.limits.calls_per_step = 3;
  options.limits.subtask_entries = 100;
  options.limits.text_size_bytes = 2'000;
  options.limits.result_size_bytes = 3'000;
  return options;
}

plan_spec plan_for(std::string_view agent, json parameters = nullptr, int subtasks = 1) {
  plan_spec made;
  made.goal = "g";
  for (int i = 0; i < subtasks; ++i) {
    subtask_spec one;
    one.id = stid("t" + std::to_string(i));
    one.agent = *agent_name::parse(agent);
    one.parameters = parameters;
    made.subtasks.push_back(std::move(one));
  }
  return made;
}

void start(sim::world& world, const plan_spec& what) {
  accept(world, propose_plan{what});
  accept(world, approve_plan());
}

/// How many commits it takes to approve a plan and run it as far as it goes.
std::uint64_t commits_of(const plan_spec& what) {
  sim::world world{1, agent_options()};
  accept(world, propose_plan{what});
  CHECK(world.store().writes() == 1);
  accept(world, approve_plan());
  CHECK(state_of(world) == "completed");
  return world.store().writes() - 1;
}

/// A store that measures what is written to it.
class measuring_store final : public store {
public:
  struct measure {
    std::size_t records = 0;
    std::size_t size_bytes = 0;
    std::size_t events = 0;
    std::size_t pending = 0;
    friend bool operator==(const measure&, const measure&) = default;
  };

  std::vector<commit_outcome> write(std::span<const commit> commits) override {
    for (const auto& one : commits) {
      measure taken;
      taken.records = one.records.size();
      taken.events = one.events.size();
      taken.pending = one.pending.size();
      for (const auto& record : one.records)
        taken.size_bytes += record.value ? record.value->size() : 0;
      const std::lock_guard lock{mutex_};
      measures_.push_back(taken);
    }
    return to_.write(commits);
  }
  result<reclaim_outcome> reclaim(std::size_t limit) override { return to_.reclaim(limit); }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    return to_.find(session);
  }
  result<std::unique_ptr<view>> read() override { return to_.read(); }

  std::vector<measure> take() {
    const std::lock_guard lock{mutex_};
    return std::exchange(measures_, {});
  }

private:
  memory_store to_;
  std::mutex mutex_;
  std::vector<measure> measures_;
};

/// A session on a store that measures; each command returns when it is durable.
class measured_runtime {
public:
  measured_runtime() {
    runtime_options options;
    options.store = store;
    options.journal_thread = false;
    options.limits.tail_events = 0; // what changes is written at once
    host.emplace(std::move(options));
    host->start();
  }

  std::vector<measuring_store::measure> send(command body, std::string_view session = "s1") {
    (void)store->take();
    auto answer = host->session(sid(session)).send(std::move(body)).get();
    CHECK(answer);
    return store->take();
  }

  std::shared_ptr<measuring_store> store = std::make_shared<measuring_store>();
  std::optional<runtime> host;
};

/// A plan whose first two subtasks call a client tool, followed by others.
plan_spec long_plan(int subtasks) {
  auto made = plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}}, "subtasks": [
      {"id": "first", "steps": [{"tool": "ask"}, {"tool": "ask"}]},
      {"id": "second", "steps": [{"tool": "ask"}]}]})");
  for (int i = 2; i < subtasks; ++i) {
    subtask_spec one;
    one.id = stid("t" + std::to_string(i));
    one.depends_on.push_back(made.subtasks.back().id);
    made.subtasks.push_back(std::move(one));
  }
  return made;
}

} // namespace

TEST_CASE("P1: what follows an approval without awaiting anything is one commit with it") {
  CHECK(commits_of(plan_for("talker", nullptr, 1)) == 1);
  CHECK(commits_of(plan_for("talker", nullptr, 10)) == 1);
  CHECK(commits_of(plan_for("talker", 20, 1)) == 1);
}

TEST_CASE("P1: a fold of steps ends after 64 events, and the next commit goes on") {
  // Two events for each subtask, and a few around them.
  CHECK(commits_of(plan_for("talker", nullptr, 100)) == 4);
  CHECK(commits_of(plan_for("talker", 99, 1)) == 2);
  sim::world world{1, agent_options()};
  start(world, plan_for("talker", nullptr, 200));
  CHECK(subtask_of(world, "t199").status == subtask_status::done);
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P1: a crash between two folds of one plan loses no finished subtask and repeats none") {
  const auto writes = 1 + commits_of(plan_for("talker", nullptr, 100));
  for (std::uint64_t write = 2; write <= writes; ++write)
    for (const auto fault : {memory_fault::crash_before, memory_fault::crash_after}) {
      CAPTURE(write, static_cast<int>(fault));
      sim::world world{write, agent_options()};
      world.store().on_write(
          [=](std::uint64_t number) { return number == write ? fault : memory_fault::none; });
      accept(world, propose_plan{plan_for("talker", nullptr, 100)});
      (void)world.send(sid(), approve_plan());
      world.run();
      REQUIRE(world.crashes() == 1);
      (void)accept(world, approve_plan());
      wake(world);
      CHECK(state_of(world) == "completed");
      CHECK(facts<subtask_finished>(world).size() == 100);
    }
}

TEST_CASE("commands are handled between two folds: a long run of steps can be cancelled") {
  sim::world world{1, agent_options()};
  accept(world, propose_plan{plan_for("talker", nullptr, 3'000)});
  const auto approval = world.send(sid(), approve_plan());
  const auto cancellation = world.send(sid(), cancel_plan{"enough"});
  world.run();
  CHECK(cancellation.accepted());
  CHECK(state_of(world) == "cancelled");
  CHECK(facts<subtask_finished>(world).size() < 200);
}

TEST_CASE(
    "what an agent says is its transcript, in order, and the next attempt has one of its own") {
  sim::world world{1, agent_options()};
  start(world, plan_for("talker", 3));
  const auto said = query_transcript(world.store(), sid());
  REQUIRE(said);
  REQUIRE(said->size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK((*said)[i].text == "word " + std::to_string(i));
  CHECK(subtask_of(world, "t0").result == 3);
}

TEST_CASE("an agent that awaits something commits its step in a transaction of its own, and "
          "commands are handled meanwhile") {
  sim::world world{1, agent_options()};
  start(world, plan_for("thinker"));
  accept(world, approve(1));
  const auto writes = world.store().writes();
  accept(world, tool_result{cid(1), "yes"});
  CHECK(world.store().writes() == writes + 1);
  CHECK(state_of(world) == "running");
  CHECK(coro::live_frames() > 0);
  // Questions are answered from what is committed.
  CHECK(status_of(world).subtasks[0].status == subtask_status::running);
  CHECK(accept(world, tool_result{cid(1), "yes"}).kind == receipt_kind::duplicate);
  CHECK(is(refuse_unchanged(world, propose_plan{plan_for("talker")}), errc::session_busy));
  SECTION("it goes on when what it awaits has come") {
    world.advance(std::chrono::seconds{61});
    CHECK(world.store().writes() == writes + 2);
    CHECK(facts<agent_said>(world).size() == 1);
    world.advance(std::chrono::seconds{61});
    CHECK(world.store().writes() == writes + 3);
    CHECK(state_of(world) == "completed");
    CHECK(subtask_of(world, "t0").result.at("transcript").size() == 2);
  }
  SECTION("it is not passivated while it thinks") {
    world.advance(std::chrono::seconds{30});
    CHECK(world.resident_sessions() == 1);
  }
  SECTION("it can be cancelled, and its frames are gone at once") {
    accept(world, cancel_plan{"enough"});
    CHECK(coro::live_frames() == 0);
    CHECK(state_of(world) == "cancelled");
    world.advance(std::chrono::minutes{5});
    CHECK(state_of(world) == "cancelled");
    CHECK(facts<agent_said>(world).empty());
  }
  CHECK((state_of(world) == "running" || coro::live_frames() == 0));
}

TEST_CASE("a step that ends while a transaction is written is taken after it") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    sim::world world{seed, agent_options()};
    auto both = plan_for("thrower");
    both.subtasks.push_back(plan_for("thinker").subtasks[0]);
    both.subtasks[1].id = stid("u");
    start(world, both);
    accept(world, approve(1));
    accept(world, tool_result{cid(1), "yes"});
    // A retry of the other subtask is committed about when the thought comes.
    world.advance(std::chrono::milliseconds{59'999});
    const auto retried = world.send(sid(), retry_subtask{stid("t0")});
    world.advance(std::chrono::minutes{3});
    CHECK(retried.accepted());
    CHECK(facts<agent_said>(world).size() == 1);
    CHECK(subtask_of(world, "u").status == subtask_status::done);
    CHECK(subtask_of(world, "t0").attempts == 2);
  }
}

TEST_CASE("P7: a step that a crash cut off runs again with an equal context") {
  sim::world world{1, agent_options()};
  start(world, plan_for("thinker"));
  accept(world, edit(1, {{"n", 2}}));
  accept(world, tool_result{cid(1), "yes"});
  REQUIRE(contexts().size() == 2);
  for (int i = 0; i < 3; ++i) {
    if (i == 2)
      world.restart();
    else
      world.crash();
    CHECK(coro::live_frames() == 0);
    CHECK(contexts().size() == 2u + static_cast<std::size_t>(i));
    wake(world);
  }
  REQUIRE(contexts().size() == 5);
  for (std::size_t i = 2; i < 5; ++i)
    CHECK(contexts()[i] == contexts()[1]);
  CHECK(contexts()[1].at("transcript")[0].at("calls")[0].at("proposed") == json{{"n", 1}});
  CHECK(contexts()[1].at("transcript")[0].at("calls")[0].at("ran") == json{{"n", 2}});
  CHECK(facts<step_restarted>(world).size() == 3);
  world.advance(std::chrono::minutes{3});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P6: an agent that throws fails its subtask, with what it said, shortened; the session "
          "goes on") {
  for (const auto& [agent, parameters, said] :
       {std::tuple{"thrower", json("now"), "out of ideas"},
        std::tuple{"thrower", json("later"), "out of ideas"},
        std::tuple{"early_thrower", json("text"), "no frame yet"},
        std::tuple{"early_thrower", json("number"), "not a std::exception"}}) {
    CAPTURE(agent, parameters);
    sim::world world{1, agent_options()};
    start(world, plan_for(agent, parameters));
    world.advance(std::chrono::minutes{2});
    CHECK(state_of(world) == "needs_attention");
    const auto error = subtask_of(world, "t0").error;
    CHECK(contains(error, "agent_failed"));
    CHECK(contains(error, said));
    CHECK(error.size() <= 2'000);
    accept(world, skip_subtask{stid("t0")});
    CHECK(state_of(world) == "completed");
  }
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("P10: a step that cannot be taken fails its subtask and says which limit it broke") {
  for (const auto& [what, said] :
       {std::pair{"no calls", "no calls"},
        std::pair{"too many calls", "calls_per_step is 3, this has 4"},
        std::pair{"endless", "subtask_entries is 100"}, std::pair{"long text", "result_size_bytes"},
        std::pair{"unreadable text", "is not UTF-8"},
        std::pair{"large result", "result_size_bytes"}, std::pair{"long reason", "xxx"}}) {
    CAPTURE(what);
    sim::world world{1, agent_options()};
    start(world, plan_for("odd", what));
    CHECK(state_of(world) == "needs_attention");
    CHECK(contains(subtask_of(world, "t0").error, said));
    CHECK(subtask_of(world, "t0").error.size() <= 2'000);
  }
}

TEST_CASE(
    "a call of a tool that nobody has is a failed result, and a loop of them ends at a limit") {
  sim::world world{1, agent_options()};
  start(world, plan_for("odd", "tool"));
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "t0").error, "subtask_entries"));
  CHECK(call_of(world, 1).answer->content.at("error") == "unknown_tool");
  CHECK(facts<call_decided>(world).empty());
}

TEST_CASE("P11: what a step writes does not depend on the size of the plan") {
  const auto steps = [](int subtasks) {
    measured_runtime of;
    std::vector<measuring_store::measure> measures;
    const auto add = [&](std::vector<measuring_store::measure> more) {
      CHECK(more.size() == 1); // one command, one commit
      measures.insert(measures.end(), more.begin(), more.end());
    };
    (void)of.send(propose_plan{long_plan(subtasks)});
    (void)of.send(approve_plan());
    add(of.send(approve(1)));
    add(of.send(tool_result{cid(1), "x"}));
    add(of.send(approve(2)));
    add(of.send(tool_result{cid(2), "x"}));
    add(of.send(approve(3)));
    return measures;
  };
  const auto small = steps(10);
  const auto large = steps(5'000);
  REQUIRE(small.size() == large.size());
  for (std::size_t i = 0; i < small.size(); ++i) {
    CAPTURE(i);
    CHECK(small[i].records == large[i].records);
    CHECK(small[i].events == large[i].events);
    CHECK(small[i].pending == large[i].pending);
    CHECK(small[i].records <= 8);
    // Numbers take some bytes more as they grow.
    CHECK(large[i].size_bytes <= small[i].size_bytes + 16);
  }
}

TEST_CASE("P11: what a step writes does not depend on the number of sessions and of past events") {
  measured_runtime of;
  const auto round = [&](std::uint32_t revision) {
    (void)of.send(propose_plan{long_plan(2)});
    (void)of.send(approve_plan(revision));
    const auto call = std::uint64_t{revision - 1} * 3;
    std::vector<measuring_store::measure> measures;
    for (std::uint64_t i = 1; i <= 3; ++i)
      for (const auto& body :
           {command{approve(call + i)}, command{tool_result{cid(call + i), "x"}}})
        for (const auto& one : of.send(body))
          measures.push_back(one);
    return measures;
  };
  const auto first = round(1);
  for (std::uint32_t revision = 2; revision <= 30; ++revision)
    (void)round(revision);
  for (int i = 0; i < 100; ++i)
    (void)of.send(propose_plan{long_plan(2)}, "other-" + std::to_string(i));
  const auto last = round(31);
  REQUIRE(first.size() == last.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    CAPTURE(i);
    CHECK(first[i].records == last[i].records);
    CHECK(first[i].events == last[i].events);
    CHECK(last[i].size_bytes <= first[i].size_bytes + 40);
  }
}

} // namespace agent_step_test
