#pragma once

namespace fermata::test {

/// Is this the build with AddressSanitizer? It takes some ten times as long, so what repeats the
/// same with many seeds takes fewer of them.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif

} // namespace fermata::test
