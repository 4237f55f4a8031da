#pragma once

#include <fermata/storage/store.hpp>

#include <atomic>
#include <chrono>
#include <thread>

namespace fermata::bench {

/// The sizes of one commit's puts, as plain LMDB repeats them.
struct commit_shape {
  std::size_t log = 0;
  std::size_t head = 0;
  std::vector<std::size_t> parts;
  std::vector<std::size_t> pending; // 0: erased

  commit_shape() = default;
  explicit commit_shape(const commit& of);
  [[nodiscard]] std::size_t size_bytes() const;
};

/// Counts, and can keep, what passes through to a store, and can be a slow disk.
class counting_store final : public store {
public:
  explicit counting_store(std::shared_ptr<store> behind) : behind_{std::move(behind)} {}

  std::vector<commit_outcome> write(std::span<const commit> commits) override;
  result<reclaim_outcome> reclaim(std::size_t limit) override { return behind_->reclaim(limit); }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    return behind_->find(session);
  }
  result<std::unique_ptr<view>> read() override { return behind_->read(); }

  /// Forgets what was counted, and counts from now on. While nothing is written.
  void begin();
  /// While nothing is written.
  void end() { counting_ = false; }

  /// What was counted.
  std::size_t transactions = 0;
  std::vector<commit_shape> shapes;
  [[nodiscard]] std::size_t size_bytes() const;
  [[nodiscard]] double commits_per_transaction() const;

  /// Where commits are kept, if anywhere. Set while nothing is written.
  std::vector<commit>* kept = nullptr;

  /// What a commit takes longer than it would.
  std::chrono::microseconds delay{0};

private:
  std::atomic<bool> counting_{false};
  std::shared_ptr<store> behind_;
};

} // namespace fermata::bench
