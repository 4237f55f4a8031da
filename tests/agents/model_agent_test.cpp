// The agent `model`: what a model's reply becomes.

#include "model_support.hpp"

namespace model_agent_test {

using namespace agents_test;

namespace {

model_agent_options proposing() {
  model_agent_options options;
  options.may_propose = true;
  options.may_hand_over = true;
  options.agents = {{"writer", "writes"}, {"script", "makes tool calls"}};
  return options;
}

subtask_spec with_parameters(std::string_view parameters) {
  subtask_spec spec;
  spec.id = make<subtask_id>("work");
  spec.parameters = parsed(parameters);
  return spec;
}

std::string checking(std::string_view parameters, model_agent_options options = {}) {
  return verdict_on(model_agent(std::move(options)).check(with_parameters(parameters)));
}

constexpr std::string_view small_plan =
    R"({"goal": "g", "subtasks": [{"id": "a", "description": "A", "agent": "writer"}]})";

} // namespace

TEST_CASE("a reply of text alone is the subtask's result") {
  desk at;
  const auto asked = at.add_model({scripted_reply::says("all \"done\"")});
  CHECK(at.next() == R"(finish "all \"done\"")");
  REQUIRE(asked->requests().size() == 1);
  CHECK(asked->requests()[0].messages.front().role == model_role::system);
}

TEST_CASE("calls become one step, with what was said and whatever ids the model gave them") {
  desk at;
  std::vector<model_call> written;
  written.emplace_back("x", "read_file", R"({"path": "a"})");
  written.emplace_back("x", "read_file", R"({"path": "b"})");
  written.emplace_back("", "ask_human", R"({"question": "?"})");
  written.emplace_back("x", "write_file", " ");
  at.add_model({scripted_reply::calls(std::move(written), "I look.")});
  CHECK(at.next()
        == "say I look., call read_file {\"path\":\"a\"}; read_file {\"path\":\"b\"}; "
           "ask_human {\"question\":\"?\"}; write_file {}");
}

TEST_CASE("arguments that are no object are called with as they were written") {
  for (const std::string written : {"{\"path\": ", "not JSON", R"({"path": "a", "path": "b"})",
                                    "[1]", "null", "\"x\"", "{} {}"}) {
    CAPTURE(written);
    desk at;
    at.add_model({writes("read_file", written)});
    CHECK(at.next() == "call read_file " + to_text(json(written)));
  }
  desk at;
  std::string deep(100, '[');
  at.add_model({writes("read_file", deep)});
  CHECK(at.next() == "call read_file " + to_text(json(deep)));
}

TEST_CASE("a tool that was not offered never runs, and the model is told of those that are") {
  desk at;
  at.subtask.parameters = parsed(R"({"tools": ["read_file", "ask_human"]})");
  for (const std::string name : {"no_such_tool", "write_file", "rm -rf /", "", "refused_call"}) {
    CAPTURE(name);
    at.models = {};
    at.add_model({writes(name, "{\"path\": \"a\"}")});
    const json arguments{{"tool", name},
                         {"arguments", "{\"path\": \"a\"}"},
                         {"why", "There is no tool called \"" + name
                                     + "\" for you; the tools are: ask_human, read_file"}};
    CHECK(at.next() == "call refused_call " + to_text(arguments));
  }
}

TEST_CASE("the model finds a refused call as it wrote it, with the reason as its result") {
  desk at;
  const std::string raw = R"({"path": "a"})";
  for (const auto& [name, arguments] :
       {std::pair{"write_file", raw}, {"rm -rf /", raw}, {"write_file", std::string{"{"}}}) {
    auto request = refuse_call(model_call{"x", name, arguments}, "There is none.");
    CHECK(request.tool == refused_call());
    auto& calls = at.entry(entry_source::agent, "");
    at.call(calls, request.tool.str(), request.arguments,
            {call_outcome::failed, json{{"error", "unknown_tool"}}});
  }
  CHECK(after_task(at.conversation())
        == "assistant:  <c1 write_file {\"path\":\"a\"}>\n"
           "tool c1 (error): [The call was refused]\nThere is none.\n"
           "assistant:  <c2 refused_call {\"path\":\"a\"}>\n"
           "tool c2 (error): [The call was refused]\nThere is none.\n"
           "assistant:  <c3 write_file {\"malformed\":\"{\"}>\n"
           "tool c3 (error): [The call was refused]\nThere is none.\n");
  const model_call huge{"x", std::string(1'000'000, 'n'), std::string(1'000'000, 'a')};
  CHECK(to_text(refuse_call(huge, "why").arguments).size() < 11'000);
}

TEST_CASE(
    "the tools offered are those of the runtime, of the plan and the question, or those named") {
  desk at;
  at.declared["ask_shop"].description = "asks";
  at.ctx.declared_tools = &at.declared;
  const auto names = [&](std::string_view parameters, model_agent_options options) {
    at.subtask.parameters = parsed(parameters);
    at.models = {};
    const auto asked = at.add_model({scripted_reply::says("ok")});
    const auto taken = at.next(std::move(options));
    std::string text;
    for (const auto& request : asked->requests())
      for (const auto& each : request.tools)
        text += each.name + " ";
    return text.empty() ? taken : text;
  };
  model_agent_options few;
  few.tools.emplace({make<tool_name>("write_file")});
  model_agent_options plans;
  plans.planner = true;
  CHECK(names("null", {}) == "ask_human ask_shop read_file write_file ");
  CHECK(names(R"({"tools": ["ask_shop", "read_file", "ask_shop"]})", few) == "ask_shop read_file ");
  CHECK(names("null", few) == "write_file ");
  CHECK(names("null", plans) == "ask_human propose_plan ");
  CHECK(names("null", proposing())
        == "ask_human ask_shop read_file write_file propose_plan hand_over ");
  CHECK(names(R"({"tools": []})", {}) == R"(finish "ok")");
  CHECK(names(R"({"tools": ["gone"]})", {})
        == "fail: no tool is called \"gone\" in this runtime, and the plan declares none");
}

TEST_CASE("what a subtask says of its model is checked when its plan is proposed") {
  CHECK(checking("null") == "accepted");
  CHECK(checking(R"({"model": "small", "system": "x", "tools": ["t"], "max_steps": 3})")
        == "accepted");
  CHECK(checking(R"({"modle": "small"})")
        == "invalid_field: parameters: unknown field \"modle\"; accepted are: model system tools "
           "max_steps revises feedback");
  CHECK(checking("[]") == "invalid_field: parameters: expected an object, got array");
  CHECK(checking(R"({"tools": ["a b"]})").starts_with("invalid_id: parameters.tools[0]: "));
  CHECK(checking(R"({"max_steps": 0})")
        == "invalid_field: parameters.max_steps: expected a number from 1 to 100");
  CHECK(checking(R"({"max_steps": 101})")
        == "invalid_field: parameters.max_steps: expected a number from 1 to 100");
  CHECK(checking(R"({"feedback": "x"})")
        == "invalid_field: parameters.feedback: this is for the agent that plans");
  model_agent_options plans;
  plans.planner = true;
  CHECK(checking(R"({"revises": {}, "feedback": "x"})", plans) == "accepted");
  auto spec = with_parameters("null");
  spec.steps = json::array();
  CHECK(verdict_on(model_agent().check(spec)).starts_with("invalid_field: steps: this field is "));
  CHECK(model_agent().tools_of(with_parameters(R"({"tools": ["t", "ask_human"]})"))
        == std::vector{make<tool_name>("t")});
  CHECK(model_agent().tools_of(with_parameters("null")).empty());
}

TEST_CASE("a subtask chooses its model and adds to what models are told") {
  desk at;
  const auto small = at.add_model({scripted_reply::says("ok")}, {}, "small");
  at.subtask.parameters = parsed(R"({"model": "small", "system": "In French."})");
  model_agent_options options;
  options.system = "Be brief.";
  CHECK(at.next(options) == R"(finish "ok")");
  REQUIRE(small->requests().size() == 1);
  CHECK(small->requests()[0].messages[0].text == "Be brief.\n\nIn French.");
}

TEST_CASE("a model that fails for now fails the subtask for now; another failure is final") {
  desk at;
  model_options options;
  options.time_limit = 1s;
  at.add_model({scripted_reply::fails(make_error(errc::model_failed, "busy")),
                scripted_reply::fails(make_error(errc::invalid_field, "no such thing")),
                {},
                scripted_reply::silence()},
               options);
  CHECK(at.next() == "fail for now: busy");
  CHECK(at.next() == "fail: no such thing");
  CHECK(at.next() == "fail for now: model \"default\" said nothing at all");
  at.start(model_agent());
  CHECK_FALSE(at.taken);
  at.world.advance(1s);
  REQUIRE(at.taken);
  CHECK(kind_of(**at.taken)
        == "fail for now: model \"default\" did not answer within its time limit of 1000 ms");
  at.models = {};
  CHECK(at.next() == "fail: no model is called \"default\"; registered are: none");
}

TEST_CASE("a step that is cancelled while a model is asked leaves nothing behind") {
  desk at;
  at.add_model({scripted_reply::silence()});
  at.start(model_agent());
  CHECK(coro::live_frames() > 0);
  at.world.in(at.host, [](coro_test::host_state& st) { st.scope.cancel_all(); });
  CHECK(coro::live_frames() == 0);
  CHECK_FALSE(at.taken);
}

TEST_CASE("an attempt that takes too many steps fails by name of the limit") {
  desk at;
  const auto asked = at.add_model({scripted_reply::says("ok"), scripted_reply::says("ok")});
  model_agent_options options;
  options.max_steps = 3;
  at.entry(entry_source::user, "does not count");
  for (int i = 0; i < 2; ++i) {
    // A text with its calls is one step.
    at.entry(entry_source::agent, "I look.");
    auto& calls = at.entry(entry_source::agent, "");
    at.call(calls, "read_file", json::object(), {call_outcome::succeeded, "A"});
  }
  CHECK(at.next(options) == R"(finish "ok")");
  at.entry(entry_source::refusal, "no plan");
  CHECK(at.next(options) == "fail: the agent has taken 3 steps without an end (limit max_steps)");
  at.transcript.pop_back();
  at.subtask.parameters = parsed(R"({"max_steps": 2})");
  CHECK(at.next(options) == "fail: the agent has taken 2 steps without an end (limit max_steps)");
  CHECK(asked->requests().size() == 1);
}

TEST_CASE("a text that was cut off is said, and the result is all of it in one") {
  desk at;
  at.add_model({cut_off(scripted_reply::says("part 1, ")),
                cut_off(scripted_reply::says("part 2, ")), scripted_reply::says("part 3")});
  CHECK(at.next() == "say part 1, ");
  at.entry(entry_source::agent, "part 1, ");
  CHECK(at.next() == "say part 2, ");
  at.entry(entry_source::agent, "part 2, ");
  CHECK(at.next() == R"(finish "part 1, part 2, part 3")");
}

TEST_CASE("the last call of a reply that was cut off may not be whole, and is refused") {
  desk at;
  std::vector<model_call> written;
  written.emplace_back("1", "read_file", R"({"path": "a"})");
  written.emplace_back("2", "write_file", "{}");
  at.add_model({cut_off(scripted_reply::calls(std::move(written)))});
  const auto taken = at.next();
  CHECK(taken.starts_with("call read_file {\"path\":\"a\"}; refused_call {\"arguments\":\"{}\","));
  CHECK(contains(taken, "cut off at your limit of output"));
}

TEST_CASE("what is said along with calls is shortened to what can be said") {
  desk at;
  std::vector<model_call> written;
  written.emplace_back("1", "read_file", "{}");
  at.add_model({scripted_reply::calls(std::move(written), std::string(100'000, 'x'))});
  CHECK(at.next().starts_with("say xxx"));
  CHECK(std::get<step::called>((*at.taken)->what()).text.size() <= limits{}.text_size_bytes);
}

TEST_CASE("a model proposes a plan, which keeps the tools that the present one declares") {
  desk at;
  at.declared["ask_shop"].description = "asks";
  at.ctx.declared_tools = &at.declared;
  const auto asked = at.add_model({writes("propose_plan", std::string{small_plan})});
  auto expected = parsed(small_plan);
  expected["tools"]["ask_shop"]["description"] = "asks";
  CHECK(at.next(proposing()) == "propose " + to_text(expected));
  // The model is told whom and what it can name in plans.
  const auto described = asked->requests()[0].tools[4];
  CHECK(described.name == "propose_plan");
  CHECK(contains(described.description, "- writer: writes"));
  CHECK(contains(described.description, "- ask_shop: asks"));
  CHECK(contains(to_text(described.schema), R"("enum":["script","writer"])"));
}

TEST_CASE("a model hands over with what it said and a note") {
  desk at;
  auto handing = writes("hand_over", R"({"agent": "writer", "note": "Mind the gap."})");
  auto saying = handing;
  saying.reply.text = "Not mine.";
  at.add_model({handing, saying, writes("hand_over", R"({"agent": "writer"})")});
  CHECK(at.next(proposing()) == "hand over to writer: Mind the gap.");
  CHECK(at.next(proposing()) == "hand over to writer: Not mine.\n\nMind the gap.");
  CHECK(at.next(proposing()) == "hand over to writer: ");
}

TEST_CASE("a proposal or handover that is none is refused, and the model is told why") {
  const auto refused = [](scripted_reply reply) {
    desk at;
    at.add_model({std::move(reply)});
    const auto taken = at.next(proposing());
    CHECK(taken.starts_with("call refused_call "));
    const auto& made = std::get<step::called>((*at.taken)->what());
    return made.requests.front().arguments.at("why").get<std::string>();
  };
  CHECK(refused(writes("propose_plan", "{")).starts_with("not valid JSON at line 1"));
  CHECK(refused(writes("propose_plan", R"({"goal": "g"})")) == "the field \"subtasks\" is missing");
  CHECK(refused(writes("propose_plan", R"({"goal": "g", "subtasks": [{"id": "a b"}]})"))
            .starts_with("subtasks[0].id: subtask id refused: "));
  CHECK(refused(writes("propose_plan", R"({"goal": "g", "subtasks": [], "x": 1})"))
            .starts_with("unknown field \"x\""));
  CHECK(refused(writes("hand_over", R"({"note": "x"})")) == "the field \"agent\" is missing");
  CHECK(refused(writes("hand_over", R"({"agent": "nobody"})"))
        == "there is no agent \"nobody\" to hand over to.\nThe agents are:"
           "\n- writer: writes");
  // A script has steps, which a subtask of another agent does not have.
  CHECK(refused(writes("hand_over", R"({"agent": "script"})"))
            .starts_with("there is no agent \"script\" to hand over to."));
  CHECK(refused(cut_off(writes("propose_plan", std::string{small_plan})))
            .starts_with("Your reply was cut off"));
}

TEST_CASE("a proposal beside other calls is refused, and the others are made") {
  desk at;
  std::vector<model_call> written;
  written.emplace_back("1", "propose_plan", std::string{small_plan});
  written.emplace_back("2", "read_file", R"({"path": "a"})");
  written.emplace_back("3", "hand_over", R"({"agent": "writer"})");
  at.add_model({scripted_reply::calls(std::move(written), "All at once.")});
  const auto taken = at.next(proposing());
  CHECK(taken.starts_with("say All at once., call refused_call "));
  const auto& made = std::get<step::called>((*at.taken)->what()).requests;
  REQUIRE(made.size() == 3);
  CHECK(made[0].arguments.at("why") == "propose_plan has to be the only call of a reply.");
  CHECK(made[1].tool.str() == "read_file");
  CHECK(made[2].arguments.at("why") == "hand_over has to be the only call of a reply.");
}

TEST_CASE("what was not offered cannot be proposed or handed over") {
  desk at;
  at.add_model({writes("propose_plan", std::string{small_plan}),
                writes("hand_over", R"({"agent": "writer"})")});
  CHECK(at.next().starts_with("call refused_call "));
  CHECK(at.next().starts_with("call refused_call "));
}

TEST_CASE("a tool by a name that the agent needs for itself fails the subtask before it is asked") {
  for (const std::string name : {"refused_call", "propose_plan", "hand_over"}) {
    CAPTURE(name);
    desk at;
    const auto asked = at.add_model({scripted_reply::says("ok")});
    at.declared[name].description = "mine";
    at.ctx.declared_tools = &at.declared;
    CHECK(at.next(proposing())
          == "fail: tools: there is a tool called \"" + name
                 + "\", a name that this agent needs for itself");
    CHECK(asked->requests().empty());
  }
}

TEST_CASE("a planner turns what a user says into a plan") {
  desk at;
  model_agent_options options;
  options.planner = true;
  at.ctx.goal = "Tidy up";
  at.earlier.resize(2);
  at.earlier[0].text = "Tidy up";
  at.earlier[1].text = "the kitchen first";
  const auto asked = at.add_model({writes("propose_plan", std::string{small_plan}),
                                   scripted_reply::says("It is tidy."),
                                   writes("propose_plan", std::string{small_plan})});
  CHECK(at.next(options) == "propose " + to_text(parsed(small_plan)));
  CHECK(
      asked_in(*asked, 0)
      == "user: Turn what the user says into a plan.\n\nuser: Tidy up\nuser: the kitchen first\n");

  SECTION("it says something when no plan is needed") {
    CHECK(at.next(options) == R"(finish "It is tidy.")");
  }
  SECTION("it hears what was wrong with a plan that was sent back") {
    at.earlier.clear();
    at.subtask.parameters = json{{"revises", parsed(small_plan)}, {"feedback", "too much"}};
    CHECK(at.next(options) == R"(finish "It is tidy.")");
    CHECK(asked_in(*asked, 1)
          == "user: Turn what the user says into a plan.\n\nYou proposed this plan before:\n"
                 + to_text(parsed(small_plan))
                 + "\n\nA person sent it back, and said:\ntoo much\n\nThe user says:\nTidy up\n\n");
  }
}

} // namespace model_agent_test
