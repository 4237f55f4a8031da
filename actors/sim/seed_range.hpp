#pragma once

#include <fermata/messages/errors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::sim {

/// Seeds from one to another, both included.
struct seed_range {
  std::uint64_t first = 1;
  std::uint64_t last = 1; ///< Not less than `first`.

  seed_range() = default;
  seed_range(std::uint64_t from, std::uint64_t to) : first{from}, last{to} {}
  friend bool operator==(const seed_range&, const seed_range&) = default;
};

/// Reads `17` or `1-500`. Errors: `invalid_field` for anything else, and for a range that ends
/// before it begins; the message says what is accepted.
[[nodiscard]] result<seed_range> parse_seed_range(std::string_view text);

/// As `parse_seed_range` reads it.
[[nodiscard]] std::string to_text(const seed_range& range);

} // namespace fermata::sim
