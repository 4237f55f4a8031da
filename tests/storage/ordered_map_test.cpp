#include <fermata/storage/detail/ordered_map.hpp>

#include "storage_helpers.hpp"

#include <fermata_catch.hpp>

#include <map>
#include <random>

namespace ordered_map_test {

using namespace fermata;
using fermata::detail::ordered_map;

namespace {

using model = std::map<bytes, bytes>;

model content_of(const ordered_map& map, const bytes& from = {}) {
  model content;
  bytes previous;
  map.walk(from, [&](auto key, auto value) {
    bytes copied{key.begin(), key.end()};
    CHECK((content.empty() || previous < copied));
    previous = copied;
    content.emplace(std::move(copied), bytes{value.begin(), value.end()});
    return true;
  });
  return content;
}

} // namespace

TEST_CASE("an ordered map holds what a std::map holds, and its copies what they were") {
  std::mt19937_64 random{20'26};
  ordered_map map;
  model expected;
  std::vector<std::pair<ordered_map, model>> copies;
  for (int step = 0; step < 3000; ++step) {
    const bytes key{static_cast<std::uint8_t>(random() % 2), static_cast<std::uint8_t>(random())};
    if (random() % 3 != 0) {
      const auto value = test::data(random() % 4, static_cast<std::uint8_t>(step));
      map.insert_or_assign(key, value);
      expected.insert_or_assign(key, value);
    } else {
      CHECK(map.erase(key) == (expected.erase(key) == 1));
    }
    REQUIRE(map.size() == expected.size());
    if (step % 300 == 0)
      copies.emplace_back(map, expected);
  }
  CHECK(content_of(map) == expected);
  for (const auto& [copy, content] : copies)
    CHECK(content_of(copy) == content);
  for (const auto& [key, value] : expected) {
    REQUIRE(map.find(key) != nullptr);
    CHECK(*map.find(key) == value);
    CHECK(content_of(map, key) == model(expected.find(key), expected.end()));
    const auto before = map.last_before(key);
    const auto entry = expected.find(key);
    CHECK(bytes{before.begin(), before.end()}
          == (entry == expected.begin() ? bytes{} : std::prev(entry)->first));
  }
}

TEST_CASE("a hundred thousand ascending keys do not degrade an ordered map into a list") {
  ordered_map map;
  // A list would overflow the stack, or take hours.
  for (std::uint32_t i = 0; i < 100'000; ++i)
    map.insert_or_assign(bytes{static_cast<std::uint8_t>(i >> 16),
                               static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)},
                         {});
  CHECK(map.size() == 100'000);
}

} // namespace ordered_map_test
