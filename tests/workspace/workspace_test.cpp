#include <fermata/actors/tools/workspace.hpp>
#include <fermata/messages/digest.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace workspace_test {

using namespace fermata;
using fermata::test::temporary_directory;
namespace fs = std::filesystem;

namespace {

/// A workspace "inside" next to a file "outside/secret".
struct fixture {
  temporary_directory top;
  fs::path inside = top.path() / "inside";
  fs::path outside = top.path() / "outside";

  fixture() {
    fs::create_directory(inside);
    top.put("outside/secret", "secret");
  }

  [[nodiscard]] workspace open(workspace_limits limits = {}) const {
    auto opened = workspace::open(inside, limits);
    REQUIRE(opened);
    return std::move(*opened);
  }
  void put(const std::string& name, std::string_view content) const {
    top.put("inside/" + name, content);
  }
  [[nodiscard]] std::string get(const std::string& name) const { return top.get("inside/" + name); }
};

template <class T>
errc code(const result<T>& outcome) {
  return outcome ? errc{} : code_of(outcome.error());
}
errc code(const caf::error& outcome) {
  return outcome ? code_of(outcome) : errc{};
}

/// What every operation does with one path.
std::vector<errc> all_codes(const workspace& files, const std::string& path) {
  search_options search;
  search.path = path;
  search.pattern = "secret";
  return {code(files.read_file(path)),
          code(files.list_files(path, true)),
          code(files.search_files(search)),
          code(files.write_file(path, "overwritten")),
          code(files.create_directory(path)),
          code(files.move_file(path, "stolen")),
          code(files.move_file("harmless", path)),
          code(files.delete_file(path)),
          code(files.fingerprint(path)),
          code(files.directory(path))};
}

bool all_are(const std::vector<errc>& codes, errc expected) {
  return std::all_of(codes.begin(), codes.end(), [&](errc got) { return got == expected; });
}

} // namespace

TEST_CASE("no operation leaves the workspace by .., an absolute path or a linked directory") {
  fixture f;
  f.put("harmless", "x");
  fs::create_directory(f.inside / "sub");
  fs::create_symlink(f.outside, f.inside / "absolute_link");
  fs::create_symlink("../outside", f.inside / "relative_link");
  fs::create_symlink("relative_link", f.inside / "link_to_link");
  const auto files = f.open();
  for (const auto& path :
       {std::string{"../outside/secret"}, std::string{"sub/../../outside/secret"},
        (f.outside / "secret").string(), (f.inside / "harmless").string(),
        std::string{"absolute_link/secret"}, std::string{"relative_link/secret"},
        std::string{"link_to_link/secret"}, std::string{"/"}, std::string{".."}}) {
    CAPTURE(path);
    CHECK(all_are(all_codes(files, path), errc::outside_workspace));
  }
  CHECK(f.top.get("outside/secret") == "secret");
  CHECK(f.get("harmless") == "x");
}

TEST_CASE("a link to a file outside is neither read nor written through") {
  fixture f;
  fs::create_symlink("../outside/secret", f.inside / "link");
  const auto files = f.open();
  CHECK(code(files.read_file("link")) == errc::outside_workspace);
  CHECK(code(files.write_file("link", "x")) == errc::outside_workspace);
  search_options search;
  search.path = "link";
  search.pattern = "secret";
  CHECK(code(files.search_files(search)) == errc::outside_workspace);
  search.path = ".";
  auto found = files.search_files(search);
  REQUIRE(found);
  CHECK(found->matches.empty());
  CHECK_FALSE(files.delete_file("link"));
  CHECK_FALSE(fs::exists(fs::symlink_status(f.inside / "link")));
  CHECK(f.top.get("outside/secret") == "secret");
}

TEST_CASE("a directory that is swapped for a link during the operations leads nowhere outside") {
  fixture f;
  f.put("folder/secret", "public");
  f.put("folder/.keep", "");
  fs::create_symlink("../outside", f.inside / "link");
  const auto files = f.open();
  std::atomic<bool> done{false};
  std::thread swapper{[&] {
    while (!done)
      ::renameat2(AT_FDCWD, (f.inside / "folder").c_str(), AT_FDCWD, (f.inside / "link").c_str(),
                  RENAME_EXCHANGE);
  }};
  std::size_t refused = 0;
  std::size_t leaked = 0;
  std::size_t read = 0;
  for (int i = 0; i < 20'000 && (i < 2'000 || refused == 0 || read == 0); ++i) {
    const auto content = files.read_file("folder/secret");
    refused += code(content) == errc::outside_workspace;
    read += content ? 1 : 0;
    leaked += content && *content != "public";
    const auto error = files.write_file("folder/secret", "public");
    leaked += error && code_of(error) != errc::outside_workspace;
  }
  done = true;
  swapper.join();
  CHECK(leaked == 0);
  CHECK(refused > 0);
  CHECK(read > 0);
  CHECK(f.top.get("outside/secret") == "secret");
}

