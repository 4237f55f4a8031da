// Commands beside a real service do and print what they do where no service runs.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <csignal>
#include <memory>
#include <set>
#include <sstream>
#include <sys/stat.h>

namespace service_parity_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A service over the store of a sandbox, which is made when there is none.
class service {
public:
  explicit service(const sandbox& box, const std::vector<std::string>& options = {}) {
    std::vector<std::string> words{"serve"};
    words.insert(words.end(), options.begin(), options.end());
    // After a crash the store is busy until the commands that ran are gone as well.
    for (int attempt = 0; attempt < 1'000; ++attempt) {
      process_ = std::make_unique<child>(box.invocation(words));
      if (process_->expect("service.sock"))
        return;
      INFO(process_->error_output());
      REQUIRE(process_->wait() == 4);
    }
    FAIL("the store stays busy");
  }
  [[nodiscard]] int stop() {
    process_->signal(SIGTERM);
    return process_->wait();
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait();
  }

private:
  std::unique_ptr<child> process_;
};

/// Without what differs from run to run: times, incarnations, and what is derived from them.
json comparable(const json& value) {
  static const std::set<std::string> differing{
      "at",        "since",       "expires_at", "next_timer", "until", "suspended_until",
      "workspace", "incarnation", "digest",     "message"};
  if (value.is_array()) {
    auto same = json::array();
    for (const auto& one : value)
      same.push_back(comparable(one));
    return same;
  }
  if (!value.is_object())
    return value;
  auto same = json::object();
  for (const auto& [key, one] : value.items())
    same[key] = differing.contains(key) ? json("...") : comparable(one);
  return same;
}

/// What is read, proposed, decided on, edited, cancelled and answered in one session and another.
std::vector<std::vector<std::string>> all_sorts_of_commands(const sandbox& box) {
  const auto plan = box.write("plan.json", seed_plan());
  const auto other = box.write("other.json", plan_of("list_files", {{"path", "."}}));
  return {{"run", plan, "--session", "s"},
          {"run", plan, "--session", "s"},
          {"reject", "s:p1", "--modify", "--reason", "more"},
          {"revise", "s", plan},
          {"approve", "s:p1"},
          {"approve", "s:p2"},
          {"approve", "s:p2"},
          {"message", "s", "Hurry"},
          {"approve", "s:c1", "--digest", "wrong"},
          {"result", "s:c1", "1"},
          {"edit", "s:c1", "--arguments", R"({"question": "when?"})"},
          {"suspend", "s", "--for", "1h"},
          {"resume", "s"},
          {"cancel", "s:c1", "--reason", "nobody asks"},
          {"result", "s:c1", "1"},
          {"retry", "s", "first"},
          {"respond", "s:c2", R"({"by": "hand"})"},
          {"respond", "s:c2", R"({"by": "hand"})"},
          {"respond", "s:c2", "2"},
          {"resume", "s"},
          {"cancel", "s"},
          {"approve", "t:c1"},
          {"resume", "t"},
          {"run", other, "--session", "t", "--approve", "all"},
          {"run", plan, "--session", "u", "--approve", "all"},
          {"cancel", "u"},
          {"resume", "--due"}};
}

/// The session `s` runs a command that ends when somebody writes into the pipe `gate`.
std::string gated_plan(const sandbox& box) {
  REQUIRE(::mkfifo((box.workspace() / "gate").c_str(), 0600) == 0);
  return box.write("plan.json", plan_of("execute_command", {{"argv", {"cat", "gate"}}}));
}

} // namespace

TEST_CASE("every command prints and returns through a service what it does without one") {
  const sandbox alone;
  const sandbox served;
  service running{served};
  const auto commands = all_sorts_of_commands(alone);
  const auto served_commands = all_sorts_of_commands(served);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const auto expected = alone.run(commands[i]);
    const auto ended = served.run(served_commands[i]);
    INFO(commands[i][0] << ", command " << i << "\n"
                        << expected.out << expected.err << "\n"
                        << ended.out << ended.err);
    CHECK(ended.status == expected.status);
    CHECK(comparable(json(ended.lines)) == comparable(json(expected.lines)));
    CHECK(ended.err.empty() == expected.err.empty());
    if (!expected.err.empty())
      CHECK(comparable(ended.error()) == comparable(expected.error()));
  }
  CHECK(running.stop() == 0);
  CHECK(served.run({"sessions"}).lines == alone.run({"sessions"}).lines);
}

