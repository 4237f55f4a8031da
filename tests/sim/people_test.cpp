#include "support.hpp"

namespace people_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;
using sim::human;
using sim::tool_host;
using strings = std::vector<std::string>;

namespace {

/// A world with a person, a host that answers at once, and a log of what everybody is told.
struct small_world {
  explicit small_world(sim::human_character human_is, sim::host_character host_is = {},
                       sim::world_options options = asking_options())
      : in{7, std::move(options)}, log{log_answers(in)}, person{in.add(std::make_unique<human>(
                                                             "ada", human_is))},
        host{in.add(std::make_unique<tool_host>("host", host_is))} {}

  void propose(plan_spec wanted) { std::ignore = in.send(sid(), propose_plan{std::move(wanted)}); }

  sim::world in;
  answer_log& log;
  human& person;
  tool_host& host;
};

sim::host_character at_once() {
  sim::host_character made;
  made.most_time = 0ms;
  return made;
}

sim::world_options allowing_options() {
  sim::world_options options;
  options.policy = approval_policy::allow_everything();
  return options;
}

const sim::human_character prompt = sim::prompt_human();

} // namespace

TEST_CASE("a prompt person decides on everything within a minute") {
  small_world small{prompt, at_once()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed", 2min));
  CHECK(small.log.to("decide_plan") == strings{"accepted 4"});
  CHECK(small.log.to("decide_call").size() == 1);
}

TEST_CASE("a silent person decides on nothing until the story is settled") {
  small_world small{sim::silent_human()};
  small.propose(shopping_plan());
  CHECK_FALSE(reaches(small.in, "completed", 24h * 365));
  CHECK(state_of(small.in) == "awaiting_plan_decision");
  CHECK(small.person.forgotten() == 1);
  small.person.settle(small.in);
  CHECK(reaches(small.in, "completed", 5min));
  CHECK(small.person.forgotten() == 0);
}

TEST_CASE("a second click gets the first one's receipt as a duplicate") {
  small_world small{sim::double_clicking_human(), at_once()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  small.in.advance(1h); // second clicks may come a while later
  CHECK(small.log.to("decide_plan") == strings{"accepted 4", "duplicate 4"});
  const auto decisions = small.log.to("decide_call");
  REQUIRE(decisions.size() == 2);
  CHECK(decisions[1] == "duplicate" + decisions[0].substr(std::string{"accepted"}.size()));
}

TEST_CASE("who contradicts himself is told that it was decided before") {
  small_world small{sim::contradictory_human(), at_once()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  CHECK(small.log.to("decide_plan") == strings{"accepted 4", "already_decided"});
  REQUIRE(small.log.to("decide_call").size() == 2);
  CHECK(small.log.to("decide_call")[1] == "already_decided");
}

TEST_CASE("an edited call runs with the arguments that the person gave it") {
  small_world small{sim::editing_human(), at_once()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  const auto call = call_of(small.in, 1);
  CHECK(call.verdict == call_verdict::edit);
  CHECK(call.arguments == json{{"item", "tea indeed"}});
  CHECK(call.proposed_arguments == json{{"item", "tea"}});
}

TEST_CASE("a person edits as a test says") {
  small_world small{sim::editing_human(), at_once()};
  small.person.edit_with([](const pending_item&, sim::seeded_random&) {
    return json{{"item", "coffee"}};
  });
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  CHECK(call_of(small.in, 1).arguments == json{{"item", "coffee"}});
}

TEST_CASE("who edits badly is told so, and approves then") {
  small_world small{sim::badly_editing_human(), at_once()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  const auto decisions = small.log.to("decide_call");
  REQUIRE(decisions.size() == 2);
  CHECK(decisions[0] == "invalid_arguments");
  CHECK(decisions[1].starts_with("accepted"));
  CHECK(call_of(small.in, 1).verdict == call_verdict::approve);
}

TEST_CASE("a decision on a call that has changed since it was shown is stale") {
  small_world small{sim::stale_human(), at_once()};
  auto wanted = shopping_plan();
  std::ignore = small.in.send(sid(), propose_plan{wanted});
  small.in.run();
  accept(small.in, approve_plan()); // not by the person, who is still thinking
  REQUIRE(state_of(small.in) == "waiting");
  wanted.goal = "buy more";
  accept(small.in, revise_plan{wanted});
  accept(small.in, approve_plan(2));
  REQUIRE(reaches(small.in, "completed"));
  const auto decisions = small.log.to("decide_call");
  REQUIRE(decisions.size() == 2);
  CHECK(decisions[0] == "stale_approval");
  CHECK(decisions[1].starts_with("accepted"));
}

TEST_CASE("a decision on a plan that was replaced since it was shown is superseded") {
  small_world small{sim::stale_human(), at_once()};
  auto wanted = shopping_plan();
  accept(small.in, propose_plan{wanted});
  wanted.goal = "buy more";
  accept(small.in, revise_plan{wanted});
  REQUIRE(reaches(small.in, "completed"));
  const auto decisions = small.log.to("decide_plan");
  CHECK(std::count(decisions.begin(), decisions.end(), "superseded") == 1);
}

TEST_CASE("a person decides on all calls that wait in one command") {
  auto character = prompt;
  character.decides_at_once = 1;
  small_world small{character, at_once()};
  small.propose(plan(R"({"goal": "g", "tools": {"ask": {}}, "subtasks": [{"id": "w", "steps": [
    {"calls": [{"tool": "ask"}, {"tool": "ask"}, {"tool": "ask"}]}]}]})"));
  REQUIRE(reaches(small.in, "completed"));
  CHECK(small.log.to("decide_calls").size() == 1);
  CHECK(small.log.to("decide_call").empty());
  CHECK(facts<call_decided>(small.in).size() == 3);
}

TEST_CASE("what a person lets hold for later is taken back a while later") {
  auto character = prompt;
  character.remembers = 1;
  character.takes_back = 1;
  small_world small{character, at_once()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  CHECK(facts<decision_remembered>(small.in).size() == 1);
  small.in.advance(1h);
  CHECK(facts<decision_forgotten>(small.in).size() == 1);
}

TEST_CASE("a person rejects, answers in place of tools and sends plans back") {
  auto character = prompt;
  SECTION("rejects") {
    character.rejects = 1;
    small_world small{character};
    small.propose(shopping_plan());
    CHECK(reaches(small.in, "rejected"));
  }
  SECTION("responds") {
    character.responds = 1;
    small_world small{character};
    small.propose(shopping_plan());
    REQUIRE(reaches(small.in, "completed"));
    CHECK(call_of(small.in, 1).answer->content == json{{"says", "ada"}});
    CHECK(small.log.to("tool_result").empty());
  }
  SECTION("sends back") {
    character.sends_back = 1;
    small_world small{character};
    small.propose(shopping_plan());
    CHECK(reaches(small.in, "planning"));
  }
}

TEST_CASE("a question gets an answer that fits, also from who gives one first that does not") {
  auto character = GENERATE(sim::prompt_human(), sim::badly_editing_human());
  small_world small{character};
  small.propose(plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [{"tool": "ask_human",
    "arguments": {"question": "how many?", "schema": {"type": "integer", "minimum": 3}}}]}]})"));
  REQUIRE(reaches(small.in, "completed"));
  CHECK(call_of(small.in, 1).answer->content.get<int>() >= 3);
  const auto answers = small.log.to("answer_question");
  CHECK(answers.size() == (character.edits_badly > 0 ? 2 : 1));
  CHECK((answers.front() == "invalid_answer") == (character.edits_badly > 0));
}

