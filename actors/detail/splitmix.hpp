#pragma once

#include <cstdint>

namespace fermata::detail {

/// The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): neighbours become unrelated.
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t value) noexcept {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

} // namespace fermata::detail
