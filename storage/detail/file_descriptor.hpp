#pragma once

#include <unistd.h>

#include <utility>

namespace fermata::detail {

/// Owns an open file; -1: none.
class file_descriptor {
public:
  file_descriptor() = default;
  explicit file_descriptor(int descriptor) noexcept : descriptor_{descriptor} {}
  file_descriptor(file_descriptor&& other) noexcept
      : descriptor_{std::exchange(other.descriptor_, -1)} {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~file_descriptor() { reset(); }

  void reset() noexcept {
    if (descriptor_ >= 0)
      ::close(std::exchange(descriptor_, -1));
  }

  [[nodiscard]] int get() const noexcept { return descriptor_; }
  explicit operator bool() const noexcept { return descriptor_ >= 0; }

private:
  int descriptor_ = -1;
};

} // namespace fermata::detail
