// The example plans, the JSON Schema of plan files, and the embedding example.
#include "sandbox.hpp"

#include <fermata/actors/tools/schema.hpp>
#include <fermata/messages/plan.hpp>

#include <fermata_catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace plans_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const std::filesystem::path examples = std::filesystem::path{FERMATA_SOURCE_DIR} / "examples";

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream{file}.rdbuf();
  return text.str();
}

json plan_schema() {
  const auto schema = parse_json(text_of(examples / "plan.schema.json"));
  REQUIRE(schema);
  return *schema;
}

/// Works in this repository.
child_options in_repository(const sandbox& box, std::vector<std::string> words) {
  auto options = box.invocation(std::move(words));
  options.directory = FERMATA_SOURCE_DIR;
  return options;
}

} // namespace

TEST_CASE("the schema of plans is a JSON Schema") {
  CHECK_FALSE(check_is_schema(plan_schema()));
}

TEST_CASE("every example plan is a plan, and fits the schema") {
  const auto schema = plan_schema();
  std::size_t seen = 0;
  for (const auto& file : std::filesystem::directory_iterator{examples / "plans"}) {
    INFO(file.path());
    ++seen;
    const auto text = text_of(file.path());
    const auto value = parse_json(text);
    REQUIRE(value);
    const auto mismatch = check_schema(schema, *value);
    INFO(message_of(mismatch));
    CHECK_FALSE(mismatch);
    const auto plan = parse_plan(text);
    REQUIRE(plan);
    CHECK_FALSE(check_plan(*plan, limits{}));
  }
  CHECK(seen >= 3);
}

TEST_CASE("what the command refuses in a plan's form, the schema refuses too") {
  const auto schema = plan_schema();
  for (const auto* text :
       {R"([])", R"({"goal": "g"})", R"({"goal": "g", "subtasks": []})",
        R"({"goal": 1, "subtasks": [{"id": "a"}]})",
        R"({"goal": "g", "subtasks": [{"id": "../a"}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "depend_on": []}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{}]}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{"tool": "t", "calls": []}]}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{"tool": "t", "on_error": "x"}]}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "time_limit_ms": -1}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "time_limit_ms": "1h"}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "time_limit_ms": 400000000000}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "retry": {"max_attempts": 0}}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "retry": {"max_attempts": 1001}}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "retry": {"initial_backoff_ms": 0}}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "retry": {"attempts": 3}}]})",
        R"({"goal": "g", "subtasks": [{"id": "a", "steps": [{"tool": "read_file",
            "expires_after_ms": -1}]}]})",
        R"({"goal": "g", "subtasks": [{"id": "a"}], "tools": {"t": {"kind": "server"}}})"}) {
    INFO(text);
    const sandbox box;
    CHECK(check_schema(schema, *parse_json(text)));
    CHECK(box.run({"run", box.write("plan.json", text)}).status == 2);
  }
}

TEST_CASE("retries, time limits and expiries fit the schema and are accepted") {
  const auto* text = R"({"goal": "g", "subtasks": [{"id": "a", "time_limit_ms": 60000,
      "retry": {"max_attempts": 3, "initial_backoff_ms": 1, "max_backoff_ms": 316224000000},
      "steps": [{"tool": "read_file", "arguments": {"path": "x"}, "expires_after_ms": 1000},
                {"calls": [{"tool": "read_file", "arguments": {"path": "x"},
                            "expires_after_ms": 1000}]}]}]})";
  const sandbox box;
  CHECK_FALSE(check_schema(plan_schema(), *parse_json(text)));
  const auto ended = box.run({"run", box.write("plan.json", text), "--session", "s"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  const auto shown = box.run_plainly({"plan", "s"}).out;
  INFO(shown);
  CHECK(shown.find("expires after 1s") != std::string::npos);
  CHECK(shown.find("fails after 1m\n") != std::string::npos);
  CHECK(shown.find("tried up to 3 times") != std::string::npos);
}

TEST_CASE("the example plans stop where they say, and count.json completes on this repository") {
  const sandbox box;
  const auto plan = (examples / "plans" / "count.json").string();
  child process{in_repository(box, {"--json", "run", plan, "--approve", "all"})};
  CHECK(process.wait() == 0);
  child asks{in_repository(box, {"--json", "run", (examples / "plans" / "question.json").string(),
                                 "--session", "q", "--approve", "all"})};
  CHECK(asks.wait() == 3);
  const auto found = box.run({"result", "q:c1", R"({"pattern": "acknowledged|durable"})"});
  CHECK(found.status == 0);
}

TEST_CASE("survey.json has five subtasks and writes its report") {
  const sandbox box;
  for (const auto* folder : {"messages", "storage", "actors", "examples", "tests"})
    std::filesystem::create_directory(box.workspace() / folder);
  box.write("messages/a.hpp", "struct one {\n};\n");
  const auto ended =
      box.run({"run", (examples / "plans" / "survey.json").string(), "--approve", "all"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.last()["subtasks"].size() == 5);
  CHECK(box.read("build/survey.md").find("messages   2") != std::string::npos);
}

TEST_CASE("the embedding example runs") {
  const sandbox box;
  child_options options;
  options.argv = {FERMATA_EMBED, box.store().string()};
  child process{options};
  CHECK(process.wait() == 0);
  INFO(process.error_output());
  const auto status = parse_json(process.output());
  REQUIRE(status);
  CHECK((*status)["state"] == "completed");
  CHECK((*status)["subtasks"][0]["result"] == "Hello, world");
}

} // namespace plans_test
