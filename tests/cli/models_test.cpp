// Language models, the agents that ask them and a planner, over processes. The models are scripted.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <filesystem>

namespace models_test {

using namespace fermata;
using namespace fermata::test;

namespace {

const std::string notes =
    (std::filesystem::path{FERMATA_SOURCE_DIR} / "examples" / "models" / "notes.json").string();

/// Runs a command with a models file.
outcome run_with(const sandbox& box, const std::string& models, std::vector<std::string> words) {
  words.insert(words.begin(), {"--models", models});
  return box.run(std::move(words));
}

/// A models file with one agent, `talker`, who is the planner too if asked for.
std::string talker(const sandbox& box, const json& replies, bool plans = false) {
  json setup{{"models", {{"m", {{"replies", replies}}}}},
             {"agents", {{"talker", {{"model", "m"}}}}}};
  if (plans)
    setup["planner"] = "talker";
  return box.write("models.json", to_text(setup));
}

std::string plan_for_talker(const sandbox& box) {
  return box.write("plan.json",
                   R"({"goal": "Talk", "subtasks": [{"id": "talk", "agent": "talker"}]})");
}

/// A session `notes` whose plan, the planner's second one, stopped at a file to write.
void stop_at_file(const sandbox& box) {
  box.write("README.md", "# Folders\n");
  REQUIRE(run_with(box, notes, {"message", "notes", "What is here?"}).status == 3);
  REQUIRE(run_with(box, notes, {"reject", "notes:p2", "--modify", "--reason", "to a file"}).status
          == 3);
  REQUIRE(run_with(box, notes, {"approve", "notes:p4"}).status == 3);
}

std::string setup_refusal(const sandbox& box, const std::string& setup) {
  const auto refused =
      run_with(box, box.write("bad.json", setup), {"message", "s", "Is anybody here?"});
  INFO(refused.out << refused.err);
  CHECK(refused.status == 2);
  CHECK(refused.out.empty());
  CHECK_FALSE(std::filesystem::exists(box.store()));
  const auto message = refused.error()["message"].get<std::string>();
  CHECK(message.find("bad.json: ") != std::string::npos);
  return message;
}

} // namespace

TEST_CASE("a message becomes a plan, which is sent back, approved, and worked on by models") {
  const sandbox box;
  box.write("README.md", "# Folders\n");
  const auto proposed = run_with(box, notes, {"message", "notes", "What is here?"});
  INFO(proposed.out << proposed.err);
  CHECK(proposed.status == 3);
  CHECK(proposed.last()["plan"]["status"] == "draft");
  CHECK(proposed.last()["plan"]["goal"] == "Look at the folders");
  CHECK(proposed.last()["workspace"] == std::filesystem::canonical(box.workspace()).string());
  CHECK(proposed.last()["usage"]["requests"] == 1);

  const auto again =
      run_with(box, notes, {"reject", "notes:p2", "--modify", "--reason", "to a file"});
  INFO(again.out << again.err);
  CHECK(again.status == 3);
  CHECK(again.last()["plan"]["revision"] == 4);
  CHECK(again.last()["subtasks"].size() == 2);

  const auto stopped = run_with(box, notes, {"approve", "notes:p4"});
  INFO(stopped.out << stopped.err);
  CHECK(stopped.status == 3);
  CHECK(stopped.last()["subtasks"][0]["result"]
        == "Messages hold what travels, storage keeps it, and actors act on it.");
  CHECK(stopped.last()["waiting"]["decision"] == 1);

  const auto ended = run_with(box, notes, {"approve", "notes:c3"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.last()["subtasks"][1]["result"] == "It is written.");
  CHECK(contains(box.read("notes.md"), "# Folders"));
  CHECK(ended.last()["usage"]["requests"] == 6);
}

TEST_CASE("a message to an agent at work is heard, and it hands over") {
  const sandbox box;
  stop_at_file(box);
  CHECK(run_with(box, notes, {"message", "notes", "Answer in bold"}).status == 3);
  const auto ended = run_with(box, notes, {"approve", "notes:c3"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.last()["subtasks"][1]["result"] == "**It is written.**");
  bool handed_over = false;
  for (const auto& line : ended.lines)
    handed_over =
        handed_over
        || (line.contains("event") && line["event"]["body"]["type"] == "subtask_handed_over"
            && line["event"]["body"]["agent"] == "editor");
  CHECK(handed_over);
}

TEST_CASE("a store remembers the last models file, so later commands need only the store") {
  const sandbox box;
  box.write("README.md", "# Folders\n");
  auto by_variable = box.invocation({"message", "notes", "What is here?"});
  by_variable.environment["FERMATA_MODELS"] = notes;
  child first{by_variable};
  CHECK(first.wait() == 3);
  CHECK(box.run({"reject", "notes:p2", "--modify", "--reason", "to a file"}).status == 3);
  CHECK(box.run({"approve", "notes:p4"}).status == 3);
  // Another file takes its place, for all commands that follow.
  const auto other = talker(box, json::array({{{"text", "Hello."}}}));
  CHECK(run_with(box, other, {"run", plan_for_talker(box), "--session", "t"}).status == 3);
  CHECK(box.run({"approve", "t:p1"}).status == 0);
  const auto lost = box.run({"approve", "notes:c3"});
  INFO(lost.out << lost.err);
  CHECK(lost.status == 1);
  CHECK(contains(lost.last()["subtasks"][1]["error"], "no agent is called writer"));
  CHECK(run_with(box, notes, {"retry", "notes", "write"}).status == 3);
}

TEST_CASE("a command that is refused makes the store remember nothing") {
  const sandbox box;
  stop_at_file(box);
  const auto other = talker(box, json::array({{{"text", "Hello."}}}));
  CHECK(run_with(box, other, {"approve", "notes:c99"}).status == 2);
  CHECK_FALSE(std::filesystem::exists(box.store() / "models.json.new"));
  CHECK(box.run({"approve", "notes:c3"}).status == 0);
}

TEST_CASE("a models file that cannot be kept is an error of the environment") {
  const sandbox box;
  const auto models = talker(box, json::array({{{"text", "Hello."}}}));
  REQUIRE(run_with(box, models, {"run", plan_for_talker(box), "--session", "s"}).status == 3);
  const auto before = box.run({"status", "s"}).last();
  std::filesystem::create_directory(box.store() / "models.json.new");
  const auto refused = run_with(box, models, {"approve", "s:p1"});
  INFO(refused.out << refused.err);
  CHECK(refused.status == 4);
  CHECK(contains(refused.error()["message"], "models.json"));
  CHECK(box.run({"status", "s"}).last() == before);
}

TEST_CASE("a message begins a session in the current folder, and goes to one from any other") {
  const sandbox box;
  const auto models = talker(box, json::array({{{"text", "There is nothing to do."}}}), true);
  REQUIRE(run_with(box, models, {"message", "s", "Hello"}).status == 0);
  const auto elsewhere = box.workspace() / "elsewhere";
  std::filesystem::create_directory(elsewhere);
  auto from_there = box.invocation({"--json", "message", "s", "Hello again"});
  from_there.directory = elsewhere.string();
  child again{from_there};
  CHECK(again.wait() == 0);
  const auto workspace = std::filesystem::canonical(box.workspace()).string();
  CHECK(box.run({"status", "s"}).last()["workspace"] == workspace);
  const auto moved = box.run({"message", "s", "And here?", "--workspace", elsewhere.string()});
  CHECK(moved.status == 2);
  CHECK(contains(moved.error()["message"], workspace.c_str()));
}

TEST_CASE("a planner whose model does not answer is asked again, three times in all") {
  const sandbox box;
  const auto models = talker(box, json::array({{{"failure", "it is overloaded"}}}), true);
  const auto ended = run_with(box, models, {"message", "s", "Is anybody here?"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 3);
  CHECK(ended.last()["waiting"]["backoff"] == 1);
  CHECK(ended.last()["subtasks"][0]["status"] == "backing_off");
  // Its timer is due within seconds; each `resume` looks, and nothing else waits.
  outcome last;
  last.status = 3;
  for (int looks = 0; looks < 1'000 && last.status == 3; ++looks)
    last = run_with(box, models, {"resume", "s"});
  INFO(last.out << last.err);
  CHECK(last.status == 1);
  CHECK(last.last()["subtasks"][0]["attempts"] == 3);
  CHECK(contains(last.last()["subtasks"][0]["error"], "it is overloaded"));
}

TEST_CASE("a message for which there is no planner says what would be accepted") {
  const sandbox box;
  CHECK(box.run({"message", "s", "hello"}).status == 4); // and makes no store
  CHECK_FALSE(std::filesystem::exists(box.store()));
  const auto models = talker(box, json::array({{{"text", "Hello."}}}));
  const auto ended =
      run_with(box, models, {"run", plan_for_talker(box), "--session", "s", "--approve", "all"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(ended.last()["subtasks"][0]["result"] == "Hello.");
  const auto refused = run_with(box, models, {"message", "s", "And now?"});
  CHECK(refused.status == 2);
  CHECK(refused.error()["error"] == "not_allowed");
  CHECK(contains(refused.error()["message"], "planner"));
  const auto stranger = box.run({"message", "t", "And now?"});
  CHECK(stranger.status == 2);
  CHECK(stranger.error()["error"] == "unknown_session");
  CHECK(contains(stranger.error()["message"], "planner"));
}

TEST_CASE("what a scripted model does wrong is recorded, and seen by it next") {
  const sandbox box;
  const auto models = talker(
      box,
      json::array({{{"calls", json::array({{{"tool", "read_file"}, {"arguments", "{\"path\":"}},
                                           {{"tool", "no_tool"}}})}},
                   {{"text", "I see."}}}));
  const auto ended =
      run_with(box, models, {"run", plan_for_talker(box), "--session", "s", "--approve", "all"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  const auto transcript = box.run({"transcript", "s"}).out;
  CHECK(contains(transcript, "invalid_arguments"));
  CHECK(contains(transcript, "There is no tool called"));
}

TEST_CASE("a models file that is wrong is refused, with its name and the place") {
  const sandbox box;
  CHECK(contains(setup_refusal(box, "{"), "line 1"));
  CHECK(contains(setup_refusal(box, R"({"models": {}, "agents": {}, "model": {}})"), "model"));
  CHECK(contains(
      setup_refusal(box, R"({"models": {"m": {"replies": [{"says": "x"}]}}, "agents": {}})"),
      "models.m.replies[0]"));
  CHECK(contains(
      setup_refusal(
          box, R"({"models": {"m": {"replies": [{"text": "x", "parts": ["y"]}]}}, "agents": {}})"),
      "models.m.replies[0]: text and parts"));
  CHECK(contains(
      setup_refusal(
          box, R"({"models": {"m": {"replies": [{"text": "x", "failure": "y"}]}}, "agents": {}})"),
      "a reply that is a failure"));
  CHECK(contains(
      setup_refusal(box, R"({"models": {"m": {"replies": [{"delay_ms": -1}]}}, "agents": {}})"),
      "models.m.replies[0].delay_ms"));
  CHECK(contains(
      setup_refusal(box, R"({"models": {"m": {"replies": []}}, "agents": {"a": {"model": "n"}}})"),
      "agents.a.model: there is no model \"n\"; the file has: m"));
  CHECK(contains(setup_refusal(box, R"({"models": {"m": {"replies": []}},
                                     "agents": {"a": {"model": "m", "max_steps": 0}}})"),
                 "agents.a.max_steps"));
  CHECK(contains(setup_refusal(box, R"({"models": {"m": {"replies": []}},
                                     "agents": {"script": {"model": "m"}}})"),
                 "agents.script"));
  CHECK(
      contains(setup_refusal(
                   box, R"({"models": {"m": {"replies": []}}, "agents": {"a/b": {"model": "m"}}})"),
               "agents: "));
  CHECK(contains(setup_refusal(box, R"({"models": {"": {"replies": []}}, "agents": {}})"),
                 "a model needs a name"));
  CHECK(contains(setup_refusal(box, R"({"models": {}, "agents": {}, "planner": "p"})"),
                 "planner: there is no agent \"p\"; the file has: none"));
  CHECK(run_with(box, "no/such/file", {"message", "s", "x"}).status == 2);
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE("at a terminal a message stays with its session, and streams what a model says") {
  const sandbox box;
  box.write("README.md", "# Folders\n");
  auto options = box.invocation({"--models", notes, "message", "notes", "What is here?"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("approve / reject / edit / modify / quit ? "));
  person.type("approve");
  CHECK(person.expect("look says:"));
  CHECK(person.expect("Messages hold what travels, storage keeps it, and actors act on it."));
  CHECK(person.wait() == 0);
}

} // namespace models_test
