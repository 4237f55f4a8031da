#pragma once

#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/session_ownership.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace fermata {

/// What nodes share beside the data of a `memory_store`: its identity, who lives, who owns which
/// slot, and the clock that leases go by. Thread-safe.
class memory_ownership_table {
public:
  using clock = std::function<std::chrono::steady_clock::time_point()>;

  /// `now` is asked on whatever thread calls, and must not call the table or a store. It may go
  /// back.
  explicit memory_ownership_table(clock now = std::chrono::steady_clock::now);

  /// The same, with an identity that is not drawn from the system's entropy: for simulations.
  memory_ownership_table(clock now, store_identity identity);

  [[nodiscard]] const store_identity& identity() const noexcept { return identity_; }

  /// As if the node's lease had run out just now.
  void end_lease(const node_name& node);

  /// As `session_ownership::look`, for who is no node.
  [[nodiscard]] ownership_table look();

  /// Calls `changed` for each slot that gets another owner, or the same one under another epoch:
  /// inside of the change, so it must not call the table or a store.
  void
  on_change(std::function<void(std::uint32_t slot, const slot_owner& before, const slot_owner& now)>
                changed);

private:
  friend class memory_ownership;

  struct member {
    std::uint64_t life = 0; ///< The last one that has come under its name.
    std::chrono::steady_clock::time_point lease_until;
    std::chrono::milliseconds lease{0};
    bool drains = false;
    std::uint64_t renewal = 0; ///< Which one it was, of all.
  };
  struct slot {
    node_name owner;
    std::uint64_t life = 0; ///< The owner's; 0: nobody's.
    std::uint64_t epoch = 0;
  };

  // With `mutex_` locked.
  [[nodiscard]] bool has_lease(const member& node) const { return node.lease_until > now_(); }
  /// Null: it has left, or another life has come under its name.
  [[nodiscard]] member* find(const node_name& node, std::uint64_t life);
  /// Whether others must leave the slot to its owner.
  [[nodiscard]] bool is_taken(const slot& one);
  [[nodiscard]] slot_owner owner_of(const slot& one);
  [[nodiscard]] ownership_table contents();

  std::mutex mutex_;
  const clock now_;
  const store_identity identity_;
  std::map<node_name, member> members_;
  std::vector<slot> slots_;
  std::uint64_t last_life_ = 0;
  std::uint64_t last_renewal_ = 0;
  std::function<void(std::uint32_t, const slot_owner&, const slot_owner&)> changed_;
};

/// What a node owns of the data of a `memory_store`, for simulations and tests: the same contract
/// as that of nodes that share a database.
///
/// Each call is one with the writes of all openings: none is decided on before and stored after it.
/// It is refused where the node's opening refuses writes: `io_error` while that cannot be reached,
/// when nothing was done, and `store_unavailable` after a crash. `acquired` always answers.
class memory_ownership final : public session_ownership {
public:
  /// Becomes a node with no slots, and without a lease until it is renewed. What an earlier life of
  /// that name owned is free at once, and its commits are refused from now on. `store` is this
  /// node's own opening of the data that the table is about (`memory_store::beside`), which nobody
  /// uses yet: it gets a guard (`on_commit`), that refuses commits of sessions which this node does
  /// not own. `lease`: from 100 ms to 1 h. Also refuses: `invalid_field`.
  [[nodiscard]] static result<std::unique_ptr<memory_ownership>>
  join(std::shared_ptr<memory_ownership_table> table, node_name node,
       std::shared_ptr<memory_store> store, std::chrono::milliseconds lease);

  [[nodiscard]] const node_name& node() const noexcept override { return node_; }
  [[nodiscard]] std::chrono::milliseconds lease() const noexcept override { return lease_; }
  [[nodiscard]] const store_identity& identity() const noexcept override;
  [[nodiscard]] result<ownership_news> renew(slot_wish wish = slot_wish::take) override;
  [[nodiscard]] result<std::vector<std::uint32_t>>
  acquire(std::span<const std::uint32_t> slots) override;
  [[nodiscard]] caf::error release(std::span<const std::uint32_t> slots) override;
  [[nodiscard]] caf::error move(std::span<const std::uint32_t> slots, const node_name& to) override;
  [[nodiscard]] caf::error leave() override;
  [[nodiscard]] result<ownership_table> look() override;
  [[nodiscard]] result<bool> holds_lease(const session_id& session,
                                         std::chrono::milliseconds at_least) override;
  [[nodiscard]] std::vector<std::uint32_t> acquired() const override;

private:
  struct life;

  memory_ownership(std::shared_ptr<memory_store> store, std::chrono::milliseconds lease,
                   std::shared_ptr<life> joined);

  /// Runs `body` with the table locked, while nothing is written.
  caf::error look_at(const std::function<caf::error()>& body) const;
  /// The same, where another process has not come under this node's name.
  caf::error change(const std::function<caf::error()>& body) const;

  const std::shared_ptr<memory_store> store_;
  const std::chrono::milliseconds lease_;
  const std::shared_ptr<life> life_; ///< Shared with the guard of the store.
  const node_name node_;
};

} // namespace fermata
