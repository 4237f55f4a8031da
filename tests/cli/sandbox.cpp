#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <fstream>
#include <sstream>

namespace fermata::test {

namespace {

outcome end_of(const child_options& options) {
  child process{options};
  outcome ended;
  ended.status = process.wait();
  ended.out = process.output();
  ended.err = process.error_output();
  return ended;
}

outcome end_of_json(const child_options& options) {
  auto ended = end_of(options);
  std::istringstream text{ended.out};
  for (std::string line; std::getline(text, line);) {
    const auto parsed = parse_json(line);
    INFO(line);
    REQUIRE(parsed);
    ended.lines.push_back(*parsed);
  }
  return ended;
}

} // namespace

json outcome::error() const {
  INFO(err);
  const auto parsed = parse_json(err);
  REQUIRE(parsed);
  return *parsed;
}

sandbox::sandbox() {
  std::filesystem::create_directory(workspace());
}

std::string sandbox::write(const std::string& name, std::string_view content) const {
  const auto path = workspace() / name;
  std::ofstream{path} << content;
  return path.string();
}

std::string sandbox::read(const std::string& name) const {
  std::ostringstream content;
  content << std::ifstream{workspace() / name}.rdbuf();
  return content.str();
}

child_options sandbox::invocation(std::vector<std::string> words) const {
  child_options options;
  options.argv = std::move(words);
  options.argv.insert(options.argv.begin(), FERMATA_COMMAND);
  options.environment = {{"FERMATA_STORE", store().string()},
                         {"FERMATA_MODELS", ""},
                         {"FERMATA_POLICY", ""},
                         {"TERM", "dumb"},
                         {"LC_ALL", "C"}};
  options.directory = workspace().string();
  return options;
}

child_options sandbox::json_invocation(std::vector<std::string> words) const {
  // First, so that it is an option whatever follows.
  words.insert(words.begin(), "--json");
  return invocation(std::move(words));
}

outcome sandbox::run(std::vector<std::string> words, std::string input) const {
  auto options = json_invocation(std::move(words));
  options.input = std::move(input);
  return end_of_json(options);
}

outcome sandbox::run_on_full_disk(std::vector<std::string> words,
                                  std::uintmax_t file_size_bytes) const {
  auto options = json_invocation(std::move(words));
  options.file_size_limit_bytes = file_size_bytes;
  return end_of_json(options);
}

outcome sandbox::run_plainly(std::vector<std::string> words) const {
  return end_of(invocation(std::move(words)));
}

std::string seed_plan() {
  return R"({
    "goal": "Ask, then answer",
    "tools": {"ask": {"kind": "client", "schema": {"type": "object",
      "properties": {"question": {"type": "string"}}, "required": ["question"],
      "additionalProperties": false}}},
    "subtasks": [
      {"id": "first", "steps": [{"tool": "ask", "arguments": {"question": "why?"}}]},
      {"id": "second", "depends_on": ["first"], "result": {"heard": {"$ref": "/results/first"}}}
    ]})";
}

void stop_at_call(const sandbox& box, const std::string& session) {
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", session}).status == 3);
  REQUIRE(box.run({"approve", session + ":p1"}).status == 3);
}

std::string plan_of(std::string_view tool, const json& arguments) {
  const json step{{"tool", tool}, {"arguments", arguments}};
  const json subtask{{"id", "only"}, {"steps", json::array({step})}};
  return to_text({{"goal", "One call"}, {"subtasks", json::array({subtask})}});
}

} // namespace fermata::test
