#include "counting_store.hpp"

#include <numeric>

namespace fermata::bench {

commit_shape::commit_shape(const commit& of) {
  constexpr std::size_t seal = 5; // checksum and format, on every value
  log = seal + 28;
  for (const auto& event : of.events)
    log += 4 + event.size();
  for (const auto& record : of.records) {
    if (record.key.kind == record_kind::head)
      head = seal + 19 + of.session.str().size() + record.value->size();
    else
      parts.push_back(seal + (record.value ? record.value->size() : 0));
  }
  for (const auto& entry : of.pending)
    pending.push_back(entry.value ? seal + entry.value->size() : 0);
}

std::size_t commit_shape::size_bytes() const {
  const auto of_parts = std::accumulate(parts.begin(), parts.end(), std::size_t{0});
  return std::accumulate(pending.begin(), pending.end(), log + head + of_parts);
}

std::vector<commit_outcome> counting_store::write(std::span<const commit> commits) {
  if (kept != nullptr)
    kept->insert(kept->end(), commits.begin(), commits.end());
  if (counting_) {
    ++transactions;
    for (const auto& one : commits)
      shapes.emplace_back(one);
  }
  if (delay.count() > 0)
    std::this_thread::sleep_for(delay * commits.size());
  return behind_->write(commits);
}

void counting_store::begin() {
  transactions = 0;
  shapes.clear();
  counting_ = true;
}

std::size_t counting_store::size_bytes() const {
  std::size_t sum = 0;
  for (const auto& one : shapes)
    sum += one.size_bytes();
  return sum;
}

double counting_store::commits_per_transaction() const {
  return static_cast<double>(shapes.size()) / static_cast<double>(transactions);
}

} // namespace fermata::bench
