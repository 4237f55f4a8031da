// Secrets are in none of what the command prints or logs, and nothing else changes.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <sys/stat.h>

namespace redact_test {

using namespace fermata;
using namespace fermata::test;

namespace {

constexpr std::string_view redaction_rules =
    R"({"fields": ["password"], "patterns": ["sk-[A-Za-z0-9]+"], "environment": ["DEPLOY_KEY"]})";

/// A session `s` with secrets everywhere, which waits for a decision on a call with some more.
class secretive {
public:
  explicit secretive(bool as_json)
      : as_json_{as_json}, rules_file_{box.write("rules.json", redaction_rules)} {
    const json arguments{{"password", 12345678},
                         {"note", "deploy key is the-deploy-key"},
                         {"argv", {"x", "--password", "hunter2"}}};
    const json step{{"tool", "login"}, {"arguments", arguments}};
    const json subtask{{"id", "in"},
                       {"description", "with sk-desc1"},
                       {"steps", json::array({step})},
                       {"result", {{"token", "sk-result1"}}}};
    const json plan{{"goal", "use sk-goal1"},
                    {"tools", {{"login", {{"kind", "client"}}}}},
                    {"subtasks", json::array({subtask})}};
    run({"run", box.write("plan.json", to_text(plan)), "--session", "s"});
    run({"approve", "s:p1"});
  }

  /// Runs it and keeps all that is printed.
  void run(std::vector<std::string> words) {
    words.insert(words.end(), {"--redact", rules_file_, "--log", "-", "--log-level", "debug"});
    if (as_json_)
      words.emplace_back("--json");
    auto options = box.invocation(std::move(words));
    options.environment["DEPLOY_KEY"] = "the-deploy-key";
    child process{options};
    process.wait();
    printed += process.output() + process.error_output();
  }

