#include <fermata/storage/postgres/detail/snapshot.hpp>

#include <algorithm>
#include <utility>

namespace fermata::detail {

result<std::unique_ptr<postgres_snapshot>>
postgres_snapshot::begin(std::unique_ptr<postgres_connection>& connection,
                         const postgres_statements& statements, const session_id* session,
                         std::chrono::milliseconds timeout, taker give_back) {
  connection->send(statements.begin_reading);
  connection->send(statements.read_meta);
  const auto id = session != nullptr ? copy_of(view_of(session->str())) : bytes{};
  if (session != nullptr)
    connection->send(statements[table::ids].get, postgres_parameters{}.data(id));
  auto answers = connection->receive(postgres_clock::now() + timeout);
  if (!answers)
    return std::move(answers.error());
  std::unique_ptr<postgres_snapshot> begun{
      new postgres_snapshot{std::move(connection), statements, timeout, std::move(give_back)}};
  const auto& meta = answers->at(1);
  for (std::size_t i = 0; i < meta.size(); ++i)
    begun->meta_.emplace(copy_of(meta.data(i, 0)), copy_of(meta.data(i, 1)));
  if (session != nullptr) {
    begun->id_.key = id;
    if (const auto& found = answers->at(2); !found.empty())
      begun->id_.value = copy_of(found.data(0, 0));
  }
  return begun;
}

postgres_snapshot::postgres_snapshot(std::unique_ptr<postgres_connection> connection,
                                     const postgres_statements& statements,
                                     std::chrono::milliseconds timeout, taker give_back)
    : connection_{std::move(connection)}, statements_{statements}, timeout_{timeout},
      give_back_{std::move(give_back)} {}

postgres_snapshot::~postgres_snapshot() {
  if (!connection_->is_inherited()) {
    connection_->send(statements_.roll_back);
    connection_->forget();
  }
  give_back_(std::move(connection_));
}

result<std::optional<byte_view>> postgres_snapshot::get(table which, byte_view key) {
  if (which == table::meta) {
    const auto found = meta_.find(copy_of(key));
    return found != meta_.end() ? std::optional<byte_view>{found->second} : std::nullopt;
  }
  auto* known = which == table::ids ? &id_ : which == table::heads ? &head_ : nullptr;
  if (known != nullptr && std::equal(key.begin(), key.end(), known->key.begin(), known->key.end()))
    return known->value ? std::optional<byte_view>{*known->value} : std::nullopt;
  if (which == table::log)
    if (const auto found = log_.find(copy_of(key)); found != log_.end())
      return std::optional<byte_view>{found->second};
  auto rows = connection_->ask(statements_[which].get, postgres_parameters{}.data(key), until());
  if (!rows)
    return std::move(rows.error());
  if (known != nullptr) {
    known->key = copy_of(key);
    known->value = rows->empty() ? std::nullopt : std::optional{copy_of(rows->data(0, 0))};
    return known->value ? std::optional<byte_view>{*known->value} : std::nullopt;
  }
  if (rows->empty())
    return std::optional<byte_view>{};
  auto value = copy_of(rows->data(0, 0));
  if (which == table::log && log_size_bytes_ + value.size() <= most_kept_log_bytes) {
    log_size_bytes_ += value.size();
    return std::optional<byte_view>{log_.emplace(copy_of(key), std::move(value)).first->second};
  }
  last_ = std::move(value);
  return std::optional<byte_view>{last_};
}

result<std::uint64_t> postgres_snapshot::last_number(table which) {
  auto rows = connection_->ask(statements_[which].last, {}, until());
  if (!rows)
    return std::move(rows.error());
  return rows->empty() ? std::uint64_t{0} : load_big_endian<std::uint64_t>(rows->data(0, 0));
}

caf::error postgres_snapshot::walk(table which, byte_view from, const visitor& visit) {
  for (page_reader pages{*connection_, statements_, which, from}; !pages.is_over();) {
    const auto rows = pages.next(until());
    if (!rows)
      return rows.error();
    for (std::size_t i = 0; i < rows->size(); ++i) {
      const auto more = visit(rows->data(i, 0), rows->data(i, 1));
      if (!more)
        return more.error();
      if (!*more)
        return caf::none;
    }
  }
  return caf::none;
}

} // namespace fermata::detail
