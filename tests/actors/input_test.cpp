// What agents ask people: questions with a schema for the answer, and people who answer in place of
// a tool.

#include "faults.hpp"

namespace input_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

/// Asks what its parameters say, and finishes with the answer as it sees it.
coro::task<step> asker(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::ask("How many?", ctx.subtask.parameters.value("schema", json()),
                        std::chrono::milliseconds{ctx.subtask.parameters.value("expires", 0)});
  const auto& seen = ctx.tool_results()[0];
  co_return step::finish(json{{"answer", to_json(seen.answer)}, {"by_person", seen.by_person}});
}

/// Calls `ask` and finishes with what it sees.
coro::task<step> caller(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("work", {{"n", 1}});
  const auto& seen = ctx.tool_results()[0];
  co_return step::finish(json{{"answer", to_json(seen.answer)}, {"by_person", seen.by_person}});
}

struct work_log {
  int runs = 0;
};

sim::world_options asking(work_log* log = nullptr) {
  auto options = options_with([log](agent_registry& agents, tool_registry& tools) {
    must(agents.add("asker", asker));
    must(agents.add("caller", caller));
    tool work;
    work.name = tid("work");
    work.schema = R"({"type": "object", "properties": {"n": {"type": "integer"}}})"_json;
    work.run = blocking_tool{[log](const tool_context&) -> result<json> {
      if (log != nullptr)
        ++log->runs;
      return "worked";
    }};
    must(tools.add(std::move(work)));
  });
  options.policy.prefer(policy_rule::for_plans(policy_action::allow));
  return options;
}

constexpr auto number_schema =
    R"({"id": "w", "agent": "asker", "parameters": {"schema": {"type": "integer", "minimum": 1}}})";

decide_call respond(std::uint64_t call, json content) {
  decide_call decision{cid(call), call_verdict::respond};
  decision.content = std::move(content);
  return decision;
}

} // namespace

TEST_CASE("P2 P5: a question waits for its answer, and for nothing else, without actor or frame") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(number_schema)});
  CHECK(state_of(world) == "waiting");
  waiting_counts expected;
  expected.answer = 1;
  CHECK(status_of(world).waiting == expected);
  const auto item = pending_of(world).at(0);
  CHECK(item.kind == pending_kind::input);
  CHECK(item.waiting_for == wait_cause::answer);
  CHECK(item.arguments.at("question") == "How many?");
  CHECK(item.arguments.at("schema").at("type") == "integer");
  CHECK_FALSE(item.expires_at);
  CHECK(coro::live_frames() == 0);
  world.advance(std::chrono::hours{24 * 30});
  CHECK(world.resident_sessions() == 0);
  answer_question answer{cid(1), 3};
  answer.by = "ada";
  accept(world, answer);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result.at("answer").at("content") == 3);
  CHECK(subtask_of(world, "w").result.at("by_person") == true);
  CHECK(facts<call_answered>(world)[0].by == "ada");
}

TEST_CASE("an answer that does not fit the question's schema is refused with the place, and the "
          "question stays") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(number_schema)});
  for (const auto& wrong : {json("three"), json(0), json(1.5), json(nullptr), json::object()})
    CHECK(is(refuse_unchanged(world, answer_question{cid(1), wrong}), errc::invalid_answer));
  CHECK(status_of(world).waiting.answer == 1);
  world.crash();
  CHECK(is(refuse_unchanged(world, answer_question{cid(1), "three"}), errc::invalid_answer));
  accept(world, answer_question{cid(1), 1});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("without a schema any answer will do, but not one that no record can hold") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "asker", "parameters": {}})")});
  CHECK(is(refuse_unchanged(world, answer_question{cid(1), std::string(1'000'000, 'x')}),
           errc::limit_exceeded));
  CHECK(code_of(refuse_unchanged(world, answer_question{cid(1), "\xFF"})) != errc::internal);
  accept(world, answer_question{cid(1), nullptr});
  CHECK(state_of(world) == "completed");
}

TEST_CASE("P4: the same answer again gets the first receipt, and another one is refused") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(number_schema)});
  const auto first = accept(world, answer_question{cid(1), 3});
  for (int i = 0; i < 2; ++i) {
    const auto again = accept(world, answer_question{cid(1), 3});
    CHECK(again.kind == receipt_kind::duplicate);
    CHECK(again.event == first.event);
    CHECK(is(refuse_unchanged(world, answer_question{cid(1), 4}), errc::already_answered));
    world.crash();
  }
}

