#pragma once

#include <fermata/messages/json.hpp>
#include <fermata/storage/detail/byte_order.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace fermata::detail {

/// An ordered map from bytes to bytes whose versions share what they have in common: copying is
/// O(1), a change is O(log n) and leaves all copies as they were. An AVL tree with path copying, so
/// its shape, and with it everything observable, depends on nothing but the changes made to it.
///
/// Different maps may be used on different threads, also when they share parts.
class ordered_map {
public:
  /// The value of a key, or null. It stays valid as long as any map that holds it.
  [[nodiscard]] const bytes* find(byte_view key) const noexcept;

  void insert_or_assign(byte_view key, bytes value);

  /// Returns whether the key was there.
  bool erase(byte_view key);

  /// Visits the entries in order from the first key that is not less than `from`, until `visit`
  /// returns false.
  using visitor = std::function<bool(byte_view key, byte_view value)>;
  void walk(byte_view from, const visitor& visit) const;

  /// The greatest key that is less than `bound`; empty when there is none.
  [[nodiscard]] byte_view last_before(byte_view bound) const noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
  struct node;
  using node_ptr = std::shared_ptr<const node>;
  struct entry {
    bytes key;
    bytes value;
  };
  using entry_ptr = std::shared_ptr<const entry>;

  static int height(const node_ptr& tree) noexcept;
  static node_ptr make(entry_ptr entry, node_ptr left, node_ptr right);
  static node_ptr balance(entry_ptr entry, node_ptr left, node_ptr right);
  static node_ptr insert(const node_ptr& tree, const entry_ptr& added);
  static node_ptr remove(const node_ptr& tree, byte_view key);
  static node_ptr remove_first(const node_ptr& tree);
  static bool visit_from(const node* tree, byte_view from, const visitor& visit);

  node_ptr root_;
  std::size_t size_ = 0;
};

} // namespace fermata::detail
