#include "raw_store.hpp"

#include <fermata/storage/detail/lmdb_environment.hpp>
#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/record_codec.hpp>

#include <lmdb.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fermata::test {

namespace {

void must_succeed(int code) {
  if (code != MDB_SUCCESS)
    throw std::runtime_error{std::string{"raw_store: "} + mdb_strerror(code)};
}

/// Seals like a newer version whose records have the next format.
bytes seal_newer(detail::table which, detail::byte_view key, std::string_view payload) {
  bytes checked{static_cast<std::uint8_t>(which)};
  checked.insert(checked.end(), key.begin(), key.end());
  bytes rest{record_format + 1};
  rest.insert(rest.end(), payload.begin(), payload.end());
  const auto crc = crc32c(rest, crc32c(checked));
  bytes sealed;
  detail::append_little_endian(sealed, crc);
  sealed.insert(sealed.end(), rest.begin(), rest.end());
  return sealed;
}

} // namespace

void put_raw(const std::filesystem::path& directory, detail::table which, detail::byte_view key,
             bytes value) {
  MDB_env* environment = nullptr;
  must_succeed(mdb_env_create(&environment));
  must_succeed(mdb_env_set_maxdbs(environment, 16));
  must_succeed(mdb_env_open(environment, directory.c_str(), 0, 0600));
  MDB_txn* transaction = nullptr;
  must_succeed(mdb_txn_begin(environment, nullptr, 0, &transaction));
  MDB_dbi table = 0;
  must_succeed(mdb_dbi_open(transaction, std::string{name_of(which)}.c_str(), 0, &table));
  MDB_val raw_key{key.size(), const_cast<std::uint8_t*>(key.data())};
  MDB_val raw_value{value.size(), value.data()};
  must_succeed(mdb_put(transaction, table, &raw_key, &raw_value, 0));
  must_succeed(mdb_txn_commit(transaction));
  mdb_env_close(environment);
}

session_number number_of(const std::filesystem::path& directory, const session_id& session) {
  lmdb_options reading;
  reading.access = store_access::read_only;
  return lmdb_store::open(directory, reading).value()->find(session).value().value().number;
}

void raise_store_format(const std::filesystem::path& directory) {
  const auto key = detail::table_key::of_text(detail::meta_format);
  bytes payload;
  detail::append_little_endian(payload, std::uint64_t{detail::store_format + 1});
  put_raw(directory, detail::table::meta, key,
          detail::seal_value(detail::table::meta, key, payload));
}

void raise_record_format(const std::filesystem::path& directory, session_number session,
                         const record_key& record) {
  const auto key = detail::part_key(session, record);
  put_raw(directory, detail::table::parts, key, seal_newer(detail::table::parts, key, "new"));
}

void damage_session(const std::filesystem::path& directory, session_number session) {
  // LMDB's integer keys, which this table has, are in the machine's byte order.
  std::array<std::uint8_t, sizeof session> key;
  std::memcpy(key.data(), &session, key.size());
  put_raw(directory, detail::table::heads, key, bytes{1, 2, 3});
}

} // namespace fermata::test
