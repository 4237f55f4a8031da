#include "plain_lmdb.hpp"

#include "bench.hpp"

#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>

#include <array>

namespace fermata::bench {

namespace {

void check(int code) {
  if (code != MDB_SUCCESS)
    throw std::runtime_error{std::string{"LMDB: "} + mdb_strerror(code)};
}

/// A value of so many bytes, whatever they are.
MDB_val value_of(std::size_t size_bytes) {
  static std::vector<char> content;
  if (content.size() < size_bytes)
    content.assign(size_bytes * 2, 'x');
  return {size_bytes, content.data()};
}

/// As long as the keys of a store's records.
struct composed_key {
  std::array<std::uint8_t, 21> data{};
  composed_key(std::size_t session, std::uint64_t item) {
    for (std::size_t i = 0; i < 8; ++i) {
      data[i] = static_cast<std::uint8_t>(session >> (56 - 8 * i));
      data[13 + i] = static_cast<std::uint8_t>(item >> (56 - 8 * i));
    }
  }
  [[nodiscard]] MDB_val view() { return {data.size(), data.data()}; }
};

void put_keyed(MDB_txn* transaction, MDB_dbi table, std::size_t session, std::uint64_t item,
               std::size_t size_bytes) {
  composed_key composed{session, item};
  auto key = composed.view();
  auto data = value_of(size_bytes);
  check(mdb_put(transaction, table, &key, &data, 0));
}

} // namespace

plain_lmdb::plain_lmdb(const std::filesystem::path& directory, bool sync) {
  std::filesystem::create_directories(directory);
  check(mdb_env_create(&environment_));
  check(mdb_env_set_maxdbs(environment_, 4));
  check(mdb_env_set_mapsize(environment_, std::size_t{1} << 40));
  check(mdb_env_open(environment_, directory.c_str(), MDB_NOTLS | (sync ? 0U : MDB_NOSYNC), 0600));
  MDB_txn* transaction = nullptr;
  check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
  check(mdb_dbi_open(transaction, "log", MDB_CREATE | MDB_INTEGERKEY, &log_));
  check(mdb_dbi_open(transaction, "heads", MDB_CREATE | MDB_INTEGERKEY, &heads_));
  check(mdb_dbi_open(transaction, "parts", MDB_CREATE, &parts_));
  check(mdb_dbi_open(transaction, "pending", MDB_CREATE, &pending_));
  check(mdb_txn_commit(transaction));
}

double plain_lmdb::run(std::span<const commit_shape> shapes, std::size_t transactions,
                       std::size_t sessions) {
  const auto begin = clock_type::now();
  for (std::size_t t = 0; t < transactions; ++t) {
    const auto first = shapes.size() * t / transactions;
    write(shapes.subspan(first, shapes.size() * (t + 1) / transactions - first), first, sessions);
  }
  return seconds_since(begin);
}

void plain_lmdb::write(std::span<const commit_shape> shapes, std::size_t first,
                       std::size_t sessions) {
  MDB_txn* transaction = nullptr;
  check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
  for (std::size_t i = 0; i < shapes.size(); ++i)
    put(transaction, shapes[i], (first + i) % sessions);
  check(mdb_txn_commit(transaction));
}

void plain_lmdb::put(MDB_txn* transaction, const commit_shape& shape, std::size_t session) {
  std::size_t position = ++position_;
  MDB_val number{sizeof position, &position};
  auto log = value_of(shape.log);
  check(mdb_put(transaction, log_, &number, &log, MDB_APPEND));
  std::size_t head_number = session + 1;
  MDB_val head_key{sizeof head_number, &head_number};
  auto head = value_of(shape.head);
  check(mdb_put(transaction, heads_, &head_key, &head, 0));
  std::uint64_t item = position_ * 16;
  for (const auto size : shape.parts)
    put_keyed(transaction, parts_, session, ++item, size);
  // As a store does it: the entry of the call that was answered goes, that of the next one comes.
  for (const auto size : shape.pending) {
    if (size != 0)
      put_keyed(transaction, pending_, session, ++last_item_, size);
    else
      erase_first(transaction, session);
  }
}

void plain_lmdb::erase_first(MDB_txn* transaction, std::size_t session) {
  composed_key composed{session, 0};
  auto key = composed.view();
  MDB_val data{};
  MDB_cursor* cursor = nullptr;
  check(mdb_cursor_open(transaction, pending_, &cursor));
  if (mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE) == MDB_SUCCESS)
    check(mdb_cursor_del(cursor, 0));
  mdb_cursor_close(cursor);
}

std::vector<double> fdatasync_loop(const std::filesystem::path& directory, std::size_t block_bytes,
                                   std::size_t blocks) {
  const file_descriptor file{
      ::open((directory / "fdatasync").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600)};
  const std::vector<char> block(block_bytes, 'x');
  std::vector<double> times;
  for (std::size_t i = 0; i < blocks; ++i) {
    const auto begin = clock_type::now();
    expect(::write(file.get(), block.data(), block.size()) == static_cast<ssize_t>(block.size())
               && ::fdatasync(file.get()) == 0,
           "a file can be written");
    times.push_back(seconds_since(begin));
  }
  return times;
}

} // namespace fermata::bench
