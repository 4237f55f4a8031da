#include "allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::uint64_t count = 0;

} // namespace

std::uint64_t fermata::test::allocations() noexcept {
  return count;
}

void* operator new(std::size_t size_bytes, const std::nothrow_t&) noexcept {
  ++count;
  return std::malloc(size_bytes > 0 ? size_bytes : 1);
}

void* operator new(std::size_t size_bytes) {
  if (void* memory = operator new(size_bytes, std::nothrow))
    return memory;
  throw std::bad_alloc{};
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
