#pragma once

#include <unistd.h>

#include <utility>

namespace fermata {

/// Owns a file descriptor and closes it. Not for use between `fork` and `exec`.
class file_descriptor {
public:
  file_descriptor() = default;
  explicit file_descriptor(int owned) noexcept : value_{owned} {}
  file_descriptor(file_descriptor&& other) noexcept : value_{std::exchange(other.value_, -1)} {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  file_descriptor(const file_descriptor&) = delete;
  file_descriptor& operator=(const file_descriptor&) = delete;
  ~file_descriptor() { reset(); }

  [[nodiscard]] int get() const noexcept { return value_; }
  [[nodiscard]] explicit operator bool() const noexcept { return value_ >= 0; }
  /// Gives up the ownership.
  [[nodiscard]] int release() noexcept { return std::exchange(value_, -1); }
  void reset() noexcept {
    if (value_ >= 0)
      ::close(value_);
    value_ = -1;
  }

private:
  int value_ = -1;
};

} // namespace fermata
