// What a struct's one list of fields gives it: JSON, records that newer versions can extend, and
// messages that say where something is wrong.

#include "support.hpp"

#include <fermata/messages/chunk.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/status.hpp>

#include <chrono>
#include <functional>

namespace fields_test {

using namespace fermata;
using namespace messages_test;

namespace {

enum class colour : std::uint8_t { red, green };
constexpr std::array<std::string_view, 2> enum_names(colour) {
  return {"red", "green"};
}

struct leaf {
  static constexpr std::string_view type = "leaf";
  std::int32_t number = 7;
  colour tint = colour::green;
  json unknown;

  leaf() = default;
  friend bool operator==(const leaf&, const leaf&) = default;
  static constexpr auto fields() {
    return field_list{field("number", &leaf::number), optional_field("tint", &leaf::tint)};
  }
};

struct stem {
  static constexpr std::string_view type = "stem";
  bool straight = false;

  stem() = default;
  friend bool operator==(const stem&, const stem&) = default;
  static constexpr auto fields() { return field_list{optional_field("straight", &stem::straight)}; }
};

using part = std::variant<leaf, stem>;

struct tree {
  std::string name;
  std::uint8_t age = 0;
  double height = 1.5;
  subtask_id id;
  std::optional<colour> paint;
  std::vector<leaf> leaves;
  std::map<std::string, leaf> named;
  std::optional<part> last;
  timestamp planted;
  std::chrono::milliseconds growth{};
  json any;

  tree() = default;
  friend bool operator==(const tree&, const tree&) = default;
  static constexpr auto fields() {
    return field_list{field("name", &tree::name),
                      optional_field("age", &tree::age),
                      optional_field("height", &tree::height),
                      optional_field("id", &tree::id),
                      optional_field("paint", &tree::paint),
                      optional_field("leaves", &tree::leaves),
                      optional_field("named", &tree::named),
                      optional_field("last", &tree::last),
                      optional_field("planted", &tree::planted),
                      optional_field("growth", &tree::growth),
                      optional_field("any", &tree::any)};
  }
};

/// `leaf` as a version would write it that knows more.
struct newer_leaf {
  std::int32_t number = 0;
  std::vector<int> spots;
  std::string shape;

  newer_leaf() = default;
  static constexpr auto fields() {
    return field_list{field("number", &newer_leaf::number),
                      optional_field("spots", &newer_leaf::spots),
                      optional_field("shape", &newer_leaf::shape)};
  }
};

template <class T>
std::string reading(std::string_view text) {
  return verdict_on(from_json<T>(value_of(parse_json(text))));
}

/// A value with something in each of its fields.
tree oak() {
  tree value;
  value.name = "oak";
  value.age = 255;
  value.height = -0.25;
  value.id = make<subtask_id>("a-b");
  value.paint = colour::red;
  value.leaves.resize(2);
  value.leaves[1].number = -1;
  value.named["any key \xC3\xA4"].tint = colour::red;
  value.last = stem{};
  value.planted = timestamp{std::chrono::milliseconds{-5}};
  value.growth = std::chrono::milliseconds{1'000'000'000'000};
  value.any = {{"x", {1, nullptr}}};
  return value;
}

template <class T>
result<T> from_record_by_json(const bytes& record) {
  auto value = parse_cbor(record);
  if (!value)
    return std::move(value.error());
  return from_json<T>(*value, unknown_fields::keep);
}

/// All values of an enum come back from their names, which are distinct, and there are as many as
/// up to `last`.
template <class Enum>
void check_names(Enum last) {
  const auto names = enum_names(Enum{});
  CHECK(names.size() == static_cast<std::size_t>(last) + 1);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto value = static_cast<Enum>(i);
    CHECK_FALSE(names[i].empty());
    CHECK(std::count(names.begin(), names.end(), names[i]) == 1);
    CHECK(to_json(value) == json(std::string{names[i]}));
    CHECK(value_of(from_json<Enum>(to_json(value))) == value);
  }
}

} // namespace

TEST_CASE("a struct comes back from its JSON and from its record") {
  const auto value = oak();
  CHECK(value_of(from_json<tree>(to_json(value))) == value);
  CHECK(value_of(from_record<tree>(to_record(value))) == value);
}

