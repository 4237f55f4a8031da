#pragma once

#include <fermata/storage/postgres/detail/batch.hpp>
#include <fermata/storage/postgres/detail/statements.hpp>
#include <fermata/storage/postgres/postgres_store.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
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

private:
  using time_point = postgres_clock::time_point;
  using connection_ptr = std::unique_ptr<postgres_connection>;

  postgres_database(postgres_options options, postgres_address address);

  [[nodiscard]] caf::error check_not_inherited() const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] time_point until() const;

  // Opening.
  caf::error examine(postgres_connection& connection) const;
  caf::error create(postgres_connection& connection) const;
  caf::error check_tables_of(const postgres_rows& names) const;
  caf::error check_format();
  caf::error own(connection_ptr connection);
  result<connection_ptr> connect_writer(time_point until);
  result<bool> try_ownership(postgres_connection& connection, time_point until) const;
  caf::error busy_error(postgres_connection& connection, const std::string& what) const;

  // Writing; with `writer_mutex_` locked.
  caf::error begin(postgres_batch& batch, const expected_reads& reads);
  caf::error finish(postgres_batch& batch, const filler& fill);
  void roll_back();
  caf::error after_lost_commit(const caf::error& why);
  enum class patience : std::uint8_t { one_attempt, until_timeout };
  caf::error ensure_usable(patience how_long);
  caf::error reconnect(time_point until);
  caf::error settle(postgres_connection& connection, time_point until);
  caf::error own_again(postgres_connection& connection, time_point until);
  void end_old_session(postgres_connection& connection, time_point until) const;

  // Reading.
  result<connection_ptr> connect_reader() const;
  result<connection_ptr> take_idle();
  void give_back(connection_ptr connection);
  void drop_idle();

  const postgres_options options_;
  const postgres_address address_;
  const postgres_statements statements_;
  const pid_t process_;

  std::mutex writer_mutex_;
  connection_ptr writer_;
  postgres_session_name writer_session_;
  std::int64_t life_ = 0;
  std::int64_t token_ = 0;
  /// The token of a commit whose fate is unknown.
  std::optional<std::int64_t> unsettled_;
  std::atomic<bool> is_unsettled_ = false;
  /// What `settle` found last: the unsettled transaction is stored.
  bool landed_ = false;
  /// Somebody else has owned the store since.
  caf::error ousted_;

  std::mutex readers_mutex_;
  std::condition_variable reader_ended_;
  std::vector<connection_ptr> idle_;
  std::size_t views_ = 0;
};

} // namespace fermata::detail
