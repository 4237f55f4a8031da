#include <fermata/actors/tools/diff.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

#include <random>

namespace diff_test {

using fermata::diff_options;
using fermata::unified_diff;
using fermata::test::temporary_directory;

TEST_CASE("equal texts have no diff") {
  CHECK(unified_diff("a\n", "a\n", "f").empty());
  CHECK(unified_diff("", "", "f").empty());
}

TEST_CASE("a changed line is shown with three lines around it") {
  CHECK(unified_diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n", "f")
        == "--- a/f\n+++ b/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("a new file is shown as all added") {
  CHECK(unified_diff({}, "a\nb\n", "f") == "--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n");
  CHECK(unified_diff({}, "", "f") == "--- /dev/null\n+++ b/f\n");
}

TEST_CASE("a missing last newline is a difference that is shown") {
  CHECK(unified_diff("a\n", "a", "f")
        == "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
}

TEST_CASE("a diff that is too long says how many lines are missing") {
  diff_options options;
  options.size_bytes = 60;
  const auto shown = unified_diff({}, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "f", options);
  CHECK(shown.find("more lines of the diff are not shown]") != std::string::npos);
  CHECK(shown.size() < 120);
}

TEST_CASE("patch turns the old text into the new one by the diff, whatever the texts") {
  if (std::system("patch --version > /dev/null 2>&1") != 0) {
    WARN("there is no program \"patch\" here: not checked");
    return;
  }
  temporary_directory folder;
  std::mt19937 random{7}; // NOLINT: the same texts every time.
  for (int round = 0; round < 60; ++round) {
    const auto text = [&] {
      std::string out;
      for (auto lines = random() % 40; lines > 0; --lines)
        out += std::to_string(random() % 4) + (lines == 1 && random() % 2 == 0 ? "" : "\n");
      return out;
    };
    const auto before = text();
    const auto after = text();
    diff_options options;
    options.edits = round % 3 == 0 ? 2 : 1'000; // Also the way that is not minimal.
    const auto diff = unified_diff(before, after, "f", options);
    if (diff.empty())
      continue;
    folder.put("f", before);
    folder.put("diff", diff);
    const auto command = "cd " + folder.path().string() + " && patch -s -p1 < diff";
    CAPTURE(before, after, diff);
    REQUIRE(std::system(command.c_str()) == 0);
    // An empty text is what patch removes the file for.
    REQUIRE(folder.get("f") == after);
  }
}

TEST_CASE("large texts that have nothing in common are compared in bounded time") {
  std::string before;
  std::string after;
  for (int line = 0; line < 50'000; ++line) {
    before += "b" + std::to_string(line) + "\n";
    after += "a" + std::to_string(line) + "\n";
  }
  CHECK_FALSE(unified_diff(before, after, "f").empty());
}

} // namespace diff_test
