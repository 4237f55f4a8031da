#include "support.hpp"

#include <fermata/actors/agents/script.hpp>

namespace agent_test {

using namespace fermata;
using namespace agents_test;

namespace {

coro::task<step> speaker(step_context& ctx) {
  co_return step::say(ctx.goal);
}

json nested(std::size_t depth) {
  json value = json::array();
  for (std::size_t i = 1; i < depth; ++i) {
    auto outer = json::array();
    outer.push_back(std::move(value));
    value = std::move(outer);
  }
  return value;
}

subtask_spec subtask_for(std::string_view agent) {
  subtask_spec spec;
  spec.id = make<subtask_id>("a");
  if (!agent.empty())
    spec.agent = make<agent_name>(agent);
  return spec;
}

agent_registry some_agents() {
  agent_registry agents;
  CHECK_FALSE(agents.add("script", script_agent()));
  CHECK_FALSE(agents.add("speaker", speaker));
  return agents;
}

} // namespace

TEST_CASE("a step is what its agent says") {
  CHECK(told(step::say("hm")) == "say hm");
  CHECK(told(step::call("read_file", {{"path", "x"}})) == R"(call read_file {"path":"x"})");
  CHECK(told(step::calls(
            {{make<tool_name>("a"), json::object()}, {make<tool_name>("b"), json{{"k", 1}}}}))
        == R"(call a {}; b {"k":1})");
  CHECK(told(step::finish({{"x", 1}})) == R"(finish {"x":1})");
  CHECK(told(step::finish(nullptr)) == "finish null");
  CHECK(told(step::fail("why")) == "fail why");
}

TEST_CASE("a result is finished with as it is, not wrapped into an array") {
  const json array{1, 2};
  CHECK(told(step::finish(array)) == "finish [1,2]");
  CHECK(told(step::call("t", json::object())) == "call t {}");
}

TEST_CASE("a call by a name that no tool can have becomes a failed step that says so") {
  CHECK(told(step::call("rm -rf", json::object()))
            .starts_with("fail the agent called a tool by \"rm -rf\": tool name refused: the byte "
                         "at position 2"));
  CHECK(told(step::call("", json::object())).starts_with("fail the agent called a tool by \"\": "));
  std::vector<tool_request> requests{{make<tool_name>("a"), json::object()}, {}};
  CHECK(told(step::calls(std::move(requests)))
            .starts_with("fail the agent's call 2 of 2 is refused: tool name refused: it is "
                         "empty"));
}

TEST_CASE("a step with JSON that no record holds becomes a failed step that says so") {
  const std::string why = "nested more than 64 levels deep (limit json_depth)";
  CHECK(told(step::finish(nested(64))).starts_with("finish "));
  CHECK(told(step::finish(nested(65))) == "fail the subtask's result is refused: " + why);
  CHECK(told(step::call("t", nested(100'000)))
        == "fail the agent's call 1 of 1 is refused: " + why);
}

TEST_CASE("the tool results of a step are those of the last entry alone") {
  const subtask_spec subtask;
  step_context ctx{subtask};
  CHECK(ctx.tool_results().empty());
  std::vector<transcript_entry> transcript(2);
  transcript[0].calls.resize(1);
  transcript[1].calls.resize(2);
  ctx.transcript = transcript;
  CHECK(ctx.tool_results().size() == 2);
  transcript.emplace_back().text = "said";
  ctx.transcript = transcript;
  CHECK(ctx.tool_results().empty());
}

TEST_CASE("an agent is found by its name, and the default agent without one") {
  const auto agents = some_agents();
  REQUIRE(agents.find(make<agent_name>("speaker")) != nullptr);
  const subtask_spec subtask;
  step_context ctx{subtask};
  ctx.goal = "sing";
  CHECK(told(driver{}.run(agents.find(make<agent_name>("speaker"))->run(ctx))) == "say sing");
  CHECK(agents.find(make<agent_name>("nobody")) == nullptr);
  CHECK(agents.find(agent_name{}) == agents.find(default_agent()));
  CHECK(agents.find(agent_name{}) == agents.find(make<agent_name>("script")));
}

TEST_CASE("a second agent of one name, an odd name and an agent without a function are refused") {
  auto agents = some_agents();
  CHECK(verdict_on(agents.add("speaker", speaker))
        == "invalid_field: agent \"speaker\" refused: there is one of that name");
  CHECK(verdict_on(agents.add("a b", speaker)).starts_with("invalid_id: agent name refused: "));
  CHECK(verdict_on(agents.add("empty", agent{}))
        == "invalid_field: agent \"empty\" refused: it has no function to run");
  CHECK(agents.find(make<agent_name>("empty")) == nullptr);
}

TEST_CASE("a subtask for an unknown agent is refused with the names of those there are") {
  CHECK(verdict_on(some_agents().check(subtask_for("nobody")))
        == "unknown_agent: no agent is called \"nobody\"; registered are: script, speaker");
  CHECK(verdict_on(agent_registry{}.check(subtask_for("")))
        == "unknown_agent: no agent is called \"script\"; registered are: none");
}

TEST_CASE("fields for the script agent are refused for an agent without a check of its own") {
  const auto agents = some_agents();
  auto spec = subtask_for("speaker");
  spec.parameters = {{"tone", "dry"}};
  CHECK(verdict_on(agents.check(spec)) == "accepted");
  spec.steps = json::array();
  CHECK(verdict_on(agents.check(spec))
        == "invalid_field: steps: this field is for agent \"script\"; agent \"speaker\" takes "
           "parameters");
  spec.steps = nullptr;
  spec.result = 1;
  CHECK(verdict_on(agents.check(spec)).starts_with("invalid_field: result: "));
}

TEST_CASE("an agent's own check decides, also for subtasks that name no agent") {
  const auto agents = some_agents();
  auto spec = subtask_for("");
  spec.steps = parsed(R"([{"tool": "t"}])");
  CHECK(verdict_on(agents.check(spec)) == "accepted");
  spec.steps = 1;
  CHECK(verdict_on(agents.check(spec)) == "invalid_field: steps: expected an array, got number");
}

TEST_CASE("the tools of a subtask are those that its agent says") {
  const auto agents = some_agents();
  auto spec = subtask_for("");
  spec.steps = parsed(R"([{"tool": "b"}, {"calls": [{"tool": "a"}, {"tool": "b"}]}])");
  CHECK(agents.tools_of(spec).value() == std::vector{make<tool_name>("a"), make<tool_name>("b")});
  CHECK(agents.tools_of(subtask_for("speaker")).value().empty());
  CHECK(agents.tools_of(subtask_for("nobody")).value().empty());
}

} // namespace agent_test
