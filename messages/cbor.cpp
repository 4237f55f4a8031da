#include <fermata/messages/cbor.hpp>

#include <bit>
#include <limits>
#include <utility>

namespace fermata::detail {

namespace {

// How an item's first byte says where its argument is (RFC 8949, section 3).
constexpr std::uint8_t largest_in_head = 23;
constexpr std::uint8_t one_byte_follows = 24;
constexpr std::uint8_t eight_bytes_follow = 27;

constexpr std::uint8_t float_item = 0xfa;
constexpr std::uint8_t double_item = 0xfb;

constexpr std::size_t largest_head_bytes = 9;

} // namespace

void cbor_writer::head(cbor_major major, std::uint64_t argument) {
  const auto first = static_cast<std::uint8_t>(static_cast<std::uint8_t>(major) << 5);
  if (argument <= largest_in_head)
    return byte(static_cast<std::uint8_t>(first | argument));
  // The smallest of 1, 2, 4 and 8 bytes that holds it.
  const int doublings = argument <= 0xff          ? 0
                        : argument <= 0xffff      ? 1
                        : argument <= 0xffff'ffff ? 2
                                                  : 3;
  auto* next = out_.room(largest_head_bytes);
  *next++ = static_cast<std::uint8_t>(first | (one_byte_follows + doublings));
  for (int shift = (8 << doublings) - 8; shift >= 0; shift -= 8)
    *next++ = static_cast<std::uint8_t>(argument >> shift);
  out_.advance(1 + (std::size_t{1} << doublings));
}

void cbor_writer::value(const json& value) {
  switch (value.type()) {
  case json::value_t::null:
    return null();
  case json::value_t::boolean:
    return boolean(value.get<bool>());
  case json::value_t::number_unsigned:
    return unsigned_integer(value.get<std::uint64_t>());
  case json::value_t::number_integer:
    return integer(value.get<std::int64_t>());
  case json::value_t::string:
    return text(value.get_ref<const std::string&>());
  case json::value_t::array:
    array(value.size());
    for (const auto& element : value)
      this->value(element);
    return;
  case json::value_t::object:
    map(value.size());
    for (const auto& [key, member] : value.get_ref<const json::object_t&>()) {
      text(key);
      this->value(member);
    }
    return;
  case json::value_t::number_float: // in the shortest form that holds it
  case json::value_t::binary:
  case json::value_t::discarded: {
    const auto written = to_cbor(value);
    append(written.data(), written.size());
    return;
  }
  }
}

bool cbor_reader::head(cbor_major expected, std::uint64_t& argument) noexcept {
  if (rest_.empty() || major_of(rest_.front()) != expected)
    return false;
  const auto info = static_cast<std::uint8_t>(rest_.front() & 0x1f);
  if (info <= largest_in_head) {
    argument = info;
    rest_ = rest_.subspan(1);
    return true;
  }
  if (info > eight_bytes_follow)
    return false;
  const auto size = std::size_t{1} << (info - one_byte_follows);
  if (rest_.size() <= size)
    return false;
  argument = 0;
  for (std::size_t i = 1; i <= size; ++i)
    argument = argument << 8 | rest_[i];
  rest_ = rest_.subspan(1 + size);
  return true;
}

/// Each byte, item and pair takes at least one byte of what is left.
bool cbor_reader::size(cbor_major expected, std::size_t& out) noexcept {
  std::uint64_t argument = 0;
  if (!head(expected, argument) || argument > rest_.size())
    return false;
  out = static_cast<std::size_t>(argument);
  return true;
}

bool cbor_reader::take_null() noexcept {
  if (rest_.empty() || rest_.front() != cbor_null)
    return false;
  rest_ = rest_.subspan(1);
  return true;
}

bool cbor_reader::boolean(bool& out) noexcept {
  if (rest_.empty() || (rest_.front() != cbor_true && rest_.front() != cbor_false))
    return false;
  out = rest_.front() == cbor_true;
  rest_ = rest_.subspan(1);
  return true;
}

bool cbor_reader::unsigned_integer(std::uint64_t& out) noexcept {
  return head(cbor_major::unsigned_integer, out);
}

bool cbor_reader::integer(std::int64_t& out) noexcept {
  constexpr std::uint64_t largest = std::numeric_limits<std::int64_t>::max();
  const bool negative = is_negative();
  std::uint64_t argument = 0;
  if (!head(negative ? cbor_major::negative_integer : cbor_major::unsigned_integer, argument)
      || argument > largest)
    return false;
  out = negative ? -1 - static_cast<std::int64_t>(argument) : static_cast<std::int64_t>(argument);
  return true;
}

bool cbor_reader::floating(double& out) noexcept {
  if (rest_.empty())
    return false;
  const auto first = rest_.front();
  const std::size_t size = first == float_item ? 4 : first == double_item ? 8 : 0;
  if (size == 0 || rest_.size() <= size)
    return false;
  std::uint64_t bits = 0;
  for (std::size_t i = 1; i <= size; ++i)
    bits = bits << 8 | rest_[i];
  rest_ = rest_.subspan(1 + size);
  out = size == 4 ? std::bit_cast<float>(static_cast<std::uint32_t>(bits))
                  : std::bit_cast<double>(bits);
  return true;
}

bool cbor_reader::byte_string(std::span<const std::uint8_t>& out) noexcept {
  std::size_t length = 0;
  if (!size(cbor_major::bytes, length))
    return false;
  out = rest_.first(length);
  rest_ = rest_.subspan(length);
  return true;
}

bool cbor_reader::text(std::string_view& out) noexcept {
  std::size_t length = 0;
  if (!size(cbor_major::text, length))
    return false;
  out = {reinterpret_cast<const char*>(rest_.data()), length};
  rest_ = rest_.subspan(length);
  return true;
}

bool cbor_reader::array(std::size_t& out) noexcept {
  return size(cbor_major::array, out);
}

bool cbor_reader::map(std::size_t& out) noexcept {
  return size(cbor_major::map, out);
}

bool cbor_reader::value(json& out, std::size_t levels) {
  if (rest_.empty())
    return false;
  switch (major_of(rest_.front())) {
  case cbor_major::unsigned_integer: {
    std::uint64_t number = 0;
    if (!unsigned_integer(number))
      return false;
    out = number;
    return true;
  }
  case cbor_major::negative_integer: {
    std::int64_t number = 0;
    if (!integer(number))
      return false;
    out = number;
    return true;
  }
  case cbor_major::text: {
    std::string_view found;
    if (!text(found))
      return false;
    out = found;
    return true;
  }
  case cbor_major::array: {
    std::size_t count = 0;
    if (levels == 0 || !array(count))
      return false;
    out = json::array();
    auto& elements = out.get_ref<json::array_t&>();
    for (std::size_t i = 0; i < count; ++i)
      if (!value(elements.emplace_back(), levels - 1))
        return false;
    return true;
  }
  case cbor_major::map: {
    std::size_t count = 0;
    if (levels == 0 || !map(count))
      return false;
    out = json::object();
    auto& members = out.get_ref<json::object_t&>();
    for (std::size_t i = 0; i < count; ++i) {
      std::string_view key;
      if (!text(key) || (!members.empty() && key <= members.rbegin()->first))
        return false;
      const auto member = members.emplace_hint(members.end(), key, nullptr);
      if (!value(member->second, levels - 1))
        return false;
    }
    return true;
  }
  case cbor_major::simple: {
    bool truth = false;
    double number = 0;
    if (take_null())
      out = nullptr;
    else if (boolean(truth))
      out = truth;
    else if (floating(number))
      out = number;
    else
      return false;
    return true;
  }
  case cbor_major::bytes:
  case cbor_major::tag:
    return false;
  }
  return false;
}

bool cbor_reader::skip(std::size_t levels) noexcept {
  if (rest_.empty())
    return false;
  std::uint64_t number = 0;
  std::string_view text_found;
  std::size_t count = 0;
  bool truth = false;
  double fraction = 0;
  switch (const auto major = major_of(rest_.front())) {
  case cbor_major::unsigned_integer:
  case cbor_major::negative_integer:
    return head(major, number);
  case cbor_major::text:
    return text(text_found);
  case cbor_major::array:
  case cbor_major::map:
    if (levels == 0 || !size(major, count))
      return false;
    for (std::size_t i = 0; i < count; ++i)
      if ((major == cbor_major::map && !text(text_found)) || !skip(levels - 1))
        return false;
    return true;
  case cbor_major::simple:
    return take_null() || boolean(truth) || floating(fraction);
  case cbor_major::bytes:
  case cbor_major::tag:
    return false;
  }
  return false;
}

} // namespace fermata::detail
