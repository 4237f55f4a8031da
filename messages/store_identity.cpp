#include <fermata/messages/store_identity.hpp>

#include <algorithm>
#include <array>

namespace fermata {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

} // namespace

store_identity::store_identity(std::uint64_t high, std::uint64_t low) {
  text_.reserve(size_digits);
  for (const auto half : std::array{high, low})
    for (int shift = 60; shift >= 0; shift -= 4)
      text_.push_back(digits[(half >> shift) & 0xF]);
}

result<store_identity> store_identity::parse(std::string_view text) {
  const auto is_digit = [](char c) { return digits.find(c) != std::string_view::npos; };
  if (text.size() != size_digits || !std::all_of(text.begin(), text.end(), is_digit))
    return make_error(errc::invalid_id,
                      "identity of a store refused: accepted are 32 hex digits in lower case");
  store_identity parsed;
  parsed.text_ = text;
  return parsed;
}

} // namespace fermata
