#pragma once

#include <fermata/storage/detail/tables.hpp>
#include <fermata/storage/postgres/detail/connection.hpp>
#include <fermata/storage/session_slots.hpp>

namespace fermata::detail {

/// The table of those who have opened the store for writing: one row for each opening, its life.
inline constexpr std::string_view writers_table = "writers";
/// The lives that have a lease, or had one.
inline constexpr std::string_view nodes_table = "nodes";
/// The owner of each slot of sessions, by his life, and the epoch; 0: nobody.
inline constexpr std::string_view slots_table = "slots";

/// What is asked of one of the store's tables.
struct table_statements {
  postgres_statement get;     ///< The value of a key.
  postgres_statement get_all; ///< Keys and values of those of some keys that there are.
  /// Keys and values in order, from a key on, at most so many, and no more behind so many bytes.
  postgres_statement page;
  postgres_statement last;        ///< The greatest key.
  postgres_statement last_before; ///< The greatest key that is less than one.
  postgres_statement insert;      ///< Keys and values that were not there.
  postgres_statement put;         ///< Keys and values.
  postgres_statement erase;       ///< Keys.
};

/// All statements of a store in one schema, whose name needs quotes at most since it is a word
/// of SQL; of one of its nodes, or of its only owner.
class postgres_statements {
public:
  postgres_statements(const std::string& schema, const node_name& node);

  [[nodiscard]] const table_statements& operator[](table which) const noexcept;

  /// How a session is to work: timeouts, and plans that go by the indexes, whatever the statistics
  /// say of tables that were empty a moment ago.
  postgres_statement set_up_writer;
  postgres_statement set_up_reader;
  /// When the session began, which tells it from others of the same number.
  postgres_statement name_session;
  postgres_statement examine_server;
  postgres_statement find_schema;
  postgres_statement list_tables;
  postgres_statement create_schema;
  std::vector<postgres_statement> create_tables;
  /// Columns that stores of earlier versions lack.
  postgres_statement count_new_columns;
  postgres_statement add_new_columns;

  /// An entry of `meta`, unless somebody else has put one of its key.
  postgres_statement add_fact;

  postgres_statement begin;
  postgres_statement begin_reading;
  postgres_statement commit;
  postgres_statement roll_back;

  /// Lets the owners write one after the other: until the transaction ends.
  postgres_statement take_turn;
  /// Keeps a life's row, with its token, until the transaction ends.
  postgres_statement keep_life;
  /// The token of a life, unless a transaction keeps it.
  postgres_statement see_token;
  postgres_statement find_life;
  postgres_statement read_meta;
  /// Of each range of keys its entries, and the first one behind it.
  postgres_statement pending_ranges;
  postgres_statement leave_token;
  /// Of some slots their owners' lives and names, and epochs.
  postgres_statement slots_of_batch;

  postgres_statement lock_creation;
  /// The only owner does not get it while a node has a lease, whether or not that is connected.
  postgres_statement try_ownership;
  postgres_statement end_ownership;
  postgres_statement show_owner;
  /// Of the leases that last, the one that ends last: whose, and how many seconds it lasts.
  postgres_statement show_lease;
  /// Ends the sessions of owners that, amid a transaction, have been waiting for their client for
  /// longer than so many milliseconds. The server's own timeout does not count between the messages
  /// of a pipeline.
  postgres_statement end_frozen_owners;
  postgres_statement begin_life;
  postgres_statement forget_old_lives;
  postgres_statement last_life;
  postgres_statement end_session;
  postgres_statement size;

  // Ownership of sessions. Lists of slots are texts, with commas.
  postgres_statement end_other_leases;
  /// Leases that ended long ago, of who owns nothing.
  postgres_statement forget_old_leases;
  /// Lives of names that have no lease, and that no process has any more; some at a time.
  postgres_statement forget_old_names;
  /// With a lease that has run out.
  postgres_statement join_nodes;
  postgres_statement renew_lease; ///< Also says whether leases are to be limited.
  postgres_statement limit_leases;
  postgres_statement end_lease;
  /// Lets nobody renew a lease until the transaction ends.
  postgres_statement lock_leases;
  postgres_statement acquire_slots;
  postgres_statement release_slots;
  postgres_statement release_all_slots;
  postgres_statement move_slots;
  postgres_statement count_slots;
  postgres_statement own_slots;
  /// Also the names of all that have a lease, with commas.
  postgres_statement all_slots;
  /// How many milliseconds the lease of a slot's owner lasts.
  postgres_statement holds_lease;

private:
  struct names;

  void state_sessions(const names& of);
  void state_creation(const names& of);
  void state_transactions(const names& of);
  void state_lives(const names& of);
  void state_ownership(const names& of);
  void state_slots(const names& of);

  std::array<table_statements, all_tables.size()> of_tables_;
};

/// The bytes of values behind which a page of entries ends.
inline constexpr std::int64_t page_size_bytes = 4 << 20;

} // namespace fermata::detail
