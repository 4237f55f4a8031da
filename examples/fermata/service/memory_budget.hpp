#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

namespace fermata::service {

/// Bounds what the large bodies of all connections take together: one connection may have a body of
/// the largest size, but not all of them at once. From any thread; outlives its shares.
class memory_budget {
public:
  explicit memory_budget(std::size_t size_bytes) : size_bytes_{size_bytes}, left_{size_bytes} {}

  /// All of it: no share is larger.
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

  /// Some of the budget, given back when it is destroyed.
  class share {
  public:
    share() = default;
    share(share&& other) noexcept
        : from_{std::exchange(other.from_, nullptr)}, size_{other.size_} {}
    share& operator=(share&& other) noexcept {
      if (this != &other) {
        give_back();
        from_ = std::exchange(other.from_, nullptr);
        size_ = other.size_;
      }
      return *this;
    }
    ~share() { give_back(); }

  private:
    friend class memory_budget;
    share(memory_budget& from, std::size_t size) : from_{&from}, size_{size} {}
    void give_back() noexcept {
      if (auto* to = std::exchange(from_, nullptr))
        to->left_ += size_;
    }

    memory_budget* from_ = nullptr;
    std::size_t size_ = 0;
  };

  /// Nothing: there is not so much left.
  [[nodiscard]] std::optional<share> take(std::size_t size_bytes) {
    auto left = left_.load();
    do {
      if (left < size_bytes)
        return std::nullopt;
    } while (!left_.compare_exchange_weak(left, left - size_bytes));
    return share{*this, size_bytes};
  }

private:
  std::size_t size_bytes_;
  std::atomic<std::size_t> left_;
};

} // namespace fermata::service
