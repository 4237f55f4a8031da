#include <fermata/actors/tools/command_tool.hpp>
#include <fermata/actors/tools/schema.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

#include <csignal>

namespace command_tool_test {

using namespace fermata;
using fermata::test::temporary_directory;

namespace {

/// Answers what it is told and remembers what it was asked.
class scripted_runner : public process_runner {
public:
  result<process_result> run(const process_request& request, std::stop_token) override {
    asked = request;
    for (const auto& part : prints)
      if (request.on_output)
        request.on_output(part);
    return answer;
  }
  process_request asked;
  std::vector<std::string> prints; ///< In these pieces.
  result<process_result> answer{process_result{}};
};

struct bench {
  temporary_directory folder;
  std::shared_ptr<scripted_runner> runner = std::make_shared<scripted_runner>();
  tool used = execute_command_tool(runner);

  result<json> run(json arguments) {
    CHECK_FALSE(check_schema(used.schema, arguments));
    tool_context context;
    context.arguments = std::move(arguments);
    context.workspace = folder.path();
    context.progress = [this](json report) { reports.push_back(std::move(report)); };
    return std::get<blocking_tool>(used.run)(context);
  }
  std::vector<json> reports;
};

} // namespace

TEST_CASE("a command runs in the workspace with its limits, and its failure is a result") {
  bench b;
  std::filesystem::create_directory(b.folder.path() / "sub");
  b.runner->answer->exit_status = 1;
  b.runner->answer->output = "out";
  b.runner->answer->error_output_truncated = true;
  CHECK(b.run({{"argv", {"make"}}}).value()
        == json{{"exit_status", 1},
                {"stdout", "out"},
                {"stderr", ""},
                {"timed_out", false},
                {"truncated", true}});
  CHECK(b.runner->asked.time_limit == std::chrono::seconds{60});
  CHECK(std::filesystem::equivalent(b.runner->asked.working_directory, b.folder.path()));
  CHECK(b.run({{"argv", {"make", "all"}},
               {"time_limit_seconds", 7},
               {"output_limit_bytes", 9},
               {"working_directory", "sub"}}));
  CHECK(b.runner->asked.argv == std::vector<std::string>{"make", "all"});
  CHECK(b.runner->asked.time_limit == std::chrono::seconds{7});
  CHECK(b.runner->asked.output_limit_bytes == 9);
  CHECK(b.runner->asked.working_directory == b.folder.path() / "sub");
}

TEST_CASE("a signal is shown by its name") {
  bench b;
  b.runner->answer->signal = SIGKILL;
  b.runner->answer->timed_out = true;
  const auto shown = b.run({{"argv", {"x"}}}).value();
  CHECK(shown["signal"] == "SIGKILL");
  CHECK(shown["timed_out"] == true);
  CHECK_FALSE(shown.contains("exit_status"));
}

TEST_CASE("a working directory outside the workspace, and no workspace, are errors") {
  bench b;
  CHECK(is(b.run({{"argv", {"x"}}, {"working_directory", ".."}}).error(), errc::outside_workspace));
  CHECK(is(std::get<blocking_tool>(b.used.run)(tool_context{}).error(), errc::tool_failed));
  CHECK(b.runner->asked.argv.empty());
}

TEST_CASE("a command that was stopped has no result") {
  bench b;
  b.runner->answer->stopped = true;
  CHECK(is(b.run({{"argv", {"x"}}}).error(), errc::shutting_down));
}

TEST_CASE("output that grows when it is written as JSON does not lose the result") {
  bench b;
  b.runner->answer->exit_status = 0;
  b.runner->answer->output = std::string(200'000, '\x01');
  b.runner->answer->error_output = b.runner->answer->output;
  const auto shown = b.run({{"argv", {"x"}}}).value();
  CHECK(to_text(shown).size() <= 900'000);
  CHECK(shown["truncated"] == true);
  CHECK(shown["exit_status"] == 0);
}

TEST_CASE("the arguments of a command are checked") {
  bench b;
  const auto refused = [&](const char* text) {
    return is(check_schema(b.used.schema, json::parse(text)), errc::invalid_arguments);
  };
  CHECK(refused(R"({})"));
  CHECK(refused(R"({"argv": []})"));
  CHECK(refused(R"({"argv": "ls"})"));
  CHECK(refused(R"({"argv": ["ls"], "time_limit_seconds": 0})"));
  CHECK(refused(R"({"argv": ["ls"], "shell": true})"));
}

TEST_CASE("the preview is a line that a shell reads as the same arguments") {
  bench b;
  CHECK(shell_quoted({"git", "log", "--oneline"}) == "git log --oneline");
  CHECK(shell_quoted({"a b", "it's", "", "$x;rm"}) == "'a b' 'it'\\''s' '' '$x;rm'");
  CHECK(shell_quoted({"A=b", "C=d"}) == "'A=b' C=d");
  const auto shown = b.used.preview({{"argv", {"ls", "a b"}}}, "/w");
  CHECK(shown == "ls 'a b'\nin the directory \".\" of \"/w\"\n");
}

TEST_CASE("a real command runs through the tool") {
  temporary_directory folder;
  temporary_directory elsewhere;
  auto runner = supervised_process_runner::create(elsewhere.path() / "lock");
  REQUIRE(runner);
  const auto used = execute_command_tool(*runner);
  tool_context context;
  context.workspace = folder.path();
  context.arguments = {{"argv", {"sh", "-c", "echo hi > made; cat made"}}};
  const auto shown = std::get<blocking_tool>(used.run)(context).value();
  CHECK(shown["stdout"] == "hi\n");
  CHECK(folder.get("made") == "hi\n");
}

TEST_CASE("what a command prints is reported line by line, but not every line of many") {
  bench b;
  b.runner->prints = {"com", "piling\r", "\n", "one\ntwo\n", "th"};
  REQUIRE(b.run({{"argv", {"make"}}}));
  REQUIRE(b.reports.size() == 1);
  CHECK(b.reports[0] == json{{"output", "compiling\r"}});
  b.reports.clear();
  b.runner->prints = {"one\ntwo \xFF\nthr"};
  REQUIRE(b.run({{"argv", {"make"}}}));
  CHECK(b.reports == std::vector<json>{{{"output", "two \uFFFD"}}});
  b.reports.clear();
  b.runner->prints = {std::string(5'000, 'x'), "the rest", " of it\n", "\n"};
  REQUIRE(b.run({{"argv", {"make"}}}));
  CHECK(b.reports.empty());
  b.runner->prints = {std::string(5'000, 'x'), "xx\nshort\n"};
  REQUIRE(b.run({{"argv", {"make"}}}));
  CHECK(b.reports == std::vector<json>{{{"output", "short"}}});
}

} // namespace command_tool_test
