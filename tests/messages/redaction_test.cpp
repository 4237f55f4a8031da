// What is shown without its secrets. The rules are given as text, and so are the variables of the
// environment.
#include "support.hpp"

#include <fermata/messages/chunk.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/redaction.hpp>
#include <fermata/messages/status.hpp>

namespace redaction_test {

using namespace fermata;
using namespace messages_test;

namespace {

using variables = std::map<std::string, std::string>;

result<redactor> parse(std::string_view rules, const variables& set = {}) {
  return redactor::parse(rules, [&](const std::string& name) {
    const auto found = set.find(name);
    return found == set.end() ? std::nullopt : std::optional{found->second};
  });
}

redactor with(std::string_view rules, const variables& set = {}) {
  return value_of(parse(rules, set));
}

json shown(const redactor& by, std::string_view value) {
  return by.value(value_of(parse_json(value)));
}

} // namespace

TEST_CASE("a secret field is hidden at any depth, whatever its type, and keeps its name") {
  const auto by = with(R"({"fields": ["password", "Token"]})");
  CHECK(shown(by, R"({"a": [{"b": {"password": "x", "user": "me"}}], "token": 42,
                      "PASSWORD": {"old": "y"}, "Password": null})")
        == json::parse(R"({"a": [{"b": {"password": "[redacted]", "user": "me"}}],
                           "token": "[redacted]", "PASSWORD": "[redacted]",
                           "Password": "[redacted]"})"));
  CHECK(shown(by, R"({"passwords": "x"})") == json::parse(R"({"passwords": "x"})"));
}

TEST_CASE("an array of secrets is hidden as one") {
  const auto by = with(R"({"fields": ["tokens"]})");
  CHECK(shown(by, R"({"tokens": ["one", "two"]})") == json::parse(R"({"tokens": "[redacted]"})"));
}

TEST_CASE("a secret behind an option of a command line is hidden") {
  const auto by = with(R"({"fields": ["token"]})");
  CHECK(shown(by,
              R"({"argv": ["push", "--token", "abc", "--token=def", "-token", 7, "token", "to"]})")
        == json::parse(R"({"argv": ["push", "--token", "[redacted]", "--token=[redacted]", "-token",
                                    "[redacted]", "token", "to"]})"));
  CHECK(shown(by, R"(["--token"])") == json::parse(R"(["--token"])"));
}

TEST_CASE("each string of an array is looked through by itself") {
  const auto by = with(R"({"patterns": ["sk-[a-z]+"]})");
  CHECK(shown(by, R"(["Bearer", "sk-abc, sk-def", ["sk-x"], "sk-", "abc"])")
        == json::parse(R"(["Bearer", "[redacted], [redacted]", ["[redacted]"], "sk-", "abc"])"));
}

TEST_CASE("all that overlapping patterns cover is hidden, in whatever order they stand") {
  for (const auto* rules :
       {R"({"patterns": ["bcd", "abc", "de"]})", R"({"patterns": ["abc", "de", "bcd"]})"}) {
    const auto by = with(rules);
    CHECK(by.text("xabcdey") == "x[redacted]y");
    CHECK(by.text("abc bcd") == "[redacted] [redacted]");
  }
  CHECK(with(R"({"patterns": ["redacted", "abc"]})").text("abc") == "[redacted]");
}

TEST_CASE("the value of an environment variable is taken literally") {
  const auto by =
      with(R"({"environment": ["KEY", "PIN"]})", {{"KEY", "a.c*"}, {"PIN", "\xff\x00z"}});
  CHECK(by.text("abc a.c* aac") == "abc [redacted] aac");
  CHECK(shown(by, R"({"x": "=a.c*="})") == json::parse(R"({"x": "=[redacted]="})"));
}

TEST_CASE("the value of an environment variable is also found where JSON text has it escaped") {
  const std::string secret = "a\"b\\c\xc3\xa9";
  const auto by = with(R"({"environment": ["KEY"]})", {{"KEY", secret}});
  const json sent{{"key", secret}};
  CHECK(by.text(sent.dump()) == R"({"key":"[redacted]"})");
  CHECK(by.text(sent.dump(-1, ' ', true)) == R"({"key":"[redacted]"})");
  CHECK(by.text(secret) == "[redacted]");
}

