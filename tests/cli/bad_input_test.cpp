// Whatever is wrong with what people give: a named error on standard error, exit status 2, and
// nothing changed.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

namespace bad_input_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// The error that a plan is refused with, or "" when it is not.
std::string plan_refusal(const sandbox& box, std::string_view plan) {
  const auto ended = box.run({"run", box.write("bad.json", plan), "--session", "s"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 2);
  CHECK(ended.out.empty());
  return ended.status == 2 ? ended.error()["error"].get<std::string>() : std::string{};
}

std::string plan_with(const std::string& subtasks) {
  return R"({"goal": "g", "subtasks": )" + subtasks + "}";
}

std::uint64_t events_of(const sandbox& box) {
  return box.run({"status", "s"}).last()["events"].get<std::uint64_t>();
}

/// Checks that a command is refused with exit status 2 and this error, and changes nothing.
void check_refused(const sandbox& box, std::vector<std::string> words, const char* name) {
  const auto before = events_of(box);
  const auto ended = box.run(std::move(words));
  INFO(ended.out << ended.err);
  CHECK(ended.status == 2);
  CHECK(ended.out.empty());
  CHECK(ended.error()["error"] == name);
  CHECK(events_of(box) == before);
}

} // namespace

TEST_CASE("a plan that is not JSON is refused with line, column and file name") {
  const sandbox box;
  const auto file = box.write("bad.json", "{\n  \"goal\": \"g\",\n  \"subtasks\": [,]\n}");
  const auto ended = box.run({"run", file});
  CHECK(ended.status == 2);
  const auto error = ended.error();
  CHECK(error["error"] == "invalid_json");
  const auto message = error["message"].get<std::string>();
  INFO(message);
  CHECK(message.find("line 3, column 16") != std::string::npos);
  CHECK(message.find("bad.json") != std::string::npos);
}

TEST_CASE("a plan is refused for duplicate keys, depth, unknown fields and odd ids") {
  const sandbox box;
  CHECK(plan_refusal(box, R"({"goal": "a", "goal": "b", "subtasks": []})") == "invalid_json");
  CHECK(plan_refusal(box, std::string(100'000, '[')) == "invalid_json");
  CHECK(plan_refusal(box, R"({"goal": "g", "subtask": []})") == "invalid_field");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "depend_on": []}])")) == "invalid_field");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a\u0000b"}])")) == "invalid_id");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "../a"}])")) == "invalid_id");
  CHECK(plan_refusal(box, plan_with(R"([{"id": ")" + std::string(65, 'a') + R"("}])"))
        == "invalid_id");
  CHECK(plan_refusal(box, "") == "invalid_json");
  CHECK(plan_refusal(box, "{\"goal\": \"\xff\", \"subtasks\": []}") == "invalid_json");
}

TEST_CASE("a plan is refused for what is wrong with its subtasks, each with an error of its own") {
  const sandbox box;
  CHECK(plan_refusal(box, plan_with("[]")) == "empty_plan");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a"}, {"id": "a"}])")) == "duplicate_subtask");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "depends_on": ["b"]}])"))
        == "unknown_dependency");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "depends_on": ["a"]}])")) == "self_dependency");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "depends_on": ["b"]},
                                      {"id": "b", "depends_on": ["a"]}])"))
        == "dependency_cycle");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "agent": "nobody"}])")) == "unknown_agent");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "steps": [{"tool": "nothing"}]}])"))
        == "unknown_tool");
  CHECK(plan_refusal(box, plan_with(R"([{"id": "a", "result": {"$ref": "/results/b"}}])"))
        == "invalid_field");
}

