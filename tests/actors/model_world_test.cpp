// Agents that ask models, in whole sessions: planning, approval, crashes, messages, failures.

#include "faults.hpp"

#include <fermata/actors/agents/model.hpp>
#include <fermata/actors/models/scripted.hpp>

#include <algorithm>
#include <map>
#include <memory>

namespace model_world_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

using replies = std::vector<scripted_reply>;

scripted_reply slowly(scripted_reply reply) {
  reply.delay = 1s;
  reply.reply.input_tokens = 10;
  reply.reply.output_tokens = 1;
  return reply;
}

scripted_reply calls(std::string_view tool, std::string_view arguments, std::string said = {}) {
  std::vector<model_call> written;
  written.emplace_back("call", std::string{tool}, std::string{arguments});
  return scripted_reply::calls(std::move(written), std::move(said));
}

/// A conversation as text.
std::string told(const model_request& request) {
  std::string text;
  for (const auto& message : request.messages) {
    text +=
        std::to_string(static_cast<int>(message.role)) + " " + message.call + " " + message.text;
    for (const auto& call : message.calls)
      text += " " + call.id + " " + call.name + " " + call.arguments;
    text += "\n";
  }
  return text;
}

std::string last_text(const model_request& request) {
  return request.messages.back().text;
}

/// What outlives the simulated process: the models' service, and what the tool `buy` did.
struct outside {
  std::shared_ptr<scripted_model> planning = std::make_shared<scripted_model>(replies{});
  std::shared_ptr<scripted_model> working = std::make_shared<scripted_model>(replies{});
  std::shared_ptr<effects> bought = std::make_shared<effects>();
};
using outside_ptr = std::shared_ptr<outside>;

tool buy_tool(const outside_ptr& world) {
  tool buy;
  buy.name = tid("buy");
  buy.schema = R"({"type": "object", "properties": {"item": {"type": "string"}},
                   "required": ["item"], "additionalProperties": false})"_json;
  buy.run = blocking_tool{[world](const tool_context& context) -> result<json> {
    count_effect(*world->bought, context);
    return json{{"bought", context.arguments.at("item")}};
  }};
  return buy;
}

/// A runtime with the agents `planner`, `model`, and `helper`, which is the same as `model`.
sim::world_options shop_options(const outside_ptr& world) {
  auto options = options_with([world](agent_registry& agents, tool_registry& tools) {
    model_agent_options planner;
    planner.planner = true;
    planner.model = "planning";
    planner.agents["model"] = "works with the tools there are";
    must(agents.add("planner", model_agent(planner)));
    model_agent_options worker;
    worker.may_propose = true;
    worker.may_hand_over = true;
    worker.agents["helper"] = "helps";
    must(agents.add("model", model_agent(worker)));
    must(agents.add("helper", model_agent(worker)));
    must(tools.add(buy_tool(world)));
  });
  options.planner = *agent_name::parse("planner");
  options.setup_models = [world](model_registry& models) {
    must(models.add("planning", world->planning));
    must(models.add("default", world->working));
  };
  return options;
}

constexpr std::string_view tea_plan =
    R"({"goal": "tea", "subtasks": [{"id": "buy", "description": "Buy tea.", "agent": "model"}]})";

/// The models of the story that most tests tell: a message becomes a plan, and its subtask a call.
outside_ptr tea_world() {
  auto world = std::make_shared<outside>();
  world->planning = std::make_shared<scripted_model>(
      by_turn({slowly(calls("propose_plan", tea_plan, "That is easy."))}));
  world->working = std::make_shared<scripted_model>(
      by_turn({slowly(calls("buy", R"({"item": "tea"})", "I buy it.")),
               slowly(scripted_reply::says("There is tea."))}));
  return world;
}

/// A world in which agent `model` is told what to say.
outside_ptr at_work(scripted_model::script script) {
  auto world = std::make_shared<outside>();
  world->working = std::make_shared<scripted_model>(std::move(script));
  return world;
}

/// A world in which the planner is told what to say.
outside_ptr at_planning(scripted_model::script script) {
  auto world = std::make_shared<outside>();
  world->planning = std::make_shared<scripted_model>(std::move(script));
  return world;
}

void start_tea(sim::world& world) {
  accept(world, propose_plan{plan(tea_plan)});
  accept(world, approve_plan());
}

