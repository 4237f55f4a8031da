#pragma once

#include <fermata/storage/postgres/detail/page_reader.hpp>

#include <functional>
#include <map>
#include <memory>

namespace fermata::detail {

/// The tables as one reading transaction sees them. Meta is read when it begins; of what is read
/// later, a head, an id and some of the journal are kept, since they are looked at several times.
class postgres_snapshot final : public table_reader {
public:
  /// Gets the connection back, behind the transaction's end.
  using taker = std::function<void(std::unique_ptr<postgres_connection>)>;

  /// Begins the transaction; with `session`: reads also its number. `connection` is only taken if
  /// that succeeds.
  [[nodiscard]] static result<std::unique_ptr<postgres_snapshot>>
  begin(std::unique_ptr<postgres_connection>& connection, const postgres_statements& statements,
        const session_id* session, std::chrono::milliseconds timeout, taker give_back);

  ~postgres_snapshot() override;

  result<std::optional<byte_view>> get(table which, byte_view key) override;
  result<std::uint64_t> last_number(table which) override;
  caf::error walk(table which, byte_view from, const visitor& visit) override;

private:
  postgres_snapshot(std::unique_ptr<postgres_connection> connection,
                    const postgres_statements& statements, std::chrono::milliseconds timeout,
                    taker give_back);

  [[nodiscard]] postgres_clock::time_point until() const {
    return postgres_clock::now() + timeout_;
  }

  std::unique_ptr<postgres_connection> connection_;
  const postgres_statements& statements_;
  std::chrono::milliseconds timeout_;
  taker give_back_;
  std::map<bytes, bytes> meta_;
  struct known_entry {
    table which = table::ids;
    bytes key;
    std::optional<bytes> value;
  };
  known_entry id_;
  known_entry head_{table::heads, {}, {}};
  /// Events are found from the last one back, and read from the first one on: a tail is found here
  /// the second time.
  static constexpr std::size_t most_kept_log_bytes = 65'536;
  std::map<bytes, bytes> log_;
  std::size_t log_size_bytes_ = 0;
  bytes last_;
};

} // namespace fermata::detail