TEST_CASE("links and .. that stay inside are followed") {
  fixture f;
  f.put("sub/file", "text");
  fs::create_symlink("sub", f.inside / "link");
  const auto files = f.open();
  CHECK(files.read_file("link/file").value() == "text");
  CHECK(files.read_file("sub/../link/file").value() == "text");
  CHECK_FALSE(files.write_file("link/file", "new"));
  CHECK(f.get("sub/file") == "new");
}

TEST_CASE("odd paths are refused, saying why") {
  fixture f;
  const auto files = f.open();
  CHECK(code(files.read_file("")) == errc::invalid_arguments);
  CHECK(code(files.read_file(std::string_view{"a\0b", 3})) == errc::invalid_arguments);
  CHECK(code(files.read_file("a\xff")) == errc::invalid_arguments);
  CHECK(code(files.read_file(std::string(5'000, 'a'))) == errc::invalid_arguments);
  CHECK(code(files.read_file(std::string(300, 'a'))) == errc::tool_failed);
  CHECK(code(files.write_file(".", "x")) == errc::invalid_arguments);
  CHECK(code(files.write_file("new/", "x")) == errc::invalid_arguments);
  CHECK(code(files.delete_file(".")) == errc::invalid_arguments);
  const auto missing = files.read_file("a\x1b[31m");
  CHECK(message_of(missing.error()).find('\x1b') == std::string::npos);
}

TEST_CASE("opening a workspace that is not there, or none at all, is an error") {
  fixture f;
  CHECK(code(workspace::open("")) == errc::tool_failed);
  CHECK(code(workspace::open(f.inside / "missing")) == errc::tool_failed);
  CHECK(code(workspace::open(f.outside / "secret")) == errc::tool_failed);
}

TEST_CASE("only text in UTF-8 within the limit is read") {
  fixture f;
  f.put("text", "gr\xc3\xbc\xc3\x9f dich\n");
  f.put("zero", std::string_view{"a\0b", 3});
  f.put("latin1", "gr\xfc\xdf dich");
  f.put("large", std::string(101, 'a'));
  f.put("fits", std::string(100, 'a'));
  REQUIRE(::mkfifo((f.inside / "pipe").c_str(), 0600) == 0);
  workspace_limits limits;
  limits.file_size_bytes = 100;
  const auto files = f.open(limits);
  CHECK(files.read_file("text").value() == "gr\xc3\xbc\xc3\x9f dich\n");
  CHECK(code(files.read_file("zero")) == errc::tool_failed);
  CHECK(code(files.read_file("latin1")) == errc::tool_failed);
  const auto large = files.read_file("large");
  CHECK(code(large) == errc::limit_exceeded);
  CHECK(message_of(large.error()).find("file_size_bytes") != std::string::npos);
  CHECK(files.read_file("fits"));
  CHECK(code(files.read_file("pipe")) == errc::tool_failed);
  CHECK(code(files.read_file(".")) == errc::tool_failed);
}

TEST_CASE("a listing is sorted, does not follow links and says when it is cut short") {
  fixture f;
  f.put("b/two", "22");
  f.put("b/one", "1");
  f.put("a", "");
  f.put("c", "");
  fs::create_symlink("../outside", f.inside / "link");
  const auto paths = [](const file_listing& listing) {
    std::vector<std::string> out;
    for (const auto& entry : listing.entries)
      out.push_back(entry.path);
    return out;
  };
  const auto files = f.open();
  CHECK(paths(files.list_files(".", false).value())
        == std::vector<std::string>{"a", "b", "c", "link"});
  const auto all = files.list_files(".", true).value();
  CHECK(paths(all) == std::vector<std::string>{"a", "b", "b/one", "b/two", "c", "link"});
  CHECK(all.entries[3].size_bytes == 2);
  CHECK(all.entries[1].kind == file_kind::directory);
  CHECK(all.entries[5].kind == file_kind::symlink);
  CHECK_FALSE(all.truncated);
  CHECK(paths(files.list_files("b/", false).value()) == std::vector<std::string>{"b/one", "b/two"});

  workspace_limits limits;
  limits.listed_entries = 3;
  const auto cut = f.open(limits).list_files(".", true).value();
  CHECK(paths(cut) == std::vector<std::string>{"a", "b", "b/one"});
  CHECK(cut.truncated);

  limits = {};
  limits.scanned_entries = 2;
  CHECK(f.open(limits).list_files(".", true).value().truncated);
}

TEST_CASE("a name that is not UTF-8 is left out of a listing and counted") {
  fixture f;
  f.put("good", "");
  f.put("bad\xff", "");
  const auto listing = f.open().list_files(".", true).value();
  CHECK(listing.entries.size() == 1);
  CHECK(listing.skipped_entries == 1);
}

TEST_CASE("a deep tree is listed to its end") {
  fixture f;
  const auto files = f.open();
  std::string path = "d";
  for (int depth = 0; depth < 1'100; ++depth, path += "/d")
    REQUIRE(files.create_directory(path));
  CHECK(files.list_files(".", true).value().entries.size() == 1'100);
}

TEST_CASE("a search finds texts and expressions, and skips what is binary or of git") {
  fixture f;
  f.put("a.txt", "one\r\ntwo (2)\nthree");
  f.put("b/c.txt", "TWO\n");
  f.put("b/.git/config", "two\n");
  f.put("binary", std::string_view{"two\0", 4});
  const auto files = f.open();
  search_options options;
  options.pattern = "two (";
  auto found = files.search_files(options).value();
  REQUIRE(found.matches.size() == 1);
  CHECK(found.matches[0].path == "a.txt");
  CHECK(found.matches[0].line == 2);
  CHECK(found.matches[0].text == "two (2)");
  CHECK(found.skipped_files == 1);

  options.pattern = "^t(wo|hree)";
  options.regex = true;
  options.ignore_case = true;
  found = files.search_files(options).value();
  REQUIRE(found.matches.size() == 3);
  CHECK(found.matches[1].line == 3);
  CHECK(found.matches[2].path == "b/c.txt");
  CHECK_FALSE(found.truncated);

  options.path = "b/c.txt";
  CHECK(files.search_files(options).value().matches.size() == 1);
  options.pattern = "(";
  CHECK(code(files.search_files(options)) == errc::invalid_arguments);
  options.pattern = "(a*)*b"; // Exponential where backtracking is used.
  f.put("b/c.txt", std::string(50'000, 'a'));
  CHECK(files.search_files(options).value().matches.empty());
}

TEST_CASE("a search is bounded in matches, line length and bytes read") {
  fixture f;
  f.put("long", "xx\xc3\xbc" + std::string(100, 'x') + "\n");
  f.put("many", "x\nx\nx\nx\n");
  f.put("zlast", "x");
  workspace_limits limits;
  limits.matches = 3;
  limits.line_size_bytes = 3;
  search_options options;
  options.pattern = "x";
  auto found = f.open(limits).search_files(options).value();
  CHECK(found.matches.size() == 3);
  CHECK(found.matches[0].text == "xx"); // Not half a character.
  CHECK(found.truncated);

  limits = {};
  limits.searched_file_size_bytes = 50;
  found = f.open(limits).search_files(options).value();
  CHECK(found.skipped_files == 1);
  CHECK(found.matches.size() == 5);
  CHECK_FALSE(found.truncated);

  // What is binary is read as well; and a search that ends before a file says so.
  f.put("a_binary", std::string("x\0", 2) + std::string(98, 'x'));
  limits = {};
  limits.searched_size_bytes = 105;
  found = f.open(limits).search_files(options).value();
  CHECK(found.skipped_files == 1);
  CHECK(found.truncated);
  limits.searched_file_size_bytes = 100;
  limits.searched_size_bytes = 110;
  found = f.open(limits).search_files(options).value();
  CHECK(found.skipped_files == 2); // Too large, which is known before it is read; and binary.
  CHECK(found.matches.size() == 5);

  std::stop_source stop;
  stop.request_stop();
  CHECK(f.open().search_files(options, stop.get_token()).value().truncated);
}

TEST_CASE("a written file keeps the mode of the old one, and leaves no temporary file") {
  fixture f;
  f.put("script", "old");
  REQUIRE(::chmod((f.inside / "script").c_str(), 0750) == 0);
  const auto files = f.open();
  CHECK_FALSE(files.write_file("script", "new"));
  CHECK(f.get("script") == "new");
  CHECK(fs::status(f.inside / "script").permissions() == fs::perms{0750});
  CHECK_FALSE(files.write_file("fresh", ""));
  CHECK(fs::exists(f.inside / "fresh"));
  CHECK(code(files.write_file("no/parent", "x")) == errc::tool_failed);
  fs::create_directory(f.inside / "folder");
  CHECK(code(files.write_file("folder", "x")) == errc::tool_failed);
  CHECK(files.list_files(".", true).value().entries.size() == 3);
  workspace_limits limits;
  limits.write_size_bytes = 2;
  CHECK(code(f.open(limits).write_file("fresh", "abc")) == errc::limit_exceeded);
}

TEST_CASE("writing to a link that stays inside is refused rather than replacing it") {
  fixture f;
  f.put("real", "x");
  fs::create_symlink("real", f.inside / "link");
  CHECK(code(f.open().write_file("link", "y")) == errc::invalid_arguments);
  CHECK(f.get("real") == "x");
}

TEST_CASE("a hard link outside keeps its content when the file inside is written") {
  fixture f;
  fs::create_hard_link(f.outside / "secret", f.inside / "file");
  CHECK_FALSE(f.open().write_file("file", "new"));
  CHECK(f.top.get("outside/secret") == "secret");
}

TEST_CASE("a write with a fingerprint fails when something else is there") {
  fixture f;
  const auto files = f.open();
  CHECK(files.fingerprint("file").value() == "absent");
  CHECK(files.fingerprint("missing/file").value() == "absent");
  f.put("file", "shown");
  CHECK(code(files.write_file("file", "new", "absent")) == errc::stale_approval);
  const auto shown = files.fingerprint("file").value();
  CHECK(shown == "file:" + sha256("shown"));
  f.put("file", "changed");
  CHECK(code(files.write_file("file", "new", shown)) == errc::stale_approval);
  CHECK(f.get("file") == "changed");
  f.put("file", "shown");
  CHECK_FALSE(files.write_file("file", "new", shown));
  CHECK(f.get("file") == "new");
  CHECK(files.list_files(".", false).value().entries.size() == 1);
}

TEST_CASE("a file that somebody makes during the write of an absent one is never overwritten") {
  fixture f;
  const auto files = f.open();
  int overwritten = 0;
  for (int round = 0; round < 300; ++round) {
    const auto name = "file" + std::to_string(round);
    std::atomic<bool> written{false};
    bool made = false;
    // Comes at another moment of the write each time; O_EXCL says who was first.
    std::thread somebody{[&, path = f.inside / name] {
      for (int wait = 0; wait < round * 1'000 && !written; ++wait) {
      }
      const file_descriptor file{::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600)};
      made = static_cast<bool>(file);
    }};
    const auto error = files.write_file(name, "ours", "absent");
    written = true;
    somebody.join();
    CHECK((!error || is(error, errc::stale_approval)));
    overwritten += !error && made;
  }
  CHECK(overwritten == 0);
}

TEST_CASE("the fingerprint of a large file changes with its content") {
  fixture f;
  workspace_limits limits;
  limits.hashed_size_bytes = 10;
  const auto files = f.open(limits);
  f.put("large", "aaaaaaaaaaaaaaa");
  const auto before = files.fingerprint("large").value();
  CHECK(before.starts_with("large:"));
  CHECK(files.fingerprint("large").value() == before);
  CHECK_FALSE(files.write_file("large", "aaaaaaaaaaaaaab"));
  CHECK(files.fingerprint("large").value() != before);
}

TEST_CASE("a directory is created once, and not over a file") {
  fixture f;
  f.put("file", "");
  const auto files = f.open();
  CHECK(files.create_directory("new/").value() == true);
  CHECK(files.create_directory("new").value() == false);
  CHECK(code(files.create_directory("file")) == errc::tool_failed);
  CHECK(code(files.create_directory("no/parent")) == errc::tool_failed);
}

TEST_CASE("a move never overwrites") {
  fixture f;
  f.put("a", "a");
  f.put("b", "b");
  fs::create_directory(f.inside / "sub");
  const auto files = f.open();
  CHECK(code(files.move_file("a", "b")) == errc::tool_failed);
  CHECK(f.get("b") == "b");
  CHECK_FALSE(files.move_file("a", "sub/c"));
  CHECK(f.get("sub/c") == "a");
  CHECK_FALSE(files.move_file("sub", "moved"));
  CHECK(f.get("moved/c") == "a");
}

TEST_CASE("files and empty directories are deleted, full ones are not") {
  fixture f;
  f.put("full/file", "");
  fs::create_directory(f.inside / "empty");
  const auto files = f.open();
  CHECK(code(files.delete_file("full")) == errc::tool_failed);
  CHECK_FALSE(files.delete_file("full/file"));
  CHECK_FALSE(files.delete_file("full"));
  CHECK_FALSE(files.delete_file("empty"));
  CHECK(code(files.delete_file("empty")) == errc::tool_failed);
}

} // namespace workspace_test