TEST_CASE("a record is the CBOR of its JSON, byte for byte") {
  auto value = oak();
  CHECK(to_record(value) == to_cbor(to_json(value)));
  CHECK(to_record(tree{}) == to_cbor(to_json(tree{})));
  leaf newer;
  newer.unknown = {{"a", 1}, {"spots", {1, 2}}, {"type", "old"}, {"zoo", nullptr}};
  value.leaves.push_back(newer);
  value.last = newer;
  for (const auto& any :
       {json(23), json(24), json(255), json(256), json(65'536), json(1ull << 32), json(-24),
        json(-25), json(std::numeric_limits<std::int64_t>::min()), json(0.1), json(1.5), json(-0.0),
        json(std::string(300, 'x')), json(std::vector<int>(24, 1)), json::binary({1, 2})}) {
    value.any = any;
    CHECK(to_record(value) == to_cbor(to_json(value)));
  }
}

TEST_CASE("what is written is read without a tree of JSON in between") {
  const auto value = oak();
  const auto record = to_record(value);
  detail::cbor_reader reader{record};
  tree read;
  CHECK(detail::codec<tree>::read(reader, read));
  CHECK(reader.is_at_end());
  CHECK(read == value);
}

namespace {

bytes written_by(const std::function<void(detail::cbor_writer&)>& write) {
  detail::cbor_buffer buffer;
  detail::cbor_writer out{buffer};
  write(out);
  return buffer.content();
}

} // namespace

TEST_CASE("buffers that are used one within the other do not mix") {
  detail::cbor_buffer outer;
  detail::cbor_writer out{outer};
  out.text(std::string(1'000, 'a'));
  for (const std::size_t size : {10, 100'000, 1'000}) {
    const std::string text(size, 'b');
    CHECK(written_by([&](detail::cbor_writer& inner) { inner.text(text); })
          == json::to_cbor(json(text)));
  }
  out.null();
  auto expected = json::to_cbor(json(std::string(1'000, 'a')));
  expected.push_back(detail::cbor_null);
  CHECK(outer.content() == expected);
}

TEST_CASE("items are written as JSON's, wherever the buffer ends") {
  std::vector<json> items{nullptr, true, -1.5, INT64_MIN, UINT64_MAX, ""};
  for (const std::uint64_t edge : {24ULL, 256ULL, 65'536ULL, 4'294'967'296ULL})
    for (const auto number : {edge - 1, edge}) {
      items.emplace_back(number);
      items.emplace_back(-1 - static_cast<std::int64_t>(number));
      if (number <= 65'536)
        items.emplace_back(std::string(number, 'x'));
    }
  std::size_t wrong = 0;
  for (std::size_t before = 490; before < 530; ++before)
    for (const auto& item : items) {
      auto expected = json::to_cbor(json(std::string(before, 'a')));
      json::to_cbor(item, expected);
      wrong += written_by([&](detail::cbor_writer& out) {
                 out.text(std::string(before, 'a'));
                 out.value(item);
               }) == expected
                   ? 0
                   : 1;
    }
  CHECK(wrong == 0);
}

TEST_CASE("a buffer is empty again when what was written to it was given up") {
  const auto give_up = [](detail::cbor_writer& out) {
    out.text("some of it");
    throw std::runtime_error{"no"};
  };
  CHECK_THROWS(written_by(give_up));
  CHECK(written_by([](detail::cbor_writer& out) { out.null(); }) == bytes{detail::cbor_null});
}

TEST_CASE("a byte string is written as JSON's, and read in place") {
  const bytes content{1, 2, 3};
  auto written = written_by([&](detail::cbor_writer& out) { out.byte_string(content); });
  CHECK(written == json::to_cbor(json::binary(content)));
  std::span<const std::uint8_t> read;
  detail::cbor_reader reader{written};
  REQUIRE(reader.byte_string(read));
  CHECK(bytes(read.begin(), read.end()) == content);
  CHECK(reader.is_at_end());
  written.pop_back();
  CHECK_FALSE(detail::cbor_reader{written}.byte_string(read));
  const auto text = written_by([](detail::cbor_writer& out) { out.text("abc"); });
  CHECK_FALSE(detail::cbor_reader{text}.byte_string(read));
}

TEST_CASE("a damaged record is read as its JSON is, or refused for the same reason") {
  const auto record = to_record(oak());
  const auto check = [](const bytes& damaged) {
    const auto by_json = from_record_by_json<tree>(damaged);
    const auto direct = from_record<tree>(damaged);
    CHECK(verdict_on(direct) == verdict_on(by_json));
    if (direct && by_json)
      CHECK(to_text(to_json(*direct)) == to_text(to_json(*by_json)));
  };
  for (std::size_t at = 0; at < record.size(); ++at) {
    auto damaged = record;
    for (int value = 0; value < 256; ++value) {
      damaged[at] = static_cast<std::uint8_t>(value);
      check(damaged);
    }
    check({record.begin(), record.begin() + static_cast<std::ptrdiff_t>(at)});
  }
}

TEST_CASE("a record whose keys stand in another order is read as well") {
  // {"name": "x", "age": 3}
  const bytes record{0xa2, 0x64, 'n', 'a', 'm', 'e', 0x61, 'x', 0x63, 'a', 'g', 'e', 0x03};
  const auto read = value_of(from_record<tree>(record));
  CHECK(read.name == "x");
  CHECK(read.age == 3);
  const bytes twice{0xa2, 0x64, 'n', 'a', 'm', 'e', 0x61, 'x', 0x64, 'n', 'a', 'm', 'e', 0x61, 'y'};
  CHECK(contains(verdict_on(from_record<tree>(twice)), "appears twice"));
}

TEST_CASE("a value inside of a record may be nested as deep as any from outside") {
  tree value;
  for (std::size_t level = 0; level < max_json_depth; ++level)
    value.any = json::array({value.any});
  CHECK(value_of(from_record<tree>(to_record(value))) == value);
}

TEST_CASE("a field that may be absent is not written while it has its default value") {
  tree value;
  CHECK(to_text(to_json(value)) == R"({"name":""})");
  value.height = 2;
  CHECK(to_text(to_json(value)) == R"({"height":2.0,"name":""})");
  CHECK(value_of(from_json<tree>(json{{"name", "x"}})).height == 1.5);
}

TEST_CASE("a missing field is refused by name and place") {
  CHECK(reading<tree>("{}") == "invalid_field: the field \"name\" is missing");
  CHECK(reading<tree>(R"({"name": "", "leaves": [{"number": 1}, {}]})")
        == "invalid_field: leaves[1]: the field \"number\" is missing");
}

TEST_CASE("an unknown field is refused, with those that are accepted") {
  CHECK(reading<leaf>(R"({"number": 1, "tnit": "red"})")
        == "invalid_field: unknown field \"tnit\"; accepted are: number tint");
  CHECK(reading<leaf>(R"({"number": 1, "unknown": 1})")
        == "invalid_field: unknown field \"unknown\"; accepted are: number tint");
  CHECK(reading<tree>(R"({"name": "", "named": {"k": {"number": 1, "\u202e": 1}}})")
        == "invalid_field: named.k: unknown field \"\\u202e\"; accepted are: number tint");
}

TEST_CASE("a value of the wrong type is refused with its path") {
  const auto field_is = [](std::string_view name, std::string_view value) {
    return reading<tree>(R"({"name": "", ")" + std::string{name} + "\": " + std::string{value}
                         + "}");
  };
  CHECK(reading<tree>(R"({"name": 1})") == "invalid_field: name: expected a string, got number");
  CHECK(reading<tree>("[]") == "invalid_field: expected an object, got array");
  CHECK(field_is("age", "\"1\"") == "invalid_field: age: expected an integer, got string");
  CHECK(field_is("age", "1.0") == "invalid_field: age: expected an integer, got number");
  CHECK(field_is("age", "null") == "invalid_field: age: expected an integer, got null");
  CHECK(field_is("height", "true") == "invalid_field: height: expected a number, got boolean");
  CHECK(field_is("leaves", "{}") == "invalid_field: leaves: expected an array, got object");
  CHECK(field_is("named", "[]") == "invalid_field: named: expected an object, got array");
  CHECK(field_is("last", R"({"type": "stem", "straight": 0})")
        == "invalid_field: last.straight: expected true or false, got number");
  CHECK(field_is("leaves", R"([{"number": 1, "tint": "blue"}])")
        == "invalid_field: leaves[0].tint: expected one of red, green");
  CHECK(field_is("leaves", R"([{"number": 1, "tint": 0}])")
        == "invalid_field: leaves[0].tint: expected a string, got number");
  CHECK(field_is("planted", "\"now\"")
        == "invalid_field: planted: expected an integer, got string");
  CHECK(field_is("id", "1") == "invalid_field: id: expected a string, got number");
  CHECK(field_is("id", "\"a b\"").starts_with("invalid_id: id: subtask id refused: "));
}

TEST_CASE("a key in a path is quoted when it is odd") {
  CHECK(reading<tree>(R"({"name": "", "named": {"a\nb": 1}})")
        == "invalid_field: named.\"a\\nb\": expected an object, got number");
}

TEST_CASE("an integer out of its type's range is refused, not cut") {
  const auto age_is = [](std::string_view value) {
    return reading<tree>(R"({"name": "", "age": )" + std::string{value} + "}");
  };
  CHECK(age_is("0") == "accepted");
  CHECK(age_is("255") == "accepted");
  CHECK(age_is("256") == "invalid_field: age: expected an integer from 0 to 255");
  CHECK(age_is("-1") == "invalid_field: age: expected an integer from 0 to 255");
  CHECK(age_is("18446744073709551615") == "invalid_field: age: expected an integer from 0 to 255");
  CHECK(reading<leaf>(R"({"number": -2147483648})") == "accepted");
  CHECK(reading<leaf>(R"({"number": -2147483649})")
        == "invalid_field: number: expected an integer from -2147483648 to 2147483647");
}

TEST_CASE("a variant is its alternative's object with one more key, type") {
  leaf one;
  CHECK(to_text(to_json(part{one})) == R"({"number":7,"type":"leaf"})");
  CHECK(value_of(from_json<part>(json{{"type", "stem"}})) == part{stem{}});
  CHECK(reading<part>("{}") == "invalid_field: the field \"type\" is missing");
  CHECK(reading<part>(R"({"type": 1})") == "invalid_field: the field \"type\" is missing");
  CHECK(reading<part>(R"({"type": "root\u001b"})")
        == "invalid_field: unknown type \"root\\u001b\"");
  CHECK(reading<part>(R"({"type": "stem", "number": 1})")
        == "invalid_field: unknown field \"number\"; accepted are: straight");
  CHECK(reading<leaf>(R"({"type": "leaf", "number": 1})")
        == "invalid_field: unknown field \"type\"; accepted are: number tint");
}

TEST_CASE("a caller can say where a value stands") {
  const auto read = [](const json& value) {
    return verdict_on(from_json<tree>(value, unknown_fields::refuse, "trees[3]"));
  };
  CHECK(read(1) == "invalid_field: trees[3]: expected an object, got number");
  CHECK(read({{"name", 1}}) == "invalid_field: trees[3].name: expected a string, got number");
}

TEST_CASE("what a newer version added to a record survives reading and writing") {
  newer_leaf written;
  written.number = 1;
  written.spots = {1, 2};
  written.shape = "round";
  auto read = value_of(from_record<leaf>(to_record(written)));
  CHECK(read.unknown == json{{"spots", {1, 2}}, {"shape", "round"}});
  read.number = 2;
  const auto again = value_of(from_record<newer_leaf>(to_record(read)));
  CHECK(again.number == 2);
  CHECK(again.spots == std::vector<int>{1, 2});
  CHECK(again.shape == "round");
}

TEST_CASE("what a newer version added to a variant's alternative survives, without its type") {
  const json written{{"type", "leaf"}, {"number", 1}, {"spots", {1}}};
  const auto read = value_of(from_record<part>(to_cbor(written)));
  CHECK(std::get<leaf>(read).unknown == json{{"spots", {1}}});
  CHECK(to_json(read) == written);
}

TEST_CASE("a record that keeps nothing of what it does not know is still readable") {
  CHECK(value_of(from_record<stem>(to_cbor({{"straight", true}, {"colour", "red"}}))).straight);
}

TEST_CASE("a record of another kind is refused") {
  CHECK(verdict_on(from_record<leaf>(to_cbor({1, 2})))
        == "invalid_field: expected an object, got array");
  CHECK(verdict_on(from_record<leaf>(bytes{0xFF})).starts_with("invalid_json: not valid CBOR"));
}

TEST_CASE("every named enum names each of its values") {
  check_names(plan_verdict::modify);
  check_names(call_verdict::respond);
  check_names(outcome_resolution::failed);
  check_names(receipt_kind::late);
  check_names(tool_kind::person);
  check_names(plan_status::rejected);
  check_names(subtask_status::backing_off);
  check_names(session_state::rejected);
  check_names(call_status::backing_off);
  check_names(call_outcome::cancelled);
  check_names(pending_kind::input);
  check_names(wait_cause::backoff);
  check_names(chunk_kind::completion);
}

TEST_CASE("exactly the states without a live plan accept a new one") {
  for (const auto state : {session_state::idle, session_state::completed, session_state::failed,
                           session_state::cancelled, session_state::rejected})
    CHECK(accepts_new_plan(state));
  for (const auto state :
       {session_state::planning, session_state::awaiting_plan_decision, session_state::running,
        session_state::waiting, session_state::needs_attention, session_state::suspended})
    CHECK_FALSE(accepts_new_plan(state));
}

} // namespace fields_test
