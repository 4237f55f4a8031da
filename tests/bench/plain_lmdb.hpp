#pragma once

#include "counting_store.hpp"

#include <lmdb.h>

#include <filesystem>

namespace fermata::bench {

/// Writes commits of given shapes with nothing but LMDB, in the fastest layout known: a log that is
/// only appended to, heads under consecutive numbers, and the rest beside them. The same bytes in
/// the same number of records and transactions as a store had to write.
class plain_lmdb {
public:
  explicit plain_lmdb(const std::filesystem::path& directory, bool sync = true);
  plain_lmdb(const plain_lmdb&) = delete;
  plain_lmdb& operator=(const plain_lmdb&) = delete;
  ~plain_lmdb() { mdb_env_close(environment_); }

  /// Divides the commits into so many transactions; they take turns among so many sessions. Returns
  /// how long it took, in seconds.
  double run(std::span<const commit_shape> shapes, std::size_t transactions, std::size_t sessions);

  /// One transaction: of commit number `first` and those behind it.
  void write(std::span<const commit_shape> shapes, std::size_t first, std::size_t sessions);

private:
  void put(MDB_txn* transaction, const commit_shape& shape, std::size_t session);
  void erase_first(MDB_txn* transaction, std::size_t session);

  MDB_env* environment_ = nullptr;
  MDB_dbi log_ = 0;
  MDB_dbi heads_ = 0;
  MDB_dbi parts_ = 0;
  MDB_dbi pending_ = 0;
  std::size_t position_ = 0;
  std::uint64_t last_item_ = 0;
};

/// Appends blocks of so many bytes to a file, each followed by `fdatasync`; returns the time of
/// each in seconds.
[[nodiscard]] std::vector<double> fdatasync_loop(const std::filesystem::path& directory,
                                                 std::size_t block_bytes, std::size_t blocks);

} // namespace fermata::bench
