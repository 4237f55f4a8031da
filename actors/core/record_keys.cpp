#include <fermata/actors/core/record_keys.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace fermata::core {

namespace {

void erase_doubles(std::vector<record_key>& sorted) {
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
}

} // namespace

void record_keys::insert(const record_key& key) {
  if (!keys_.empty() && keys_.back() == key)
    return;
  is_sorted_ = is_sorted_ && (keys_.empty() || keys_.back() < key);
  keys_.push_back(key);
}

void record_keys::sort() {
  if (std::exchange(is_sorted_, true))
    return;
  std::sort(keys_.begin(), keys_.end());
  erase_doubles(keys_);
}

void record_keys::take(record_keys& other) {
  assert(is_sorted_ && other.is_sorted_);
  const auto middle = static_cast<std::ptrdiff_t>(keys_.size());
  keys_.insert(keys_.end(), other.keys_.begin(), other.keys_.end());
  std::inplace_merge(keys_.begin(), keys_.begin() + middle, keys_.end());
  erase_doubles(keys_);
  other.clear();
}

bool record_keys::contains(const record_key& key) const {
  assert(is_sorted_);
  return std::binary_search(keys_.begin(), keys_.end(), key);
}

} // namespace fermata::core
