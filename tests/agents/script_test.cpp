// The agent `script`: what it refuses when a plan is proposed, and what it does next from what is
// recorded.

#include "support.hpp"

#include <fermata/actors/agents/script.hpp>

namespace script_test {

using namespace fermata;
using namespace agents_test;

namespace {

subtask_spec script(std::string_view steps, std::string_view result = "null") {
  subtask_spec spec;
  spec.id = make<subtask_id>("work");
  spec.depends_on = {make<subtask_id>("collect"), make<subtask_id>("look-up")};
  spec.steps = parsed(steps);
  spec.result = parsed(result);
  return spec;
}

std::string checking(std::string_view steps, std::string_view result = "null") {
  return verdict_on(script_agent().check(script(steps, result)));
}

/// A session's part: runs the script step by step and answers its calls.
class session {
public:
  explicit session(std::string_view steps, std::string_view result = "null")
      : subtask_{script(steps, result)} {
    ctx_.goal = "a goal";
    CHECK(verdict_on(script_agent().check(subtask_)) == "accepted");
    ctx_.dependencies.resize(2);
    ctx_.dependencies[0].subtask = make<subtask_id>("collect");
    ctx_.dependencies[0].result = parsed(R"({"stdout": "text", "list": [10, {"a/b": 1, "m~n": 2}],
                                             "trap": {"$ref": "/goal"}, "": "empty key"})");
    ctx_.dependencies[1].subtask = make<subtask_id>("look-up");
    ctx_.dependencies[1].status = subtask_status::skipped;
  }

  /// What the script does next. A new agent every time: it has no state of its own.
  std::string next() {
    ctx_.transcript = transcript_;
    return told(driver{}.run(script_agent().run(ctx_)));
  }

  session& answer(std::vector<tool_answer> answers) {
    auto& entry = transcript_.emplace_back();
    for (auto& each : answers) {
      auto& call = entry.calls.emplace_back();
      call.tool = make<tool_name>("t");
      call.answer = std::move(each);
    }
    return *this;
  }

  session& answer(std::string_view content, call_outcome outcome = call_outcome::succeeded) {
    std::vector<tool_answer> answers;
    answers.emplace_back(outcome, parsed(content));
    return answer(std::move(answers));
  }

  session& reject(std::string_view feedback) {
    return answer(R"({"rejected": true, "feedback": ")" + std::string{feedback} + "\"}",
                  call_outcome::rejected);
  }

  session& wake() {
    transcript_.emplace_back().source = entry_source::timer;
    return *this;
  }

  session& say(std::string_view text) {
    transcript_.emplace_back().text = text;
    return *this;
  }

private:
  subtask_spec subtask_;
  std::vector<transcript_entry> transcript_;
  step_context ctx_{subtask_};
};

} // namespace

TEST_CASE("a script makes its calls one after the other and finishes with the last result") {
  session run{R"([{"tool": "list_files"}, {"tool": "read_file", "arguments": {"path": "x"}}])"};
  CHECK(run.next() == "call list_files {}");
  CHECK(run.answer(R"(["x"])").next() == R"(call read_file {"path":"x"})");
  CHECK(run.answer(R"({"content": "text"})").next() == R"(finish {"content":"text"})");
}

TEST_CASE("a script sleeps where it says so, and goes on with the next step") {
  session run{R"([{"sleep_ms": 86400000}, {"tool": "a"}, {"sleep_ms": 0}])",
              R"({"slept": {"$ref": "/steps/0"}, "a": {"$ref": "/steps/1"}})"};
  CHECK(run.next() == "sleep 86400000");
  CHECK(run.wake().next() == "call a {}");
  CHECK(run.answer("1").next() == "sleep 0");
  CHECK(run.wake().next() == R"(finish {"a":1,"slept":null})");
  session last{R"([{"tool": "a"}, {"sleep_ms": 1}])"};
  CHECK(last.answer("1").wake().next() == "finish null");
  CHECK(checking(R"([{"sleep_ms": 1, "tool": "a"}])")
        == "invalid_field: steps[0]: a step has one of \"tool\", \"calls\" and \"sleep_ms\"");
  CHECK(checking(R"([{"sleep_ms": 1, "on_error": "fail"}])")
        == "invalid_field: steps[0]: a step with \"sleep_ms\" has nothing else");
  CHECK(checking(R"([{"sleep_ms": null}])")
        == "invalid_field: steps[0].sleep_ms: expected milliseconds, got null");
  CHECK(checking(R"([{"sleep_ms": -1}])").starts_with("invalid_field: steps[0].sleep_ms: "));
}

