#pragma once

#include <cassert>
#include <memory>
#include <optional>
#include <utility>

namespace fermata::core {

/// An optional value that takes a pointer where there is none, for large ones that are rarely
/// there. Copying copies the value, and moving leaves the other one without.
template <class T>
class boxed {
public:
  boxed() noexcept = default;
  boxed(std::nullopt_t) noexcept {}
  boxed(T value) : value_{std::make_unique<T>(std::move(value))} {}
  boxed(const boxed& other) : value_{other ? std::make_unique<T>(*other) : nullptr} {}
  boxed(boxed&&) noexcept = default;
  boxed& operator=(boxed other) noexcept {
    value_ = std::move(other.value_);
    return *this;
  }
  ~boxed() = default;

  template <class... Args>
  T& emplace(Args&&... args) {
    value_ = std::make_unique<T>(std::forward<Args>(args)...);
    return *value_;
  }
  void reset() noexcept { value_.reset(); }

  [[nodiscard]] bool has_value() const noexcept { return value_ != nullptr; }
  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }

  T& operator*() noexcept {
    assert(value_);
    return *value_;
  }
  const T& operator*() const noexcept {
    assert(value_);
    return *value_;
  }
  T* operator->() noexcept { return &**this; }
  const T* operator->() const noexcept { return &**this; }

private:
  std::unique_ptr<T> value_;
};

} // namespace fermata::core
