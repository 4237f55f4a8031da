// A record becomes a line of JSON text, and the same record again, whatever is in it.
#include "support.hpp"

#include <fermata/messages/record_text.hpp>

#include <cmath>
#include <limits>
#include <random>

namespace record_text_test {

using namespace fermata;
using namespace messages_test;

namespace {

/// The record that the text stands for, as CBOR: NaN is not equal to itself, but its bytes are.
bytes read_again(const json& value) {
  const auto text = to_record_text(value);
  INFO(text);
  CHECK(is_utf8(text));
  CHECK(text.find('\n') == std::string::npos);
  const auto read = parse_record_text(text);
  REQUIRE(read);
  return to_cbor(*read);
}

/// All that CBOR can hold, and names that look like escapes.
class random_value {
public:
  explicit random_value(std::uint64_t seed) : random_{seed} {}

  json operator()(int depth) {
    switch (random_() % (depth > 0 ? 12 : 9)) {
    case 0:
      return nullptr;
    case 1:
      return random_() % 2 == 0;
    case 2:
      return random_();
    case 3:
      return static_cast<std::int64_t>(random_());
    case 4: {
      const auto exponent = static_cast<int>(random_() % 600) - 300;
      return std::ldexp(static_cast<double>(random_()), exponent);
    }
    case 5: {
      constexpr auto infinity = std::numeric_limits<double>::infinity();
      const std::vector<double> special{
          infinity, -infinity, -0.0, 1.0, 1e22, std::numeric_limits<double>::denorm_min()};
      return special[random_() % special.size()];
    }
    case 6: {
      const auto data = text();
      return json::binary(bytes{data.begin(), data.end()});
    }
    case 7:
    case 8:
      return text();
    case 9: {
      auto array = json::array();
      for (auto count = random_() % 4; count > 0; --count)
        array.push_back((*this)(depth - 1));
      return array;
    }
    default: {
      auto object = json::object();
      for (auto count = random_() % 4; count > 0; --count)
        object[random_() % 3 == 0 ? escape_like() : text()] = (*this)(depth - 1);
      return object;
    }
    }
  }

private:
  std::string text() {
    std::string made;
    for (auto count = random_() % 6; count > 0; --count)
      made += static_cast<char>(random_() % 4 == 0 ? random_() % 256 : 'a' + random_() % 26);
    return made;
  }
  std::string escape_like() {
    const std::vector<std::string> names{
        "$fermata.text",     "$fermata.binary",    "$fermata.number",
        "$fermata.name:",    "$fermata.name:61",   "$fermata.",
        "$fermata.name:xyz", "$fermata.name:ff00", "$ref"};
    return names[random_() % names.size()];
  }

  std::mt19937_64 random_;
};

} // namespace

TEST_CASE("a record is the same after its text, whatever CBOR can hold") {
  for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
    CAPTURE(seed);
    const auto record = to_cbor(random_value{seed}(4));
    const auto value = parse_cbor(record);
    REQUIRE(value);
    REQUIRE(read_again(*value) == record);
  }
  const json nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(read_again(nan) == to_cbor(nan));
}

TEST_CASE("what JSON can carry is written as it is") {
  const json value{{"a", {1, -2, 3.5, "ä\n\"", nullptr, true}}, {"$ref", "/results/a"}, {"", {}}};
  CHECK(to_record_text(value) == to_text(value));
  CHECK(to_record_text(std::string{"\xFF\x00z", 3}) == R"({"$fermata.text":"ff007a"})");
  CHECK(to_record_text(json::binary({0, 255})) == R"({"$fermata.binary":"00ff"})");
  CHECK(to_record_text(-std::numeric_limits<double>::infinity())
        == R"({"$fermata.number":"-inf"})");
  CHECK(to_record_text({{"\xFF", 1}}) == R"({"$fermata.name:ff":1})");
}

TEST_CASE("records are read to their full depth around what comes from outside, and no deeper") {
  const auto nested = [](std::size_t levels) {
    return repeated("[", levels) + repeated("]", levels);
  };
  CHECK(parse_record_text(nested(max_record_text_depth)));
  CHECK(verdict_on(parse_record_text(nested(max_record_text_depth + 1)))
        == "invalid_json: not valid JSON at column 84: nested more than 83 levels deep (limit "
           "json_depth)");
}

TEST_CASE("an escape that says nothing is refused, and so is whatever is no JSON") {
  for (const auto* text :
       {R"({"$fermata.text": "f"})", R"({"$fermata.text": "fg"})", R"({"$fermata.text": "FF"})",
        R"({"$fermata.text": 1})", R"({"$fermata.binary": null})", R"({"$fermata.number": "1"})",
        R"({"$fermata.number": 1})", R"({"$fermata.other": "00"})", R"({"$fermata.name:f": 1})",
        R"({"$fermata.text": "ff", "more": 1})", R"([{"a": {"$fermata.": 1}}])"}) {
    INFO(text);
    const auto read = parse_record_text(text);
    CHECK(verdict_on(read).find("means nothing") != std::string::npos);
    CHECK(verdict_on(read).starts_with("invalid_json: the member \"$fermata."));
  }
  CHECK(verdict_on(parse_record_text(R"({"a": 1, "$fermata.name:61": 2})"))
            .ends_with("appears twice in one object"));
  CHECK(verdict_on(parse_record_text(R"({"a": 1, "a": 2})"))
        == R"(invalid_json: not valid JSON at column 12: the key "a" appears twice in one object)");
  CHECK(verdict_on(parse_record_text("{\"ä\": x}"))
            .starts_with("invalid_json: not valid JSON at column 7: "));
  CHECK(
      verdict_on(parse_record_text("")).starts_with("invalid_json: not valid JSON at column 1: "));
  CHECK_FALSE(parse_record_text(std::string_view{"1\0", 2}));
}

} // namespace record_text_test
