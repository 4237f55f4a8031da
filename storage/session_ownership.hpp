#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>
#include <fermata/messages/store_identity.hpp>
#include <fermata/storage/session_slots.hpp>

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

namespace fermata {

/// Who owns a slot.
struct slot_owner {
  node_name node;          ///< Empty: nobody.
  std::uint64_t epoch = 0; ///< Grows with each change of the owner.
  bool has_lease = false;  ///< False: whoever comes first may acquire it.
  /// Another number each time that the owner renews his lease, and now and then besides.
  std::uint64_t renewal = 0;
  std::chrono::milliseconds lease{0}; ///< How long the owner's is.

  slot_owner() = default;
};

/// What is owned by whom, at one moment.
struct ownership_table {
  std::vector<slot_owner> slots; ///< By their numbers: `session_slots` of them.
  std::vector<node_name> nodes; ///< Those whose lease has not run out, in the order of their names.
  std::vector<node_name> draining; ///< Those of them that want no slots any more, in order.

  ownership_table() = default;

  /// The names of the owners that have a lease, for `fair_owners`.
  [[nodiscard]] std::vector<node_name> owners() const;
  /// The nodes that slots are for: those that do not drain.
  [[nodiscard]] std::vector<node_name> takers() const;
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

/// What a node wants of the others when it renews its lease.
enum class slot_wish : std::uint8_t {
  take, ///< Its share of the slots.
  give, ///< To get rid of all that it has: it drains.
};

/// The sessions that this node owns of a store that several nodes share. Slots of sessions have one
/// owner at a time, under an epoch that grows with each change. The store of a node writes commits
/// of sessions in its slots, under the epoch in which it acquired them; others get `conflict`,
/// which says who the owner is, and the rest of their batch is written all the same. So a node that
/// has been frozen or cut off, and whose slots have another owner since, cannot change their
/// sessions any more.
///
/// A node has a lease, until when others leave its slots to it. Leases go by the clock of the store
/// alone. One begins with the first `renew`: who has only joined gets no slots, so that one that
/// does not come to work has cost nobody any. Renew it several times in its length. One that has
/// run out can still be renewed, and what nobody has acquired meanwhile is still owned.
///
/// That clock may be set. Back: no lease is further away than its length for longer than until the
/// next `renew` of any node, which limits the others'. Forward: leases run out before their time,
/// so leave a slot to its owner until he has been seen not to renew his lease
/// (`slot_owner::renewal`) for as long as it is, by a clock that nobody sets: so long he may
/// believe in it.
///
/// An effect outside of the store cannot be taken back by refusing a commit: ask `holds_lease`
/// immediately before it starts, or go by when the lease was renewed last. A node that freezes
/// between that and the start may still be late.
///
/// Before a node acquires a slot, it must not have anything of an earlier ownership in memory.
///
/// Threads: all of it may be called from any thread. Errors of every call: `io_error` (whether it
/// was done is not known: renew, or look), `store_busy` when another process has come under this
/// node's name, `store_unavailable` after the store was closed, and what the implementation adds.
class session_ownership {
public:
  session_ownership() = default;
  session_ownership(const session_ownership&) = delete;
  session_ownership& operator=(const session_ownership&) = delete;
  /// Ending this gives nothing back: see `leave`.
  virtual ~session_ownership() = default;

  /// The name that this node has joined under.
  [[nodiscard]] virtual const node_name& node() const noexcept = 0;
  [[nodiscard]] virtual std::chrono::milliseconds lease() const noexcept = 0;

  /// Of the store that the nodes share: the same for all of them, and for all their lives; another
  /// one for any other store, unless that was copied from it. Never empty.
  [[nodiscard]] virtual const store_identity& identity() const noexcept = 0;

  /// Begins the lease, or begins it anew. Waits for an acquisition by another node that is under
  /// way, so that none takes a slot for free whose lease has just been renewed.
  [[nodiscard]] virtual result<ownership_news> renew(slot_wish wish = slot_wish::take) = 0;

  /// Acquires those slots that have no owner, or one whose lease has run out, or that were moved to
  /// this node; returns which, in order. Those that this node has acquired already are not among
  /// them. Nothing is acquired by who has no lease himself. Also refuses: `invalid_field`.
  [[nodiscard]] virtual result<std::vector<std::uint32_t>>
  acquire(std::span<const std::uint32_t> slots) = 0;

  /// Gives slots back, so that anybody may acquire them. Those of others stay theirs.
  [[nodiscard]] virtual caf::error release(std::span<const std::uint32_t> slots) = 0;

  /// Offers slots of this node to another one: all, or none. Refuses: `not_allowed` when this node
  /// does not own one of them, or `to` has no lease; `invalid_field`.
  [[nodiscard]] virtual caf::error move(std::span<const std::uint32_t> slots,
                                        const node_name& to) = 0;

  /// Releases all and ends the lease.
  [[nodiscard]] virtual caf::error leave() = 0;

  [[nodiscard]] virtual result<ownership_table> look() = 0;

  /// Whether this node owns the session's slot, and its lease lasts so long at least: from when
  /// this returns, however long the answer took. False too when another process has come under this
  /// node's name.
  [[nodiscard]] virtual result<bool> holds_lease(const session_id& session,
                                                 std::chrono::milliseconds at_least) = 0;

  /// The slots that this node has acquired and has not learned to have lost, in order.
  [[nodiscard]] virtual std::vector<std::uint32_t> acquired() const = 0;
};

} // namespace fermata
