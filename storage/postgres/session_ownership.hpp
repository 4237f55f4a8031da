#pragma once

#include <fermata/storage/postgres/postgres_store.hpp>
#include <fermata/storage/postgres/session_slots.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace fermata {

/// Who owns a slot.
struct slot_owner {
  node_name node;          ///< Empty: nobody.
  std::uint64_t epoch = 0; ///< Grows with each change of the owner.
  bool has_lease = false;  ///< False: whoever comes first may acquire it.

  slot_owner() = default;
};

/// What is owned by whom, at one moment.
struct ownership_table {
  std::vector<slot_owner> slots; ///< By their numbers: `session_slots` of them.
  std::vector<node_name> nodes; ///< Those whose lease has not run out, in the order of their names.

  ownership_table() = default;

  /// The names of the owners that have a lease, for `fair_owners`.
  [[nodiscard]] std::vector<node_name> owners() const;
};

/// What a node learns when it renews its lease.
struct ownership_news {
  /// Slots that this node owned. Its commits of their sessions are refused from now on; what it has
  /// of them in memory is of the past.
  std::vector<std::uint32_t> lost;
  /// Slots that other nodes have moved to this one, which has not acquired them yet.
  std::vector<std::uint32_t> offered;

  ownership_news() = default;
};

/// The sessions that this node owns of a store that several nodes share. Slots of sessions have one
/// owner at a time, under an epoch that grows with each change. The store of a node writes commits
/// of sessions in its slots, under the epoch in which it acquired them; others get `conflict`,
/// which says who the owner is, and the rest of their batch is written all the same. So a node that
/// has been frozen or cut off, and whose slots have another owner since, cannot change their
/// sessions any more.
///
/// A node has a lease, until when others leave its slots to it. Leases go by the clock of the
/// database alone. Renew it several times in its length. One that has run out can still be renewed,
/// and what nobody has acquired meanwhile is still owned; that of a node that owns nothing is
/// forgotten after 30 days.
///
/// An effect outside of the store cannot be taken back by refusing a commit: ask `holds_lease`
/// immediately before it starts. A node that freezes between that answer and the start may still be
/// late.
///
/// Before a node acquires a slot, it must not have anything of an earlier ownership in memory.
///
/// Threads: all of it may be called from any thread. Errors of every call: `io_error` (whether it
/// was done is not known: renew, or look), `store_busy` when another process has come under this
/// node's name, `overloaded` when the server takes no more connections, `store_unavailable` after
/// `close`. Views that are open are in nobody's way: `renew`, `look` and `holds_lease` have a
/// connection of their own, one for each thread that calls at the same time.
class session_ownership {
public:
  /// Becomes a node, under the name that the store was opened with, and with no slots. What an
  /// earlier life of that name owned is free at once. `lease`: from 100 ms to 1 h. Also refuses:
  /// `invalid_field`.
  [[nodiscard]] static result<std::unique_ptr<session_ownership>>
  join(std::shared_ptr<postgres_store> store, std::chrono::milliseconds lease);

  /// Ending this gives nothing back: see `leave`.
  session_ownership(const session_ownership&) = delete;
  session_ownership& operator=(const session_ownership&) = delete;

  /// Begins the lease anew. Waits for an acquisition by another node that is under way, so that
  /// none takes a slot for free whose lease has just been renewed.
  [[nodiscard]] result<ownership_news> renew();

  /// Acquires those slots that have no owner, or one whose lease has run out, or that were moved to
  /// this node; returns which. Those that this node has acquired already are not among them.
  /// Nothing is acquired by who has no lease himself.
  [[nodiscard]] result<std::vector<std::uint32_t>> acquire(std::span<const std::uint32_t> slots);

  /// Gives slots back, so that anybody may acquire them. Those of others stay theirs.
  [[nodiscard]] caf::error release(std::span<const std::uint32_t> slots);

  /// Offers a slot of this node to another one. Refuses: `not_allowed` when this node does not own
  /// it, or `to` has no lease.
  [[nodiscard]] caf::error move(std::uint32_t slot, const node_name& to);

  /// Releases all and ends the lease.
  [[nodiscard]] caf::error leave();

  [[nodiscard]] result<ownership_table> look();

  /// Whether this node owns the session's slot, and its lease lasts so long at least: from when
  /// this returns, however long the answer took. False too when another process has come under this
  /// node's name.
  [[nodiscard]] result<bool> holds_lease(const session_id& session,
                                         std::chrono::milliseconds at_least);

  /// The slots that this node has acquired and has not learned to have lost, in order.
  [[nodiscard]] std::vector<std::uint32_t> acquired() const;

private:
  session_ownership(std::shared_ptr<postgres_store> store, std::chrono::milliseconds lease);

  [[nodiscard]] result<std::shared_ptr<detail::postgres_database>> database() const;

  const std::shared_ptr<postgres_store> store_;
  const std::chrono::milliseconds lease_;
};

} // namespace fermata