TEST_CASE("a script asked twice at one place gives one answer") {
  session run{R"([{"tool": "a"}, {"tool": "b"}])"};
  CHECK(run.next() == "call a {}");
  CHECK(run.next() == "call a {}");
  run.answer("1");
  CHECK(run.next() == "call b {}");
  CHECK(run.next() == "call b {}");
}

TEST_CASE("a script leaves no frame behind") {
  session run{R"([{"tool": "a"}])"};
  CHECK(run.next() == "call a {}");
  CHECK(coro::live_frames() == 0);
}

TEST_CASE("a script without steps finishes at once") {
  CHECK(session{"[]"}.next() == "finish null");
  CHECK(session{"null"}.next() == "finish null");
  CHECK(session("null", R"({"static": [1]})").next() == R"(finish {"static":[1]})");
}

TEST_CASE("what was said in between is no step") {
  session run{R"([{"tool": "a"}, {"tool": "b"}])"};
  CHECK(run.say("hm").next() == "call a {}");
  CHECK(run.answer("1").say("aha").next() == "call b {}");
  CHECK(run.say("well").answer("2").next() == "finish 2");
}

TEST_CASE("several calls of one step go out together and have an array as their result") {
  session run{R"([{"calls": [{"tool": "a"}, {"tool": "b", "arguments": {"k": 1}}]}])",
              R"({"all": {"$ref": "/steps/0"}, "second": {"$ref": "/steps/0/1"}})"};
  CHECK(run.next() == R"(call a {}; b {"k":1})");
  std::vector<tool_answer> answers{{call_outcome::succeeded, 10}, {call_outcome::succeeded, 20}};
  CHECK(run.answer(answers).next() == R"(finish {"all":[10,20],"second":20})");
  CHECK(session{R"([{"calls": [{"tool": "a"}]}])"}.answer("10").next() == "finish [10]");
}

TEST_CASE("references in arguments are replaced by what they name") {
  session run{R"([
    {"tool": "a"},
    {"tool": "b", "arguments": {
      "goal": {"$ref": "/goal"},
      "dependency": {"$ref": "/results/collect/stdout"},
      "element": {"$ref": "/results/collect/list/0"},
      "escaped": [{"$ref": "/results/collect/list/1/a~1b"}, {"$ref": "/results/collect/list/1/m~0n"}],
      "empty key": {"$ref": "/results/collect/"},
      "skipped": {"$ref": "/results/look-up"},
      "step": {"deep": [[{"$ref": "/steps/0/x"}]]},
      "as it is": {"$ref": "/goal", "and": "more"}}}])"};
  run.answer(R"({"x": {"y": 1}})");
  CHECK(run.next()
        == R"(call b {"as it is":{"$ref":"/goal","and":"more"},"dependency":"text","element":10,)"
           R"("empty key":"empty key","escaped":[1,2],"goal":"a goal","skipped":null,)"
           R"("step":{"deep":[[{"y":1}]]}})");
}

TEST_CASE("the whole arguments can be a reference") {
  session run{R"([{"tool": "a"}, {"tool": "b", "arguments": {"$ref": "/steps/0"}}])"};
  CHECK(run.answer(R"({"path": "x"})").next() == R"(call b {"path":"x"})");
}

TEST_CASE("what a reference names is data: a reference in it stays as it is") {
  session run{R"([{"tool": "a", "arguments": {"x": {"$ref": "/results/collect/trap"}}}])",
              R"({"$ref": "/steps/0"})"};
  CHECK(run.next() == R"(call a {"x":{"$ref":"/goal"}})");
  CHECK(run.answer(R"({"$ref": "/goal"})").next() == R"(finish {"$ref":"/goal"})");
}

