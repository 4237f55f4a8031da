#include "support.hpp"

namespace operator_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;
using sim::planned_session;
using sim::session_author;
using sim::session_operator;
using strings = std::vector<std::string>;

namespace {

sim::world_options allowing_options() {
  sim::world_options options;
  options.policy = approval_policy::allow_everything();
  options.setup = [](agent_registry& agents, tool_registry&) {
    must(agents.add("failing", [](step_context&) -> coro::task<step> {
      co_return step::fail("it cannot be done");
    }));
  };
  return options;
}

plan_spec failing_plan() {
  return plan(R"({"goal": "g", "subtasks": [{"id": "a", "agent": "failing"}, {"id": "b"}]})");
}

sim::operator_character calm() {
  return {};
}

planned_session session_of(std::vector<plan_spec> plans) {
  planned_session made;
  made.id = sid();
  made.plans = std::move(plans);
  return made;
}

plan_spec quick_plan(std::string goal) {
  auto made = plan(R"({"goal": "g", "subtasks": [{"id": "w"}]})");
  made.goal = std::move(goal);
  return made;
}

} // namespace

TEST_CASE("an operator gets a session out of every state that needs somebody") {
  sim::world in{3, allowing_options()};
  in.add(std::make_unique<session_operator>("operator", calm()));
  SECTION("a subtask failed") {
    accept(in, propose_plan{failing_plan()});
    REQUIRE(state_of(in) == "needs_attention");
    CHECK(in.run_until([&] { return accepts_new_plan(status_of(in).state); }, 24h * 7));
  }
  SECTION("somebody suspended it") {
    accept(in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w",
      "steps": [{"sleep_ms": 1000}]}]})")});
    accept(in, suspend_session{"wait"});
    CHECK(reaches(in, "completed", 24h));
  }
}

TEST_CASE("an operator revises a plan that was sent back") {
  sim::world in{3, asking_options()};
  in.add(std::make_unique<session_operator>("operator", calm()));
  accept(in, propose_plan{quick_plan("g")});
  decide_plan back{1, plan_verdict::modify};
  back.feedback = "smaller";
  accept(in, back);
  REQUIRE(state_of(in) == "planning");
  CHECK(reaches(in, "awaiting_plan_decision", 1h));
  CHECK(facts<plan_proposed>(in).size() == 2);
}

TEST_CASE("a host that starts wakes what the process before it has left running") {
  auto options = allowing_options();
  options.setup = [](agent_registry& agents, tool_registry&) {
    must(agents.add("slow", [](step_context& ctx) -> coro::task<step> {
      co_await coro::delay(ctx.self, std::chrono::hours{1});
      co_return step::finish("done");
    }));
  };
  sim::world in{3, std::move(options)};
  const bool somebody = GENERATE(true, false);
  if (somebody)
    in.add(std::make_unique<sim::waking_host>());
  accept(in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w", "agent": "slow"}]})")});
  in.advance(10min);
  in.crash();
  // Nobody addresses the session by itself.
  CHECK(reaches(in, "completed", 24h) == somebody);
}

TEST_CASE("an operator who meddles stops when the story is settled") {
  sim::world in{3, allowing_options()};
  auto character = calm();
  character.meddles_every = 10min;
  character.nonsense = 0.5;
  auto& log = log_answers(in);
  auto& meddler = in.add(std::make_unique<session_operator>("operator", character));
  auto wanted = plan(R"({"goal": "g", "tools": {"ask": {}}, "subtasks": [{"id": "w",
    "steps": [{"tool": "ask"}]}, {"id": "v", "steps": [{"tool": "ask"}]}]})");
  for (int i = 0; i < 50; ++i) {
    std::ignore = in.send(sid(), propose_plan{wanted}); // again, if it was cancelled
    in.advance(4h);
  }
  const auto refused = std::count_if(log.lines.begin(), log.lines.end(), [](const auto& line) {
    return line.find(" accepted ") == std::string::npos;
  });
  CHECK(log.lines.size() > 200);
  CHECK(refused > 50);
  CHECK(facts<session_suspended>(in).size() > 0);
  CHECK(facts<deadline_set>(in).size() > 0);
  meddler.settle(in);
  in.advance(24h);
  const auto said = log.lines.size();
  in.advance(24h * 7);
  CHECK(log.lines.size() == said);
}

// -- authors --------------------------------------------------------------------------------------

TEST_CASE("an author proposes one plan after the other, each once") {
  sim::world in{3, allowing_options()};
  auto& author = in.add(std::make_unique<session_author>(
      "author",
      std::vector{session_of({quick_plan("one"), quick_plan("two"), quick_plan("three")})}));
  author.begin(in);
  CHECK_FALSE(author.is_done());
  REQUIRE(in.run_until([&] { return author.is_done(); }, 24h));
  strings goals;
  for (const auto& one : facts<plan_proposed>(in))
    goals.push_back(one.goal);
  CHECK(goals == strings{"one", "two", "three"});
}

TEST_CASE("an author proposes again what nobody has heard of, and only that") {
  const auto fault = GENERATE(memory_fault::crash_before, memory_fault::crash_after,
                              memory_fault::lose_ack, memory_fault::io_error);
  sim::world in{3, allowing_options()};
  auto& author = in.add(std::make_unique<session_author>(
      "author", std::vector{session_of({quick_plan("one"), quick_plan("two")})}));
  in.store().fail_next(fault);
  author.begin(in);
  REQUIRE(in.run_until([&] { return author.is_done(); }, 24h));
  CHECK(facts<plan_proposed>(in).size() == 2);
}

TEST_CASE("an author leaves out what is refused for good") {
  sim::world in{3, allowing_options()};
  auto bad = quick_plan("bad");
  bad.subtasks.clear();
  auto wanted = session_of({bad, quick_plan("good")});
  wanted.messages = {"make a plan of this"}; // there is no planner
  auto& author = in.add(std::make_unique<session_author>("author", std::vector{std::move(wanted)}));
  author.begin(in);
  REQUIRE(in.run_until([&] { return author.is_done(); }, 24h));
  CHECK(facts<plan_proposed>(in).size() == 1);
  CHECK(facts<message_received>(in).empty());
}

TEST_CASE("every spoiled plan is refused") {
  std::set<std::string> reasons;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    sim::world in{seed, allowing_options()};
    sim::seeded_random random{seed};
    const auto sent = in.send(sid(), propose_plan{sim::spoiled(quick_plan("g"), random)});
    in.run();
    REQUIRE(sent.answer());
    REQUIRE_FALSE(sent.accepted());
    reasons.emplace(name_of(code_of(sent.answer()->error())));
  }
  CHECK(reasons.size() == 9);
}

} // namespace operator_test
