#pragma once

#include <fermata/messages/errors.hpp>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace fermata {

/// Tells one store that several nodes share from all others: 128 bits, drawn at random when the
/// store is made, and kept in it for good. So a copy of a store has that of its original. Its text
/// is 32 hex digits, lower case.
class store_identity {
public:
  static constexpr std::size_t size_digits = 32;

  /// Empty: that of no store.
  store_identity() = default;
  store_identity(std::uint64_t high, std::uint64_t low);

  /// Errors: `invalid_id`.
  [[nodiscard]] static result<store_identity> parse(std::string_view text);

  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

  friend auto operator<=>(const store_identity&, const store_identity&) = default;

private:
  std::string text_;
};

} // namespace fermata
