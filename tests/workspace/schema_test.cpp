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
  // What the parser of JSON throws for.
  CHECK(refused(
      json::parse(R"({"allOf": [{"$ref": "#/allOf/99999999999999999999", "title": "x"}]})")));
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

namespace {

/// `count` references to each of `depth` definitions from the one before; the last one is `last`.
json multiplied(int count, int depth, const json& last) {
  json schema{{"$ref", "#/$defs/d0"}};
  for (int i = 0; i < depth; ++i)
    schema["$defs"]["d" + std::to_string(i)]["allOf"] = std::vector<json>(
        static_cast<std::size_t>(count), {{"$ref", "#/$defs/d" + std::to_string(i + 1)}});
  schema["$defs"]["d" + std::to_string(depth)] = last;
  return schema;
}

std::vector<int> numbers_to(int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i)
    all.push_back(i);
  return all;
}

bool takes_too_long(const json& schema, const json& value) {
  REQUIRE_FALSE(check_is_schema(schema));
  return has(why(schema, value), "that takes more than ");
}

} // namespace

TEST_CASE("P10: a check takes a bounded number of steps, whatever its schema multiplies") {
  const auto ways = multiplied(10, 6, {{"type", "integer"}}); // a million to the last one
  CHECK(takes_too_long(ways, 7));
  CHECK(has(why(ways, 7), "more than 100064 steps"));
  // The first way says that it does not fit, and the others are not asked; nor do they fill memory.
  CHECK(has(why(ways, "seven"), "at \"\": Value type not permitted"));

  // Two ways into each part of the value, which fail at its end: nothing is found on the way there.
  const json pair{{"$ref", "#"}};
  const json twice{{"anyOf",
                    {{{"properties", {{"x", pair}}}, {"required", {"x"}}},
                     {{"properties", {{"x", pair}}}, {"required", {"x"}}},
                     {{"const", "end"}}}}};
  json deep = json::object();
  json fitting = "end";
  for (int depth = 0; depth < 40; ++depth) {
    deep = {{"x", deep}};
    fitting = {{"x", fitting}};
  }
  CHECK(accepts(twice, fitting));
  CHECK(takes_too_long(twice, deep));
}

TEST_CASE("P10: what one step looks at counts") {
  const std::string text(900'000, 'a');
  for (const auto& [keyword, value] : {std::pair<const char*, json>{"maxLength", 900'000},
                                       {"pattern", "a$"},
                                       {"const", text},
                                       {"enum", {text}}}) {
    INFO(keyword);
    const json last{{keyword, value}};
    CHECK(accepts(last, text));
    CHECK(takes_too_long(multiplied(14, 3, last), text));
  }
  const json one_of_many{{"items", {{"enum", numbers_to(20'000)}}}};
  CHECK(accepts(one_of_many, std::vector<int>(100, 19'999)));
  CHECK(takes_too_long(one_of_many, std::vector<int>(20'000, 19'999)));

  // Comparing the items of many arrays.
  const json unique{{"items", {{"uniqueItems", true}}}};
  CHECK(accepts(unique, std::vector<json>(20, numbers_to(1'000))));
  CHECK(takes_too_long(multiplied(14, 3, unique), std::vector<json>(20, numbers_to(1'000))));
}

TEST_CASE("P10: violations take a bounded memory, however many there are") {
  json required;
  for (int i = 0; i < 300; ++i)
    required.push_back("name" + std::to_string(i));
  const json schema{{"items", {{"required", required}}}};
  const auto text = why(schema, std::vector<json>(20'000, json::object()));
  CHECK(has(text, "Missing required property 'name0'"));
  CHECK(text.size() < 5'000);
}

TEST_CASE("a schema with patterns that are too large is refused") {
  const auto large = [](int times) { return "[^x]{" + std::to_string(times) + "}"; };
  CHECK(accepts({{"pattern", "^" + large(100) + "$"}}, std::string(100, 'y')));
  std::string pattern;
  for (int i = 0; i < 28; ++i)
    pattern += large(1'000);
  CHECK(refused({{"pattern", pattern}}));
  json many;
  for (int i = 0; i < 400; ++i)
    many["properties"]["p" + std::to_string(i)] = {{"pattern", large(200)}};
  CHECK(refused(many));
}

TEST_CASE("alternatives for each of many items are no reason to refuse them") {
  json kinds;
  json items;
  for (int i = 0; i < 20; ++i)
    kinds.push_back({{"properties",
                      {{"kind", {{"const", "kind" + std::to_string(i)}}},
                       {"path", {{"type", "string"}}},
                       {"text", {{"type", "string"}}}}},
                     {"required", {"kind", "path", "text"}},
                     {"additionalProperties", false}});
  for (int i = 0; i < 5'000; ++i)
    items.push_back({{"kind", "kind" + std::to_string(i % 20)}, {"path", "p"}, {"text", "t"}});
  CHECK(accepts({{"items", {{"oneOf", kinds}}}}, items));
}

TEST_CASE("references lead to the schema that they name, whatever it is called") {
  CHECK_FALSE(accepts(json::parse(R"({"$ref": "#/definitions/", "definitions": {
      "": {"type": "integer"}, "x": {"type": "string"}}})"),
                      "text"));
  CHECK(accepts(json::parse(R"({"$ref": "#/definitions/", "definitions": {
      "": true, "not": {"$ref": "#/definitions/"}}})"),
                1));
  // A name with a slash, and a place of the same path.
  const auto slashes = json::parse(R"({"properties": {
      "a/properties/b": {"type": "integer"},
      "a": {"properties": {"b": {"type": "string"}}},
      "c": {"$ref": "#/properties/a/properties/b"}}})");
  CHECK(accepts(slashes, {{"a/properties/b", 1}, {"a", {{"b", "text"}}}, {"c", "text"}}));
  CHECK_FALSE(accepts(slashes, {{"c", 1}}));
  // The properties as a schema, in which "id" is no keyword of any use.
  CHECK_FALSE(check_is_schema(json::parse(R"({"properties": {"id": {"type": "string"}},
      "dependencies": {"x": {"$ref": "#/properties"}}})")));
  // A value that looks like a schema stays what it is.
  const auto constant = json::parse(R"({"properties": {
      "a": {"const": {"type": "string"}}, "b": {"$ref": "#/properties/a/const"}}})");
  CHECK(accepts(constant, {{"a", {{"type", "string"}}}, {"b", "text"}}));
  CHECK_FALSE(accepts(constant, {{"b", 1}}));
}

TEST_CASE("the names of properties are checked by their own schema, also behind a reference") {
  const auto behind = json::parse(R"({"$ref": "#/definitions/n",
      "definitions": {"n": {"propertyNames": {"pattern": "^a"}}}})");
  CHECK(accepts(behind, {{"abc", 1}}));
  CHECK_FALSE(accepts(behind, {{"zzz", 1}}));
  const auto nested = json::parse(R"({"type": "object", "propertyNames": {"pattern": "^a"},
      "additionalProperties": {"$ref": "#"}})");
  CHECK(accepts(nested, {{"a", {{"ab", json::object()}}}}));
  CHECK_FALSE(accepts(nested, {{"a", {{"b", json::object()}}}}));
  CHECK_FALSE(accepts({{"propertyNames", false}}, {{"a", 1}}));
  CHECK(accepts({{"propertyNames", false}}, json::object()));
}

TEST_CASE("a keyword that only fermata's own schemas have is none in one from outside") {
  CHECK(accepts({{"fermata:pattern", "("}, {"fermata:step", 7}}, "text"));
}

TEST_CASE("a large value is checked, and its violations are told as far as they are looked for") {
  const json schema{{"type", "array"}, {"items", {{"type", "integer"}}}};
  std::vector<json> items(400'000, 1);
  CHECK(accepts(schema, items));
  items.front() = "one";
  CHECK(has(why(schema, items), "at \"/0\""));
  std::swap(items.front(), items.back());
  CHECK(has(why(schema, items), "too large to say where"));
}

TEST_CASE("a reference into allOf leads to the schema that it names") {
  const json schema{
      {"allOf", {{{"minimum", 1}}, {{"properties", {{"x", {{"$ref", "#/allOf/0"}}}}}}}},
      {"properties",
       {{"allOf", {{"items", {{{"maximum", 3}}}}}},
        {"y", {{"$ref", "#/properties/allOf/items/0"}}},
        {"z", {{"$ref", "#/allOf/1/properties/x"}}}}}};
  CHECK(accepts(schema, {{"x", 1}, {"y", 3}, {"z", 1}}));
  CHECK_FALSE(accepts(schema, {{"x", 0}}));
  CHECK_FALSE(accepts(schema, {{"y", 4}}));
  CHECK_FALSE(accepts(schema, {{"z", 0}}));
  CHECK(has(why({{"allOf", {true, false}}}, 1), "Failed to validate against child schema "));
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