TEST_CASE("a plan file that cannot be read, and a workspace that is none, are bad input") {
  const sandbox box;
  CHECK(box.run({"run", "/nonexistent.json"}).status == 2);
  CHECK(box.run({"run", box.workspace().string()}).status == 2);
  const auto plan = box.write("plan.json", seed_plan());
  CHECK(box.run({"run", plan, "--workspace", "/nonexistent"}).status == 2);
  CHECK(box.run({"run", plan, "--workspace", plan}).status == 2);
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE("bad usage is an error like any other") {
  const sandbox box;
  for (const auto& words :
       std::vector<std::vector<std::string>>{{},
                                             {"no-such-command"},
                                             {"status"},
                                             {"status", "s", "t"},
                                             {"run", "plan.json", "--approve", "some"},
                                             {"run", "plan.json", "--unknown"},
                                             {"outcome", "s:c1", "maybe"},
                                             {"outcome", "s:c1", "happened"},
                                             {"outcome", "s:c1", "rerun", "{}"},
                                             {"events", "s", "--from", "0"},
                                             {"edit", "s:c1"}}) {
    const auto ended = box.run(words);
    INFO(ended.out << ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.error()["error"] == "invalid_field");
  }
  CHECK(box.run({"status", "../s"}).error()["error"] == "invalid_id");
  CHECK(box.run({"approve", "s"}).error()["error"] == "invalid_id");
  CHECK(box.run({"approve", "s:c0"}).error()["error"] == "invalid_id");
  CHECK(box.run({"edit", "s:p1", "--arguments", "{}"}).error()["error"] == "invalid_id");
  CHECK(box.run({"run", box.write("p.json", seed_plan()), "--session", "a b"}).status == 2);
  const auto plain = box.run_plainly({"no-such-command"});
  CHECK(plain.status == 2);
  CHECK(plain.err.find("no-such-command") != std::string::npos);
}

TEST_CASE("a second plan, an unknown session, call or approval, and odd JSON change nothing") {
  const sandbox box;
  stop_at_call(box);
  const auto plan = box.write("plan.json", seed_plan());
  check_refused(box, {"run", plan, "--session", "s"}, "session_busy");
  check_refused(box, {"approve", "s:c2"}, "unknown_call");
  check_refused(box, {"approve", "s:p2"}, "unknown_approval");
  check_refused(box, {"approve", "other:c1"}, "unknown_session");
  check_refused(box, {"resume", "other"}, "unknown_session");
  check_refused(box, {"events", "other"}, "unknown_session");
  check_refused(box, {"result", "other:c1", "1"}, "unknown_session");
  check_refused(box, {"result", "s:c9", "1"}, "unknown_call");
  check_refused(box, {"retry", "s", "first"}, "not_allowed");
  check_refused(box, {"skip", "s", "nothing"}, "unknown_subtask");
  check_refused(box, {"fail", "s"}, "not_allowed");
  check_refused(box, {"edit", "s:c1", "--arguments", "{\"a\":1,\"a\":2}"}, "invalid_json");
  check_refused(box, {"edit", "s:c1", "--arguments", "{}"}, "invalid_arguments");
  check_refused(box, {"result", "s:c1", "{]"}, "invalid_json");
  check_refused(box, {"reject", "s:c1", "--modify"}, "invalid_field");
  check_refused(box, {"outcome", "s:c1", "rerun"}, "not_allowed");
  check_refused(box, {"approve", "s:c1", "--digest", "0123"}, "stale_approval");
}

TEST_CASE("a result is refused before the approval, and the second one unless it is the same") {
  const sandbox box;
  stop_at_call(box);
  check_refused(box, {"result", "s:c1", "1"}, "not_approved");
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  REQUIRE(box.run({"result", "s:c1", R"({"a": 1, "b": 2})"}).status == 0);
  const auto before = events_of(box);
  const auto same = box.run({"result", "s:c1", R"({"b": 2, "a": 1})"});
  CHECK(same.status == 0);
  CHECK(same.lines.at(0)["receipt"]["kind"] == "duplicate");
  CHECK(events_of(box) == before);
  check_refused(box, {"result", "s:c1", R"({"a": 1})"}, "already_answered");
  check_refused(box, {"result", "s:c1", R"({"a": 1, "b": 2})", "--error"}, "already_answered");
}

TEST_CASE("a decision is made once: the same again changes nothing, another is refused") {
  const sandbox box;
  stop_at_call(box);
  REQUIRE(box.run({"approve", "s:c1"}).status == 3);
  const auto before = events_of(box);
  const auto same = box.run({"approve", "s:c1"});
  CHECK(same.status == 3);
  CHECK(same.lines.at(0)["receipt"]["kind"] == "duplicate");
  CHECK(events_of(box) == before);
  check_refused(box, {"reject", "s:c1"}, "already_decided");
  check_refused(box, {"edit", "s:c1", "--arguments", R"({"question": "how?"})"}, "already_decided");
  check_refused(box, {"reject", "s:p1"}, "already_decided");
}

TEST_CASE("a decision on a call, and on a revision, of a plan that is over is refused") {
  const sandbox box;
  stop_at_call(box);
  REQUIRE(box.run({"cancel", "s"}).status == 0);
  check_refused(box, {"approve", "s:c1"}, "superseded");
  const auto late = box.run({"result", "s:c1", "1"});
  INFO(late.out << late.err);
  CHECK(late.lines.at(0)["receipt"]["kind"] == "late");
}

} // namespace bad_input_test
