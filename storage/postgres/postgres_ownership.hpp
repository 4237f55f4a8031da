#pragma once

#include <fermata/storage/postgres/postgres_store.hpp>
#include <fermata/storage/session_ownership.hpp>

#include <memory>
#include <type_traits>

namespace fermata {

/// What a node owns of a PostgreSQL store that several nodes share. The lease of a node that owns
/// nothing is forgotten after 30 days.
///
/// `renew` also takes up the connection again, and with it the node's name, where it was lost while
/// nothing was written; a lease is not renewed without it.
///
/// Every call also refuses: `overloaded` when the server takes no more connections. Views that are
/// open are in nobody's way: `renew`, `look` and `holds_lease` have a connection of their own, one
/// for each thread that calls at the same time. `acquire`, `move`, `release` and `leave` wait for
/// what the store writes, and for a node that is frozen amid a transaction: for
/// `transaction_timeout`. Whoever renews on the same thread needs a lease of more than twice that.
class postgres_ownership final : public session_ownership {
public:
  /// Becomes a node, under the name that the store was opened with, with no slots, and without a
  /// lease until it is renewed. What an earlier life of that name owned is free at once. `lease`:
  /// from 100 ms to 1 h. Also refuses: `invalid_field`.
  [[nodiscard]] static result<std::unique_ptr<postgres_ownership>>
  join(std::shared_ptr<postgres_store> store, std::chrono::milliseconds lease);

  [[nodiscard]] const node_name& node() const noexcept override { return node_; }
  [[nodiscard]] std::chrono::milliseconds lease() const noexcept override { return lease_; }
  [[nodiscard]] const store_identity& identity() const noexcept override {
    return store_->identity();
  }
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
  postgres_ownership(std::shared_ptr<postgres_store> store, node_name node,
                     std::chrono::milliseconds lease);

  /// Gives `body` the database. Errors: `store_unavailable`: the store is closed.
  template <class Body>
  auto with_database(const Body& body) const
      -> std::invoke_result_t<Body, detail::postgres_database&>;
  /// The same of a call about slots. Errors: also `invalid_field`.
  template <class Body>
  auto with_database(std::span<const std::uint32_t> slots, const Body& body) const
      -> std::invoke_result_t<Body, detail::postgres_database&>;

  const std::shared_ptr<postgres_store> store_;
  const node_name node_;
  const std::chrono::milliseconds lease_;
};

} // namespace fermata