json result_of(sim::world& world, std::string_view subtask = "buy") {
  const auto ended = facts<subtask_finished>(world);
  const auto found = std::find_if(ended.begin(), ended.end(),
                                  [&](const auto& fact) { return fact.subtask == stid(subtask); });
  REQUIRE(found != ended.end());
  return found->result;
}

/// P7: however often a model was asked to take a certain turn, it was asked the same.
void check_asked_the_same(const scripted_model& model) {
  std::map<std::ptrdiff_t, std::string> by_turns;
  for (const auto& request : model.requests()) {
    CHECK_FALSE(check_conversation(request));
    const auto turns =
        std::count_if(request.messages.begin(), request.messages.end(),
                      [](const auto& message) { return message.role == model_role::assistant; });
    CHECK(by_turns.emplace(turns, told(request)).first->second == told(request));
  }
}

} // namespace

TEST_CASE("a message becomes a plan, the plan a call that is approved, and the call a result") {
  const auto outer = tea_world();
  sim::world world{1, shop_options(outer)};
  accept(world, post_message{"Get me some tea"});
  CHECK(state_of(world) == "running");
  world.advance(1s);
  CHECK(state_of(world) == "awaiting_plan_decision");
  accept(world, approve_plan(2));
  world.advance(1s);
  CHECK(state_of(world) == "waiting");
  CHECK(outer->bought->empty());
  check_no_dead_end(world);
  accept(world, approve(1));
  world.advance(1s);
  CHECK(state_of(world) == "completed");
  CHECK(result_of(world) == "There is tea.");
  CHECK(outer->bought->size() == 1);

  const auto usage = status_of(world).usage;
  CHECK(usage == model_usage{3, 30, 3});
  // The worker knows what the user had asked for, and its own words.
  REQUIRE(outer->working->requests().size() == 2);
  const auto seen = outer->working->requests()[1].messages;
  REQUIRE(seen.size() == 5);
  CHECK(contains(seen[1].text, "Buy tea."));
  CHECK(seen[2].text == "Get me some tea");
  CHECK(seen[3].text == "I buy it.");
  CHECK(seen[4].text == R"({"bought":"tea"})");
}

TEST_CASE("P1 P4 P7 P8: a crash before or after any commit loses nothing of what models planned "
          "and did, and repeats no effect silently") {
  const auto story = [] {
    const auto outer = tea_world();
    scenario made;
    made.options = shop_options(outer);
    made.first = post_message{"Get me some tea"};
    made.end = "completed";
    made.calls = 1;
    made.pass = 2s;
    made.counted = outer->bought;
    made.check = [outer](sim::world& world) {
      CHECK(result_of(world) == "There is tea.");
      CHECK(outer->bought->size() == 1);
      // However often the models were asked, what they said was recorded once.
      CHECK(facts<message_received>(world).size() == 1);
      CHECK(facts<plan_proposed>(world).size() == 2);
      CHECK(facts<agent_said>(world).size() == 1);
      CHECK(facts<call_proposed>(world).size() == 1);
      check_asked_the_same(*outer->planning);
      check_asked_the_same(*outer->working);
      // What was asked for and lost with the process was paid for, but nobody knows of it.
      CHECK(status_of(world).usage == model_usage{3, 30, 3});
    };
    return made;
  };
  with_a_fault_at_every_commit(story);
}

TEST_CASE("a user's message that comes while a model is asked is seen before the subtask ends") {
  const auto outer = at_work([](const model_request& request) {
    return slowly(scripted_reply::says(last_text(request) == "stop" ? "stopped" : "went on"));
  });
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  accept(world, post_message{"stop"});
  world.advance(1s);
  CHECK(state_of(world) == "running");
  world.advance(1s);
  CHECK(result_of(world) == "stopped");
  CHECK(outer->working->requests().size() == 2);
}

TEST_CASE("what a model says is shown while it says it, and is recorded as a whole") {
  const auto outer = at_work([](const model_request&) {
    auto reply = scripted_reply::says("one two");
    reply.parts = {"one ", "two"};
    reply.pause = 1s;
    return reply;
  });
  auto options = shop_options(outer);
  std::vector<json> shown;
  options.on_live = [&](const live_update& update) {
    CHECK(update.subtask == stid("buy"));
    shown.push_back(update.content);
  };
  sim::world world{1, options};
  start_tea(world);
  CHECK(shown == std::vector<json>{"one "});
  world.advance(1s);
  CHECK(shown == std::vector<json>{"one ", "two"});
  CHECK(result_of(world) == "one two");
}

