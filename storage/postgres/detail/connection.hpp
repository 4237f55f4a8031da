#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/postgres/detail/parameters.hpp>

#include <libpq-fe.h>
#include <sys/types.h>

#include <chrono>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace fermata::detail {

using postgres_clock = std::chrono::steady_clock;

/// A statement, which a connection prepares when it first executes it. Names are unique.
struct postgres_statement {
  std::string name;
  std::string sql;
};

/// What a statement answered, in binary format.
class postgres_rows {
public:
  explicit postgres_rows(PGresult* answered) : answered_{answered} {}

  [[nodiscard]] std::size_t size() const noexcept {
    return static_cast<std::size_t>(PQntuples(answered_.get()));
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// Borrowed from this.
  [[nodiscard]] byte_view data(std::size_t row, int column) const noexcept;
  [[nodiscard]] std::string text(std::size_t row, int column) const;
  /// A `bigint`; 0 for null.
  [[nodiscard]] std::int64_t number(std::size_t row, int column) const noexcept;

private:
  struct clear {
    void operator()(PGresult* answered) const noexcept { PQclear(answered); }
  };
  std::unique_ptr<PGresult, clear> answered_;
};

/// Where a database is, and how to get in.
class postgres_address {
public:
  /// Errors: `invalid_field`.
  [[nodiscard]] static result<postgres_address> parse(const std::string& connection);

  /// For messages: `database fermata at /run/postgresql`.
  [[nodiscard]] const std::string& description() const noexcept { return description_; }
  /// A part of it may hold a password, which stood in the wrong place: then what libpq says of it
  /// must not be shown either.
  [[nodiscard]] bool is_secret() const noexcept { return is_secret_; }

  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& settings() const noexcept {
    return settings_;
  }
  /// Unless it is set.
  void set_default(const std::string& keyword, const std::string& value);

private:
  std::string description_;
  bool is_secret_ = false;
  std::vector<std::pair<std::string, std::string>> settings_;
};

/// One session of a database, which statements are sent to in pipelines. Used by one thread at a
/// time.
class postgres_connection {
public:
  /// Errors: `store_unavailable`; `overloaded` when the server takes no more connections.
  [[nodiscard]] static result<std::unique_ptr<postgres_connection>>
  connect(const postgres_address& address, postgres_clock::time_point until);

  ~postgres_connection();
  postgres_connection(const postgres_connection&) = delete;
  postgres_connection& operator=(const postgres_connection&) = delete;

  /// Adds a statement to the pipeline.
  void send(const postgres_statement& statement, const postgres_parameters& parameters = {});

  /// Ends the pipeline and waits for its answers: those of all statements, or the error of the
  /// first that failed, behind which none was executed.
  [[nodiscard]] result<std::vector<postgres_rows>> receive(postgres_clock::time_point until);

  /// Ends the pipeline; its answers are passed over. Does not wait.
  void forget();

  /// Both `send` and `receive`, of one statement.
  [[nodiscard]] result<postgres_rows> ask(const postgres_statement& statement,
                                          const postgres_parameters& parameters,
                                          postgres_clock::time_point until);

  /// True when the session has ended, or is not to be used any more since it did not answer in
  /// time.
  [[nodiscard]] bool is_lost() const noexcept { return is_lost_; }

  /// The code (SQLSTATE) of the error that the server answered with last; empty: with none.
  [[nodiscard]] const std::string& last_refusal() const noexcept { return last_refusal_; }

  /// True in a child of the process that opened it, where it must not be used or even closed.
  [[nodiscard]] bool is_inherited() const noexcept { return process_ != ::getpid(); }

  [[nodiscard]] int server_version() const noexcept { return PQserverVersion(session_); }
  [[nodiscard]] std::int64_t backend() const noexcept { return PQbackendPID(session_); }

private:
  enum class awaited : std::uint8_t { preparation, answer, end };
  struct expectation {
    awaited what = awaited::answer;
    std::string statement;
  };

  postgres_connection(PGconn* session, std::string description);

  void end_pipeline();
  /// Waits until there is something to read; false: not in time.
  bool wait(bool wants_to_write, postgres_clock::time_point until) const;
  /// Takes what has arrived. True: the end of the last pipeline.
  bool take_answers(std::vector<postgres_rows>& answers, caf::error& failed);
  void take(PGresult* answered, std::vector<postgres_rows>& answers, caf::error& failed);
  void lose(const std::string& why);

  PGconn* session_;
  std::string description_;
  pid_t process_;
  bool is_lost_ = false;
  std::string loss_;
  std::string last_refusal_;
  std::set<std::string> prepared_;
  std::set<std::string> preparing_;
  std::deque<expectation> expected_;
  /// Of the pipelines that were ended, those whose answers nobody wants.
  std::size_t forgotten_ = 0;
};

/// A message of libpq or the server on one line.
[[nodiscard]] std::string one_line(const char* message);

} // namespace fermata::detail