TEST_CASE("a question is no call of a tool: it needs no decision and takes no tool result, and a "
          "call takes no answer") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(std::string{number_schema}
                                        + R"(, {"id": "v", "steps": [{"tool": "ask"}]})")});
  CHECK(is(refuse_unchanged(world, approve(1)), errc::not_allowed));
  CHECK(is(refuse_unchanged(world, reject(1, "no")), errc::not_allowed));
  CHECK(is(refuse_unchanged(world, respond(1, 3)), errc::not_allowed));
  CHECK(is(refuse_unchanged(world, tool_result{cid(1), 3}), errc::not_allowed));
  CHECK(is(refuse_unchanged(world, answer_question{cid(9), 3}), errc::unknown_call));
  accept(world, answer_question{cid(1), 3});
  CHECK(is(refuse_unchanged(world, answer_question{cid(2), 3}), errc::not_allowed));
  accept(world, approve(2));
  CHECK(is(refuse_unchanged(world, answer_question{cid(2), 3}), errc::not_allowed));
}

TEST_CASE("a question that nobody answers expires where its agent says so, and can be cancelled") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(
                    R"({"id": "w", "agent": "asker", "parameters": {"expires": 3600000}})")});
  std::string expected;
  SECTION("expired") {
    world.advance(1h);
    expected = "expired";
  }
  SECTION("cancelled") {
    accept(world, cancel_call{cid(1), "never mind"});
    expected = "cancelled";
  }
  CHECK(subtask_of(world, "w").result.at("answer").at("outcome") == expected);
  CHECK(state_of(world) == "completed");
  CHECK(accept(world, answer_question{cid(1), 3}).kind == receipt_kind::late);
  CHECK_FALSE(status_of(world).next_timer);
}

TEST_CASE("a question that is none, or whose schema is none, is the agent's to correct") {
  sim::world world{1, asking()};
  accept(world,
         propose_plan{agent_plan(
             R"({"id": "w", "agent": "asker", "parameters": {"schema": {"type": "nonsense"}}},
      {"id": "v", "agent": "asker", "parameters": {"schema": 5}})")});
  CHECK(state_of(world) == "completed");
  for (const auto* id : {"w", "v"}) {
    CHECK(subtask_of(world, id).result.at("answer").at("outcome") == "failed");
    CHECK(subtask_of(world, id).result.at("answer").at("content").at("error")
          == "invalid_arguments");
  }
}

TEST_CASE("a person may respond in place of a tool, which then does not run") {
  work_log log;
  sim::world world{1, asking(&log)};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "caller"})")});
  auto response = respond(1, {{"by", "hand"}});
  response.by = "ada";
  const auto first = accept(world, response);
  CHECK(log.runs == 0);
  CHECK(state_of(world) == "completed");
  CHECK(subtask_of(world, "w").result.at("answer").at("content") == json{{"by", "hand"}});
  CHECK(subtask_of(world, "w").result.at("answer").at("outcome") == "succeeded");
  CHECK(subtask_of(world, "w").result.at("by_person") == true);
  CHECK(call_of(world, 1).verdict == call_verdict::respond);
  CHECK(call_of(world, 1).by == "ada");
  CHECK(facts<call_claimed>(world).empty());
  const auto again = accept(world, response);
  CHECK(again.kind == receipt_kind::duplicate);
  CHECK(again.event == first.event);
  CHECK(is(refuse_unchanged(world, respond(1, 4)), errc::already_decided));
  CHECK(is(refuse_unchanged(world, approve(1)), errc::already_decided));
}

TEST_CASE("a call that runs as it was approved is not said to be a person's") {
  work_log log;
  sim::world world{1, asking(&log)};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "caller"})")});
  accept(world, approve(1));
  CHECK(log.runs == 1);
  CHECK(subtask_of(world, "w").result.at("by_person") == false);
}

TEST_CASE("P10: a response over a limit is refused, and the call still waits") {
  sim::world world{1, asking()};
  accept(world, propose_plan{agent_plan(R"({"id": "w", "agent": "caller"})")});
  CHECK(is(refuse_unchanged(world, respond(1, std::string(1'000'000, 'x'))), errc::limit_exceeded));
  CHECK(code_of(refuse_unchanged(world, respond(1, "\xFF"))) != errc::internal);
  CHECK(status_of(world).waiting.decision == 1);
}

TEST_CASE("P1 P4 P6: questions are asked and answered once with a fault at every commit") {
  with_a_fault_at_every_commit(
      [] {
        scenario story;
        story.options = asking();
        story.first = propose_plan{
            agent_plan(std::string{number_schema}
                       + R"(, {"id": "x", "agent": "asker", "parameters": {"expires": 3600000}},
              {"id": "y", "agent": "caller"})")};
        story.answer = [](const pending_item& item) -> std::optional<command> {
          if (item.id == cid(1).str())
            return answer_question{cid(1), 5};
          if (item.id == cid(3).str())
            return respond(3, "by hand");
          return std::nullopt;
        };
        story.end = "completed";
        story.calls = 3;
        story.check = [](sim::world& world) {
          CHECK(subtask_of(world, "w").result.at("answer").at("content") == 5);
          CHECK(subtask_of(world, "x").result.at("answer").at("outcome") == "expired");
          CHECK(subtask_of(world, "y").result.at("answer").at("content") == "by hand");
          CHECK(facts<call_claimed>(world).empty());
        };
        return story;
      },
      {1, 2, 3}, 4);
}

} // namespace input_test