TEST_CASE("a model that fails for now is asked again after the subtask's backoff") {
  int asked = 0;
  const auto outer = at_work([&](const model_request&) {
    return ++asked < 3 ? scripted_reply::fails(make_error(errc::model_failed, "busy"))
                       : scripted_reply::says("at last");
  });
  sim::world world{1, shop_options(outer)};
  auto patient = plan(tea_plan);
  patient.subtasks[0].retry = retry_policy{3, 10s, 60s};
  accept(world, propose_plan{patient});
  accept(world, approve_plan());
  CHECK(asked == 1);
  CHECK(status_of(world).waiting.backoff == 1);
  check_no_dead_end(world);
  world.advance(60s);
  CHECK(result_of(world) == "at last");
  CHECK(status_of(world).usage.requests == 3);
}

TEST_CASE("a model that never ends fails its subtask, and the session says so") {
  const auto outer = at_work([](const model_request&) { return scripted_reply::silence(); });
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  CHECK(state_of(world) == "running");
  world.advance(300s);
  CHECK(state_of(world) == "needs_attention");
  CHECK(contains(subtask_of(world, "buy").error, "did not answer within its time limit"));
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a subtask whose plan is cancelled stops asking its model") {
  const auto outer = at_work([](const model_request&) { return scripted_reply::silence(); });
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  CHECK(coro::live_frames() > 0);
  accept(world, cancel_plan{"enough"});
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a model sees why its calls were refused, and goes on") {
  const auto outer = at_work(by_turn(
      {calls("buy", R"({"item": )"), calls("buy", R"({"itme": "tea"})"), calls("sell", "{}"),
       calls("propose_plan", R"({"goal": "x"})"), scripted_reply::says("I see.")}));
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  CHECK(result_of(world) == "I see.");
  CHECK(outer->bought->empty());
  const auto requests = outer->working->requests();
  REQUIRE(requests.size() == 5);
  CHECK(contains(last_text(requests[1]), "not valid JSON at line 1"));
  CHECK(contains(last_text(requests[1]), "invalid_arguments"));
  CHECK(contains(last_text(requests[2]), "invalid_arguments"));
  CHECK(contains(last_text(requests[2]), "itme"));
  CHECK(contains(last_text(requests[3]), "There is no tool called \"sell\" for you"));
  CHECK(contains(last_text(requests[4]), "the field \"subtasks\" is missing"));
  for (const auto& answered : facts<call_answered>(world))
    CHECK(answered.answer.outcome == call_outcome::failed);
  CHECK(pending_of(world).empty());
}

TEST_CASE("a model sees what people made of its calls, whatever it called them") {
  std::vector<model_call> written;
  for (const auto* item : {"tea", "milk", "honey", "lemon"})
    written.emplace_back("same", "buy", to_text(json{{"item", item}}));
  written.emplace_back("same", "ask_human", R"({"question": "Sugar?"})");
  auto outer =
      at_work(by_turn({scripted_reply::calls(std::move(written)), scripted_reply::says("I see.")}));
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  CHECK(status_of(world).waiting.decision == 4);
  CHECK(status_of(world).waiting.answer == 1);
  accept(world, cancel_call{cid(4), "No fruit."});
  accept(world, answer_question{cid(5), "No."});
  accept(world, reject(2, "We have some."));
  accept(world, edit(1, {{"item", "green tea"}}));
  decide_call by_hand{cid(3), call_verdict::respond};
  by_hand.content = "from the bees";
  accept(world, by_hand);
  CHECK(result_of(world) == "I see.");
  CHECK(outer->bought->size() == 1);

  const auto seen = outer->working->requests().at(1).messages;
  REQUIRE(seen.size() == 8);
  CHECK(seen[2].calls[0].arguments == R"({"item":"tea"})");
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(seen[2].calls[i].id == "c" + std::to_string(i + 1));
    CHECK(seen[3 + i].call == "c" + std::to_string(i + 1));
  }
  CHECK(seen[3].text
        == "[A person changed the arguments before they approved the call; what ran is buy "
           "{\"item\":\"green tea\"}]\n{\"bought\":\"green tea\"}");
  CHECK(contains(seen[4].text, "A person rejected the call"));
  CHECK(contains(seen[4].text, "We have some."));
  CHECK(seen[4].is_error);
  CHECK(seen[5].text
        == "[A person answered in place of the tool, which did not run]\nfrom the bees");
  CHECK(contains(seen[6].text, "The call was cancelled"));
  CHECK(contains(seen[6].text, "No fruit."));
  CHECK(seen[6].is_error);
  CHECK(seen[7].text == "No.");
}