TEST_CASE("a secret of several lines is found whole and line by line, but for short lines") {
  const std::string secret = "-----BEGIN KEY-----\r\n  MIIEvQIBADAN\nshort\n";
  const auto by = with(R"({"environment": ["KEY"]})", {{"KEY", secret}});
  CHECK(by.text("<" + secret + ">") == "<[redacted]>");
  CHECK(by.text(json(secret).dump()) == R"("[redacted]")");
  CHECK(by.text("    MIIEvQIBADAN\n    short\n") == "    [redacted]\n    short\n");
  const auto single = with(R"({"environment": ["KEY"]})", {{"KEY", " 12345678 "}});
  CHECK(single.text("12345678") == "12345678");
}

TEST_CASE("a variable that is empty or not set hides nothing") {
  const auto by = with(R"({"environment": ["EMPTY", "ABSENT"]})", {{"EMPTY", ""}});
  CHECK(by.hides_nothing());
  CHECK(by.text("abc") == "abc");
}

TEST_CASE("a secret in the name of a member is hidden, and no member gets lost") {
  const auto by = with(R"({"patterns": ["sk-[a-z]+"], "fields": ["sk-field"]})");
  CHECK(shown(by, R"({"sk-a": 1, "sk-b": 2, "plain": 3, "at sk-c": 4, "sk-field": 5})")
        == json::parse(R"json({"[redacted]": 1, "[redacted] (2)": 2, "plain": 3, "at [redacted]": 4,
                           "[redacted] (3)": "[redacted]"
})json"));
}

TEST_CASE("what was valid UTF-8 stays so, also when a match cuts a character") {
  const auto by = with(R"({"environment": ["HALF"], "patterns": ["ü+"]})", {{"HALF", "\xbc-x"}});
  for (const auto* text : {"\xc3\xbc-x", "a\xc3\xbc\xc3\xbc-x\xe2\x82\xac", "\xf0\x9f\x98\xbc-x"}) {
    const auto made = by.text(text);
    CHECK(is_utf8(made));
    CHECK(contains(made, "[redacted]"));
    CHECK_FALSE(contains(made, "-x"));
  }
  // Other bytes are left alone.
  CHECK(by.text("\xff\xfe") == "\xff\xfe");
}

TEST_CASE("a pattern that finds nothing but positions hides nothing") {
  CHECK(with(R"({"patterns": ["\\b"]})").text("one two") == "one two");
}

