#include "support.hpp"

#include <fermata/messages/ids.hpp>

#include <type_traits>

namespace ids_test {

using namespace fermata;
using namespace messages_test;

namespace {

constexpr std::string_view id_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

} // namespace

TEST_CASE("an id has letters, digits and . _ - and no other byte") {
  for (int byte = 0; byte <= 255; ++byte) {
    const auto c = static_cast<char>(byte);
    const bool expected = id_characters.find(c) != std::string_view::npos;
    CAPTURE(byte);
    CHECK(static_cast<bool>(session_id::parse(std::string{"a"} + c + "b")) == expected);
    CHECK(static_cast<bool>(session_id::parse(std::string{"a"} + c)) == expected);
    CHECK(static_cast<bool>(session_id::parse(std::string(1, c)))
          == (expected && c != '.' && c != '-'));
  }
}

TEST_CASE("an id has 1 to 64 bytes") {
  CHECK(
      verdict_on(session_id::parse(""))
      == "invalid_id: session id refused: it is empty; accepted are 1 to 64 of A-Z a-z 0-9 . _ -, "
         "not beginning with . or -");
  CHECK(session_id::parse(std::string(64, 'a')));
  CHECK(contains(verdict_on(session_id::parse(std::string(65, 'a'))), "it has 65 bytes"));
  CHECK_FALSE(session_id::parse(std::string(1'000'000, 'a')));
}

TEST_CASE("a refused id is told by the kind of id and the position of the odd byte") {
  CHECK(contains(verdict_on(subtask_id::parse("ab/c")),
                 "subtask id refused: the byte at position 2"));
  CHECK(contains(verdict_on(tool_name::parse("-rf")), "tool name refused: it begins with -"));
  CHECK(contains(verdict_on(agent_name::parse("..")), "agent name refused: it begins with ."));
}

TEST_CASE("a refusal does not repeat the bytes that it refuses") {
  const auto verdict = verdict_on(session_id::parse("a\x1B[31m\xE2\x80\xAE"));
  CHECK(verdict.find('\x1B') == std::string::npos);
  CHECK(verdict.find('\xE2') == std::string::npos);
}

TEST_CASE("ids of different kinds neither compare nor convert") {
  STATIC_REQUIRE_FALSE(std::is_convertible_v<session_id, subtask_id>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<tool_name, agent_name>);
  STATIC_REQUIRE_FALSE(std::equality_comparable_with<session_id, subtask_id>);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<session_id, std::string>);
}

TEST_CASE("call and plan ids come back from their text") {
  for (const std::uint64_t number : {std::uint64_t{1}, std::uint64_t{10}, ~std::uint64_t{0}}) {
    const call_id id{make<session_id>("release-42"), number};
    CHECK(make<call_id>(id.str()) == id);
  }
  CHECK(make<call_id>("s:c1").str() == "s:c1");
  CHECK(make<call_id>("s:c1").session() == make<session_id>("s"));
  for (const std::uint32_t revision : {1U, 10U, ~0U}) {
    const plan_id id{make<session_id>("release-42"), revision};
    CHECK(make<plan_id>(id.str()) == id);
  }
}

TEST_CASE("what is not exactly <session>:c<number> is no call id") {
  for (const auto* text : {"",
                           ":",
                           "s",
                           "s:",
                           "s:c",
                           ":c1",
                           "s:c0",
                           "s:c01",
                           "s:c+1",
                           "s:c-1",
                           "s:c 1",
                           "s:c1 ",
                           "s:c1x",
                           "s:C1",
                           "s:p1",
                           "s:cc1",
                           "s::c1",
                           "a:b:c1",
                           ".s:c1",
                           "s:c1.0",
                           "s:c0x1",
                           "s:c18446744073709551616",
                           "s:c99999999999999999999999999",
                           "s\xC3\xA4:c1"}) {
    CAPTURE(text);
    CHECK(verdict_on(call_id::parse(text))
          == "invalid_id: call id refused: accepted is <session>:c<number>, as in release-42:c1");
  }
  CHECK_FALSE(call_id::parse(std::string_view{"s:c1\0", 5}));
  CHECK_FALSE(call_id::parse(std::string(65, 's') + ":c1"));
}

TEST_CASE("what is not exactly <session>:p<revision> is no plan id") {
  for (const auto* text :
       {"", "s:p", "s:p0", "s:p01", "s:c1", "s:p4294967296", "s:p18446744073709551616", "s:p1x"}) {
    CAPTURE(text);
    CHECK(verdict_on(plan_id::parse(text))
          == "invalid_id: plan id refused: accepted is <session>:p<revision>, as in release-42:p1");
  }
  CHECK(plan_id::parse("s:p4294967295"));
}

TEST_CASE("equal ids have equal hashes") {
  const std::hash<session_id> hash;
  CHECK(hash(make<session_id>("a")) == hash(make<session_id>("a")));
  CHECK(hash(make<session_id>("a")) != hash(make<session_id>("b")));
}

} // namespace ids_test
