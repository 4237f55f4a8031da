#include <fermata/storage/postgres/postgres_store.hpp>

#include <fermata/storage/detail/check_tables.hpp>
#include <fermata/storage/detail/commit_writer.hpp>
#include <fermata/storage/detail/table_view.hpp>
#include <fermata/storage/postgres/detail/database.hpp>

namespace fermata {

namespace {

caf::error closed_error() {
  return make_error(errc::store_unavailable, "the store is closed");
}

caf::error read_only_error() {
  return make_error(errc::store_unavailable, "the store is open for reading only");
}

caf::error write_all(std::span<const commit> commits, std::vector<commit_outcome>& outcomes,
                     detail::postgres_database& database) {
  const auto reads = detail::expected_reads::of(commits);
  return database.write(reads, [&](detail::table_writer& tables) -> result<bool> {
    return detail::apply_all(tables, commits, outcomes,
                             [&](const commit& one) { return database.check_owner(one.session); });
  });
}

} // namespace

std::string describe(const postgres_options& options) {
  const auto address = detail::postgres_address::parse(options.connection);
  return "schema " + options.schema + " of "
         + (address ? address->description() : "a database that is not named as libpq reads it");
}

result<std::shared_ptr<postgres_store>> postgres_store::open(postgres_options options) {
  const auto access = options.access;
  auto database = detail::postgres_database::open(std::move(options));
  if (!database)
    return std::move(database.error());
  return std::shared_ptr<postgres_store>{new postgres_store{std::move(*database), access}};
}

postgres_store::postgres_store(std::shared_ptr<detail::postgres_database> database,
                               store_access access)
    : database_{std::move(database)}, access_{access}, identity_{database_->identity()} {}

postgres_store::~postgres_store() = default;

std::vector<commit_outcome> postgres_store::write(std::span<const commit> commits) {
  std::vector<commit_outcome> outcomes(commits.size());
  if (commits.empty())
    return outcomes;
  const auto open = database();
  caf::error failed;
  if (!open)
    failed = closed_error();
  else if (access_ == store_access::read_only)
    failed = read_only_error();
  else
    failed = write_all(commits, outcomes, *open);
  if (failed)
    detail::fail_all(outcomes, failed);
  return outcomes;
}

result<reclaim_outcome> postgres_store::reclaim(std::size_t limit) {
  const auto open = database();
  if (!open)
    return closed_error();
  if (access_ == store_access::read_only)
    return read_only_error();
  return open->reclaim(limit);
}

result<std::optional<session_anchor>> postgres_store::find(const session_id& session) {
  const auto open = database();
  if (!open)
    return closed_error();
  const auto tables = open->read(&session);
  if (!tables)
    return tables.error();
  return detail::find_session(**tables, session);
}

result<std::unique_ptr<store::view>> postgres_store::read() {
  const auto open = database();
  if (!open)
    return closed_error();
  auto tables = open->read();
  if (!tables)
    return std::move(tables.error());
  return std::unique_ptr<view>{std::make_unique<detail::table_view>(std::move(*tables))};
}

result<verify_report> postgres_store::verify() {
  const auto open = database();
  if (!open)
    return closed_error();
  verify_report report;
  report.identity = identity_;
  const auto tables = open->read();
  if (!tables && is(tables.error(), errc::store_corrupt)) {
    report.problems.push_back(message_of(tables.error()));
    return report;
  }
  if (!tables)
    return tables.error();
  detail::check_tables(**tables, report);
  const auto size_bytes = open->size_bytes();
  if (!size_bytes)
    return size_bytes.error();
  report.size_bytes = *size_bytes;
  return report;
}

void postgres_store::close() {
  std::shared_ptr<detail::postgres_database> closing;
  const std::lock_guard lock{mutex_};
  closing = std::move(database_);
}

std::shared_ptr<detail::postgres_database> postgres_store::database() const {
  const std::lock_guard lock{mutex_};
  return database_;
}

} // namespace fermata