TEST_CASE("a reference that names nothing fails the subtask when it is needed") {
  const auto failing = [](std::string_view reference) {
    session run{R"([{"tool": "a"}, {"tool": "b", "arguments": {"k": [{"$ref": ")"
                + std::string{reference} + "\"}]}}]"};
    CHECK(run.next() == "call a {}");
    return run.answer(R"({"x": [1]})").next();
  };
  CHECK(failing("/results/collect/stderr")
        == "fail steps[1].arguments.k[0]: the reference \"/results/collect/stderr\" names nothing: "
           "there is no \"stderr\" in object");
  CHECK(failing("/results/look-up/x").ends_with("there is no \"x\" in null"));
  CHECK(failing("/results/collect/stdout/0").ends_with("there is no \"0\" in string"));
  CHECK(failing("/steps/0/x/1").ends_with("there is no \"1\" in an array of 1"));
  CHECK(failing("/steps/0/x/00").ends_with("there is no \"00\" in an array of 1"));
  CHECK(failing("/steps/0/x/-").ends_with("there is no \"-\" in an array of 1"));
  CHECK(failing("/steps/0/x/-1").ends_with("there is no \"-1\" in an array of 1"));
  CHECK(failing("/steps/0/x/99999999999999999999").ends_with("in an array of 1"));

  session last{R"([{"tool": "a"}])", R"({"r": {"$ref": "/steps/0/y"}})"};
  CHECK(
      last.answer("{}").next()
      == "fail result.r: the reference \"/steps/0/y\" names nothing: there is no \"y\" in object");
}

TEST_CASE("after a rejected call a script goes on, with the feedback as its result") {
  session run{
      R"([{"tool": "a"}, {"tool": "b", "arguments": {"why": {"$ref": "/steps/0/feedback"}}}])",
      R"({"$ref": "/steps/0"})"};
  CHECK(run.reject("too risky").next() == R"(call b {"why":"too risky"})");
  CHECK(run.answer("1").next() == R"(finish {"feedback":"too risky","rejected":true})");
}

TEST_CASE("on_rejected fail fails the subtask with the feedback") {
  session run{R"([{"tool": "a", "on_rejected": "fail"}, {"tool": "b"}])"};
  CHECK(run.reject("too risky").next() == "fail steps[0] (t) rejected: too risky");
}

TEST_CASE("a failed call fails the subtask with the tool's message") {
  const auto after = [](std::string_view content, call_outcome outcome) {
    return session{R"([{"tool": "a"}, {"tool": "b"}])"}.answer(content, outcome).next();
  };
  CHECK(after(R"({"error": "tool_failed", "message": "no such file"})", call_outcome::failed)
        == "fail steps[0] (t) failed: no such file");
  CHECK(after("\"broken\"", call_outcome::failed) == "fail steps[0] (t) failed: broken");
  CHECK(after(R"({"exit": 1})", call_outcome::failed) == R"(fail steps[0] (t) failed: {"exit":1})");
  CHECK(after("null", call_outcome::failed) == "fail steps[0] (t) failed: null");
  CHECK(after("\"too late\"", call_outcome::expired) == "fail steps[0] (t) expired: too late");
  CHECK(after(R"({"cancelled": true, "reason": "stop"})", call_outcome::cancelled)
        == "fail steps[0] (t) cancelled: stop");
}

