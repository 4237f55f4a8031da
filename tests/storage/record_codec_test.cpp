#include <fermata/storage/record_codec.hpp>

#include <fermata_catch.hpp>

#include <numeric>
#include <string_view>

namespace record_codec_test {

using namespace fermata;

namespace {

bytes data(std::string_view text) {
  return {text.begin(), text.end()};
}

/// The test vectors of RFC 3720, appendix B.4.
struct vector {
  bytes input;
  std::uint32_t crc;
};

std::vector<vector> rfc3720_vectors() {
  bytes ascending(32);
  std::iota(ascending.begin(), ascending.end(), std::uint8_t{0});
  const bytes descending{ascending.rbegin(), ascending.rend()};
  const bytes read_command{0x01, 0xC0, 0, 0, 0, 0, 0,    0, 0, 0, 0, 0,    0, 0, 0, 0,
                           0x14, 0,    0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                           0x28, 0,    0, 0, 0, 0, 0,    0, 2, 0, 0, 0,    0, 0, 0, 0};
  return {{bytes(32, 0x00), 0x8A9136AA},
          {bytes(32, 0xFF), 0x62A8AB43},
          {ascending, 0x46DD794E},
          {descending, 0x113FDB5C},
          {read_command, 0xD9963A56},
          {data("123456789"), 0xE3069283},
          {{}, 0}};
}

} // namespace

TEST_CASE("CRC-32C gives the values of RFC 3720, with the processor's instruction and without") {
  for (const auto& [input, crc] : rfc3720_vectors()) {
    CHECK(crc32c(input) == crc);
    CHECK(crc32c_portable(input) == crc);
  }
}

TEST_CASE("CRC-32C continues from any split, and both ways of computing it agree") {
  bytes input(100);
  std::iota(input.begin(), input.end(), std::uint8_t{7});
  const std::span all{input};
  for (std::size_t split = 0; split <= input.size(); ++split) {
    CHECK(crc32c(all.subspan(split), crc32c(all.first(split))) == crc32c(all));
    CHECK(crc32c_portable(all.subspan(split)) == crc32c(all.subspan(split)));
  }
}

TEST_CASE("a sealed record gives back its payload") {
  for (const auto& payload : {data(""), data("x"), bytes(5000, 0xAB)}) {
    const auto sealed = seal(data("key"), payload);
    CHECK(sealed.size() == payload.size() + 5);
    const auto opened = unseal("a record", data("key"), sealed);
    REQUIRE(opened);
    CHECK(bytes{opened->begin(), opened->end()} == payload);
  }
}

TEST_CASE("every flipped bit of a sealed record is found") {
  const auto sealed = seal(data("key"), data("payload"));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    auto flipped = sealed;
    flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
    const auto opened = unseal("the head of session 7", data("key"), flipped);
    REQUIRE_FALSE(opened);
    CHECK(is(opened.error(), errc::store_corrupt));
    CHECK(message_of(opened.error()).find("the head of session 7") == 0);
  }
}

TEST_CASE("a record under another record's key, or cut short, is refused") {
  const auto sealed = seal(data("key"), data("payload"));
  const auto moved = unseal("r", data("kez"), sealed);
  REQUIRE_FALSE(moved);
  CHECK(is(moved.error(), errc::store_corrupt));
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    const auto cut = unseal("r", data("key"), std::span{sealed}.first(size));
    REQUIRE_FALSE(cut);
    CHECK(is(cut.error(), errc::store_corrupt));
  }
}

TEST_CASE("an intact record of a newer format is too new, not corrupt") {
  bytes newer{0, 0, 0, 0, record_format + 1, 'x'};
  const auto crc = crc32c(std::span{newer}.subspan(4), crc32c(data("key")));
  for (std::size_t i = 0; i < 4; ++i)
    newer[i] = static_cast<std::uint8_t>(crc >> (8 * i));
  const auto opened = unseal("r", data("key"), newer);
  REQUIRE_FALSE(opened);
  CHECK(is(opened.error(), errc::store_too_new));
}

} // namespace record_codec_test
