#include <fermata/storage/record_codec.hpp>

#include <array>
#include <cstring>
#include <string>

namespace fermata {

namespace {

constexpr std::size_t checksum_size_bytes = 4;
constexpr std::size_t seal_size_bytes = checksum_size_bytes + 1;

// The Castagnoli polynomial, bits reversed.
constexpr std::uint32_t polynomial = 0x82F63B78;

using crc_tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// Tables for eight bytes at a time ("slicing-by-8", Kounavis and Berry 2005): `tables[k][b]` is
/// the effect of byte `b` that has `k` more bytes behind it.
constexpr crc_tables make_tables() {
  crc_tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    auto crc = byte;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t slice = 1; slice < 8; ++slice)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto crc = tables[slice - 1][byte];
      tables[slice][byte] = (crc >> 8) ^ tables[0][crc & 0xFF];
    }
  return tables;
}

constexpr auto tables = make_tables();

std::uint64_t load_little_endian(const std::uint8_t* data) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i)
    value |= std::uint64_t{data[i]} << (8 * i);
  return value;
}

/// Advances the raw register, without the inversions at both ends.
using advance_function = std::uint32_t (*)(std::uint32_t, const std::uint8_t*, std::size_t);

std::uint32_t advance_portable(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    const auto word = load_little_endian(data) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i)
      crc ^= tables[7 - i][(word >> (8 * i)) & 0xFF];
  }
  for (; size > 0; ++data, --size)
    crc = (crc >> 8) ^ tables[0][(crc ^ *data) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t
advance_sse42(std::uint32_t crc, const std::uint8_t* data, std::size_t size) {
  std::uint64_t wide = crc;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, sizeof word);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++data, --size)
    crc = __builtin_ia32_crc32qi(crc, *data);
  return crc;
}
#endif

advance_function choose_advance() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2"))
    return advance_sse42;
#endif
  return advance_portable;
}

std::uint32_t checksum_of(std::span<const std::uint8_t> key,
                          std::span<const std::uint8_t> format_and_payload) noexcept {
  return crc32c(format_and_payload, crc32c(key));
}

} // namespace

std::uint32_t crc32c(std::span<const std::uint8_t> data, std::uint32_t crc) noexcept {
  static const auto advance = choose_advance();
  return ~advance(~crc, data.data(), data.size());
}

std::uint32_t crc32c_portable(std::span<const std::uint8_t> data, std::uint32_t crc) noexcept {
  return ~advance_portable(~crc, data.data(), data.size());
}

bytes seal(std::span<const std::uint8_t> key, std::span<const std::uint8_t> payload) {
  bytes sealed;
  seal(key, payload, sealed);
  return sealed;
}

void seal(std::span<const std::uint8_t> key, std::span<const std::uint8_t> payload, bytes& sealed) {
  sealed.clear();
  sealed.reserve(seal_size_bytes + payload.size());
  sealed.resize(checksum_size_bytes);
  sealed.push_back(record_format);
  sealed.insert(sealed.end(), payload.begin(), payload.end());
  const auto crc = checksum_of(key, std::span{sealed}.subspan(checksum_size_bytes));
  for (std::size_t i = 0; i < checksum_size_bytes; ++i)
    sealed[i] = static_cast<std::uint8_t>(crc >> (8 * i));
}

result<std::span<const std::uint8_t>> unseal(std::string_view what,
                                             std::span<const std::uint8_t> key,
                                             std::span<const std::uint8_t> sealed) {
  if (sealed.size() < seal_size_bytes)
    return make_error(errc::store_corrupt, std::string{what} + " has "
                                               + std::to_string(sealed.size())
                                               + " bytes, fewer than every record has");
  std::uint32_t stored = 0;
  for (std::size_t i = 0; i < checksum_size_bytes; ++i)
    stored |= std::uint32_t{sealed[i]} << (8 * i);
  if (stored != checksum_of(key, sealed.subspan(checksum_size_bytes)))
    return make_error(errc::store_corrupt,
                      std::string{what} + " fails its checksum: it is not what was written");
  const auto format = sealed[checksum_size_bytes];
  if (format > record_format)
    return make_error(errc::store_too_new,
                      std::string{what} + " has format " + std::to_string(format)
                          + "; this version reads formats up to " + std::to_string(record_format));
  return sealed.subspan(seal_size_bytes);
}

} // namespace fermata
