// A look at a store with other agents and tools than those that its sessions were begun with.

#include "support.hpp"

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/preflight.hpp>

#include <algorithm>

namespace preflight_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// What a build has.
struct build {
  agent_registry agents;
  tool_registry tools;

  build() { must(agents.add(default_agent().str(), script_agent())); }
};

tool write_tool(std::uint32_t version = 1, json schema = nullptr) {
  tool write;
  write.name = tid("write");
  write.version = version;
  write.schema = std::move(schema);
  write.run = blocking_tool{[](const tool_context&) -> result<json> { return json("written"); }};
  return write;
}

coro::task<step> own_agent(step_context&) {
  co_return step::finish(1);
}

build old_build() {
  build made;
  must(made.agents.add("own", own_agent));
  must(made.tools.add(write_tool()));
  return made;
}

sim::world_options begun_with_old_build() {
  auto options = options_with([](agent_registry& agents, tool_registry& tools) {
    must(agents.add("own", own_agent));
    must(tools.add(write_tool()));
  });
  options.policy = approval_policy::ask_everything();
  return options;
}

/// A session that is over, and three that are not: `plan` waits for its approval and has a subtask
/// of the agent `own`, `call` for that of a call of `write`, `client` for a result.
void begin_sessions(sim::world& world) {
  const auto writing = plan(R"({"goal": "g", "subtasks": [{"id": "w", "steps": [
      {"tool": "write", "arguments": {"text": "new"}}]}]})");
  accept(world, propose_plan{writing}, "over");
  accept(world, approve_plan(), "over");
  accept(world, cancel_plan{}, "over");
  accept(world, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a", "agent": "own"}]})")},
         "plan");
  accept(world, propose_plan{writing}, "call");
  accept(world, approve_plan(), "call");
  accept(world, propose_plan{seed_plan()}, "client");
  accept(world, approve_plan(), "client");
}

std::vector<std::string> found(sim::world& world, const build& with) {
  const auto report = preflight(world.store(), with.agents, with.tools);
  REQUIRE(report);
  CHECK(report->sessions == 3);
  CHECK(report->is_complete);
  std::vector<std::string> texts;
  for (const auto& one : report->findings)
    texts.push_back(std::string{name_of(code_of(one.why))} + " " + one.text());
  return texts;
}

} // namespace

TEST_CASE("nothing keeps sessions from going on with the build that began them") {
  sim::world world{1, begun_with_old_build()};
  begin_sessions(world);
  CHECK(found(world, old_build()).empty());
}

TEST_CASE("agents and tools that a build does not have are listed, with who needs them") {
  sim::world world{1, begun_with_old_build()};
  begin_sessions(world);
  const auto texts = found(world, build{});
  REQUIRE(texts.size() == 3);
  CHECK(texts[0].starts_with("unknown_agent session plan, subtask a: "));
  CHECK(texts[1].starts_with("unknown_tool session call, subtask w: "));
  CHECK(texts[2].starts_with("unknown_tool session call, subtask w, call call:c1: "));
}

TEST_CASE("a tool of another version, or with a schema that a call does not fit, is listed") {
  sim::world world{1, begun_with_old_build()};
  begin_sessions(world);
  build next;
  must(next.agents.add("own", own_agent));
  must(next.tools.add(
      write_tool(2, R"({"type": "object", "properties": {"text": {"type": "integer"}}})"_json)));
  const auto texts = found(world, next);
  REQUIRE(texts.size() == 2);
  CHECK(texts[0].starts_with("stale_approval session call, subtask w, call call:c1: "));
  CHECK(texts[1].starts_with("invalid_arguments session call, subtask w, call call:c1: "));
}

TEST_CASE("a tool that is left to the host now does not run by itself") {
  sim::world world{1, begun_with_old_build()};
  begin_sessions(world);
  build other;
  must(other.agents.add("own", own_agent));
  auto left = write_tool();
  left.run = std::monostate{};
  must(other.tools.add(std::move(left)));
  const auto texts = found(world, other);
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].starts_with("unknown_tool session call, subtask w, call call:c1: "));
}

TEST_CASE("a subtask that is over, or was handed over, needs who has it now") {
  auto options = options_with([](agent_registry& agents, tool_registry&) {
    must(agents.add("own", own_agent));
    must(agents.add("giver", [](step_context&) -> coro::task<step> {
      co_return step::hand_over("taker", "yours");
    }));
    must(agents.add("taker", [](step_context& ctx) -> coro::task<step> {
      if (ctx.tool_results().empty())
        co_return step::call("ask", json::object());
      co_return step::finish(1);
    }));
  });
  sim::world world{1, std::move(options)};
  accept(world, propose_plan{plan(R"({"goal": "g", "tools": {"ask": {"kind": "client"}},
      "subtasks": [{"id": "done", "agent": "own"}, {"id": "given", "agent": "giver"}]})")});
  accept(world, approve_plan());
  build next;
  must(next.agents.add("giver", own_agent));
  const auto report = preflight(world.store(), next.agents, next.tools);
  REQUIRE(report);
  REQUIRE(report->findings.size() == 1);
  CHECK(report->findings[0].text().find("taker") != std::string::npos);
  CHECK(report->findings[0].subtask == stid("given"));
}

TEST_CASE("a session that cannot be read is listed, and the others are looked at") {
  auto options = begun_with_old_build();
  options.limits.tail_events = 0; // so that there is a record of the call
  sim::world world{1, options};
  begin_sessions(world);
  const auto number = must(world.store().find(sid("call")))->number;
  REQUIRE(world.store().corrupt_record(number, call_key(1)));
  const auto texts = found(world, old_build());
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].starts_with("store_corrupt session call: "));
}

TEST_CASE("a session whose head cannot be read is listed by its number") {
  sim::world world{1, begun_with_old_build()};
  begin_sessions(world);
  const auto number = must(world.store().find(sid("call")))->number;
  REQUIRE(world.store().corrupt_record(number, head_key()));
  const auto texts = found(world, old_build());
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].starts_with("store_corrupt "));
  CHECK(texts[0].find(std::to_string(number)) != std::string::npos);
  CHECK(texts[0].find("session :") == std::string::npos);
}

TEST_CASE("a preflight looks at more sessions than one page, and ends where it has enough") {
  sim::world world{1, begun_with_old_build()};
  for (int i = 0; i < 300; ++i)
    accept(world, propose_plan{plan(R"({"goal": "g", "subtasks": [{"id": "a", "agent": "own"}]})")},
           "s" + std::to_string(i));
  const build none;
  const auto all = preflight(world.store(), none.agents, none.tools);
  REQUIRE(all);
  CHECK(all->sessions == 300);
  CHECK(all->findings.size() == 300);
  CHECK(all->is_complete);
  const auto some = preflight(world.store(), none.agents, none.tools, 280);
  REQUIRE(some);
  CHECK(some->findings.size() == 280);
  CHECK_FALSE(some->is_complete);
}

} // namespace preflight_test
