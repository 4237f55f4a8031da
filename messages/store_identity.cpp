#include <fermata/messages/store_identity.hpp>

#include <fermata/messages/digest.hpp>

#include <algorithm>

namespace fermata {

store_identity::store_identity(std::uint64_t high, std::uint64_t low)
    : text_{hexadecimal_digits(high) + hexadecimal_digits(low)} {}

result<store_identity> store_identity::parse(std::string_view text) {
  const auto is_digit = [](char c) {
    return std::string_view{"0123456789abcdef"}.find(c) != std::string_view::npos;
  };
  if (text.size() != size_digits || !std::all_of(text.begin(), text.end(), is_digit))
    return make_error(errc::invalid_id,
                      "identity of a store refused: accepted are 32 hex digits in lower case");
  store_identity parsed;
  parsed.text_ = text;
  return parsed;
}

} // namespace fermata