TEST_CASE("a planner hears why its plan was sent back, and proposes another") {
  const auto outer = at_planning([](const model_request& request) {
    const auto& task = request.messages[1].text;
    return calls("propose_plan", contains(task, "Make it green") ? R"({"goal": "green tea",
      "subtasks": [{"id": "buy", "description": "Buy green tea.", "agent": "model"}]})"
                                                                 : tea_plan);
  });
  outer->working = std::make_shared<scripted_model>(replies{scripted_reply::says("Done.")});
  sim::world world{1, shop_options(outer)};
  accept(world, post_message{"Get me some tea"});
  CHECK(status_of(world).plan->goal == "tea");
  decide_plan back{2, plan_verdict::modify};
  back.feedback = "Make it green";
  accept(world, back);
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(status_of(world).plan->goal == "green tea");
  accept(world, approve_plan(4));
  CHECK(state_of(world) == "completed");
  const auto seen = outer->planning->requests().at(1);
  CHECK(contains(seen.messages[1].text, R"("goal":"tea")"));
  CHECK(last_text(seen) == "Get me some tea");
}

TEST_CASE("a planner that is told why what it proposed is no plan can do better") {
  const auto outer = at_planning([](const model_request& request) {
    return calls("propose_plan", contains(last_text(request), "The proposed plan is refused")
                                     ? tea_plan
                                     : R"({"goal": "tea", "subtasks": [{"id": "buy",
                                         "description": "", "agent": "nobody"}]})");
  });
  sim::world world{1, shop_options(outer)};
  accept(world, post_message{"Get me some tea"});
  CHECK(state_of(world) == "awaiting_plan_decision");
  CHECK(facts<proposal_refused>(world).size() == 1);
}

TEST_CASE("a planner that only says something ends the planning with it") {
  const auto outer = at_planning(by_turn({scripted_reply::says("There is tea already.")}));
  sim::world world{1, shop_options(outer)};
  accept(world, post_message{"Get me some tea"});
  CHECK(state_of(world) == "completed");
  CHECK(result_of(world, "plan") == "There is tea already.");
}

TEST_CASE("a model hands over to another agent, which sees what was done and the note") {
  const auto outer = at_work([](const model_request& request) {
    if (contains(last_text(request), "handed over to you"))
      return scripted_reply::says("Helped.");
    return request.messages.size() < 3
               ? calls("ask_human", R"({"question": "Sugar?"})")
               : calls("hand_over", R"({"agent": "helper", "note": "No sugar."})");
  });
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  accept(world, answer_question{cid(1), "No."});
  CHECK(result_of(world) == "Helped.");
  const auto seen = outer->working->requests().at(2).messages;
  REQUIRE(seen.size() == 5);
  CHECK(seen[3].text == "No.");
  CHECK(contains(seen[4].text, "No sugar."));
}

TEST_CASE("a model replaces the plan that it works in, once that is approved") {
  const auto outer = at_work([](const model_request& request) {
    const auto task = request.messages[1].text;
    if (contains(task, "Sell it."))
      return scripted_reply::says("Sold.");
    if (contains(last_text(request), "was rejected"))
      return scripted_reply::says("Then not.");
    return calls("propose_plan", R"({"goal": "no tea", "subtasks": [{"id": "sell",
      "description": "Sell it.", "agent": "model"}]})");
  });
  sim::world world{1, shop_options(outer)};
  start_tea(world);
  CHECK(pending_of(world).size() == 1);
  SECTION("approved") {
    accept(world, approve_plan(2));
    CHECK(state_of(world) == "completed");
    CHECK(result_of(world, "sell") == "Sold.");
  }
  SECTION("rejected") {
    decide_plan no{2, plan_verdict::reject};
    no.feedback = "We want tea.";
    accept(world, no);
    CHECK(state_of(world) == "completed");
    CHECK(result_of(world) == "Then not.");
    CHECK(contains(last_text(outer->working->requests().at(1)), "We want tea."));
  }
}

} // namespace model_world_test
