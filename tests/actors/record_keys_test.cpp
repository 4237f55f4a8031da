#include <fermata/actors/core/record_keys.hpp>

#include <fermata_catch.hpp>

namespace record_keys_test {

using fermata::record_key;
using fermata::record_kind;
using fermata::core::record_keys;

namespace {

record_key key(std::uint64_t index) {
  return {record_kind::call, 0, index};
}

std::vector<std::uint64_t> in(const record_keys& keys) {
  std::vector<std::uint64_t> indexes;
  for (const auto& one : keys)
    indexes.push_back(one.index);
  return indexes;
}

} // namespace

TEST_CASE("keys are in their order, each once, however they came") {
  record_keys keys;
  CHECK(keys.empty());
  for (const auto index : {5, 3, 5, 9, 9, 1, 3})
    keys.insert(key(index));
  keys.sort();
  CHECK(in(keys) == std::vector<std::uint64_t>{1, 3, 5, 9});
  CHECK(keys.contains(key(3)));
  CHECK_FALSE(keys.contains(key(4)));
  keys.clear();
  for (const auto index : {1, 2, 2, 3})
    keys.insert(key(index));
  CHECK(keys.contains(key(2))); // they came in order
  CHECK(keys.size() == 3);
}

TEST_CASE("a set of keys takes those of another one, which is empty then") {
  record_keys keys;
  record_keys more;
  for (const auto index : {1, 4, 6})
    keys.insert(key(index));
  for (const auto index : {0, 4, 5, 8})
    more.insert(key(index));
  keys.take(more);
  CHECK(in(keys) == std::vector<std::uint64_t>{0, 1, 4, 5, 6, 8});
  CHECK(more.empty());
  keys.take(more);
  CHECK(keys.size() == 6);
  keys.clear();
  more.insert(key(2));
  keys.take(more);
  CHECK(in(keys) == std::vector<std::uint64_t>{2});
}

} // namespace record_keys_test
