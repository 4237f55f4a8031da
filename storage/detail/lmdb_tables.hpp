#pragma once

#include <fermata/storage/detail/tables.hpp>

#include <lmdb.h>

#include <cstdint>

namespace fermata::detail {

/// The tables of an open environment.
class lmdb_handles {
public:
  /// Opens all tables in `transaction`; the handles are the environment's once it is committed.
  /// Returns LMDB's code: `MDB_NOTFOUND` when a table is missing that every store has, and `create`
  /// is not set.
  [[nodiscard]] int open(MDB_txn* transaction, bool create);

  /// Creates the table that a store may lack, if it does; as `open`.
  [[nodiscard]] int create_missing(MDB_txn* transaction, table which);

  /// False: the store lacks this table, which is like an empty one.
  [[nodiscard]] bool has(table which) const noexcept { return (*this)[which] != missing; }

  [[nodiscard]] MDB_dbi operator[](table which) const noexcept { return handles_[index_of(which)]; }

private:
  static constexpr MDB_dbi missing = ~MDB_dbi{0};

  static std::size_t index_of(table which) noexcept;

  std::array<MDB_dbi, all_tables.size()> handles_{};
};

/// What LMDB's or the system's error code means for a caller who was doing `what`.
[[nodiscard]] caf::error lmdb_error(int code, std::string_view what);

/// The tables as one transaction of LMDB sees them; does not own the transaction.
class lmdb_tables : public table_writer {
public:
  lmdb_tables(MDB_txn* transaction, const lmdb_handles& handles) noexcept
      : transaction_{transaction}, handles_{handles} {}

  result<std::optional<byte_view>> get(table which, byte_view key) override;
  result<std::uint64_t> last_number(table which) override;
  caf::error walk(table which, byte_view from, const visitor& visit) override;
  caf::error put(table which, byte_view key, byte_view value) override;
  caf::error append(table which, byte_view key, byte_view value) override;
  caf::error erase(table which, byte_view key) override;

  /// The most that committing may write to the disk, roughly: values, and a page for each change.
  [[nodiscard]] std::uint64_t written_size_bytes() const noexcept { return written_size_bytes_; }

  /// True when a write has failed because the map is full.
  [[nodiscard]] bool is_map_full() const noexcept { return is_map_full_; }

  /// With a table that was created meanwhile; the environment's once the transaction is committed.
  [[nodiscard]] const lmdb_handles& handles() const noexcept { return handles_; }

protected:
  MDB_txn* transaction_;

private:
  caf::error put_with(table which, byte_view key, byte_view value, unsigned flags);

  lmdb_handles handles_;
  std::uint64_t written_size_bytes_ = 0;
  bool is_map_full_ = false;
};

} // namespace fermata::detail