  sandbox box;
  std::string printed;

private:
  bool as_json_;
  std::string rules_file_;
};

} // namespace

TEST_CASE("no command prints or logs a secret") {
  const bool as_json = GENERATE(true, false);
  CAPTURE(as_json);
  secretive one{as_json};
  const auto digest = one.box.run({"pending"}).last()["digest"].get<std::string>();
  const auto look = [&] {
    for (const auto* query :
         {"status", "plan", "events", "transcript", "history", "audit", "export"})
      one.run({query, "s"});
    one.run({"pending"});
  };
  look();
  one.run({"reject", "s:c7", "--reason", "sk-reason1"});
  one.run({"reject", "s:c1", "--reason", "sk-reason1"});
  look();
  INFO(one.printed);
  for (const auto* secret : {"sk-goal1", "sk-desc1", "12345678", "the-deploy-key", "hunter2",
                             "sk-result1", "sk-reason1"})
    CHECK_FALSE(contains(one.printed, secret));
  CHECK(contains(one.printed, "use [redacted]"));
  CHECK(contains(one.printed, "deploy key is [redacted]"));
  CHECK(contains(one.printed, "command_refused"));
  // What a person decides on is named as it was.
  CHECK(contains(one.printed, digest));
}

TEST_CASE("P9: a file whose name has a secret is shown as it is on the disk") {
  const sandbox box;
  const auto rules_file = box.write("rules.json", redaction_rules);
  box.write("task-list.md", "one\nthe key sk-old1\n");
  // Under the redacted name there is something else.
  box.write("ta[redacted].md", "foreign\n");
  const auto plan = plan_of("write_file", {{"path", "task-list.md"}, {"content", "one\ntwo\n"}});
  REQUIRE(box.run({"run", box.write("plan.json", plan), "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  const auto shown = box.run_plainly({"pending", "--redact", rules_file}).out;
  INFO(shown);
  CHECK(contains(shown, "--- a/ta[redacted].md\n"));
  CHECK(contains(shown, "-the key [redacted]\n"));
  CHECK(contains(shown, "+two\n"));
  CHECK_FALSE(contains(shown, "/dev/null"));
  CHECK_FALSE(contains(shown, "foreign"));
  CHECK_FALSE(contains(shown, "sk-"));
}

TEST_CASE("where a preview would give a secret away, the arguments are shown without it") {
  const sandbox box;
  const auto rules_file = box.write("rules.json", redaction_rules);
  const auto plan = plan_of("execute_command", {{"argv", {"login", "--password", "hunter2"}}});
  REQUIRE(box.run({"run", box.write("plan.json", plan), "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  const auto shown = box.run_plainly({"pending", "--redact", rules_file}).out;
  INFO(shown);
  CHECK(contains(shown, "cannot be shown without a secret"));
  CHECK(contains(shown, R"("[redacted]")"));
  CHECK(contains(shown, "Warning: a command is not confined"));
  CHECK_FALSE(contains(shown, "hunter2"));
}

TEST_CASE("what is said of a wrong answer at a terminal has no secret of the question") {
  const auto said_of = [](const json& schema, const std::string& wrong) {
    const sandbox box;
    const auto plan = plan_of("ask_human", {{"question", "Which one?"}, {"schema", schema}});
    auto options =
        box.invocation({"run", box.write("plan.json", plan), "--session", "s", "--approve", "all",
                        "--redact", box.write("rules.json", redaction_rules)});
    options.terminal = true;
    child person{options};
    REQUIRE(person.expect("Your answer"));
    person.type(wrong);
    CHECK(person.expect("This does not fit"));
    REQUIRE(person.expect("Your answer"));
    person.type("");
    CHECK(person.wait() == 3);
    return person.output();
  };
  const auto by_pattern = said_of({{"enum", {"sk-enum1", "other"}}}, "1");
  CHECK_FALSE(contains(by_pattern, "sk-enum1"));
  const json secret{{"enum", {"hunter2"}}};
  const auto by_field = said_of({{"properties", {{"password", secret}}}}, R"({"password": 1})");
  CHECK(contains(by_field, "This does not fit the JSON Schema above."));
  CHECK_FALSE(contains(by_field, "hunter2"));
}

TEST_CASE("an error that nobody expected is told without secrets as well") {
  const sandbox box;
  auto options = box.invocation({});
  // Where there is no current folder, a relative path means nothing.
  options.argv = {"/bin/sh",
                  "-c",
                  R"(mkdir gone && cd gone && rmdir ../gone && exec "$@")",
                  "sh",
                  FERMATA_COMMAND,
                  "serve",
                  "--socket",
                  "sk-socket1",
                  "--redact",
                  box.write("rules.json", redaction_rules)};
  child process{options};
  CHECK(process.wait() == 4);
  INFO(process.error_output());
  CHECK(contains(process.error_output(), "[redacted]"));
  CHECK_FALSE(contains(process.error_output(), "sk-socket1"));
}

TEST_CASE("what is stored and what a host gets stays as it is") {
  const secretive one{true};
  const auto shown = one.box.run({"pending"}).last();
  CHECK(shown["arguments"]["password"] == 12345678);
  CHECK(one.box.run({"approve", "s:c1", "--digest", shown["digest"].get<std::string>()}).status
        == 3);
}

TEST_CASE("rules come from the environment as well, and wrong ones stop the command") {
  const secretive one{true};
  auto options = one.box.invocation({"pending", "--json"});
  options.environment["FERMATA_REDACT"] = one.box.write("other.json", R"({"fields": ["note"]})");
  child process{options};
  CHECK(process.wait() == 0);
  CHECK(contains(process.output(), "\"note\":\"[redacted]\""));
  CHECK(contains(process.output(), "12345678"));

  const auto wrong = one.box.write("wrong.json", R"({"patterns": ["ok", "("]})");
  const auto refused = one.box.run({"pending", "--redact", wrong});
  CHECK(refused.status == 2);
  CHECK(refused.out.empty());
  CHECK(contains(refused.error()["message"].get<std::string>(), wrong + ": patterns[1]: "));
  CHECK(one.box.run({"pending", "--redact", "/nonexistent"}).status == 2);
}

TEST_CASE("--log writes JSON lines to a file for nobody else, of the level that is asked for") {
  const sandbox box;
  const auto log = (box.workspace() / "log.jsonl").string();
  REQUIRE(
      box.run({"run", box.write("plan.json", seed_plan()), "--session", "s", "--log", log}).status
      == 3);
  REQUIRE(box.run({"approve", "s:p1", "--log", log, "--log-level", "debug"}).status == 3);
  struct stat file {};
  REQUIRE(::stat(log.c_str(), &file) == 0);
  CHECK((file.st_mode & 0777) == 0600);
  std::size_t debug = 0;
  std::size_t info = 0;
  for (auto left = box.read("log.jsonl"); !left.empty(); left.erase(0, left.find('\n') + 1)) {
    const auto line = parse_json(left.substr(0, left.find('\n')));
    REQUIRE(line);
    debug += (*line)["level"] == "debug" ? 1 : 0;
    info += (*line)["level"] == "info" ? 1 : 0;
  }
  CHECK(debug > 0);
  CHECK(info > 4);
  CHECK(box.run({"approve", "s:c1", "--log", "/nonexistent/x"}).status == 2);
  CHECK(box.run({"pending"}).lines.size() == 1); // nothing was approved
  CHECK(box.run({"approve", "s:c1", "--log", log, "--log-level", "loud"}).status == 2);
}

} // namespace redact_test