TEST_CASE("to a person a command looks the same through a service") {
  const sandbox alone;
  const sandbox served;
  service running{served};
  const auto shown = [](const sandbox& box) {
    auto text =
        box.run_plainly({"run", box.write("plan.json", plan_of("list_files", {{"path", "."}})),
                         "--session", "s", "--approve", "all"})
            .out;
    const auto folder = box.workspace().string();
    for (std::size_t at = 0; (at = text.find(folder, at)) != std::string::npos;)
      text.replace(at, folder.size(), "FOLDER");
    return text;
  };
  CHECK(shown(served) == shown(alone));
}

TEST_CASE("at a terminal a person is asked through a service as well") {
  const sandbox box;
  service running{box};
  auto options = box.invocation({"run", box.write("plan.json", seed_plan()), "--session", "s"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("approve / reject"));
  person.type("a");
  REQUIRE(person.expect("approve / reject / edit / respond"));
  person.type("res");
  REQUIRE(person.expect("without the tool"));
  person.type("42");
  CHECK(person.wait() == 0);
  CHECK(box.run({"status", "s"}).last()["subtasks"][1]["result"]["heard"] == 42);
}

TEST_CASE("what a service hides from its clients is asked for at a terminal as it is") {
  const sandbox box;
  service running{box, {"--redact", box.write("rules.json", R"({"fields": ["password"]})")}};
  const json schema{{"type", "object"},
                    {"properties", {{"password", {{"type", "string"}}}}},
                    {"required", {"password"}}};
  const auto plan = plan_of("ask_human", {{"question", "Which one?"}, {"schema", schema}});
  auto options =
      box.invocation({"run", box.write("plan.json", plan), "--session", "s", "--approve", "all"});
  options.terminal = true;
  child person{options};
  REQUIRE(person.expect("Your answer"));
  person.type(R"({"password": 1})");
  CHECK(person.expect("This does not fit"));
  REQUIRE(person.expect("Your answer"));
  person.type(R"({"password": "x"})");
  CHECK(person.wait() == 0);
}

TEST_CASE("a tool that runs in the service is cancelled from another command") {
  const sandbox box;
  const auto plan = gated_plan(box);
  service running{box};
  child runner{box.invocation({"--json", "run", plan, "--session", "s", "--approve", "all"})};
  REQUIRE(runner.expect("call_claimed"));
  const auto cancelled = box.run({"cancel", "s:c1", "--reason", "takes too long"});
  INFO(cancelled.out << cancelled.err);
  CHECK(cancelled.status == 1);
  CHECK(cancelled.last()["state"] == "needs_attention");
  CHECK(contains(cancelled.out, "takes too long"));
  // Whoever started it sees it end.
  CHECK(runner.wait() == 1);
  CHECK(contains(runner.output(), "takes too long"));
  // The process itself is gone too: the service would wait for it.
  CHECK(running.stop() == 0);
}

TEST_CASE("an interrupted command leaves its session to the service") {
  const sandbox box;
  const auto plan = gated_plan(box);
  service running{box};
  child runner{box.invocation({"run", plan, "--session", "s", "--approve", "all"})};
  REQUIRE(runner.expect("s:c1 runs"));
  runner.signal(SIGINT);
  CHECK(runner.wait() == 130);
  CHECK(contains(runner.output(), "The service goes on with the session"));
  CHECK(box.run({"status", "s"}).last()["state"] == "running");

  child watcher{box.invocation({"watch", "s", "--until-paused"})};
  REQUIRE(watcher.expect("s:c1 runs"));
  REQUIRE(box.run({"cancel", "s"}).status == 0);
  CHECK(watcher.wait() == 1);
  CHECK(contains(watcher.output(), "cancelled"));
}

TEST_CASE("a command that waits follows its session over a crash of the service") {
  const sandbox box;
  const auto plan = gated_plan(box);
  service first{box};
  child runner{box.invocation({"--json", "run", plan, "--session", "s", "--approve", "all"})};
  REQUIRE(runner.expect("call_claimed"));
  first.kill();
  service second{box};
  // The crash cut the tool off, and nobody knows what it did.
  CHECK(runner.wait() == 3);
  INFO(runner.output() << runner.error_output());
  CHECK(contains(runner.output(), "outcome_unknown"));
  std::vector<json> shown;
  std::istringstream lines{runner.output()};
  for (std::string line; std::getline(lines, line);)
    if (auto read = parse_json(line); read && read->contains("event"))
      shown.push_back(read->at("event"));
  CHECK(shown == box.run({"events", "s"}).lines);
}

TEST_CASE("a person is told that a service goes on by itself with what is due") {
  const sandbox box;
  service running{box};
  const auto ended = box.run_plainly({"resume", "--due"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  CHECK(contains(ended.out, "A service owns the store, and goes on by itself"));
}

TEST_CASE("metrics are printed as the service counts them") {
  const sandbox box;
  service running{box};
  const auto ended = box.run_plainly({"metrics"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
}

} // namespace service_parity_test
