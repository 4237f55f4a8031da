// What a line that is typed at a question means.
#include "answers.hpp"

#include <fermata_catch.hpp>

namespace answers_test {

using namespace fermata;
using fermata::command_line::read_answer;

TEST_CASE("without a schema a line is JSON, or else a text") {
  CHECK(*read_answer("42", nullptr) == 42);
  CHECK(*read_answer("true", nullptr) == true);
  CHECK(*read_answer(R"({"a": [1]})", nullptr) == json{{"a", {1}}});
  CHECK(*read_answer(R"("quoted")", nullptr) == "quoted");
  CHECK(*read_answer("plain text", nullptr) == "plain text");
  CHECK(*read_answer("2026-12-01", nullptr) == "2026-12-01");
  CHECK(*read_answer("-", nullptr) == "-");
}

TEST_CASE("a line is taken as a text where only a text fits") {
  const json text{{"type", "string"}};
  CHECK(*read_answer("42", text) == "42");
  CHECK(*read_answer("yes", text) == "yes");
  const json colour{{"enum", {"red", "green"}}};
  CHECK(*read_answer("red", colour) == "red");
  CHECK(*read_answer(R"("green")", colour) == "green");
  CHECK_FALSE(read_answer("blue", colour));
}

TEST_CASE("a text is refused where the schema allows none") {
  const json number{{"type", "integer"}, {"minimum", 1}};
  CHECK(*read_answer("7", number) == 7);
  const auto refused = read_answer("seven", number);
  REQUIRE_FALSE(refused);
  CHECK(is(refused.error(), errc::invalid_arguments));
  CHECK_FALSE(read_answer("0", number));
}

TEST_CASE("what is meant as JSON or a file is not taken for a text by mistake") {
  for (const auto* line : {"{not json", "  [1,", "\"open", "@/nonexistent"}) {
    INFO(line);
    CHECK_FALSE(read_answer(line, nullptr));
    CHECK_FALSE(read_answer(line, json{{"type", "string"}}));
  }
}

} // namespace answers_test
