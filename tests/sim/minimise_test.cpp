#include <fermata/actors/sim/minimise.hpp>

#include <fermata_catch.hpp>

#include <algorithm>
#include <set>

namespace minimise_test {

using namespace fermata::sim;

namespace {

using parts = std::vector<std::size_t>;

bool has(const parts& all, std::size_t one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

constexpr std::size_t plenty = 10'000;

} // namespace

TEST_CASE("what fails without any part is left with none, in one test") {
  const auto found = minimise(
      100, [](const parts&) { return true; }, plenty);
  CHECK(found.parts.empty());
  CHECK(found.tests == 1);
  CHECK(found.is_minimal);
}

TEST_CASE("one part that is to blame is found in a logarithmic number of tests") {
  for (std::size_t guilty = 0; guilty < 128; ++guilty) {
    const auto found = minimise(
        128, [=](const parts& some) { return has(some, guilty); }, plenty);
    INFO(guilty);
    CHECK(found.parts == parts{guilty});
    CHECK(found.is_minimal);
    CHECK(found.tests <= 1 + 2 * 7); // each half of each of seven halvings
  }
}

TEST_CASE("parts that fail only together are all kept, in order") {
  for (const parts& guilty : {parts{0, 99}, parts{13, 14}, parts{3, 50, 51, 98}}) {
    const auto found = minimise(
        100,
        [&](const parts& some) {
          return std::all_of(guilty.begin(), guilty.end(),
                             [&](auto one) { return has(some, one); });
        },
        plenty);
    CHECK(found.parts == guilty);
    CHECK(found.is_minimal);
  }
}

TEST_CASE("what is left fails, and does not without any one of its parts") {
  // Not monotonic: an even number of the multiples of three, and not none of them.
  const auto fails = [](const parts& some) {
    const auto threes =
        std::count_if(some.begin(), some.end(), [](auto one) { return one % 3 == 0; });
    return threes > 0 && threes % 2 == 0;
  };
  const auto found = minimise(40, fails, plenty);
  REQUIRE(fails(found.parts));
  CHECK(found.is_minimal);
  for (std::size_t left_out = 0; left_out < found.parts.size(); ++left_out) {
    auto rest = found.parts;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(left_out));
    CHECK_FALSE(fails(rest));
  }
}

TEST_CASE("the limit of tests holds, and what was found until then fails") {
  const auto fails = [](const parts& some) { return has(some, 5) && has(some, 60); };
  for (std::size_t most = 0; most < 60; ++most) {
    std::size_t asked = 0;
    const auto found = minimise(
        64,
        [&](const parts& some) {
          ++asked;
          return fails(some);
        },
        most);
    CHECK(asked <= most);
    CHECK(asked == found.tests);
    CHECK(fails(found.parts));
    if (found.is_minimal)
      CHECK(found.parts == parts{5, 60});
    else
      CHECK(asked == most);
  }
}

TEST_CASE("nothing can be left out of nothing") {
  const auto found = minimise(
      0, [](const parts&) { return false; }, plenty);
  CHECK(found.parts.empty());
  CHECK(found.tests == 0);
  CHECK(found.is_minimal);
}

TEST_CASE("a single part that is needed is kept") {
  const auto found = minimise(
      1, [](const parts& some) { return !some.empty(); }, plenty);
  CHECK(found.parts == parts{0});
  CHECK(found.is_minimal);
}

TEST_CASE("parts are asked for in ascending order, and none twice") {
  std::set<parts> asked;
  const auto found = minimise(
      32,
      [&](const parts& some) {
        CHECK(std::is_sorted(some.begin(), some.end()));
        CHECK(asked.insert(some).second);
        return has(some, 7) && has(some, 8) && has(some, 25);
      },
      plenty);
  CHECK(found.parts == parts{7, 8, 25});
}

} // namespace minimise_test
