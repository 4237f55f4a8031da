#pragma once

#include <fermata/storage/postgres/detail/batch.hpp>
#include <fermata/storage/postgres/detail/statements.hpp>
#include <fermata/storage/postgres/postgres_store.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace fermata::detail {

/// A session of the database, as others see it: numbers of processes are used again.
struct postgres_session_name {
  std::int64_t backend = 0;
  std::string since;
};

/// One store that is open in this process: the session that owns and writes it, those that read it,
/// and its recovery from lost connections.
class postgres_database : public std::enable_shared_from_this<postgres_database> {
public:
  [[nodiscard]] static result<std::shared_ptr<postgres_database>> open(postgres_options options);

  ~postgres_database();
  postgres_database(const postgres_database&) = delete;
  postgres_database& operator=(const postgres_database&) = delete;

  /// The tables as of now; keeps this alive. With `session`: its number is read at once.
  [[nodiscard]] result<std::unique_ptr<table_reader>> read(const session_id* session = nullptr);

  /// Runs `fill` in a write transaction, which is committed if it returns true. An error of `fill`
  /// aborts. Called by one thread at a time. After an error nothing of it is stored, or nothing is
  /// served before that is settled.
  using filler = std::function<result<bool>(table_writer&)>;
  [[nodiscard]] caf::error write(const expected_reads& reads, const filler& fill);

  /// As `store::reclaim`; a `write` if there is something to erase.
  [[nodiscard]] result<reclaim_outcome> reclaim(std::size_t limit);

  /// What the tables take up, with their indexes.
  [[nodiscard]] result<std::uint64_t> size_bytes();

  // Ownership of sessions, where several nodes share the store.

  /// Inside of a `filler`: refuses, with `conflict`, to write a session that this node does not
  /// own.
  [[nodiscard]] caf::error check_owner(const session_id& session) const;

  /// A statement with its parameters.
  using order = std::pair<const postgres_statement*, postgres_parameters>;
  /// Executes them in one transaction, which has its turn among all that write. With
  /// `is_repeatable`: once more after a lost connection, though the first time may have been one.
  /// `is_done` gets their answers before anybody else has the turn in this process.
  using listener = std::function<void(const std::vector<postgres_rows>&)>;
  [[nodiscard]] caf::error change(const std::vector<order>& orders, bool is_repeatable,
                                  const listener& is_done);
  /// Executes one, whoever has the turn; on a connection that is no view's.
  [[nodiscard]] result<postgres_rows> ask(const postgres_statement& statement,
                                          const postgres_parameters& parameters);

  /// Makes sure that the session is there which owns the store, by a round trip on it: one that was
  /// lost, with its locks, is noticed only by use. Where a call is using it, that call does.
  /// Errors: `io_error`; `store_busy` when another process has come since.
  [[nodiscard]] caf::error keep_owning();

  [[nodiscard]] const postgres_statements& statements() const noexcept { return statements_; }
  [[nodiscard]] const node_name& node() const noexcept { return options_.node; }
  [[nodiscard]] std::int64_t life() const noexcept { return life_; }
  /// Empty: there is none yet, and this only reads.
  [[nodiscard]] const store_identity& identity() const noexcept { return identity_; }

  /// The slots that this node has acquired, with the epochs in which it did. May be called by any
  /// thread.
  [[nodiscard]] std::map<std::uint32_t, std::int64_t> acquired() const;
  [[nodiscard]] std::optional<std::int64_t> acquired_in(std::uint32_t slot) const;
  /// These two in a `listener`, so that they come in the order of the changes.
  void set_acquired(std::uint32_t slot, std::int64_t epoch);
  void set_lost(std::uint32_t slot);
  /// Only if that is the epoch in which it was acquired; false: it is not.
  bool set_lost(std::uint32_t slot, std::int64_t epoch);

private:
  using time_point = postgres_clock::time_point;
  using connection_ptr = std::unique_ptr<postgres_connection>;

  postgres_database(postgres_options options, postgres_address address);

