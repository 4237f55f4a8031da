// What a call is shown as, when the thing that it changes is changed by others meanwhile (P9).
#include "sandbox.hpp"

#include "preview.hpp"
#include "render.hpp"

#include <fermata/actors/tools/diff.hpp>

#include <fermata_catch.hpp>

#include <cstdio>
#include <fcntl.h>
#include <functional>
#include <stdexcept>
#include <unistd.h>

namespace preview_test {

using namespace fermata;
using namespace fermata::test;
using namespace fermata::command_line;

namespace {

/// A thing that a tool changes, and others as well.
struct shared_thing {
  std::string content = "first";
  int previews = 0;
  std::function<void()> after_preview = [] {};
};

tool tool_on(shared_thing& thing) {
  tool made;
  made.name = tool_name::parse("change_it").value();
  made.fingerprint = [&thing](const json&, const auto&) -> result<std::string> {
    return "fingerprint of " + thing.content;
  };
  made.preview = [&thing](const json&, const auto&) {
    ++thing.previews;
    auto shown = "preview of " + thing.content + "\n";
    thing.after_preview();
    return shown;
  };
  return made;
}

call_preview preview_of(const tool& called) {
  return take_preview(called, json::object(), {});
}

pending_item call_on(std::string_view content) {
  pending_item item;
  item.id = "s:c1";
  item.session = session_id::parse("s").value();
  item.tool = tool_name::parse("change_it").value();
  item.arguments = json::object();
  item.fingerprint = "fingerprint of " + std::string{content};
  return item;
}

/// What is printed on standard output meanwhile.
std::string printed(const std::function<void(console&)>& body) {
  const temporary_directory folder;
  std::fflush(stdout);
  const int saved = ::dup(STDOUT_FILENO);
  const int file = ::open((folder.path() / "out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  ::dup2(file, STDOUT_FILENO);
  {
    console out{false};
    body(out);
    out.flush();
  }
  ::dup2(saved, STDOUT_FILENO);
  ::close(saved);
  ::close(file);
  return folder.get("out");
}

const auto rules =
    redactor::parse(R"({"fields": ["password"], "patterns": ["sk-[A-Za-z0-9]+", "BEGIN[^!]*END"]})")
        .value();

/// The diff of a file that is to be written, as a person may see it.
std::optional<std::string> shown_diff(const std::string& name, const std::string& before,
                                      const std::string& after) {
  return without_secrets(unified_diff(before, after, name), {{"path", name}, {"content", after}},
                         rules);
}

} // namespace

TEST_CASE("P9: a thing that changes while it is previewed is previewed anew") {
  shared_thing thing;
  thing.after_preview = [&] { thing.content = "second"; };
  const auto shown = preview_of(tool_on(thing));
  CHECK(shown.text == "preview of second\n");
  CHECK(shown.fingerprint == std::string{"fingerprint of second"});
  CHECK(shown.settled);
  CHECK(thing.previews == 2);
}

TEST_CASE("a thing that nobody else changes is previewed once") {
  shared_thing thing;
  const auto shown = preview_of(tool_on(thing));
  CHECK(shown.text == "preview of first\n");
  CHECK(shown.fingerprint == std::string{"fingerprint of first"});
  CHECK(shown.settled);
  CHECK(thing.previews == 1);
}

TEST_CASE("P9: a thing that never stands still is shown as such, after a few looks") {
  shared_thing thing;
  thing.after_preview = [&] { thing.content += "+"; };
  const auto shown = preview_of(tool_on(thing));
  CHECK_FALSE(shown.settled);
  CHECK(thing.previews == 4);
}

TEST_CASE("a tool that cannot show a call, or identify what it changes, ends nothing") {
  shared_thing thing;
  auto called = tool_on(thing);
  called.fingerprint = [](const json&, const auto&) -> result<std::string> {
    throw std::runtime_error{"no disk"};
  };
  called.preview = [](const json&, const auto&) -> std::string {
    throw std::runtime_error{"no screen"};
  };
  const auto shown = preview_of(called);
  CHECK(shown.text == "This cannot be shown: no screen\n");
  CHECK_FALSE(shown.fingerprint);
  CHECK(shown.settled);
}

TEST_CASE("P9: a person is told when what is shown is not what was proposed, or does not last") {
  const std::string note = "not what it was when the call was proposed";
  const std::string warning = "being changed by somebody else";
  const auto shown = [](shared_thing& thing) {
    return printed(
        [&](console& out) { show_pending(out, call_on("first"), {tool_on(thing)}, {}); });
  };
  shared_thing quiet;
  const auto as_proposed = shown(quiet);
  CHECK(as_proposed.find("preview of first") != std::string::npos);
  CHECK(as_proposed.find(note) == std::string::npos);
  CHECK(as_proposed.find(warning) == std::string::npos);

  shared_thing changed;
  changed.after_preview = [&] { changed.content = "second"; };
  const auto anew = shown(changed);
  CHECK(anew.find("preview of first") == std::string::npos);
  CHECK(anew.find("preview of second") != std::string::npos);
  CHECK(anew.find(note) != std::string::npos);
  CHECK(anew.find(warning) == std::string::npos);

  shared_thing restless;
  restless.after_preview = [&] { restless.content += "+"; };
  CHECK(shown(restless).find(warning) != std::string::npos);
}

TEST_CASE("P9: secrets in the names and the lines of a diff are hidden, and it stays one") {
  CHECK(shown_diff("task-list.md", "one\nkey sk-old1 it is\n", "one\nkey sk-new1 it is\n")
        == "--- a/ta[redacted].md\n+++ b/ta[redacted].md\n@@ -1,2 +1,2 @@\n one\n"
           "-key [redacted] it is\n+key [redacted] it is\n");
  CHECK(shown_diff("notes", "one\n", "two") == unified_diff("one\n", "two", "notes"));
}

TEST_CASE("a diff with a secret that goes over its lines is not shown") {
  const std::string key = "BEGIN\n12\n34\nEND\n";
  CHECK_FALSE(shown_diff("notes", "", key));
  CHECK_FALSE(shown_diff("notes", key, ""));
  // The secret's ends are not near enough to be in the diff, and the call has it as a whole.
  CHECK_FALSE(shown_diff("notes", "BEGIN\n1\n2\n3\n4\n5\n6\n7\n8\n9\nEND\n",
                         "BEGIN\n1\n2\n3\n4\nx\n6\n7\n8\n9\nEND\n"));
}

TEST_CASE("a preview that quotes a secret so that no rule finds it is not shown") {
  // In quotation marks, as a command line, and named by a field.
  CHECK_FALSE(without_secrets(unified_diff("one\n", "two\n", R"("sk-1\"")"),
                              {{"path", "sk-1\""}, {"content", "two\n"}}, rules));
  const auto of_command = [](const json& argv) {
    return without_secrets("login --password hunter2\n", {{"argv", argv}}, rules);
  };
  CHECK_FALSE(of_command({"login", "--password", "hunter2"}));
  CHECK(of_command({"login", "x"}) == "login --password hunter2\n");
  CHECK_FALSE(without_secrets(unified_diff("", "hunter2\n", "notes"),
                              {{"path", "notes"}, {"password", "hunter2"}}, rules));
}

} // namespace preview_test
