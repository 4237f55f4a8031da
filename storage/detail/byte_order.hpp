#pragma once

#include <fermata/messages/json.hpp>

#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

namespace fermata::detail {

/// Borrowed bytes.
using byte_view = std::span<const std::uint8_t>;

[[nodiscard]] inline byte_view view_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

[[nodiscard]] inline bytes copy_of(byte_view value) {
  return {value.begin(), value.end()};
}

/// Appends a number in little-endian order, as in the values of records.
template <std::unsigned_integral Number>
void append_little_endian(bytes& out, Number number) {
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    out.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

/// Reads a number in big-endian order, as in keys. `data` has at least as many bytes.
template <std::unsigned_integral Number>
[[nodiscard]] Number load_big_endian(byte_view data) noexcept {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i)
    number = static_cast<Number>((std::uint64_t{number} << 8) | data[i]);
  return number;
}

/// Reads a value from its beginning; a read beyond its end gives zeros and makes `ok` false.
class value_reader {
public:
  explicit value_reader(byte_view data) noexcept : data_{data} {}

  template <std::unsigned_integral Number>
  [[nodiscard]] Number number() noexcept {
    Number value = 0;
    const auto part = take(sizeof(Number));
    for (std::size_t i = 0; i < part.size(); ++i)
      value = static_cast<Number>(value | (std::uint64_t{part[i]} << (8 * i)));
    return value;
  }

  [[nodiscard]] byte_view take(std::size_t size_bytes) noexcept {
    if (size_bytes > data_.size()) {
      ok_ = false;
      data_ = {};
      return {};
    }
    const auto part = data_.first(size_bytes);
    data_ = data_.subspan(size_bytes);
    return part;
  }

  [[nodiscard]] byte_view rest() noexcept { return take(data_.size()); }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  /// True when everything was read and nothing was missing.
  [[nodiscard]] bool complete() const noexcept { return ok_ && data_.empty(); }

private:
  byte_view data_;
  bool ok_ = true;
};

} // namespace fermata::detail
