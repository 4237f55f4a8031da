#include <fermata/storage/detail/ordered_map.hpp>

#include <algorithm>
#include <cassert>
#include <compare>

namespace fermata::detail {

struct ordered_map::node {
  entry_ptr content;
  node_ptr left;
  node_ptr right;
  int height;

  node(entry_ptr held, node_ptr lesser, node_ptr greater, int levels)
      : content{std::move(held)}, left{std::move(lesser)}, right{std::move(greater)}, height{
                                                                                          levels} {}
};

namespace {

std::strong_ordering compare(byte_view left, byte_view right) noexcept {
  return std::lexicographical_compare_three_way(left.begin(), left.end(), right.begin(),
                                                right.end());
}

} // namespace

const bytes* ordered_map::find(byte_view key) const noexcept {
  for (auto* tree = root_.get(); tree != nullptr;) {
    const auto order = compare(key, tree->content->key);
    if (order == 0)
      return &tree->content->value;
    tree = order < 0 ? tree->left.get() : tree->right.get();
  }
  return nullptr;
}

void ordered_map::insert_or_assign(byte_view key, bytes value) {
  if (find(key) == nullptr)
    ++size_;
  auto added = std::make_shared<const entry>(entry{{key.begin(), key.end()}, std::move(value)});
  root_ = insert(root_, added);
}

bool ordered_map::erase(byte_view key) {
  if (find(key) == nullptr)
    return false;
  root_ = remove(root_, key);
  --size_;
  return true;
}

void ordered_map::walk(byte_view from, const visitor& visit) const {
  visit_from(root_.get(), from, visit);
}

byte_view ordered_map::last_before(byte_view bound) const noexcept {
  byte_view best;
  for (auto* tree = root_.get(); tree != nullptr;) {
    if (compare(tree->content->key, bound) < 0) {
      best = tree->content->key;
      tree = tree->right.get();
    } else {
      tree = tree->left.get();
    }
  }
  return best;
}

int ordered_map::height(const node_ptr& tree) noexcept {
  return tree ? tree->height : 0;
}

ordered_map::node_ptr ordered_map::make(entry_ptr content, node_ptr left, node_ptr right) {
  const auto tallest = std::max(height(left), height(right));
  return std::make_shared<const node>(std::move(content), std::move(left), std::move(right),
                                      tallest + 1);
}

/// Makes a tree of two subtrees whose heights differ by at most two.
ordered_map::node_ptr ordered_map::balance(entry_ptr content, node_ptr left, node_ptr right) {
  if (height(left) > height(right) + 1) {
    if (height(left->left) >= height(left->right))
      return make(left->content, left->left, make(std::move(content), left->right, right));
    const auto& pivot = left->right;
    return make(pivot->content, make(left->content, left->left, pivot->left),
                make(std::move(content), pivot->right, right));
  }
  if (height(right) > height(left) + 1) {
    if (height(right->right) >= height(right->left))
      return make(right->content, make(std::move(content), left, right->left), right->right);
    const auto& pivot = right->left;
    return make(pivot->content, make(std::move(content), left, pivot->left),
                make(right->content, pivot->right, right->right));
  }
  return make(std::move(content), std::move(left), std::move(right));
}

ordered_map::node_ptr ordered_map::insert(const node_ptr& tree, const entry_ptr& added) {
  if (!tree)
    return make(added, nullptr, nullptr);
  const auto order = compare(added->key, tree->content->key);
  if (order == 0)
    return make(added, tree->left, tree->right);
  if (order < 0)
    return balance(tree->content, insert(tree->left, added), tree->right);
  return balance(tree->content, tree->left, insert(tree->right, added));
}

ordered_map::node_ptr ordered_map::remove_first(const node_ptr& tree) {
  if (!tree->left)
    return tree->right;
  return balance(tree->content, remove_first(tree->left), tree->right);
}

ordered_map::node_ptr ordered_map::remove(const node_ptr& tree, byte_view key) {
  assert(tree);
  const auto order = compare(key, tree->content->key);
  if (order < 0)
    return balance(tree->content, remove(tree->left, key), tree->right);
  if (order > 0)
    return balance(tree->content, tree->left, remove(tree->right, key));
  if (!tree->left)
    return tree->right;
  if (!tree->right)
    return tree->left;
  auto* first = tree->right.get();
  while (first->left)
    first = first->left.get();
  return balance(first->content, tree->left, remove_first(tree->right));
}

bool ordered_map::visit_from(const node* tree, byte_view from, const visitor& visit) {
  if (tree == nullptr)
    return true;
  const auto included = compare(tree->content->key, from) >= 0;
  if (included && !visit_from(tree->left.get(), from, visit))
    return false;
  if (included && !visit(tree->content->key, tree->content->value))
    return false;
  return visit_from(tree->right.get(), from, visit);
}

} // namespace fermata::detail
