#include "escape.hpp"
#include "sandbox.hpp"

#include <fermata_catch.hpp>

namespace escape_test {

using fermata::command_line::escape_block;
using fermata::command_line::escape_line;
using namespace fermata::test;

TEST_CASE("plain text in any script is shown as it is") {
  CHECK(escape_line("Grüße, мир, 世界, 🙂 <U+0041> \\n")
        == "Grüße, мир, 世界, 🙂 <U+0041> \\n");
  CHECK(escape_line("").empty());
}

TEST_CASE("control characters become visible") {
  CHECK(escape_line("\x1b[2J") == "<U+001B>[2J");
  CHECK(escape_line(std::string_view{"a\0b\r\x7f", 5}) == "a<U+0000>b<U+000D><U+007F>");
  CHECK(escape_line("\xc2\x9b"
                    "31m")
        == "<U+009B>31m"); // C1: CSI in one character.
  CHECK(escape_line("one\ntwo\tthree") == "one<U+000A>two<U+0009>three");
}

TEST_CASE("a block keeps its lines and tabs, and nothing else") {
  CHECK(escape_block("one\n\ttwo\r\n") == "one\n\ttwo<U+000D>\n");
}

TEST_CASE("what reorders or hides text becomes visible") {
  CHECK(escape_line("a\u202Eb") == "a<U+202E>b"); // right-to-left override
  CHECK(escape_line("\u2066\u2069\u200F\u061C") == "<U+2066><U+2069><U+200F><U+061C>");
  CHECK(escape_line("pay\u200Bpal") == "pay<U+200B>pal");
  CHECK(escape_line("\uFEFF\u00AD\u2060\u3164") == "<U+FEFF><U+00AD><U+2060><U+3164>");
  CHECK(escape_line("\U000E0041") == "<U+E0041>"); // a tag character
  CHECK(escape_line("\u2028") == "<U+2028>");
}

TEST_CASE("bytes that are not UTF-8 are shown one by one") {
  CHECK(escape_line("\xff\xfe") == "<0xFF><0xFE>");
  CHECK(escape_line("a\xe2\x80") == "a<0xE2><0x80>");
  CHECK(escape_line("\xc0\xaf") == "<0xC0><0xAF>");                // overlong
  CHECK(escape_line("\xed\xa0\x80") == "<0xED><0xA0><0x80>");      // a surrogate
  CHECK(escape_line("\xf4\x90\x80\x80").substr(0, 6) == "<0xF4>"); // beyond Unicode
}

namespace {

bool has_hidden_characters(const std::string& text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n')
      return true;
  return text.find("\u202E") != std::string::npos || text.find("\u200B") != std::string::npos
         || text.find('\x7f') != std::string::npos;
}

} // namespace

TEST_CASE("nothing from a plan, its arguments or results reaches a person unescaped") {
  const sandbox box;
  const std::string evil = "x\u001b[31m\u202Egnp\u200B\r\u007f";
  const auto content = "first\n" + evil + "\n";
  auto plan =
      *fermata::parse_json(plan_of("write_file", {{"path", "new.txt"}, {"content", content}}));
  plan["goal"] = evil;
  plan["subtasks"][0]["description"] = evil;
  plan["tools"]["ask"]["description"] = evil;
  plan["subtasks"][0]["steps"].push_back(
      {{"tool", "execute_command"}, {"arguments", {{"argv", {"printf", "%s", evil}}}}});
  plan["subtasks"][0]["steps"].push_back({{"tool", "ask"}, {"arguments", {{"question", evil}}}});
  const auto file = box.write("plan.json", fermata::to_text(plan));

  std::string shown;
  const auto see = [&](std::vector<std::string> words) {
    const auto ended = box.run_plainly(std::move(words));
    shown += ended.out + ended.err;
  };
  see({"run", file, "--session", "s"});
  see({"approve", "s:p1"});
  see({"pending"});
  see({"approve", "s:c1"});
  see({"pending"});
  see({"approve", "s:c2"});
  see({"pending"});
  see({"reject", "s:c3", "--reason", evil});
  for (const auto* query : {"status", "plan", "events", "transcript"})
    see({query, "s"});
  see({"status", "no such\u001b session"});
  INFO(shown);
  CHECK_FALSE(has_hidden_characters(shown));
  CHECK(shown.find("<U+202E>") != std::string::npos);
  CHECK(box.read("new.txt") == content);
}

TEST_CASE("a file write is shown as a diff, and a command as its line with a warning") {
  const sandbox box;
  box.write("notes.txt", "one\ntwo\n");
  auto plan =
      *fermata::parse_json(plan_of("write_file", {{"path", "notes.txt"}, {"content", "one\n2\n"}}));
  plan["subtasks"][0]["steps"].push_back(
      {{"tool", "execute_command"},
       {"arguments", {{"argv", {"echo", "two words"}}, {"time_limit_seconds", 7}}}});
  REQUIRE(box.run({"run", box.write("plan.json", fermata::to_text(plan)), "--session", "s"}).status
          == 3);
  const auto write = box.run_plainly({"approve", "s:p1"});
  INFO(write.out);
  CHECK(write.status == 3);
  CHECK(write.out.find("  | -two\n  | +2\n") != std::string::npos);
  const auto command = box.run_plainly({"approve", "s:c1"});
  INFO(command.out);
  CHECK(command.out.find("  | echo 'two words'\n") != std::string::npos);
  CHECK(command.out.find("time_limit_seconds: 7") != std::string::npos);
  CHECK(command.out.find("not confined") != std::string::npos);
}

} // namespace escape_test
