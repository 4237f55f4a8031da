#pragma once

#include <fermata/storage/postgres/detail/page_reader.hpp>

#include <deque>
#include <map>

namespace fermata::detail {

/// What a writing transaction is going to look at: it is read together with its beginning.
struct expected_reads {
  std::vector<bytes> ids;
  std::vector<bytes> heads;
  /// Sessions that are deleted, with their entries in the pending index.
  std::vector<session_number> deleted;
  /// Of the sessions; some of them several times.
  std::vector<std::uint32_t> slots;

  [[nodiscard]] static expected_reads of(std::span<const commit> commits);
};

/// The tables as one writing transaction sees them: what it has read, and over it what it is going
/// to write, all at once when it ends. What is not there yet is read one by one.
class postgres_batch final : public table_writer {
public:
  postgres_batch(postgres_connection& connection, const postgres_statements& statements,
                 std::chrono::milliseconds timeout)
      : connection_{connection}, statements_{statements}, timeout_{timeout} {}

  /// Adds what is expected to the pipeline; `take_expected` takes the answers, which begin with
  /// `answers[first]`.
  void send_expected(const expected_reads& reads);
  void take_expected(const expected_reads& reads, const std::vector<postgres_rows>& answers,
                     std::size_t first);

  /// Adds to the pipeline what the transaction changes. Refuses: `limit_exceeded`.
  [[nodiscard]] caf::error send_changes();

  result<std::optional<byte_view>> get(table which, byte_view key) override;
  result<std::uint64_t> last_number(table which) override;
  caf::error walk(table which, byte_view from, const visitor& visit) override;
  caf::error put(table which, byte_view key, byte_view value) override;
  caf::error append(table which, byte_view key, byte_view value) override;
  caf::error erase(table which, byte_view key) override;

private:
  struct entry {
    std::optional<bytes> value; ///< Nothing: there is none.
    bool is_changed = false;
  };
  using entries = std::map<bytes, entry>;
  /// All that the database has of these keys is known.
  struct known_range {
    table which = table::meta;
    bytes first;
    std::optional<bytes> behind; ///< Nothing: up to the end of the table.
  };

  [[nodiscard]] entries& of(table which) noexcept;
  [[nodiscard]] postgres_clock::time_point until() const {
    return postgres_clock::now() + timeout_;
  }
  void know(table which, byte_view key, std::optional<byte_view> value);
  void know_missing(table which, const std::vector<bytes>& keys);
  [[nodiscard]] const known_range* range_with(table which, byte_view key) const;
  result<const known_range*> read_range(page_reader& pages, table which, const bytes& from);
  void change(table which, byte_view key, std::optional<byte_view> value);
  void send_changes(table which, const entries& changed);

  postgres_connection& connection_;
  const postgres_statements& statements_;
  std::chrono::milliseconds timeout_;
  std::array<entries, all_tables.size()> entries_;
  std::deque<known_range> ranges_; ///< Places do not move.
  std::optional<std::uint64_t> stored_last_position_;
};

} // namespace fermata::detail
