#include "support.hpp"

#include <fermata/messages/plan.hpp>

namespace plan_test {

using namespace fermata;
using namespace messages_test;

namespace {

subtask_spec subtask(std::string_view id, std::initializer_list<std::string_view> depends_on = {}) {
  subtask_spec spec;
  spec.id = make<subtask_id>(id);
  for (const auto each : depends_on)
    spec.depends_on.push_back(make<subtask_id>(each));
  return spec;
}

plan_spec plan_of(std::vector<subtask_spec> subtasks) {
  plan_spec plan;
  plan.goal = "a goal";
  plan.subtasks = std::move(subtasks);
  return plan;
}

std::string checking(const plan_spec& plan, const limits& with = {}) {
  return verdict_on(check_plan(plan, with));
}

std::string name_of_number(std::size_t number) {
  return "s" + std::to_string(number);
}

/// A chain in which every subtask depends on the next one.
plan_spec chain(std::size_t size) {
  plan_spec plan;
  for (std::size_t i = 0; i < size; ++i) {
    plan.subtasks.push_back(subtask(name_of_number(i)));
    if (i + 1 < size)
      plan.subtasks.back().depends_on.push_back(make<subtask_id>(name_of_number(i + 1)));
  }
  return plan;
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

} // namespace

TEST_CASE("a plan file is read with all its fields") {
  const auto plan = value_of(parse_plan(R"({
    "goal": "release",
    "subtasks": [
      {"id": "a", "description": "first", "steps": [{"tool": "read_file"}], "result": {"x": 1}},
      {"id": "b", "agent": "writer", "depends_on": ["a"], "parameters": {"tone": "dry"}}
    ],
    "tools": {"ask": {"kind": "client", "description": "asks", "schema": {"type": "object"}}}
  })"));
  CHECK(plan.goal == "release");
  REQUIRE(plan.subtasks.size() == 2);
  CHECK(plan.subtasks[0].description == "first");
  CHECK(plan.subtasks[0].agent.empty());
  CHECK(plan.subtasks[0].result == json{{"x", 1}});
  CHECK(plan.subtasks[1].agent == make<agent_name>("writer"));
  CHECK(plan.subtasks[1].depends_on == std::vector{make<subtask_id>("a")});
  CHECK(plan.tools.at("ask").schema == json{{"type", "object"}});
  CHECK(checking(plan) == "accepted");
  CHECK(value_of(from_json<plan_spec>(to_json(plan))) == plan);
}

TEST_CASE("a plan file that is wrong is refused with the place") {
  const auto reading = [](std::string_view text) { return verdict_on(parse_plan(text)); };
  CHECK(reading("{\n  \"goal\": oops\n}")
            .starts_with("invalid_json: not valid JSON at line 2, column 11"));
  CHECK(reading(R"({"goal": "x"})") == "invalid_field: the field \"subtasks\" is missing");
  CHECK(reading(R"({"goal": "x", "subtasks": [{"id": "a"}, {"id": "b", "depends": ["a"]}]})")
        == "invalid_field: subtasks[1]: unknown field \"depends\"; accepted are: id description "
           "agent "
           "depends_on steps result parameters retry time_limit_ms");
  CHECK(reading(R"({"goal": "x", "subtasks": [{"id": "a", "depends_on": ["b c"]}]})")
            .starts_with("invalid_id: subtasks[0].depends_on[0]: subtask id refused: "));
  CHECK(reading(R"({"goal": "x", "subtasks": [{"id": ""}]})")
            .starts_with("invalid_id: subtasks[0].id: subtask id refused: it is empty"));
  CHECK(reading(R"({"goal": "x", "subtasks": [{"id": "a", "id": "b"}]})")
            .starts_with("invalid_json: "));
}

TEST_CASE("a plan file over plan_size_bytes is refused before it is read") {
  limits with;
  with.plan_size_bytes = 10;
  CHECK(verdict_on(parse_plan("{{{{{{{{{{{", with))
        == "limit_exceeded: plan_size_bytes is 10, this has 11");
}

TEST_CASE("a plan without subtasks is refused") {
  CHECK(checking(plan_of({})).starts_with("empty_plan: "));
}

TEST_CASE("two subtasks of one id are refused") {
  CHECK(checking(plan_of({subtask("a"), subtask("b"), subtask("a")}))
        == "duplicate_subtask: two subtasks have the id \"a\"");
}

TEST_CASE("a dependency that is not in the plan is refused") {
  CHECK(checking(plan_of({subtask("a", {"b"}), subtask("c")}))
        == "unknown_dependency: subtask \"a\" depends on \"b\", which is not in the plan");
}

TEST_CASE("a subtask that depends on itself is refused") {
  CHECK(checking(plan_of({subtask("a", {"a"})}))
        == "self_dependency: subtask \"a\" depends on itself");
}

TEST_CASE("a dependency that is named twice is refused") {
  CHECK(checking(plan_of({subtask("a", {"b", "b"}), subtask("b")}))
        == "invalid_field: subtask \"a\" names the dependency \"b\" twice");
}

TEST_CASE("a circle of dependencies is refused and named, without what only leads to it") {
  CHECK(checking(plan_of({subtask("lead", {"a"}), subtask("a", {"b"}), subtask("b", {"c"}),
                          subtask("c", {"a"}), subtask("free")}))
        == "dependency_cycle: the subtasks depend on each other in a circle: a -> b -> c -> a");
  CHECK(checking(plan_of({subtask("x", {"y"}), subtask("y", {"x"})}))
        == "dependency_cycle: the subtasks depend on each other in a circle: x -> y -> x");
  CHECK(checking(plan_of({subtask("a"), subtask("b", {"a", "c"}), subtask("c", {"a", "b"})}))
        == "dependency_cycle: the subtasks depend on each other in a circle: b -> c -> b");
}

TEST_CASE("a diamond of dependencies is no circle, in whatever order its subtasks stand") {
  CHECK(checking(plan_of(
            {subtask("d", {"b", "c"}), subtask("b", {"a"}), subtask("c", {"a"}), subtask("a")}))
        == "accepted");
}

TEST_CASE("a chain of 10,000 subtasks is checked without a crash") {
  auto plan = chain(10'000);
  CHECK(checking(plan) == "accepted");
  plan.subtasks.back().depends_on.push_back(make<subtask_id>("s0"));
  CHECK(checking(plan).starts_with("dependency_cycle: "));
}

TEST_CASE("what is over a limit is refused with the limit's name and both numbers") {
  const auto with = [](std::uint32_t limits::*limit, std::uint32_t value) {
    limits small;
    small.*limit = value;
    return small;
  };
  auto plan = plan_of({subtask("a", {"b", "c"}), subtask("b"), subtask("c")});
  plan.subtasks[0].description = "12345678";

  CHECK(checking(plan, with(&limits::plan_subtasks, 3)) == "accepted");
  CHECK(checking(plan, with(&limits::plan_subtasks, 2))
        == "limit_exceeded: plan_subtasks is 2, this has 3");
  CHECK(checking(plan, with(&limits::subtask_dependencies, 2)) == "accepted");
  CHECK(checking(plan, with(&limits::subtask_dependencies, 1))
        == "limit_exceeded: subtask_dependencies is 1, this has 2");
  CHECK(checking(plan, with(&limits::text_size_bytes, 8)) == "accepted");
  CHECK(checking(plan, with(&limits::text_size_bytes, 7))
        == "limit_exceeded: text_size_bytes is 7, this has 8");
  CHECK(checking(plan, with(&limits::text_size_bytes, 5))
        == "limit_exceeded: text_size_bytes is 5, this has 6"); // the goal
  const auto size = static_cast<std::uint32_t>(to_text(to_json(plan)).size());
  CHECK(checking(plan, with(&limits::plan_size_bytes, size)) == "accepted");
  CHECK(checking(plan, with(&limits::plan_size_bytes, size - 1))
        == "limit_exceeded: plan_size_bytes is " + std::to_string(size - 1) + ", this has "
               + std::to_string(size));
}

TEST_CASE("a plan made in code is checked for what reading it would have refused") {
  auto unnamed = plan_of({subtask("a")});
  unnamed.subtasks.emplace_back();
  CHECK(checking(unnamed).starts_with("invalid_id: subtask id refused: it is empty"));

  for (const auto part : {&subtask_spec::steps, &subtask_spec::result, &subtask_spec::parameters}) {
    auto deep = plan_of({subtask("a")});
    deep.subtasks[0].*part = nested(64);
    CHECK(checking(deep) == "accepted");
    deep.subtasks[0].*part = nested(65);
    CHECK(checking(deep) == "limit_exceeded: nested more than 64 levels deep (limit json_depth)");
  }
  auto deepest = plan_of({subtask("a")});
  deepest.tools["ask"].schema = nested(5'000);
  CHECK(checking(deepest).starts_with("limit_exceeded: "));
}

TEST_CASE("a plan declares only client tools of valid names") {
  auto plan = plan_of({subtask("a")});
  plan.tools["ask"].kind = tool_kind::server;
  CHECK(checking(plan)
        == "invalid_field: tools.ask.kind: a plan can only declare tools of kind client");
  plan.tools.clear();
  plan.tools["a b"];
  CHECK(checking(plan).starts_with("invalid_id: tool name refused: "));
}

} // namespace plan_test