  [[nodiscard]] caf::error check_not_inherited() const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] time_point until() const;
  [[nodiscard]] std::chrono::milliseconds lock_timeout() const;

  // Opening.
  caf::error examine(postgres_connection& connection) const;
  caf::error create(postgres_connection& connection) const;
  caf::error check_tables_of(const postgres_rows& names) const;
  caf::error check_slots(postgres_connection& connection) const;
  caf::error add_what_is_new(postgres_connection& connection) const;
  caf::error add_identity(postgres_connection& connection) const;
  caf::error learn_identity();
  [[nodiscard]] caf::error check_identity() const;
  /// Whoever has upgraded the store may have done it while this has it open.
  caf::error check_format(table_reader& tables) const;
  caf::error own(connection_ptr connection);
  result<connection_ptr> connect_writer(time_point until);
  result<postgres_session_name> name_session(postgres_connection& connection,
                                             time_point until) const;
  result<bool> try_ownership(postgres_connection& connection, time_point until) const;
  caf::error busy_error(postgres_connection& connection, const std::string& what) const;

  // Writing; with `writer_mutex_` locked.
  /// Gives `body` a session that owns the store, and again if it was lost while `body` began or
  /// somebody who has frozen had the turn: as long as it says so. Its error is the last one's.
  enum class progress : std::uint8_t { none, some };
  using attempt = std::function<caf::error(progress&)>;
  caf::error attempt_writing(const attempt& body);
  caf::error begin(postgres_batch& batch, const expected_reads& reads);
  void take_owners(const postgres_rows& rows);
  caf::error finish(postgres_batch& batch, const filler& fill);
  void roll_back();
  caf::error after_lost_commit(const caf::error& why);
  enum class patience : std::uint8_t { one_attempt, until_timeout };
  caf::error ensure_usable(patience how_long);
  caf::error reconnect(time_point until);
  caf::error settle(postgres_connection& connection, time_point until);
  caf::error own_again(postgres_connection& connection, time_point until);
  /// True: there were some.
  bool end_frozen_owners(postgres_connection& connection) const;
  void end_old_sessions(postgres_connection& connection, time_point until);

  // Reading.
  /// Waits for `writer_mutex_`.
  caf::error check_settled();
  result<connection_ptr> connect_reader() const;
  result<connection_ptr> take_idle();
  void give_back(connection_ptr connection);
  connection_ptr take_asking();
  void give_back_asking(connection_ptr connection);
  void drop_idle();

  const postgres_options options_;
  const postgres_address address_;
  const postgres_statements statements_;
  const pid_t process_;
  store_identity identity_; ///< From opening on.

  std::mutex writer_mutex_;
  connection_ptr writer_;
  /// The sessions of this life that may still own the store: several where a reconnection failed
  /// half-way.
  std::vector<postgres_session_name> owner_sessions_;
  std::int64_t life_ = 0;
  std::int64_t token_ = 0;
  /// The token of a commit whose fate is unknown.
  std::optional<std::int64_t> unsettled_;
  std::atomic<bool> is_unsettled_ = false;
  /// What `settle` found last: the unsettled transaction is stored.
  bool landed_ = false;
  /// Why and when reconnecting failed last.
  caf::error failure_;
  time_point failed_at_;
  /// Somebody else has owned the store since.
  caf::error ousted_;
  struct stored_owner {
    std::int64_t life = 0;
    std::int64_t epoch = 0;
    std::string node;
  };
  /// Of the slots in the batch that is being written.
  std::map<std::uint32_t, stored_owner> owners_;

  mutable std::mutex slots_mutex_;
  std::map<std::uint32_t, std::int64_t> acquired_;

  std::mutex readers_mutex_;
  std::condition_variable reader_ended_;
  std::vector<connection_ptr> idle_;
  /// Idle ones of `ask`, as many as there were calls at once: what tells others that this node
  /// lives must not wait for views.
  std::vector<connection_ptr> asking_;
  std::size_t views_ = 0;
};

} // namespace fermata::detail
