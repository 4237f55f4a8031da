#pragma once

#include <fermata/messages/store_identity.hpp>
#include <fermata/storage/store.hpp>
#include <fermata/storage/store_access.hpp>
#include <fermata/storage/verify_store.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace fermata {

namespace detail {
class postgres_database;
}

class postgres_ownership;

struct postgres_options {
  /// Where the database is, as libpq reads it: `host=/run/postgresql dbname=fermata`, or a URI.
  /// What it does not say comes from libpq's environment variables and defaults. It must lead to a
  /// server of PostgreSQL, or to a proxy that gives each connection one of its own.
  std::string connection;
  /// Where its tables are. A schema of its own: one that holds other tables is refused. A letter or
  /// underscore, then letters, digits and underscores; lower case, at most 63, not `pg_...`.
  std::string schema = "fermata";
  /// The name of this node, where several share the store: then `write` is for the sessions that
  /// the node owns (`postgres_ownership`). One process at a time has a name. Empty: the store has
  /// one owner, and nobody else writes to it.
  node_name node;
  store_access access = store_access::read_write;
  /// Whether `read_write` makes schema and tables where there are none.
  bool create = true;
  /// Which store that is to be; another one, or none, is `other_store`: it is not touched, and none
  /// is made. Empty: any.
  store_identity identity;
  /// How long is waited for the database: to connect, for each answer to a round trip, and, after a
  /// lost connection, until it can be reached again. From 100 ms to 1 h.
  std::chrono::milliseconds timeout = std::chrono::seconds{10};
  /// After so much silence of the owner amid a transaction, the transaction is ended together with
  /// the ownership, since the owner has frozen: by the database, or by who wants to be the next
  /// owner. The same for all who open the store. From 100 ms to 1 h.
  std::chrono::milliseconds transaction_timeout = std::chrono::seconds{5};
  /// Views that can be open at once; each takes a connection. At least 1. What writes has one more,
  /// and so has `postgres_ownership`.
  std::size_t max_views = 16;
  /// False: `write` does not wait for the disk, and a server whose `fsync` is off is accepted. A
  /// machine that loses power loses what was acknowledged, or the whole database. For tests and
  /// measurements only.
  bool sync = true;

  postgres_options() = default;
};

/// Which store that is, for people: `schema fermata of database work at db`. Never has a password.
[[nodiscard]] std::string describe(const postgres_options& options);

/// A store in a PostgreSQL database (version 13 or newer): one SQL table for each table of a store,
/// in a schema of its own. Part of `fermata::postgres`.
///
/// One process owns a store for writing; others may open it `read_only` beside the owner, also on a
/// standby. Ownership belongs to a session of the database, and so ends with the owner's process,
/// at the latest when the server notices that its machine is gone: within 25 s, or `timeout` where
/// that is longer (sessions ask for that, by TCP keepalive). An owner that has lost its
/// connection takes it up again, unless another one has come meanwhile: then its writing is
/// `store_busy` until it opens the store anew. Nodes that share the store lose their connections
/// and stay nodes: while one of them has a lease, nobody becomes the only owner.
///
/// Durability: `write` returns once the database has committed with `synchronous_commit`, which is
/// switched on where it is off; a server whose `fsync` is off is refused. A commit that waits only
/// for this server is lost where another one takes over that had not received it: set
/// `synchronous_standby_names`.
///
/// A batch takes two round trips, whatever its size, and the store's other calls take one for each
/// record, or for each 16 to 256 entries of a range.
///
/// Failures: a connection that is lost before the commit was sent is made again, and the batch
/// written. One that is lost afterwards leaves the batch's fate unknown: each batch leaves a token
/// with what it writes, which is looked up once the transaction is known to be over. Stored: the
/// outcomes are as decided. Not stored: `io_error`. When the database cannot be reached within
/// `timeout`, the error says that the fate is not known, and nothing is served (`io_error`) until a
/// later call has settled it. Reads do not wait for a database that cannot be reached, but for one
/// attempt to settle that, of their own or of another call.
///
/// A call that loses the database for good takes about three times `timeout` at most, and longer
/// only to look up the name of its host.
///
/// Forking: in a child process, a store of its parent is `store_unavailable`.
class postgres_store final : public store {
public:
  /// Connects, and opens or creates the store. An owner that is about to go is waited for, 2 s.
  ///
  /// Errors: `invalid_field` (an option), `store_busy` (the message names the owner's host and
  /// process), `store_unavailable` (the database cannot be reached or used, or there is no store in
  /// it; the database's own message is in it, but never a password), `other_store`,
  /// `store_corrupt`, `store_too_new`, `disk_full`, `io_error`.
  [[nodiscard]] static result<std::shared_ptr<postgres_store>> open(postgres_options options);

  ~postgres_store() override;

  /// Also refuses, as all reads do: `store_too_new` when another version has upgraded the store
  /// meanwhile. `store_unavailable` when it is open `read_only`; `store_busy` when another
  /// process has become the owner; `limit_exceeded` when one batch writes more than 256 MiB.
  /// `disk_full` is the database's; where it ends at a full disk, it is `io_error`.
  std::vector<commit_outcome> write(std::span<const commit> commits) override;

  /// Also refuses: as `write`. What is erased makes room for what is written later, once the
  /// database has vacuumed.
  result<reclaim_outcome> reclaim(std::size_t limit) override;

  result<std::optional<session_anchor>> find(const session_id& session) override;

  /// A long view blocks nobody, but keeps the database from vacuuming. Also refuses: `overloaded`
  /// when `max_views` are open for as long as `timeout`, or the server takes no more connections.
  result<std::unique_ptr<view>> read() override;

  /// By which nodes that share the store know that they do: drawn when the store is made, or by the
  /// first that opens it for writing where it was made by a version without. Empty: it has none
  /// yet, and was opened `read_only`. A copy of the database has the same; deleting it from the
  /// copy (`DELETE FROM <schema>.meta WHERE key = 'identity'`), while nobody has that open, gives
  /// it one of its own at the next opening. Also of a store that is closed.
  [[nodiscard]] const store_identity& identity() const noexcept { return identity_; }

  /// Reads the whole store, as of one moment, and checks each checksum and whether the tables agree
  /// with each other. `size_bytes` is what the database has in its files. A damaged store is a
  /// result, with problems.
  [[nodiscard]] result<verify_report> verify();

  /// Ends ownership, once the open views are gone; every call after it is `store_unavailable`. Not
  /// during a `write`.
  void close();

private:
  friend postgres_ownership;

  postgres_store(std::shared_ptr<detail::postgres_database> database, store_access access);

  std::shared_ptr<detail::postgres_database> database() const;

  mutable std::mutex mutex_;
  std::shared_ptr<detail::postgres_database> database_;
  store_access access_;
  const store_identity identity_;
};

} // namespace fermata
