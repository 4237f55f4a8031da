#pragma once

#include <cstdint>

namespace fermata::test {

/// How often the calling thread has called `operator new` so far. The whole program's is replaced
/// by one that counts.
[[nodiscard]] std::uint64_t allocations() noexcept;

} // namespace fermata::test
