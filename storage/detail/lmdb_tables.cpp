#include <fermata/storage/detail/lmdb_tables.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace fermata::detail {

namespace {

/// The tables that are keyed by one number have LMDB's native integer keys, which it compares
/// fastest.
constexpr bool has_integer_keys(table which) noexcept {
  return which == table::heads || which == table::log;
}

constexpr std::uint64_t page_size_bytes = 4096;

static_assert(sizeof(std::size_t) == 8, "the format has integer keys of eight bytes");

/// A key in the form that LMDB wants, or back in ours.
class native_key {
public:
  native_key(table which, byte_view key) noexcept {
    if (has_integer_keys(which)) {
      assert(key.size() == sizeof number_);
      number_ = load_big_endian<std::uint64_t>(key);
      value_ = {sizeof number_, &number_};
    } else {
      value_ = {key.size(), const_cast<std::uint8_t*>(key.data())};
    }
  }
  native_key(const native_key&) = delete;
  native_key& operator=(const native_key&) = delete;

  MDB_val* get() noexcept { return &value_; }

private:
  std::uint64_t number_ = 0;
  MDB_val value_{};
};

byte_view view_of(const MDB_val& value) noexcept {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

table_key portable_key(const MDB_val& key) noexcept {
  std::uint64_t number = 0;
  std::memcpy(&number, key.mv_data, std::min(key.mv_size, sizeof number));
  return table_key::of(number);
}

std::string doing(std::string_view verb, table which) {
  return std::string{verb} + " table " + std::string{name_of(which)};
}

struct close_cursor {
  void operator()(MDB_cursor* cursor) const noexcept { mdb_cursor_close(cursor); }
};

using cursor_ptr = std::unique_ptr<MDB_cursor, close_cursor>;

} // namespace

int lmdb_handles::open(MDB_txn* transaction, bool create) {
  for (std::size_t i = 0; i < all_tables.size(); ++i) {
    const std::string name{name_of(all_tables[i])};
    const auto flags =
        (create ? MDB_CREATE : 0U) | (has_integer_keys(all_tables[i]) ? MDB_INTEGERKEY : 0U);
    const auto code = mdb_dbi_open(transaction, name.c_str(), flags, &handles_[i]);
    if (code == MDB_NOTFOUND && all_tables[i] == optional_table)
      handles_[i] = missing;
    else if (code != MDB_SUCCESS)
      return code;
  }
  return MDB_SUCCESS;
}

int lmdb_handles::create_missing(MDB_txn* transaction, table which) {
  if (has(which))
    return MDB_SUCCESS;
  assert(!has_integer_keys(which));
  const std::string name{name_of(which)};
  return mdb_dbi_open(transaction, name.c_str(), MDB_CREATE, &handles_[index_of(which)]);
}

std::size_t lmdb_handles::index_of(table which) noexcept {
  const auto found = std::find(all_tables.begin(), all_tables.end(), which);
  return static_cast<std::size_t>(found - all_tables.begin());
}

caf::error lmdb_error(int code, std::string_view what) {
  const auto text = std::string{what} + ": " + mdb_strerror(code);
  switch (code) {
  case MDB_PAGE_NOTFOUND:
  case MDB_CORRUPTED:
  case MDB_CURSOR_FULL:
  case MDB_PAGE_FULL:
  case MDB_INVALID:
  case MDB_INCOMPATIBLE:
  case MDB_BAD_VALSIZE:
  case MDB_KEYEXIST:
    return make_error(errc::store_corrupt, text);
  case MDB_VERSION_MISMATCH:
    return make_error(errc::store_too_new, text);
  case MDB_MAP_FULL:
    return make_error(errc::disk_full, text);
  case MDB_TXN_FULL:
    return make_error(errc::limit_exceeded, text + "; write fewer or smaller commits at once");
  case MDB_READERS_FULL:
    return make_error(errc::overloaded,
                      text + "; close views, or open the store with a larger max_readers");
  case ENOSPC:
  case EDQUOT:
    return make_error(errc::disk_full, text);
  default:
    return make_error(errc::io_error, text);
  }
}

result<std::optional<byte_view>> lmdb_tables::get(table which, byte_view key) {
  if (!handles_.has(which))
    return std::optional<byte_view>{};
  native_key native{which, key};
  MDB_val value{};
  const auto code = mdb_get(transaction_, handles_[which], native.get(), &value);
  if (code == MDB_NOTFOUND)
    return std::optional<byte_view>{};
  if (code != MDB_SUCCESS)
    return lmdb_error(code, doing("reading", which));
  return std::optional{view_of(value)};
}

result<std::uint64_t> lmdb_tables::last_number(table which) {
  assert(has_integer_keys(which));
  MDB_cursor* opened = nullptr;
  if (const auto code = mdb_cursor_open(transaction_, handles_[which], &opened))
    return lmdb_error(code, doing("reading", which));
  const cursor_ptr cursor{opened};
  MDB_val key{};
  MDB_val value{};
  const auto code = mdb_cursor_get(opened, &key, &value, MDB_LAST);
  if (code == MDB_NOTFOUND)
    return std::uint64_t{0};
  if (code != MDB_SUCCESS)
    return lmdb_error(code, doing("reading", which));
  return load_big_endian<std::uint64_t>(portable_key(key));
}

caf::error lmdb_tables::walk(table which, byte_view from, const visitor& visit) {
  if (!handles_.has(which))
    return caf::none;
  MDB_cursor* opened = nullptr;
  if (const auto code = mdb_cursor_open(transaction_, handles_[which], &opened))
    return lmdb_error(code, doing("reading", which));
  const cursor_ptr cursor{opened};
  // LMDB refuses to look for an empty key.
  const auto from_start = from.empty();
  const auto smallest = table_key::of(std::uint64_t{0});
  native_key native{which, from_start ? byte_view{smallest} : from};
  auto key = *native.get();
  MDB_val value{};
  auto code = mdb_cursor_get(opened, &key, &value, from_start ? MDB_FIRST : MDB_SET_RANGE);
  for (; code == MDB_SUCCESS; code = mdb_cursor_get(opened, &key, &value, MDB_NEXT)) {
    auto more = has_integer_keys(which) ? visit(portable_key(key), view_of(value))
                                        : visit(view_of(key), view_of(value));
    if (!more)
      return more.error();
    if (!*more)
      return caf::none;
  }
  if (code != MDB_NOTFOUND)
    return lmdb_error(code, doing("reading", which));
  return caf::none;
}

caf::error lmdb_tables::put(table which, byte_view key, byte_view value) {
  return put_with(which, key, value, 0);
}

caf::error lmdb_tables::append(table which, byte_view key, byte_view value) {
  return put_with(which, key, value, MDB_APPEND);
}

caf::error lmdb_tables::put_with(table which, byte_view key, byte_view value, unsigned flags) {
  written_size_bytes_ += value.size() + page_size_bytes;
  native_key native{which, key};
  MDB_val data{value.size(), const_cast<std::uint8_t*>(value.data())};
  auto code = handles_.create_missing(transaction_, which);
  if (code == MDB_SUCCESS)
    code = mdb_put(transaction_, handles_[which], native.get(), &data, flags);
  if (code == MDB_SUCCESS)
    return caf::none;
  is_map_full_ = code == MDB_MAP_FULL;
  return lmdb_error(code, doing("writing", which));
}

caf::error lmdb_tables::erase(table which, byte_view key) {
  if (!handles_.has(which))
    return caf::none;
  written_size_bytes_ += page_size_bytes;
  native_key native{which, key};
  const auto code = mdb_del(transaction_, handles_[which], native.get(), nullptr);
  if (code == MDB_SUCCESS || code == MDB_NOTFOUND)
    return caf::none;
  is_map_full_ = code == MDB_MAP_FULL;
  return lmdb_error(code, doing("writing", which));
}

} // namespace fermata::detail
