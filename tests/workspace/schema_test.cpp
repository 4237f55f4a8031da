#include <fermata/actors/tool.hpp>
#include <fermata/actors/tools/schema.hpp>

#include <fermata_catch.hpp>

namespace schema_test {

using namespace fermata;

namespace {

std::string why(const json& schema, const json& value) {
  const auto error = check_schema(schema, value);
  CHECK((!error || is(error, errc::invalid_arguments)));
  return error ? message_of(error) : std::string{};
}

bool accepts(const json& schema, const json& value) {
  return why(schema, value).empty();
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool refused(const json& schema) {
  return is(check_is_schema(schema), errc::invalid_field);
}

const json command_schema{
    {"type", "object"},
    {"properties",
     {{"argv", {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}}},
      {"time_limit_seconds", {{"type", "integer"}, {"minimum", 1}}}}},
    {"required", json::array({"argv"})},
    {"additionalProperties", false}};

} // namespace

TEST_CASE("a null schema accepts any object and nothing else") {
  CHECK(accepts(nullptr, json::object()));
  CHECK(accepts(nullptr, {{"a", 1}}));
  CHECK_FALSE(accepts(nullptr, 1));
  CHECK_FALSE(accepts(nullptr, json::array()));
  CHECK_FALSE(check_is_schema(nullptr));
}

TEST_CASE("each violated place is named by its pointer, with what is accepted there") {
  CHECK(accepts(command_schema, {{"argv", {"ls"}}, {"time_limit_seconds", 2}}));
  const auto text = why(command_schema, {{"argv", {"ls", 7}}, {"time_limit_seconds", 0}});
  CAPTURE(text);
  CHECK(has(text, R"(at "/argv/1")"));
  CHECK(has(text, R"(Accepted there: {"type":"string"})"));
  CHECK(has(text, R"(at "/time_limit_seconds")"));
  CHECK(has(text, R"({"minimum":1,"type":"integer"})"));
  CHECK_FALSE(has(text, R"(at "/argv":)"));

  const auto extra = why(command_schema, {{"argv", {"ls"}}, {"shell", true}});
  CAPTURE(extra);
  CHECK(has(extra, R"(at "")"));
  CHECK(has(extra, "shell"));
  CHECK(has(extra, R"("properties":["argv","time_limit_seconds"])"));
  CHECK(has(why(command_schema, json::object()), "argv"));
}

TEST_CASE("control characters of a value do not reach the message") {
  const auto text = why(command_schema, {{"argv", {"ls"}}, {"\x1b[2J\n", true}});
  CHECK_FALSE(has(text, "\x1b"));
  CHECK_FALSE(has(text, "\n"));
}

TEST_CASE("many violations are summed up") {
  const json schema{{"type", "array"}, {"items", {{"type", "string"}}}};
  const auto text = why(schema, json(std::vector<int>(100, 1)));
  CHECK(has(text, "and 92 more"));
  CHECK(text.size() < 2'000);
  CHECK_FALSE(why(schema, json(std::vector<int>(200'000, 1))).empty());
}

TEST_CASE("a pattern is matched against a long text without recursion") {
  const json schema{{"properties", {{"x", {{"type", "string"}, {"pattern", "^(a|b)*$"}}}}}};
  CHECK(accepts(schema, {{"x", std::string(2'000'000, 'a')}}));
  CHECK_FALSE(accepts(schema, {{"x", std::string(2'000'000, 'a') + "c"}}));
  const json slow{{"pattern", "^(a+)+$"}};
  CHECK_FALSE(accepts(slow, std::string(100'000, 'a') + "!"));
}

TEST_CASE("a pattern is a keyword only where a schema stands") {
  const json schema{{"properties", {{"pattern", {{"type", "string"}}}}},
                    {"required", json::array({"pattern"})},
                    {"additionalProperties", false}};
  CHECK(accepts(schema, {{"pattern", "("}}));
  CHECK_FALSE(accepts(schema, {{"pattern", 1}}));
  CHECK_FALSE(accepts(schema, json::object()));
  const json constant{{"const", {{"pattern", "("}, {"id", "x"}}}};
  CHECK(accepts(constant, {{"pattern", "("}, {"id", "x"}}));
}

TEST_CASE("patterns hold within propertyNames, anyOf, not and references") {
  CHECK_FALSE(accepts({{"propertyNames", {{"pattern", "^a"}}}}, {{"b", 1}}));
  CHECK(accepts({{"propertyNames", {{"pattern", "^a"}}}}, {{"a", 1}}));
  const json either{{"anyOf", {{{"pattern", "^a"}}, {{"pattern", "^b"}}}}};
  CHECK(accepts(either, "b"));
  CHECK_FALSE(accepts(either, "c"));
  CHECK_FALSE(accepts({{"not", {{"pattern", "^a"}}}}, "a"));
  const json referring{{"$defs", {{"short", {{"pattern", "^.$"}}}}},
                       {"items", {{"$ref", "#/$defs/short"}}}};
  CHECK(accepts(referring, {"a", "b"}));
  CHECK(has(why(referring, {"a", "bc"}), R"(at "/1")"));
}

TEST_CASE("formats of dates and times are checked, of texts only and however long") {
  const auto fits = [](const char* format, const json& value) {
    return accepts({{"format", format}}, value);
  };
  CHECK(fits("date", "2024-02-29"));
  CHECK_FALSE(fits("date", "2023-02-29"));
  CHECK(fits("date-time", "2024-01-31T23:59:60.5+02:00"));
  CHECK_FALSE(fits("date-time", "2024-01-31 23:59:00Z"));
  CHECK_FALSE(fits("time", "24:00:00Z"));
  CHECK_FALSE(fits("date", std::string(1'000'000, '1')));
  CHECK(fits("date", 7));
  CHECK(fits("email", "anything"));
}

TEST_CASE("unique items are checked up to a thousand") {
  const json schema{{"uniqueItems", true}};
  CHECK(accepts(schema, {1, 2, 3}));
  CHECK_FALSE(accepts(schema, {1, 2, 1}));
  std::vector<int> many(1'001);
  for (int i = 0; i < 1'001; ++i)
    many[static_cast<std::size_t>(i)] = i;
  CHECK(has(why(schema, many), "1,000"));
  many.pop_back();
  CHECK(accepts(schema, many));
  CHECK(accepts({{"uniqueItems", false}}, {1, 1}));
}

TEST_CASE("what is not a schema is refused, naming the place") {
  CHECK(refused(7));
  CHECK(refused({{"type", "strnig"}}));
  CHECK(refused({{"type", json::array()}}));
  // What the parser of JSON throws for: an index that is none, and a place that is not read.
  CHECK(refused(
      json::parse(R"({"allOf": [{"$ref": "#/allOf/99999999999999999999", "title": "x"}]})")));
  CHECK(refused(json::parse(
      R"({"properties": {"id": {"type": "string"}}, "dependencies": {"x": {"$ref": "#/properties"}}})")));
  CHECK(refused({{"required", "x"}}));
  CHECK(refused({{"properties", json::array()}}));
  CHECK(refused({{"enum", "x"}}));
  CHECK(refused({{"minLength", -1}}));
  CHECK(refused({{"multipleOf", 0}}));
  CHECK(refused({{"items", 3}}));
  CHECK(refused({{"dependencies", {{"a", 3}}}}));
  const auto error = check_is_schema({{"properties", {{"a", {{"pattern", "("}}}}}});
  CHECK(is(error, errc::invalid_field));
  CHECK(has(message_of(error), R"("/properties/a/pattern")"));
  CHECK_FALSE(check_is_schema(true));
  CHECK_FALSE(check_is_schema(command_schema));
}

TEST_CASE("what cannot be checked safely is refused") {
  CHECK(refused({{"pattern", "(?=a)"}}));
  CHECK(refused({{"patternProperties", {{"^a", true}}}}));
  CHECK(refused({{"$ref", "http://example.com/schema"}}));
  CHECK(refused({{"$ref", "file:///etc/passwd#"}}));
  CHECK(refused({{"$ref", "#/nothing"}}));
  CHECK(refused({{"$ref", "#"}}));
  CHECK(refused({{"allOf", {{{"$ref", "#"}}}}}));
  CHECK(refused(
      {{"$defs", {{"a", {{"$ref", "#/$defs/b"}}}, {"b", {{"not", {{"$ref", "#/$defs/a"}}}}}}},
       {"items", {{"$ref", "#/$defs/a"}}}}));
}

TEST_CASE("a schema that refers to itself deeper in the value is accepted") {
  const json tree{{"type", "object"},
                  {"properties", {{"children", {{"items", {{"$ref", "#"}}}}}}},
                  {"additionalProperties", false}};
  REQUIRE_FALSE(check_is_schema(tree));
  json value = json::object();
  for (int depth = 0; depth < 30; ++depth)
    value = {{"children", json::array({value})}};
  CHECK(accepts(tree, value));
  CHECK_FALSE(accepts(tree, {{"children", {{{"other", 1}}}}}));
}

TEST_CASE("a schema at its limits uses a bounded stack, beyond them it is refused") {
  // Each definition leads to the next; valijson reads them within one another.
  const auto chain = [](int length) {
    json schema{{"properties", {{"x", {{"$ref", "#/$defs/d0"}}}}}};
    for (int i = 0; i < length; ++i)
      schema["$defs"]["d" + std::to_string(i)] = {
          {"properties",
           {{"x",
             i + 1 < length ? json{{"$ref", "#/$defs/d" + std::to_string(i + 1)}} : json(true)}}}};
    return schema;
  };
  CHECK_FALSE(check_is_schema(chain(249)));
  CHECK(refused(chain(300)));

  const auto nested = [](int depth) {
    json schema = true;
    for (int i = 0; i < depth; ++i)
      schema = {{"allOf", json::array({schema})}};
    return schema;
  };
  CHECK_FALSE(check_is_schema(nested(15)));
  CHECK(refused(nested(16)));
}

TEST_CASE("a registry refuses a second tool of one name, and a schema that is not one") {
  tool_registry tools;
  tool one;
  one.name = *tool_name::parse("one");
  CHECK_FALSE(tools.add(one));
  CHECK(is(tools.add(one), errc::invalid_field));
  tool two;
  two.name = *tool_name::parse("two");
  two.schema = {{"type", "strnig"}};
  CHECK(is(tools.add(two), errc::invalid_field));
  CHECK(is(tools.add(tool{}), errc::invalid_field));
  CHECK(tools.find(*tool_name::parse("one")) != nullptr);
  CHECK(tools.find(*tool_name::parse("two")) == nullptr);
  CHECK(tools.all().size() == 1);
}

} // namespace schema_test