TEST_CASE("who is not heard says it again until he is") {
  small_world small{prompt, at_once()};
  small.propose(shopping_plan());
  small.in.run();
  SECTION("the process is down") {
    small.in.take_down("n1");
    small.in.advance(1h);
    small.in.bring_up("n1");
  }
  SECTION("the process dies when it would answer") {
    small.in.store().fail_next(memory_fault::crash_before);
  }
  SECTION("the disk is full for a while") {
    small.in.store().fail_writes(memory_fault::disk_full);
    small.in.advance(3h);
    small.in.store().fail_writes({});
  }
  CHECK(reaches(small.in, "completed", 1h));
}

TEST_CASE("a person sees what waited before he came") {
  sim::world in{1, asking_options()};
  accept(in, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "w"}]})")});
  auto& late = in.add(std::make_unique<human>("late"));
  in.advance(1h);
  CHECK(state_of(in) == "awaiting_plan_decision");
  late.look_at(in, sid());
  CHECK(reaches(in, "completed", 2min));
}

// -- hosts ----------------------------------------------------------------------------------------

TEST_CASE("a host that answers twice gets its first receipt again") {
  sim::host_character host;
  host.answers_twice = 1;
  small_world small{prompt, host, allowing_options()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  small.in.advance(2h);
  const auto results = small.log.to("tool_result");
  REQUIRE(results.size() == 2);
  CHECK(results[1] == "duplicate" + results[0].substr(std::string{"accepted"}.size()));
}

TEST_CASE("a host that contradicts itself is told that there is a result") {
  sim::host_character host;
  host.contradicts = 1;
  small_world small{prompt, host, allowing_options()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  REQUIRE(small.log.to("tool_result").size() == 2);
  CHECK(small.log.to("tool_result")[1] == "already_answered");
}

TEST_CASE("a host that hangs leaves its call to expire, and answers late") {
  sim::host_character host;
  host.hangs = 1;
  host.answers_late = 1;
  small_world small{prompt, host, allowing_options()};
  small.propose(shopping_plan(R"(, "expires_after_ms": 60000)"));
  small.in.advance(3h);
  CHECK(call_of(small.in, 1).answer->outcome == call_outcome::expired);
  REQUIRE(small.log.to("tool_result").size() == 1);
  CHECK(small.log.to("tool_result")[0].starts_with("late"));
  CHECK(facts<late_result>(small.in).size() == 1);
}

TEST_CASE("a host that answers early is told to wait, and answers when it may") {
  auto host = at_once();
  host.answers_early = 1;
  small_world small{prompt, host};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  REQUIRE(small.log.to("tool_result").size() == 2);
  CHECK(small.log.to("tool_result")[0] == "not_approved");
}

TEST_CASE("a host that answers strangers is told that it does not know them") {
  auto host = at_once();
  host.answers_strangers = 1;
  small_world small{prompt, host, allowing_options()};
  small.propose(shopping_plan());
  REQUIRE(reaches(small.in, "completed"));
  small.in.run();
  auto results = small.log.to("tool_result");
  std::sort(results.begin(), results.end());
  REQUIRE(results.size() == 4);
  CHECK(results[0].starts_with("accepted"));
  CHECK(results[1] == "unknown_call");
  CHECK(results[2] == "unknown_call");
  CHECK(results[3] == "unknown_session");
}

TEST_CASE("a host that fails gives its call a failed result") {
  auto host = at_once();
  host.fails = 1;
  small_world small{prompt, host, allowing_options()};
  small.propose(shopping_plan());
  CHECK(reaches(small.in, "needs_attention"));
  CHECK(call_of(small.in, 1).answer->outcome == call_outcome::failed);
}

// -- whims ----------------------------------------------------------------------------------------

TEST_CASE("what a person does about one session does not depend on the others") {
  const auto run = [](bool alone) {
    small_world small{sim::difficult_human(), at_once()};
    if (!alone)
      for (const auto* other : {"a1", "t2"})
        std::ignore = small.in.send(sid(other), propose_plan{shopping_plan()});
    small.propose(shopping_plan());
    small.person.settle(small.in);
    small.in.advance(24h);
    auto events = small.in.events(sid());
    for (auto& one : events) {
      one.at = {};
      if (auto* created = std::get_if<session_created>(&one.body))
        created->incarnation.clear(); // is drawn by the runtime
    }
    strings told;
    for (const auto& one : events)
      told.push_back(std::string{name_of(one.body)});
    return told;
  };
  CHECK(run(true) == run(false));
}

} // namespace people_test
