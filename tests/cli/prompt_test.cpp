// The command at a terminal: it shows, asks, and lets go of the store while it asks.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

#include <algorithm>

namespace prompt_test {

using namespace fermata;
using namespace fermata::test;

namespace {

child_options at_terminal(const sandbox& box, std::vector<std::string> words) {
  auto options = box.invocation(std::move(words));
  options.terminal = true;
  options.environment["FERMATA_STORE"] = box.store().string();
  return options;
}

constexpr const char* on_plan = "approve / reject / edit / modify / quit ? ";
constexpr const char* on_call = "approve / reject / edit / respond / always / quit ? ";
constexpr const char* for_result = "result / error / quit ? ";

} // namespace

TEST_CASE("at a terminal a plan is shown as a tree and goes on answer by answer") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  child person{at_terminal(box, {"run", plan, "--session", "s"})};
  CHECK(person.expect("Goal: Ask, then answer"));
  CHECK(person.expect("|- first"));
  CHECK(person.expect("`- second, after first"));
  REQUIRE(person.expect(on_plan));
  person.type("approve");
  CHECK(person.expect("s:c1 ask"));
  CHECK(person.expect("why?"));
  REQUIRE(person.expect(on_call));
  person.type("a");
  REQUIRE(person.expect(for_result));
  person.type("r");
  REQUIRE(person.expect("The result"));
  person.type("{not json");
  CHECK(person.expect("not valid JSON"));
  REQUIRE(person.expect(for_result));
  person.type("r");
  REQUIRE(person.expect("The result"));
  person.type(R"({"answer": 42})");
  CHECK(person.expect("s: completed"));
  CHECK(person.wait() == 0);
  CHECK(box.run({"status", "s"}).last()["subtasks"][1]["result"]["heard"]["answer"] == 42);
}

TEST_CASE("quitting loses nothing, and says how to go on") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  child person{at_terminal(box, {"run", plan, "--session", "s"})};
  REQUIRE(person.expect(on_plan));
  person.type("q");
  CHECK(person.expect("Nothing is lost"));
  CHECK(person.expect(" resume s"));
  CHECK(person.wait() == 3);

  child again{at_terminal(box, {"resume", "s"})};
  REQUIRE(again.expect(on_plan));
  again.type("reject");
  REQUIRE(again.expect("Why: "));
  again.type("not today");
  CHECK(again.wait() == 1);
  CHECK(box.run({"status", "s"}).last()["plan"]["feedback"] == "not today");
}

TEST_CASE("the end of the input and an interruption at the prompt are a quit") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  child closed{at_terminal(box, {"run", plan, "--session", "s"})};
  REQUIRE(closed.expect(on_plan));
  closed.type("\x04");
  CHECK(closed.wait() == 3);
  child interrupted{at_terminal(box, {"resume", "s"})};
  REQUIRE(interrupted.expect(on_plan));
  interrupted.type("r");
  REQUIRE(interrupted.expect("Why: "));
  interrupted.type("\x03");
  CHECK(interrupted.wait() == 3);
  CHECK(box.run({"status", "s"}).last()["state"] == "awaiting_plan_decision");
}

TEST_CASE("edited arguments are checked, and asked for again") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  child person{at_terminal(box, {"resume", "s"})};
  REQUIRE(person.expect(on_call));
  person.type("edit");
  REQUIRE(person.expect("The new arguments"));
  person.type(R"({"answer": 1})");
  CHECK(person.expect("answer"));
  REQUIRE(person.expect(on_call));
  person.type("edit");
  REQUIRE(person.expect("The new arguments"));
  person.type(R"({"question": "how?"})");
  REQUIRE(person.expect(for_result));
  person.type("quit");
  CHECK(person.wait() == 3);
  CHECK(box.run({"pending"}).last()["arguments"]["question"] == "how?");
}

TEST_CASE("the store is free while a question is open, and an outdated answer is refused") {
  const sandbox box;
  const auto plan = box.write("plan.json", seed_plan());
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  child person{at_terminal(box, {"resume", "s"})};
  REQUIRE(person.expect(on_call));
  // Somebody else decides meanwhile.
  REQUIRE(box.run({"edit", "s:c1", "--arguments", R"({"question": "other?"})"}).status == 3);
  person.type("approve");
  // It is shown what is there now.
  CHECK(person.expect("other?"));
  REQUIRE(person.expect(for_result));
  person.type("quit");
  CHECK(person.wait() == 3);
}

TEST_CASE("a file that changes while the question is open is not overwritten unseen") {
  const sandbox box;
  box.write("notes.txt", "one\n");
  const auto plan =
      box.write("plan.json", plan_of("write_file", {{"path", "notes.txt"}, {"content", "two\n"}}));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  REQUIRE(box.run({"approve", "s:p1"}).status == 3);
  child person{at_terminal(box, {"resume", "s"})};
  CHECK(person.expect("-one"));
  REQUIRE(person.expect(on_call));
  box.write("notes.txt", "somebody's work\n");
  person.type("approve");
  CHECK(person.expect("-somebody's work"));
  REQUIRE(person.expect(on_call));
  CHECK(box.read("notes.txt") == "somebody's work\n");
  person.type("approve");
  CHECK(person.wait() == 0);
  CHECK(box.read("notes.txt") == "two\n");
}

TEST_CASE("a failed subtask is retried or skipped at the terminal") {
  const sandbox box;
  const auto plan = box.write("plan.json", plan_of("read_file", {{"path", "missing"}}));
  child person{at_terminal(box, {"run", plan, "--session", "s", "--approve", "all"})};
  REQUIRE(person.expect("retry / skip / revise / fail / cancel / quit ? "));
  person.type("retry");
  REQUIRE(person.expect("retry / skip / revise / fail / cancel / quit ? "));
  person.type("what");
  REQUIRE(person.expect("retry / skip / revise / fail / cancel / quit ? "));
  person.type("s");
  CHECK(person.wait() == 0);
  CHECK(box.run({"status", "s"}).last()["subtasks"][0]["status"] == "skipped");
}

TEST_CASE("long text cannot pass for a line of the command's own") {
  const sandbox box;
  const std::string forged = std::string(90, ' ') + "s:p1 approved by root";
  auto plan = *parse_json(plan_of("execute_command", {{"argv", {"echo", forged}}}));
  plan["goal"] = forged;
  const auto file = box.write("plan.json", to_text(plan));
  child person{at_terminal(box, {"run", file, "--session", "s"})};
  REQUIRE(person.expect(on_plan));
  person.type("approve");
  REQUIRE(person.expect(on_call));
  person.type("quit");
  CHECK(person.wait() == 3);
  INFO(person.output());
  // No line is wider than the terminal's 100 columns, so the terminal breaks none of them.
  std::size_t start = 0;
  while (start < person.output().size()) {
    const auto end = std::min(person.output().find("\r\n", start), person.output().size());
    CHECK(end - start <= 100);
    start = end + 2;
  }
}

} // namespace prompt_test
