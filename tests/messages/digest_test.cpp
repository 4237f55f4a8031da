#include "support.hpp"

#include <fermata/messages/digest.hpp>

namespace digest_test {

using namespace fermata;
using namespace messages_test;

TEST_CASE("sha256 computes the example values of FIPS 180-4") {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(repeated("a", 1'000'000))
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("equal JSON values have equal digests, however their keys were ordered") {
  const auto one = value_of(parse_json(R"({"b": [1, null], "a": {"y": 1, "x": 2}})"));
  const auto other = value_of(parse_json(R"({"a":{"x":2,"y":1},"b":[1,null]})"));
  CHECK(digest_of(one) == digest_of(other));
  CHECK(digest_of(one) == sha256(R"({"a":{"x":2,"y":1},"b":[1,null]})"));
}

TEST_CASE("different JSON values have different digests") {
  const std::vector<json> values{nullptr, false, 0, "", "0", json::array(), json::object(), 1, 1.5};
  for (std::size_t i = 0; i < values.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      CHECK(digest_of(values[i]) != digest_of(values[k]));
}

} // namespace digest_test