TEST_CASE("a long error is cut between two characters") {
  const auto text = [] {
    std::string notes;
    for (int i = 0; i < 100'000; ++i)
      notes += "\xF0\x9F\x8E\xB5";
    return "x" + notes;
  }();
  const auto reason =
      session{R"([{"tool": "a"}])"}.answer("\"" + text + "\"", call_outcome::failed).next();
  CHECK(reason.size() < 1'100);
  CHECK(reason.ends_with("\xB5..."));
  CHECK(is_utf8(reason));
}

TEST_CASE("on_error continue goes on after a failed call, with the error as its result") {
  for (const auto outcome :
       {call_outcome::failed, call_outcome::expired, call_outcome::cancelled}) {
    session run{R"([{"tool": "a", "on_error": "continue"}, {"tool": "b"}])",
                R"({"first": {"$ref": "/steps/0"}, "second": {"$ref": "/steps/1"}})"};
    CHECK(run.answer(R"({"message": "no"})", outcome).next() == "call b {}");
    CHECK(run.answer("2").next() == R"(finish {"first":{"error":{"message":"no"}},"second":2})");
  }
}

TEST_CASE("on_error and on_rejected hold for their own step and for each other's answers not") {
  session rejected{R"([{"tool": "a", "on_error": "continue", "on_rejected": "fail"}])"};
  CHECK(rejected.reject("no").next() == "fail steps[0] (t) rejected: no");
  session failed{R"([{"tool": "a", "on_error": "continue"}, {"tool": "b"}])"};
  failed.answer("1", call_outcome::failed);
  CHECK(failed.answer("2", call_outcome::failed).next() == "fail steps[1] (t) failed: 2");
}

TEST_CASE("one failed call of several fails the step, also the last one") {
  const std::vector<tool_answer> answers{{call_outcome::succeeded, 1},
                                         {call_outcome::failed, "no"}};
  session strict{R"([{"calls": [{"tool": "a"}, {"tool": "b"}]}])"};
  CHECK(strict.answer(answers).next() == "fail steps[0] (t) failed: no");
  session lenient{R"([{"calls": [{"tool": "a"}, {"tool": "b"}], "on_error": "continue"}])"};
  CHECK(lenient.answer(answers).next() == R"(finish [1,{"error":"no"}])");
}

TEST_CASE("a result that grew too deep for a record fails the subtask instead of the session") {
  std::string deep;
  for (int i = 0; i < 60; ++i)
    deep += '[';
  for (int i = 0; i < 60; ++i)
    deep += ']';
  session run{
      R"([{"tool": "a"}, {"tool": "b", "arguments": {"a": [[[[{"$ref": "/steps/0"}]]]]}}])"};
  CHECK(run.answer(deep).next()
        == "fail the agent's call 1 of 1 is refused: nested more than 64 levels deep (limit "
           "json_depth)");
}

TEST_CASE("a recorded script that the agent cannot read fails the subtask") {
  subtask_spec subtask;
  subtask.steps = parsed(R"([{"tool": "a", "new_field": 1}])");
  step_context ctx{subtask};
  CHECK(told(driver{}.run(script_agent().run(ctx)))
            .starts_with("fail steps[0]: unknown field \"new_field\""));
}

TEST_CASE("a well-formed script is accepted when it is proposed") {
  CHECK(checking("null") == "accepted");
  CHECK(checking("[]", "[]") == "accepted");
  CHECK(checking(R"([{"tool": "a", "arguments": {}, "on_error": "fail", "on_rejected": "continue"},
                     {"calls": [{"tool": "b", "arguments": {"x": {"$ref": "/steps/0"}}}],
                      "on_error": "continue", "on_rejected": "fail"}])",
                 R"({"$ref": "/steps/1/0"})")
        == "accepted");
}

TEST_CASE("steps of another form are refused with their place") {
  CHECK(checking("{}") == "invalid_field: steps: expected an array, got object");
  CHECK(checking(R"([{"tool": "a"}, 7])")
        == "invalid_field: steps[1]: expected an object, got number");
  CHECK(checking(R"([{}])")
        == "invalid_field: steps[0]: a step has one of \"tool\", \"calls\" and \"sleep_ms\"");
  CHECK(checking(R"([{"tool": "a", "calls": [{"tool": "b"}]}])")
        == "invalid_field: steps[0]: a step has one of \"tool\", \"calls\" and \"sleep_ms\"");
  CHECK(checking(R"([{"calls": []}])")
        == "invalid_field: steps[0].calls: at least one call is needed");
  CHECK(checking(R"([{"calls": [{"tool": "a"}], "arguments": {}}])")
        == "invalid_field: steps[0].arguments: each of \"calls\" has arguments of its own");
  CHECK(checking(R"([{"tool": "a", "argumnets": {}}])")
        == "invalid_field: steps[0]: unknown field \"argumnets\"; accepted are: sleep_ms tool "
           "arguments "
           "expires_after_ms calls on_error on_rejected");
  CHECK(checking(R"([{"calls": [{"tool": "a"}, {"tool": "b", "on_error": "fail"}]}])")
        == "invalid_field: steps[0].calls[1]: unknown field \"on_error\"; accepted are: tool "
           "arguments expires_after_ms");
  CHECK(checking(R"([{"calls": [{"arguments": {}}]}])")
        == "invalid_field: steps[0].calls[0]: the field \"tool\" is missing");
  CHECK(checking(R"([{"tool": 1}])")
        == "invalid_field: steps[0].tool: expected a string, got number");
  CHECK(checking(R"([{"tool": "rm -rf"}])")
            .starts_with("invalid_id: steps[0].tool: tool name refused: "));
  CHECK(checking(R"([{"tool": "a", "on_error": "ignore"}])")
        == "invalid_field: steps[0].on_error: expected one of fail, continue");
}

