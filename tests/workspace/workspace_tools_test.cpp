#include <fermata/actors/tools/schema.hpp>
#include <fermata/actors/tools/workspace_tools.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

namespace workspace_tools_test {

using namespace fermata;
using fermata::test::temporary_directory;

namespace {

const tool& named(const std::string& name) {
  static const auto all = workspace_tools();
  for (const auto& one : all)
    if (one.name.str() == name)
      return one;
  throw std::runtime_error{"no tool " + name};
}

struct bench {
  temporary_directory folder;

  result<json> run(const std::string& name, json arguments,
                   std::optional<std::string> approved = {}) const {
    const auto& used = named(name);
    CHECK_FALSE(check_schema(used.schema, arguments));
    tool_context context;
    context.arguments = std::move(arguments);
    context.workspace = folder.path();
    context.approved_fingerprint = std::move(approved);
    return std::get<blocking_tool>(used.run)(context);
  }
  [[nodiscard]] reconciliation look(const std::string& name, json arguments,
                                    std::optional<std::string> approved = {}) const {
    tool_context context;
    context.arguments = std::move(arguments);
    context.workspace = folder.path();
    context.approved_fingerprint = std::move(approved);
    return named(name).reconcile(context).value();
  }
  [[nodiscard]] std::string fingerprint(const std::string& name, const json& arguments) const {
    return named(name).fingerprint(arguments, folder.path()).value();
  }
  [[nodiscard]] std::string preview(const std::string& name, const json& arguments) const {
    return named(name).preview(arguments, folder.path());
  }
};

bool stale(const result<json>& outcome) {
  return !outcome && is(outcome.error(), errc::stale_approval);
}

} // namespace

TEST_CASE("the seven workspace tools can be registered, and refuse unknown arguments") {
  tool_registry tools;
  for (auto& one : workspace_tools()) {
    CHECK(is(check_schema(one.schema, {{"path", "a"}, {"unknown", 1}}), errc::invalid_arguments));
    CHECK(one.kind() == tool_kind::server);
    CHECK_FALSE(one.description.empty());
    CHECK_FALSE(tools.add(std::move(one)));
  }
  CHECK(tools.all().size() == 7);
}

TEST_CASE("tools that only read, and create_directory, are idempotent; the others are not") {
  for (const auto& one : workspace_tools()) {
    const auto& name = one.name.str();
    const bool reads = name == "list_files" || name == "read_file" || name == "search_files";
    CAPTURE(name);
    CHECK(one.idempotent == (reads || name == "create_directory"));
    CHECK(static_cast<bool>(one.fingerprint) == !reads);
    CHECK(static_cast<bool>(one.preview) == !reads);
  }
}

TEST_CASE("the tools say clearly that a session has no workspace") {
  const auto outcome = std::get<blocking_tool>(named("read_file").run)(tool_context{});
  REQUIRE_FALSE(outcome);
  CHECK(message_of(outcome.error()) == "this session has no workspace");
}

TEST_CASE("the tools work on the files of the workspace") {
  bench b;
  CHECK(b.run("create_directory", {{"path", "src"}}).value()["created"] == true);
  CHECK(b.run("write_file", {{"path", "src/a"}, {"content", "hello\n"}}));
  CHECK(b.run("read_file", {{"path", "src/a"}}).value() == json{{"content", "hello\n"}});
  CHECK(b.run("list_files", {{"recursive", true}}).value()
        == json{{"entries",
                 {{{"path", "src"}, {"kind", "directory"}},
                  {{"path", "src/a"}, {"kind", "file"}, {"size_bytes", 6}}}},
                {"skipped_entries", 0},
                {"truncated", false}});
  CHECK(b.run("search_files", {{"pattern", "ell"}}).value()["matches"]
        == json::parse(R"([{"path": "src/a", "line": 1, "text": "hello"}])"));
  CHECK(b.run("move_file", {{"from", "src/a"}, {"to", "b"}}));
  CHECK(b.folder.get("b") == "hello\n");
  CHECK(b.run("delete_file", {{"path", "b"}}));
  CHECK(b.run("delete_file", {{"path", "src"}}));
  CHECK(b.run("list_files", json::object()).value()["entries"].empty());
  const auto outside = b.run("read_file", {{"path", "../x"}});
  CHECK(is(outside.error(), errc::outside_workspace));
}

TEST_CASE("a write whose file has changed since it was shown is stale and changes nothing") {
  bench b;
  b.folder.put("file", "shown");
  const json write{{"path", "file"}, {"content", "new"}};
  const auto approved = b.fingerprint("write_file", write);
  b.folder.put("file", "changed");
  CHECK(stale(b.run("write_file", write, approved)));
  CHECK(b.folder.get("file") == "changed");
  std::filesystem::remove(b.folder.path() / "file");
  CHECK(stale(b.run("write_file", write, approved)));
  CHECK_FALSE(std::filesystem::exists(b.folder.path() / "file"));
  b.folder.put("file", "shown");
  CHECK(b.run("write_file", write, approved));
  CHECK(b.folder.get("file") == "new");
}

TEST_CASE("a write that was already done is a success when it is run again") {
  bench b;
  const json write{{"path", "file"}, {"content", "new"}};
  const auto approved = b.fingerprint("write_file", write);
  CHECK(approved == "absent");
  CHECK(b.run("write_file", write, approved));
  CHECK(b.run("write_file", write, approved));
  b.folder.put("file", "somebody else's");
  CHECK(stale(b.run("write_file", write, approved)));
  CHECK(b.folder.get("file") == "somebody else's");
}

TEST_CASE("a move is stale when its source or its destination has changed") {
  bench b;
  b.folder.put("a", "1");
  const json move{{"from", "a"}, {"to", "b"}};
  const auto approved = b.fingerprint("move_file", move);
  b.folder.put("b", "");
  CHECK(stale(b.run("move_file", move, approved)));
  std::filesystem::remove(b.folder.path() / "b");
  b.folder.put("a", "2");
  CHECK(stale(b.run("move_file", move, approved)));
  b.folder.put("a", "1");
  CHECK(b.run("move_file", move, approved));
}

TEST_CASE("a deletion is stale when the file has changed") {
  bench b;
  b.folder.put("a", "1");
  const json arguments{{"path", "a"}};
  const auto approved = b.fingerprint("delete_file", arguments);
  b.folder.put("a", "2");
  CHECK(stale(b.run("delete_file", arguments, approved)));
  b.folder.put("a", "1");
  CHECK(b.run("delete_file", arguments, approved));
}

TEST_CASE("the preview of a write is a diff against what is there") {
  bench b;
  const json write{{"path", "file"}, {"content", "new\n"}};
  CHECK(b.preview("write_file", write) == "--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+new\n");
  b.folder.put("file", "old\n");
  CHECK(b.preview("write_file", write) == "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-old\n+new\n");
  b.folder.put("file", "new\n");
  CHECK(b.preview("write_file", write) == "\"file\" has this content already.\n");
  b.folder.put("file", std::string_view{"\0", 1});
  CHECK(b.preview("write_file", write).find("binary") != std::string::npos);
  CHECK(b.preview("write_file", {{"path", "../x"}, {"content", ""}}).find("outside")
        != std::string::npos);
}

TEST_CASE("a path cannot forge lines of a diff") {
  bench b;
  const auto shown = b.preview("write_file", {{"path", "a\n+++ b/b"}, {"content", "x\n"}});
  CHECK(shown == "--- /dev/null\n+++ b/\"a\\n+++ b/b\"\n@@ -0,0 +1 @@\n+x\n");
}

TEST_CASE("the other changes are previewed in one line") {
  bench b;
  b.folder.put("a", "");
  CHECK(b.preview("move_file", {{"from", "a"}, {"to", "b"}}) == "Move \"a\" to \"b\"\n");
  CHECK(b.preview("delete_file", {{"path", "a"}}) == "Delete the file \"a\"\n");
  CHECK(b.preview("create_directory", {{"path", "d"}}) == "Create the directory \"d\"\n");
}

TEST_CASE("P8: what became of a write, a move or a delete is found out by what is there") {
  using verdict = reconciliation::verdict;
  const bench b;
  const auto put = [&](const char* name, const char* content) {
    CHECK(b.run("write_file", {{"path", name}, {"content", content}}));
  };
  SECTION("write_file") {
    const json arguments{{"path", "a"}, {"content", "new"}};
    put("a", "old");
    const auto approved = b.fingerprint("write_file", arguments);
    CHECK(b.look("write_file", arguments, approved).found == verdict::unknown);
    CHECK(b.look("write_file", arguments).found == verdict::unknown);
    put("a", "other");
    CHECK(b.look("write_file", arguments, approved).found == verdict::unknown);
    put("a", "new");
    const auto found = b.look("write_file", arguments, approved);
    CHECK(found.found == verdict::happened);
    CHECK(found.content == b.run("write_file", arguments).value());
  }
  SECTION("move_file") {
    const json arguments{{"from", "a"}, {"to", "b"}};
    put("a", "x");
    const auto approved = b.fingerprint("move_file", arguments);
    CHECK(b.look("move_file", arguments, approved).found == verdict::unknown);
    const auto moved = b.run("move_file", arguments);
    CHECK(b.look("move_file", arguments).found == verdict::unknown);
    const auto found = b.look("move_file", arguments, approved);
    CHECK(found.found == verdict::happened);
    CHECK(found.content == moved.value());
    put("b", "somebody else's");
    CHECK(b.look("move_file", arguments, approved).found == verdict::unknown);
  }
  SECTION("a directory that moved may be another one") {
    const json arguments{{"from", "a"}, {"to", "b"}};
    CHECK(b.run("create_directory", {{"path", "a"}}));
    const auto approved = b.fingerprint("move_file", arguments);
    CHECK(b.run("move_file", arguments));
    CHECK(b.look("move_file", arguments, approved).found == verdict::unknown);
  }
  SECTION("delete_file") {
    const json arguments{{"path", "a"}};
    put("a", "x");
    const auto approved = b.fingerprint("delete_file", arguments);
    CHECK(b.look("delete_file", arguments, approved).found == verdict::unknown);
    const auto deleted = b.run("delete_file", arguments);
    CHECK(b.look("delete_file", arguments).found == verdict::unknown);
    const auto found = b.look("delete_file", arguments, approved);
    CHECK(found.found == verdict::happened);
    CHECK(found.content == deleted.value());
  }
}

} // namespace workspace_tools_test