TEST_CASE("behind a thousand matches the rest of a string is hidden") {
  const auto by = with(R"({"patterns": ["a"]})");
  const auto made = by.text(repeated("a.", 1'000) + "secret?");
  CHECK(made == repeated("[redacted].", 999) + "[redacted]");
  CHECK(by.text(repeated("a.", 999) + "b") == repeated("[redacted].", 999) + "b");
}

TEST_CASE("a string that is too large to be looked through is hidden as a whole") {
  const auto by = with(R"({"patterns": ["a"]})");
  CHECK(by.text(std::string(std::size_t{4} << 20, 'b')).size() == std::size_t{4} << 20);
  CHECK(by.text(std::string((std::size_t{4} << 20) + 1, 'b')) == "[redacted]");
}

TEST_CASE("many members that become equal cost no more than themselves") {
  const auto by = with(R"({"patterns": ["k[0-9]+"]})");
  auto many = json::object();
  for (int i = 0; i < 50'000; ++i)
    many["k" + std::to_string(i)] = i;
  const auto made = by.value(many);
  CHECK(made.size() == many.size());
  CHECK(made.contains("[redacted] (50000)"));
}

TEST_CASE("what is nested deeper than anything that is stored is hidden") {
  const auto by = with(R"({"fields": ["x"]})");
  json deep = "secret";
  for (int i = 0; i < 200; ++i)
    deep = json::array({std::move(deep)});
  CHECK_FALSE(contains(to_text(by.value(deep)), "secret"));
}

TEST_CASE("rules that are not right are refused with their place") {
  const auto refused = [](std::string_view rules) { return verdict_on(parse(rules)); };
  CHECK(
      contains(refused("{\n  \"fields\": [,]}"), "invalid_json: not valid JSON at line 2, column"));
  CHECK(contains(refused(R"({"field": ["a"]})"), "invalid_field: unknown field \"field\""));
  CHECK(
      contains(refused(R"({"fields": ["a", 2]})"), "invalid_field: fields[1]: expected a string"));
  CHECK(contains(refused(R"({"patterns": ["a", "(b"]})"),
                 "invalid_field: patterns[1]: \"(b\" is not"));
  CHECK(contains(refused(R"({"patterns": ["a*"]})"),
                 "invalid_field: patterns[0]: \"a*\" matches the"));
  CHECK(contains(refused(R"({"fields": [""]})"), "invalid_field: fields[0]: is empty"));
  CHECK(contains(refused(R"({"environment": [""]})"), "invalid_field: environment[0]: is empty"));
  CHECK(contains(refused(to_text({{"patterns", std::vector<std::string>(101, "a")}})),
                 "limit_exceeded: "));
  CHECK(contains(refused(to_text({{"patterns", {std::string(1'001, 'a')}}})),
                 "limit_exceeded: patterns[0]: "));
  CHECK(contains(refused("[]"), "invalid_field: expected an object"));
}

TEST_CASE("no rules hide nothing") {
  for (const auto& by : {redactor{}, with("{}")}) {
    CHECK(by.hides_nothing());
    CHECK(shown(by, R"({"password": "x"})") == json::parse(R"({"password": "x"})"));
  }
}

TEST_CASE("of an event, what names things and what is counted stays") {
  // Every text that there is is a secret.
  const auto by = with(R"({"patterns": [".+"], "fields": ["call", "number"]})");
  event fact;
  fact.number = 7;
  call_proposed proposed;
  proposed.call = 3;
  proposed.subtask = make<subtask_id>("write");
  proposed.tool = make<tool_name>("write_file");
  proposed.arguments = {{"path", "a"}, {"digest", "b"}, {"call", 5}, {"size", 1}};
  proposed.digest = "0123";
  proposed.fingerprint = "4567";
  fact.body = proposed;
  const auto made = to_json(redacted(fact, by));
  CHECK(made["number"] == 7);
  const auto& body = made["body"];
  CHECK(body["call"] == 3);
  CHECK(body["subtask"] == "write");
  CHECK(body["tool"] == "write_file");
  CHECK(body["digest"] == "0123");
  CHECK(body["fingerprint"] == "4567");
  // In what is from outside, nothing is Fermata's.
  CHECK(body["arguments"]
        == json::parse(R"json({"[redacted]": "[redacted]", "[redacted] (2)": "[redacted]",
                           "[redacted] (3)": "[redacted]", "[redacted] (4)": 1
})json"));
}

TEST_CASE("texts of chunks, plans, statuses and pending items are looked through") {
  const auto by = with(R"({"patterns": ["sk-[a-z]+"], "fields": ["feedback", "result"]})");
  event said;
  said.body = [] {
    agent_said body;
    body.text = "use sk-abc";
    return body;
  }();
  CHECK(to_json(redacted(chunk{make<session_id>("s"), said}, by))["body"]["text"]
        == "use [redacted]");

  const auto plan = value_of(parse_plan(
      R"({"goal": "sk-goal", "tools": {"t": {"description": "sk-tool"}},
          "subtasks": [{"id": "one", "steps": [{"tool": "t", "arguments": {"a": "sk-x"}}],
                        "result": "plain"}]})"));
  const auto shown_plan = to_text(to_json(redacted(plan, by)));
  CHECK_FALSE(contains(shown_plan, "sk-"));
  CHECK_FALSE(contains(shown_plan, "plain"));

  session_status status;
  status.plan.emplace().feedback = "no";
  status.subtasks.emplace_back().error = "bad sk-abc";
  const auto shown_status = to_json(redacted(status, by));
  CHECK(shown_status["plan"]["feedback"] == "[redacted]");
  CHECK(shown_status["subtasks"][0]["error"] == "bad [redacted]");

  pending_item item;
  item.id = "sk-s:c1";
  item.digest = "sk-d";
  item.arguments = {{"key", "sk-abc"}};
  const auto shown_item = to_json(redacted(item, by));
  CHECK(shown_item["id"] == "sk-s:c1");
  CHECK(shown_item["digest"] == "sk-d");
  CHECK(shown_item["arguments"]["key"] == "[redacted]");
}

} // namespace redaction_test