TEST_CASE("arguments that are no object are refused with their place") {
  CHECK(checking(R"([{"tool": "a", "arguments": ["x"]}])")
        == "invalid_field: steps[0].arguments: expected an object, got array");
  CHECK(checking(R"([{"tool": "a", "arguments": null}])")
        == "invalid_field: steps[0].arguments: expected an object, got null");
  CHECK(checking(R"([{"calls": [{"tool": "a"}, {"tool": "b", "arguments": 1}]}])")
        == "invalid_field: steps[0].calls[1].arguments: expected an object, got number");
}

TEST_CASE("parameters, which are for other agents, are refused") {
  auto spec = script("[]");
  spec.parameters = json::object();
  CHECK(verdict_on(script_agent().check(spec)).starts_with("invalid_field: parameters: "));
}

TEST_CASE("references that can never name anything are refused when the script is proposed") {
  const auto reference = [](std::string_view pointer) {
    return checking(R"([{"tool": "a"}, {"tool": "b", "arguments": {"path": {"$ref": )"
                    + std::string{pointer} + "}}}, {\"tool\": \"c\"}]");
  };
  const std::string place = "invalid_field: steps[1].arguments.path: ";
  CHECK(reference("1") == place + "a $ref must be a string, not number");
  CHECK(reference("\"goal\"") == place + "the reference \"goal\" is not a JSON Pointer (RFC 6901)");
  for (const auto* broken :
       {R"("/results/collect/a~")", R"("/results/collect/a~2")", R"("#/goal")"})
    CHECK(reference(broken).ends_with("is not a JSON Pointer (RFC 6901)"));
  for (const auto* elsewhere : {R"("")", R"("/")", R"("/results")", R"("/steps")", R"("/goals")",
                                R"("/goal/x")", R"("/result/collect")", R"("//goal")"})
    CHECK(reference(elsewhere).ends_with(
        "is refused; accepted are /results/<dependency>, /steps/<index> and what is in them, and "
        "/goal"));
  CHECK(reference(R"("/results/other/x")")
        == place
               + "the reference \"/results/other/x\" is refused: this subtask does not depend on "
                 "\"other\"");
  CHECK(reference(R"("/results//x")").ends_with("this subtask does not depend on \"\""));
  CHECK(reference(R"("/steps/1")")
            .ends_with("is refused: the last step before it is 0, counted from 0"));
  CHECK(reference(R"("/steps/2/x")")
            .ends_with("is refused: the last step before it is 0, counted from 0"));
  for (const auto* odd : {R"("/steps/00")", R"("/steps/-")", R"("/steps/-1")", R"("/steps/")",
                          R"("/steps/0x0")", R"("/steps/99999999999999999999")"})
    CHECK(reference(odd).ends_with("is not the number of a step, counted from 0"));
  CHECK(reference(R"("/steps/0/any/thing")") == "accepted");
  CHECK(reference(R"("/results/look-up/any/thing")") == "accepted");
}

TEST_CASE("references are checked wherever they stand, and told by their path") {
  CHECK(checking(R"([{"tool": "a", "arguments": {"l": [0, {"o k": {"$ref": "/steps/0"}}]}}])")
        == "invalid_field: steps[0].arguments.l[1].\"o k\": the reference \"/steps/0\" is refused: "
           "no "
           "step comes before it");
  CHECK(checking(R"([{"calls": [{"tool": "a"}, {"tool": "b", "arguments": {"$ref": "x"}}]}])")
            .starts_with("invalid_field: steps[0].calls[1].arguments: the reference \"x\""));
  CHECK(checking(R"([{"tool": "a"}])", R"({"r": [{"$ref": "/steps/1"}]})")
            .starts_with("invalid_field: result.r[0]: the reference \"/steps/1\" is refused"));
  CHECK(checking(R"([{"tool": "a"}])", R"({"r": [{"$ref": "/steps/0"}]})") == "accepted");
}

TEST_CASE("P8: a call that was cut off at its tool's time limit is not made again by itself") {
  const auto retryable = [](std::string_view error) {
    const auto subtask = script(R"([{"tool": "a"}])");
    step_context ctx{subtask};
    std::vector<transcript_entry> transcript(1);
    auto& call = transcript[0].calls.emplace_back();
    call.tool = make<tool_name>("a");
    call.answer = {call_outcome::failed, json{{"error", error}, {"message", "no"}}};
    ctx.transcript = transcript;
    const auto taken = driver{}.run(script_agent().run(ctx));
    return std::get<step::failed>(taken.what()).retryable;
  };
  CHECK(retryable("tool_failed"));
  CHECK_FALSE(retryable("tool_timed_out"));
}

} // namespace script_test
