#include <fermata/actors/sim/catch.hpp>
#include <fermata/actors/sim/seed_range.hpp>

#include <fermata_catch.hpp>
#include <temporary_directory.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace each_seed_test {

using namespace fermata;
using namespace fermata::sim;
using namespace std::chrono_literals;

namespace {

/// Says which seeds to run, as a person does who runs one again.
class seeds_in_environment {
public:
  explicit seeds_in_environment(const char* seeds) { ::setenv("FERMATA_SIM_SEEDS", seeds, 1); }
  ~seeds_in_environment() { ::unsetenv("FERMATA_SIM_SEEDS"); }
  seeds_in_environment(const seeds_in_environment&) = delete;
  seeds_in_environment& operator=(const seeds_in_environment&) = delete;
};

/// The report of a story that fails.
std::string report_of(const story& told, std::uint64_t from = 1, std::uint64_t to = 100) {
  try {
    each_seed(from, to, told);
  } catch (const failed_seed& failed) {
    CHECK(std::string{failed.what()}.find("FERMATA_SIM_SEEDS=" + std::to_string(failed.seed()))
          != std::string::npos);
    return failed.what();
  }
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

fault fault_at(fault_kind kind, std::chrono::milliseconds at) {
  fault one;
  one.kind = kind;
  one.node = "n1";
  one.at = at;
  return one;
}

/// A hundred faults, of which two are crashes, one minute apart.
void plan_a_hundred(world& in) {
  in.add_node("n1");
  std::vector<fault> all;
  for (int minute = 1; minute <= 100; ++minute)
    all.push_back(
        fault_at(minute == 30 || minute == 60 ? fault_kind::crash : fault_kind::clock_back,
                 std::chrono::minutes{minute}));
  in.plan_faults(all);
}

} // namespace

TEST_CASE("a story is told once for each seed, in order, in a world of that seed") {
  std::vector<std::uint64_t> seeds;
  each_seed(3, 7, [&](world& in) { seeds.push_back(in.seed()); });
  CHECK(seeds == std::vector<std::uint64_t>{3, 4, 5, 6, 7});
}

TEST_CASE("the last seed of all is one") {
  std::vector<std::uint64_t> seeds;
  constexpr auto last = std::numeric_limits<std::uint64_t>::max();
  each_seed(last, last, [&](world& in) { seeds.push_back(in.seed()); });
  CHECK(seeds == std::vector<std::uint64_t>{last});
}

TEST_CASE("the environment says which seeds are run") {
  std::vector<std::uint64_t> seeds;
  const auto note = [&](world& in) { seeds.push_back(in.seed()); };
  {
    const seeds_in_environment one{"17"};
    each_seed(1, 500, note);
  }
  {
    const seeds_in_environment some{"600-601"};
    each_seed(1, 500, note);
  }
  CHECK(seeds == std::vector<std::uint64_t>{17, 600, 601});
  for (const auto* wrong : {"all", "7-3", "1-", "-1", "1-2-3", " 1"}) {
    const seeds_in_environment set{wrong};
    CHECK_THROWS_AS(each_seed(1, 1, note), std::invalid_argument);
  }
  CHECK_THROWS_AS(each_seed(2, 1, note), std::invalid_argument);
}

TEST_CASE("a story that throws names its seed, what was wrong, and the faults that it takes") {
  const auto report = report_of([](world& in) {
    plan_a_hundred(in);
    in.advance(2h);
    if (in.seed() >= 4 && in.crashes() >= 2)
      throw violation{"twice", "it crashed twice"};
  });
  CHECK(contains(report, "seed 4: twice: it crashed twice"));
  CHECK(contains(report, "2 of its 100 faults are enough:"));
  CHECK(contains(report, "0d 00:30:00.000"));
  CHECK(contains(report, "0d 01:00:00.000"));
  CHECK_FALSE(contains(report, "0d 00:31:00.000"));
}

TEST_CASE("a story that fails without faults is shown without any") {
  const auto report = report_of([](world& in) {
    plan_a_hundred(in);
    in.advance(2h);
    throw std::runtime_error{"always"};
  });
  CHECK(contains(report, "seed 1: always"));
  CHECK(contains(report, "It fails without any fault:"));
}

TEST_CASE("runs that fail in another way are not taken for the same failure") {
  // Without the second crash another promise is broken.
  const auto report = report_of([](world& in) {
    plan_a_hundred(in);
    in.advance(2h);
    if (in.crashes() >= 2)
      throw violation{"one", "the first"};
    throw violation{"other", "the second"};
  });
  CHECK(contains(report, "2 of its 100 faults are enough:"));
  CHECK(contains(report, "=> one: the first"));
}

TEST_CASE("an invariant of one's own is asked while the story goes on") {
  const auto report = report_of([](world& in) {
    in.add_node("n1");
    in.invariant("no-session", [](world& seen) {
      return seen.resident_sessions() > 0 ? std::string{"there is a session"} : std::string{};
    });
    const auto sent = in.send(*session_id::parse("s1"), post_message{"hello"});
    in.run();
  });
  CHECK(contains(report, "seed 1: no-session: there is a session"));
}

TEST_CASE("what a story says when it fails stays on its line") {
  const auto report = report_of([](world&) {
    throw violation{"P0\n", "clears\x1b[2J the\nscreen"};
  });
  CHECK(contains(report, "seed 1: P0\\u000a: clears\\u001b[2J the\\u000ascreen\n"));
  CHECK(contains(report, "=> P0\\u000a: clears\\u001b[2J the\\u000ascreen"));
}

TEST_CASE("a story that is not the same the second time is told so") {
  int times = 0;
  const auto report = report_of([&](world&) {
    if (++times == 1)
      throw std::runtime_error{"once"};
  });
  CHECK(contains(report, "depends on something besides the world and its seed"));
}

TEST_CASE("what is no exception of the standard library fails a story, too") {
  const auto report = report_of([](world&) { throw 17; });
  CHECK(contains(report, "seed 1: "));
}

TEST_CASE("fails in its second world", "[.fails]") {
  check_each_seed(1, 3, [](world& in) { CHECK(in.seed() != 2); });
}

TEST_CASE("within Catch2 the seed is shown with what fails") {
  const test::temporary_directory folder;
  const auto file = folder.path() / "said";
  const auto command = "'" + std::filesystem::read_symlink("/proc/self/exe").string()
                       + "' '[.fails]' >'" + file.string() + "'";
  CHECK(std::system(command.c_str()) != 0);
  std::ifstream said{file};
  const std::string text{std::istreambuf_iterator<char>{said}, {}};
  CHECK(contains(text, "FERMATA_SIM_SEEDS=2 runs it alone"));
  CHECK_FALSE(contains(text, "FERMATA_SIM_SEEDS=1 "));
  CHECK_FALSE(contains(text, "FERMATA_SIM_SEEDS=3 "));
}

TEST_CASE("within Catch2 each seed that passes is an assertion") {
  CHECK_NOFAIL(false);
  check_each_seed(1, 1, [](world&) {});
  const auto passed = Catch::getResultCapture().lastAssertionPassed();
  CHECK(passed);
}

TEST_CASE("seed ranges are read and written") {
  CHECK(*parse_seed_range("17") == seed_range{17, 17});
  CHECK(*parse_seed_range("0-18446744073709551615") == seed_range{0, ~std::uint64_t{0}});
  CHECK(to_text(seed_range{17, 17}) == "17");
  CHECK(to_text(seed_range{1, 500}) == "1-500");
  for (const auto* wrong : {"", "-", "x", "2-1", "1-x", "1 - 2", "+1", "18446744073709551616"})
    CHECK(is(parse_seed_range(wrong).error(), errc::invalid_field));
}

} // namespace each_seed_test
