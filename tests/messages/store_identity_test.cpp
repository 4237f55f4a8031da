#include "support.hpp"

#include <fermata/messages/fields.hpp>
#include <fermata/messages/store_identity.hpp>

namespace store_identity_test {

using namespace fermata;
using namespace messages_test;

TEST_CASE("an identity of a store is 32 hex digits, and comes back from them") {
  const store_identity made{0x0123456789abcdefu, 0xfedcba9876543210u};
  CHECK(made.str() == "0123456789abcdeffedcba9876543210");
  CHECK(value_of(store_identity::parse(made.str())) == made);
  CHECK(value_of(from_json<store_identity>(to_json(made))) == made);
  CHECK(store_identity{}.empty());
  CHECK_FALSE(made.empty());
  CHECK(store_identity{0, 1} != store_identity{1, 0});
}

TEST_CASE("what is no identity of a store is refused, saying what would be one") {
  for (const auto* text :
       {"", "0123456789abcdeffedcba987654321", "0123456789abcdeffedcba98765432100",
        "0123456789ABCDEFfedcba9876543210", "0123456789abcdeffedcba987654321\n"})
    CHECK(contains(verdict_on(store_identity::parse(text)), "32 hex digits"));
}

} // namespace store_identity_test
