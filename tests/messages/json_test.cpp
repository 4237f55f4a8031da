// What comes from outside as text or bytes: either it is read as it is, or it is refused with the
// place that is wrong.

#include "support.hpp"

#include <fermata/messages/json.hpp>

#include <cmath>
#include <limits>
#include <random>

namespace json_test {

using namespace fermata;
using namespace messages_test;

namespace {

/// "line 1, column 2", or the whole verdict when there is no such place in it.
std::string place_of_error(std::string_view text) {
  const auto verdict = verdict_on(parse_json(text));
  constexpr std::string_view front = "invalid_json: not valid JSON at ";
  if (!verdict.starts_with(front))
    return verdict;
  const auto start = front.size();
  return verdict.substr(start, verdict.find(':', start) - start);
}

std::string nested_arrays(std::size_t depth) {
  return repeated("[", depth) + repeated("]", depth);
}

json nested_value(std::size_t depth) {
  json value = nullptr;
  for (std::size_t i = 0; i < depth; ++i) {
    json outer = json::array();
    if (i % 2 == 0)
      outer.push_back(std::move(value));
    else
      outer = json::object({{"key", std::move(value)}});
    value = std::move(outer);
  }
  return value;
}

bytes repeated_bytes(std::initializer_list<std::uint8_t> part, std::size_t times) {
  bytes all;
  for (std::size_t i = 0; i < times; ++i)
    all.insert(all.end(), part);
  return all;
}

json sample() {
  return {{"null", nullptr},
          {"bool", true},
          {"zero", 0},
          {"negative", std::numeric_limits<std::int64_t>::min()},
          {"large", std::numeric_limits<std::uint64_t>::max()},
          {"float", 0.1},
          {"text", "a \xC3\xA4 \xF0\x9F\x8E\xB5 \" \\ \n"},
          {"long text", std::string(300, 'x')},
          {"array", {1, {2, {3}}, json::object(), json::array()}},
          {"object", {{"a", {{"b", 1}}}}}};
}

} // namespace

TEST_CASE("JSON text is read as it stands") {
  const auto value = value_of(
      parse_json(R"({"a": [1, -2, 2.5, true, false, null, "t\u00e4\ud83c\udfb5"], "": {}})"));
  CHECK(to_text(value)
        == "{\"\":{},\"a\":[1,-2,2.5,true,false,null,\"t\xC3\xA4\xF0\x9F\x8E\xB5\"]}");
  CHECK(value_of(parse_json(" 7 ")) == 7);
}

TEST_CASE("a key that appears twice in one object is refused") {
  CHECK(
      verdict_on(parse_json(R"({"argv":["x"],"argv":["rm"]})"))
      == "invalid_json: not valid JSON at line 1, column 20: the key \"argv\" appears twice in one "
         "object");
  CHECK_FALSE(parse_json(R"([{"a": {"b": 1, "c": 2, "b": 1}}])"));
  CHECK_FALSE(parse_json(R"({"a": 1, "\u0061": 2})"));
  CHECK_FALSE(parse_json(R"({"": 1, "": 2})"));
}

TEST_CASE("one key in two objects is not a duplicate") {
  CHECK(parse_json(R"({"a": {"a": [{"a": 1}, {"a": 2}]}})"));
  CHECK(parse_json(R"({"a": 1, "A": 2})"));
}

TEST_CASE("JSON may be nested 64 levels deep and not 65") {
  CHECK(parse_json(nested_arrays(64)));
  CHECK(verdict_on(parse_json(nested_arrays(65)))
        == "invalid_json: not valid JSON at line 1, column 65: nested more than 64 levels deep "
           "(limit "
           "json_depth)");
  CHECK(parse_json(repeated("{\"a\":", 64) + "1" + repeated("}", 64)));
  CHECK_FALSE(parse_json(repeated("{\"a\":", 65) + "1" + repeated("}", 65)));
  CHECK(parse_json("[" + nested_arrays(63) + "," + nested_arrays(63) + "]"));
}

TEST_CASE("100,000 levels of nesting are refused without a crash") {
  CHECK_FALSE(parse_json(nested_arrays(100'000)));
  CHECK_FALSE(parse_json(repeated("[", 100'000)));
  CHECK_FALSE(parse_json(repeated("{\"a\":", 100'000)));
  CHECK_FALSE(parse_json(repeated("[{\"a\":", 100'000)));
}

TEST_CASE("a syntax error is told with the line and column of the offending character") {
  CHECK(place_of_error("x") == "line 1, column 1");
  CHECK(place_of_error(R"({"a":1,})") == "line 1, column 8");
  CHECK(place_of_error(R"([1 2])") == "line 1, column 4");
  CHECK(place_of_error(R"([12x])") == "line 1, column 4");
  CHECK(place_of_error(R"({"a" 1})") == "line 1, column 6");
  CHECK(place_of_error("{\n  \"a\": 1,\n  \"b\": oops\n}") == "line 3, column 8");
  CHECK(place_of_error("[1,\r\n2,,3]") == "line 2, column 3");
  CHECK(place_of_error("\n\n\n]") == "line 4, column 1");
  CHECK(place_of_error("{\n\"a\": 1,\n\"a\": 2}") == "line 3, column 3");
}

TEST_CASE("a column counts characters, not bytes") {
  CHECK(place_of_error("{\"\xC3\xA4\xC3\xB6\": x}") == "line 1, column 8");
  CHECK(place_of_error("[\"\xF0\x9F\x8E\xB5\",\n\"\xE2\x82\xAC\" x]") == "line 2, column 5");
}

TEST_CASE("an input that ends too early is refused behind its last character") {
  CHECK(place_of_error("") == "line 1, column 1");
  CHECK(place_of_error("   ") == "line 1, column 4");
  CHECK(place_of_error("[1,") == "line 1, column 4");
  CHECK(place_of_error("{\"a\":\n") == "line 2, column 1");
  CHECK(place_of_error("\"abc") == "line 1, column 5");
  CHECK(place_of_error(std::string_view{}) == "line 1, column 1");
}

TEST_CASE("anything behind the value is refused") {
  CHECK(place_of_error("{} {}") == "line 1, column 4");
  CHECK(place_of_error("1,") == "line 1, column 2");
  CHECK(place_of_error("[]]") == "line 1, column 3");
  CHECK(place_of_error(std::string_view{"[]\0", 3}) == "line 1, column 3");
  CHECK(place_of_error(std::string_view{"{}\n\0{\"a\": 1}", 12}) == "line 2, column 1");
  CHECK(place_of_error(std::string_view{"\0", 1}) == "line 1, column 1");
}

TEST_CASE("what other dialects allow is refused") {
  for (const auto* text : {"{'a': 1}", "{a: 1}", "[1,]", "// c\n1", "/* c */ 1", "NaN", "Infinity",
                           "-Infinity", "01", "+1", ".5", "1.", "0x10", "True", "nul", "\"a\nb\"",
                           "\"\\x41\"", "\"\\ud800\"", "\"\\udc00\""}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json(text));
  }
}

TEST_CASE("text is accepted as JSON exactly when it is UTF-8") {
  const auto agrees = [](const std::string& text) {
    return static_cast<bool>(parse_json("\"" + text + "\"")) == is_utf8(text);
  };
  std::size_t wrong = 0;
  for (unsigned first = 0x80; first <= 0xFF; ++first)
    for (unsigned second = 0x20; second <= 0xFF; ++second)
      if (second != '"' && second != '\\')
        wrong += agrees({static_cast<char>(first), static_cast<char>(second)}) ? 0 : 1;
  // Longer sequences: every lead byte with the bounds of what may follow it.
  const unsigned bounds[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
  for (unsigned lead = 0xE0; lead <= 0xF8; ++lead)
    for (const auto second : bounds)
      for (const auto third : bounds) {
        std::string text{static_cast<char>(lead), static_cast<char>(second),
                         static_cast<char>(third)};
        wrong += agrees(text) ? 0 : 1;
        for (const auto fourth : bounds)
          wrong += agrees(text + static_cast<char>(fourth)) ? 0 : 1;
      }
  CHECK(wrong == 0);
  CHECK(is_utf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8E\xB5"));
  CHECK_FALSE(is_utf8("\xED\xA0\x80"));     // a surrogate
  CHECK_FALSE(is_utf8("\xC0\x80"));         // overlong
  CHECK_FALSE(is_utf8("\xF4\x90\x80\x80")); // beyond U+10FFFF
  CHECK_FALSE(is_utf8("a\xE2\x82"));        // cut off
  for (std::size_t place = 0; place < 19; ++place) {
    std::string text(19, 'x');
    text[place] = '\xC3';
    CHECK_FALSE(is_utf8(text));
    CHECK(is_utf8(text.insert(place + 1, "\xA4")));
  }
}

TEST_CASE("a message about bytes that are not UTF-8 is UTF-8 itself") {
  const auto verdict = verdict_on(parse_json("{\"a\": \"\xFF\xFE\"}"));
  CHECK(contains(verdict, "line 1, column 8"));
  CHECK(contains(verdict, "UTF-8"));
  CHECK(is_utf8(verdict));
}

TEST_CASE("a message stays short, however long the refused text is") {
  const auto verdict = verdict_on(parse_json("\"" + std::string(1'000'000, 'x')));
  CHECK(verdict.size() < 400);
  CHECK(verdict.ends_with("missing closing quote"));
  const auto key = "\"" + std::string(1'000'000, 'k') + "\":1";
  CHECK(verdict_on(parse_json("{" + key + "," + key + "}")).size() < 400);
  CHECK(verdict_on(parse_json(std::string(1'000'000, '9') + "e999")).size() < 400);
}

TEST_CASE("integers of 64 bits are exact, and a number that no double holds is refused") {
  CHECK(value_of(parse_json("18446744073709551615")).get<std::uint64_t>()
        == std::numeric_limits<std::uint64_t>::max());
  CHECK(value_of(parse_json("-9223372036854775808")).get<std::int64_t>()
        == std::numeric_limits<std::int64_t>::min());
  CHECK(value_of(parse_json("18446744073709551616")).is_number_float());
  const auto verdict = verdict_on(parse_json("[1, 1e999]"));
  CHECK(contains(verdict, "not valid JSON at line 1, column 9: number overflow"));
  CHECK_FALSE(contains(verdict, "json.exception"));
}

TEST_CASE("JSON text in bytes that are not UTF-8 is written with U+FFFD") {
  CHECK(to_text(json(std::string{"a\xFF"
                                 "b"}))
        == "\"a\xEF\xBF\xBD"
           "b\"");
}

TEST_CASE("JSON text is what the library writes, byte for byte") {
  const auto library_text = [](const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  };
  CHECK(to_text(sample()) == library_text(sample()));
  for (unsigned byte = 0; byte < 256; ++byte) {
    const json value{
        {std::string{"k"} + static_cast<char>(byte), std::string(1, static_cast<char>(byte))}};
    CHECK(to_text(value) == library_text(value));
  }
  // In every place, as eight characters are looked at at once.
  std::size_t wrong = 0;
  for (unsigned byte = 0; byte < 256; ++byte)
    for (std::size_t place = 0; place < 19; ++place) {
      std::string text(19, 'x');
      text[place] = static_cast<char>(byte);
      wrong += to_text(json(text)) == library_text(json(text)) ? 0 : 1;
    }
  CHECK(wrong == 0);
  for (const json& value : {json{}, json(true), json(INT64_MIN), json(UINT64_MAX), json(-0.0),
                            json(1e300), json(std::nan("")), json::array(), json::object(),
                            json::binary({1, 2}), json::array({json::array(), nullptr})})
    CHECK(to_text(value) == library_text(value));
}

TEST_CASE("a quoted excerpt is short printable ASCII") {
  CHECK(quoted_excerpt("plain") == "\"plain\"");
  CHECK(quoted_excerpt("a\"\n\x1B\x7F\xC3\xA4\xE2\x80\xAE\xFF")
        == "\"a\\\"\\n\\u001b\\u007f\\u00e4\\u202e\\ufffd\"");
  CHECK(quoted_excerpt(std::string(10'000, 'x')) == "\"" + std::string(80, 'x') + "\"...");
  CHECK(quoted_excerpt(repeated("\xC3\xA4", 1'000)).size() < 600);
}

TEST_CASE("a record comes back from its CBOR") {
  CHECK(value_of(parse_cbor(to_cbor(sample()))) == sample());
  for (const auto& value : {json(nullptr), json(0), json(""), json::array(), json::object()})
    CHECK(value_of(parse_cbor(to_cbor(value))) == value);
}

TEST_CASE("every value that is read from text can be stored and read back inside a record") {
  const auto deepest = value_of(parse_json(nested_arrays(max_json_depth)));
  // An event wraps an answer's content in four levels, a command a plan's steps in five.
  json record = deepest;
  for (int i = 0; i < 8; ++i)
    record = json::object({{"wrapped", record}});
  CHECK(value_of(parse_cbor(to_cbor(record))) == record);
}

TEST_CASE("a record may be nested 80 levels deep and not 81") {
  CHECK(parse_cbor(to_cbor(nested_value(max_record_depth))));
  CHECK(contains(verdict_on(parse_cbor(to_cbor(nested_value(max_record_depth + 1)))),
                 "nested more than 80 levels deep"));
}

TEST_CASE("a value that is too deep for a record is found out before it is written") {
  CHECK_FALSE(check_depth(nested_value(max_json_depth)));
  CHECK(verdict_on(check_depth(nested_value(max_json_depth + 1)))
        == "limit_exceeded: nested more than 64 levels deep (limit json_depth)");
  CHECK(check_depth(nested_value(100'000)));
  CHECK_FALSE(check_depth(json("flat")));
}

TEST_CASE("100,000 levels of nesting in CBOR are refused without a crash") {
  CHECK_FALSE(parse_cbor(repeated_bytes({0x81}, 100'000)));             // arrays of one
  CHECK_FALSE(parse_cbor(repeated_bytes({0x9F}, 100'000)));             // of unknown length
  CHECK_FALSE(parse_cbor(repeated_bytes({0xA1, 0x61, 0x61}, 100'000))); // objects
  CHECK_FALSE(parse_cbor(repeated_bytes({0xBF, 0x61, 0x61}, 100'000)));
  CHECK_FALSE(parse_cbor(repeated_bytes({0xC6}, 100'000))); // tags
}

TEST_CASE("strings of unknown length, which the parser would recurse into, are refused") {
  for (const std::uint8_t head : {std::uint8_t{0x7F}, std::uint8_t{0x5F}}) {
    CHECK(contains(verdict_on(parse_cbor(repeated_bytes({head}, 1'000'000))),
                   "at byte 0: a string of indefinite length"));
    auto behind = to_cbor(sample());
    behind.front() = static_cast<std::uint8_t>(behind.front() + 1); // one more member:
    for (const std::uint8_t byte : {std::uint8_t{0x61}, std::uint8_t{0x7A}, head})
      behind.push_back(byte);
    CHECK(contains(verdict_on(parse_cbor(behind)),
                   "at byte " + std::to_string(behind.size() - 1) + ": a string of indefinite"));
  }
}

TEST_CASE("bytes that look like a head inside a string are not mistaken for one") {
  const json value{{"text", std::string(100, '\x7F')}, {"more", std::string(70'000, '\x5F')}};
  CHECK(value_of(parse_cbor(to_cbor(value))) == value);
}

TEST_CASE("a duplicate key in CBOR is refused") {
  const bytes twice{0xA2, 0x61, 'a', 0x01, 0x61, 'a', 0x02};
  CHECK(verdict_on(parse_cbor(twice))
        == "invalid_json: not valid CBOR at byte 5: the key \"a\" appears twice in one object");
}

TEST_CASE("every cut-off record is refused") {
  const auto whole = to_cbor(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const auto verdict = verdict_on(parse_cbor(std::span{whole}.first(size)));
    CHECK(contains(verdict, "not valid CBOR at byte " + std::to_string(size) + ": "));
  }
}

TEST_CASE("anything behind a record is refused") {
  auto longer = to_cbor(sample());
  longer.push_back(0xF6);
  CHECK(contains(verdict_on(parse_cbor(longer)),
                 "not valid CBOR at byte " + std::to_string(longer.size() - 1)));
}

TEST_CASE("a length that the data does not have is refused without allocating it") {
  for (const auto& head : bytes{0x5B, 0x7B, 0x9B, 0xBB})
    for (const auto& first : bytes{0x7F, 0xFF}) {
      bytes record{head, first};
      record.resize(9, 0xFF);
      CHECK_FALSE(parse_cbor(record));
    }
}

TEST_CASE("a damaged record is refused or read, and what is read can be written again") {
  constexpr std::uint64_t seed = 42;
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  const auto whole = to_cbor(sample());
  std::size_t read = 0;
  std::size_t lost = 0;
  for (int round = 0; round < 5'000; ++round) {
    auto damaged = whole;
    for (auto changes = 1 + random() % 4; changes > 0; --changes)
      damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    const auto value = parse_cbor(damaged);
    if (!value)
      continue;
    ++read;
    const auto again = parse_cbor(to_cbor(*value));
    // Compared as text, since a NaN is not equal to itself.
    lost += again && to_text(*again) == to_text(*value) ? 0 : 1;
  }
  CHECK(lost == 0);
  CHECK(read > 0);
  CHECK(read < 5'000);
}

} // namespace json_test
