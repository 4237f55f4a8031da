#pragma once

#include <fermata/messages/json.hpp>

#include <string>
#include <string_view>

namespace fermata {

/// A number in 16 lower-case hexadecimal digits.
[[nodiscard]] std::string hexadecimal_digits(std::uint64_t number);

/// The SHA-256 (FIPS 180-4) of `data` in 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256(std::string_view data);

/// The SHA-256 of a value's compact JSON text with sorted keys: equal values have equal digests.
[[nodiscard]] std::string digest_of(const json& value);

} // namespace fermata
