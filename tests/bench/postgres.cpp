#include "counting_store.hpp"
#include "recording.hpp"
#include "subjects.hpp"

#include "../storage/postgres/postgres_server.hpp"

#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/postgres/detail/parameters.hpp>
#include <fermata/storage/postgres/postgres_store.hpp>

#include <temporary_directory.hpp>

#include <libpq-fe.h>

namespace fermata::bench {

namespace {

/// Writes commits of given shapes with one INSERT of many rows for each transaction, and nothing
/// else: the same bytes in the same number of rows and transactions as a store had to write.
class plain_inserts {
public:
  explicit plain_inserts(const std::string& connection)
      : session_{PQconnectdb(connection.c_str())} {
    execute("CREATE TEMPORARY TABLE nothing (a int)");
  }
  plain_inserts(const plain_inserts&) = delete;
  plain_inserts& operator=(const plain_inserts&) = delete;
  ~plain_inserts() { PQfinish(session_); }

  void create(const std::string& schema) {
    table_ = schema + ".plain";
    execute("CREATE TABLE " + table_
            + " (key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value bytea NOT NULL)");
  }

  /// Returns how long it took, in seconds.
  double run(std::span<const commit_shape> shapes, std::size_t batch) {
    const auto begin = clock_type::now();
    for (; !shapes.empty(); shapes = shapes.subspan(std::min(batch, shapes.size())))
      insert(shapes.first(std::min(batch, shapes.size())));
    return seconds_since(begin);
  }

private:
  void insert(std::span<const commit_shape> shapes) {
    std::vector<detail::byte_view> values;
    const auto add = [&](std::size_t size_bytes) {
      if (content_.size() < size_bytes)
        throw std::runtime_error{"a value is larger than expected"};
      values.push_back(detail::byte_view{content_}.first(size_bytes));
    };
    for (const auto& shape : shapes) {
      add(shape.log);
      add(shape.head);
      for (const auto size_bytes : shape.parts)
        add(size_bytes);
      for (const auto size_bytes : shape.pending)
        add(size_bytes);
    }
    const auto parameters = detail::postgres_parameters{}.array(values);
    const auto& value = parameters.values().front();
    const auto* data = reinterpret_cast<const char*>(value.data());
    const auto size = static_cast<int>(value.size());
    const int binary = 1;
    const auto sql = "INSERT INTO " + table_ + " (value) SELECT * FROM unnest($1::bytea[])";
    check(PQexecParams(session_, sql.c_str(), 1, nullptr, &data, &size, &binary, 1));
  }

  void execute(const std::string& sql) { check(PQexec(session_, sql.c_str())); }

  void check(PGresult* answer) {
    const auto status = PQresultStatus(answer);
    PQclear(answer);
    if (status != PGRES_COMMAND_OK)
      throw std::runtime_error{PQerrorMessage(session_)};
  }

  PGconn* session_;
  std::string table_;
  const bytes content_ = bytes(1'000'000, 'x');
};

/// A store and a recording that is written to it.
struct contestant {
  std::shared_ptr<store> kept;
  std::vector<double> rates; ///< Commits a second.

  void run(std::span<const commit> commits, std::size_t batch) {
    const auto begin = clock_type::now();
    write(*kept, commits, batch);
    rates.push_back(static_cast<double>(commits.size()) / seconds_since(begin));
  }
};

std::vector<measurement> run_postgres(const context& in) {
  std::vector<measurement> lines;
  // In the system's folder for temporary files: another user has to get at it.
  const test::postgres_server server;
  constexpr std::size_t rounds = 4;
  const recording made{in.scaled(1'024), rounds};
  for (const std::size_t batch : {1, 16, 256, 1'024}) {
    if (batch > made.proposals.size())
      break;
    const test::temporary_directory folder;
    const auto options = server.new_store();
    contestant ours{must(postgres_store::open(options)), {}};
    contestant lmdb{must(lmdb_store::open(folder.path() / "store")), {}};
    plain_inserts plain{server.connection()};
    plain.create(options.schema);
    std::vector<double> inserts;
    for (auto* one : {&ours, &lmdb})
      write(*one->kept, made.proposals, made.proposals.size());
    // Some hundred transactions are enough of the small ones.
    auto left = std::span{made.resumes}.first(std::min(made.resumes.size(), batch * 400));
    const auto part = std::max(batch, left.size() / rounds / batch * batch);
    for (; left.size() >= part; left = left.subspan(part)) {
      const auto commits = left.first(part);
      ours.run(commits, batch);
      lmdb.run(commits, batch);
      const std::vector<commit_shape> shapes(commits.begin(), commits.end());
      inserts.push_back(static_cast<double>(part) / plain.run(shapes, batch));
    }
    const auto name = "transactions of " + std::to_string(batch);
    lines.push_back(measurement{name, "commits/s", ours.rates}.against(
        ours.rates, inserts, "plain INSERT of the same rows"));
    lines.push_back(
        measurement{"  the same", "commits/s", ours.rates}.against(ours.rates, lmdb.rates, "LMDB"));
  }
  return lines;
}

} // namespace

const subject postgres{"postgres",
                       "The store in PostgreSQL alone, by commits in a transaction, beside plain "
                       "INSERTs of the same rows, and beside LMDB.",
                       run_postgres};

} // namespace fermata::bench
