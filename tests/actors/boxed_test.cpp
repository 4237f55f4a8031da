#include <fermata/actors/core/boxed.hpp>

#include <fermata_catch.hpp>

#include <string>

namespace boxed_test {

using fermata::core::boxed;

TEST_CASE("a boxed value is copied with its box, and moved out of it") {
  boxed<std::string> first{"tea"};
  auto copy = first;
  *copy += "pot";
  CHECK(*first == "tea");
  CHECK(*copy == "teapot");
  const auto moved = std::move(first);
  CHECK(*moved == "tea");
  CHECK_FALSE(first);
  first = copy;
  CHECK(first->size() == 6);
  first = std::move(copy);
  CHECK(*first == "teapot");
}

TEST_CASE("an empty box takes a pointer, and copies as one") {
  struct large {
    char bytes[1'000];
  };
  boxed<large> none;
  CHECK(sizeof none == sizeof(void*));
  const auto copy = none;
  CHECK_FALSE(copy.has_value());
  none.emplace();
  CHECK(none.has_value());
  none = {};
  CHECK_FALSE(none.has_value());
  none.emplace();
  none.reset();
  CHECK_FALSE(none);
}

} // namespace boxed_test
