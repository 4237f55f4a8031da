#include <fermata/storage/lmdb_store.hpp>

#include <fermata/storage/detail/commit_writer.hpp>
#include <fermata/storage/detail/lmdb_environment.hpp>
#include <fermata/storage/detail/table_view.hpp>

namespace fermata {

namespace {

caf::error closed_error() {
  return make_error(errc::store_unavailable, "the store is closed");
}

caf::error read_only_error() {
  return make_error(errc::store_unavailable, "the store is open for reading only");
}

caf::error write_all(std::span<const commit> commits, std::vector<commit_outcome>& outcomes,
                     detail::lmdb_environment& environment) {
  return environment.write([&](detail::table_writer& tables) -> result<bool> {
    return detail::apply_all(tables, commits, outcomes);
  });
}

} // namespace

result<std::shared_ptr<lmdb_store>> lmdb_store::open(const std::filesystem::path& directory,
                                                     const lmdb_options& options) {
  auto environment = detail::lmdb_environment::open(directory, options);
  if (!environment)
    return environment.error();
  return std::shared_ptr<lmdb_store>{new lmdb_store{std::move(*environment), options.access}};
}

lmdb_store::lmdb_store(std::shared_ptr<detail::lmdb_environment> environment, store_access access)
    : environment_{std::move(environment)}, access_{access} {}

lmdb_store::~lmdb_store() = default;

std::vector<commit_outcome> lmdb_store::write(std::span<const commit> commits) {
  std::vector<commit_outcome> outcomes(commits.size());
  const auto open = environment();
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

result<reclaim_outcome> lmdb_store::reclaim(std::size_t limit) {
  const auto open = environment();
  if (!open)
    return closed_error();
  if (access_ == store_access::read_only)
    return read_only_error();
  return open->reclaim(limit);
}

result<std::optional<session_anchor>> lmdb_store::find(const session_id& session) {
  const auto open = environment();
  if (!open)
    return closed_error();
  auto tables = open->read();
  if (!tables)
    return tables.error();
  return detail::find_session(**tables, session);
}

result<std::unique_ptr<store::view>> lmdb_store::read() {
  const auto open = environment();
  if (!open)
    return closed_error();
  auto tables = open->read();
  if (!tables)
    return tables.error();
  return std::unique_ptr<view>{std::make_unique<detail::table_view>(std::move(*tables))};
}

caf::error lmdb_store::backup_to(const std::filesystem::path& directory,
                                 const backup_options& options) {
  const auto open = environment();
  if (!open)
    return closed_error();
  return open->backup_to(directory, options);
}

result<compact_outcome> lmdb_store::compact(const std::filesystem::path& directory,
                                            const backup_options& options) {
  return detail::lmdb_environment::compact(directory, options);
}

void lmdb_store::close() {
  std::shared_ptr<detail::lmdb_environment> closing;
  const std::lock_guard lock{mutex_};
  closing = std::move(environment_);
}

std::shared_ptr<detail::lmdb_environment> lmdb_store::environment() const {
  const std::lock_guard lock{mutex_};
  return environment_;
}

} // namespace fermata
