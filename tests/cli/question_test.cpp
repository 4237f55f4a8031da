// An agent's question, asked and answered over processes and at a terminal.
#include "sandbox.hpp"

#include <fermata_catch.hpp>

namespace question_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A plan whose first subtask asks a person, and whose second one hands the answer on.
std::string asking_plan(const json& arguments) {
  const json ask{{"id", "ask"},
                 {"steps", json::array({{{"tool", "ask_human"}, {"arguments", arguments}}})}};
  const json use{
      {"id", "use"}, {"depends_on", {"ask"}}, {"result", {{"heard", {{"$ref", "/results/ask"}}}}}};
  return to_text({{"goal", "Ask somebody"}, {"subtasks", json::array({ask, use})}});
}

const json colour_question{{"question", "Which colour?"}, {"schema", {{"enum", {"red", "green"}}}}};

/// A session whose question `s:c1` waits for its answer.
void stop_at_question(const sandbox& box, const json& arguments) {
  const auto plan = box.write("plan.json", asking_plan(arguments));
  REQUIRE(box.run({"run", plan, "--session", "s"}).status == 3);
  const auto asked = box.run({"approve", "s:p1"});
  INFO(asked.out << asked.err);
  REQUIRE(asked.status == 3);
  REQUIRE(asked.last()["waiting"]["answer"] == 1);
}

child_options asked_at_terminal(const sandbox& box, std::vector<std::string> words) {
  auto options = box.invocation(std::move(words));
  options.terminal = true;
  return options;
}

constexpr const char* for_answer = "Your answer (JSON, @FILE or text; empty: quit): ";

} // namespace

TEST_CASE("a question waits over processes, refuses a wrong answer, and takes the right one") {
  const sandbox box;
  stop_at_question(box, colour_question);
  const auto pending = box.run({"pending"});
  REQUIRE(pending.lines.size() == 1);
  CHECK(pending.last()["id"] == "s:c1");
  CHECK(pending.last()["kind"] == "input");
  CHECK(pending.last()["waiting_for"] == "answer");
  CHECK(pending.last()["tool"] == "ask_human");
  CHECK(pending.last()["arguments"] == colour_question);

  const auto before = box.run({"status", "s"}).last();
  const auto wrong = box.run({"answer", "s:c1", R"("blue")"});
  CHECK(wrong.status == 2);
  CHECK(wrong.out.empty());
  CHECK(wrong.error()["error"] == "invalid_answer");
  CHECK(box.run({"answer", "s:c1", "red"}).error()["error"] == "invalid_json");
  CHECK(box.run({"status", "s"}).last() == before);

  const auto right = box.run({"answer", "s:c1", R"("red")"});
  CHECK(right.status == 0);
  CHECK(right.last()["subtasks"][1]["result"] == json{{"heard", "red"}});
  const auto again = box.run({"answer", "s:c1", R"("red")"});
  CHECK(again.status == 0);
  CHECK(again.lines.at(0)["receipt"]["kind"] == "duplicate");
  CHECK(box.run({"answer", "s:c1", R"("green")"}).error()["error"] == "already_answered");
}

TEST_CASE("only a question is answered, and a question is only answered") {
  const sandbox box;
  stop_at_question(box, colour_question);
  CHECK(box.run({"result", "s:c1", R"("red")"}).error()["error"] == "not_allowed");
  CHECK(box.run({"answer", "s:c2", "1"}).error()["error"] == "unknown_call");
  CHECK(box.run({"answer", "s", "1"}).error()["error"] == "invalid_id");
  const auto all = box.run({"resume", "s", "--approve", "all"});
  CHECK(all.status == 3);
  CHECK(all.last()["waiting"]["answer"] == 1);

  REQUIRE(box.run({"run", box.write("seed.json", seed_plan()), "--session", "t"}).status == 3);
  REQUIRE(box.run({"approve", "t:p1"}).status == 3);
  CHECK(box.run({"answer", "t:c1", "1"}).error()["error"] == "not_allowed");
}

TEST_CASE("a question without a schema takes any answer, also from a file") {
  const sandbox box;
  stop_at_question(box, {{"question", "What do you think?"}});
  const auto file = box.write("answer.json", R"({"long": ["answer"]})");
  const auto answered = box.run({"answer", "s:c1", "@" + file});
  CHECK(answered.status == 0);
  CHECK(answered.last()["subtasks"][0]["result"] == json{{"long", {"answer"}}});
}

TEST_CASE("without a terminal a question is printed with the command that answers it") {
  const sandbox box;
  stop_at_question(box, colour_question);
  const auto shown = box.run_plainly({"pending"});
  INFO(shown.out);
  CHECK(shown.out.find("  | Which colour?\n") != std::string::npos);
  CHECK(shown.out.find("\"green\"") != std::string::npos);
  CHECK(shown.out.find("answer s:c1 JSON") != std::string::npos);
}

TEST_CASE("at a terminal a question is asked again until the answer fits") {
  const sandbox box;
  stop_at_question(box, colour_question);
  child person{asked_at_terminal(box, {"resume", "s"})};
  CHECK(person.expect("  | Which colour?"));
  REQUIRE(person.expect(for_answer));
  person.type("blue");
  CHECK(person.expect("This does not fit: "));
  REQUIRE(person.expect(for_answer));
  person.type("{\"colour\"");
  CHECK(person.expect("This does not fit: "));
  REQUIRE(person.expect(for_answer));
  person.type("green");
  CHECK(person.wait() == 0);
  CHECK(box.run({"status", "s"}).last()["subtasks"][0]["result"] == "green");
}

TEST_CASE("leaving a question unanswered loses nothing") {
  const sandbox box;
  stop_at_question(box, colour_question);
  child person{asked_at_terminal(box, {"resume", "s"})};
  REQUIRE(person.expect(for_answer));
  person.type("");
  CHECK(person.expect("Nothing is lost"));
  CHECK(person.wait() == 3);
  CHECK(box.run({"pending"}).lines.size() == 1);
}

TEST_CASE("a question and its schema reach a person escaped") {
  const sandbox box;
  const std::string evil = "x\u001b[31m\u202Egnp\r";
  stop_at_question(box, {{"question", evil}, {"schema", {{"enum", {evil}}}}});
  child person{asked_at_terminal(box, {"resume", "s"})};
  REQUIRE(person.expect(for_answer));
  person.type("q");
  REQUIRE(person.expect(for_answer));
  person.type("");
  CHECK(person.wait() == 3);
  auto shown =
      person.output() + box.run_plainly({"pending"}).out + box.run_plainly({"events", "s"}).out;
  INFO(shown);
  CHECK(shown.find('\x1b') == std::string::npos);
  CHECK(shown.find("\u202E") == std::string::npos);
  CHECK(shown.find("x<U+001B>[31m<U+202E>gnp<U+000D>") != std::string::npos);
}

} // namespace question_test
