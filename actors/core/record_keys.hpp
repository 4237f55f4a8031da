#pragma once

#include <fermata/storage/store.hpp>

#include <vector>

namespace fermata::core {

/// A set of keys of records. A vector, sorted when all are in it: there are few of them, or many at
/// once.
class record_keys {
public:
  void insert(const record_key& key);

  /// Puts the keys in their order, each once. Before, only `insert`, `empty` and `clear` may be
  /// called, unless they were inserted in order.
  void sort();

  /// Takes all keys of `other`, which is empty then. Both are sorted.
  void take(record_keys& other);

  void clear() noexcept {
    keys_.clear();
    is_sorted_ = true;
  }
  [[nodiscard]] bool contains(const record_key& key) const;
  [[nodiscard]] bool empty() const noexcept { return keys_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] auto begin() const noexcept { return keys_.begin(); }
  [[nodiscard]] auto end() const noexcept { return keys_.end(); }
  friend bool operator==(const record_keys&, const record_keys&) = default;

private:
  std::vector<record_key> keys_;
  bool is_sorted_ = true;
};

} // namespace fermata::core
