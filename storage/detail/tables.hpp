#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/detail/byte_order.hpp>
#include <fermata/storage/store.hpp>

#include <array>
#include <cassert>
#include <cstring>
#include <functional>
#include <optional>
#include <string>

namespace fermata::detail {

/// The tables of a store. The letter is part of every checksum: a value that turns up in another
/// table is found out.
enum class table : char {
  meta = 'm',      ///< Name of a fact about the store -> value.
  ids = 'i',       ///< Session id -> number.
  heads = 'h',     ///< Number -> anchor, last log position and the caller's head record.
  log = 'l',       ///< Position, from 1 -> the events of one commit.
  parts = 'p',     ///< Number, kind, group, index -> a record other than the head.
  by_status = 's', ///< Status, number -> nothing.
  pending = 'w',   ///< Number, item -> value.
  timers = 't',    ///< Due time, number, timer -> nothing.
  garbage = 'g',   ///< Number, bound -> what is left to erase of its events below the bound.
};

inline constexpr std::array all_tables = {table::meta,    table::ids,    table::heads,
                                          table::log,     table::parts,  table::by_status,
                                          table::pending, table::timers, table::garbage};

/// A table that stores made by format 1 may lack, until something is put into it.
inline constexpr table optional_table = table::garbage;

/// The table's name: in LMDB, and in messages.
[[nodiscard]] std::string_view name_of(table which) noexcept;

/// A key: big-endian numbers, so that the order of bytes is the order of numbers.
class table_key {
public:
  table_key() = default;

  [[nodiscard]] static table_key of_text(std::string_view text) {
    assert(text.size() <= max_id_size_bytes);
    table_key key;
    std::memcpy(key.data_.data(), text.data(), text.size());
    key.size_ = text.size();
    return key;
  }

  /// The concatenation of numbers, each in the width of its type.
  template <std::unsigned_integral... Numbers>
  [[nodiscard]] static table_key of(Numbers... numbers) {
    static_assert((sizeof(Numbers) + ...) <= max_id_size_bytes);
    table_key key;
    (key.append(numbers), ...);
    return key;
  }

  operator byte_view() const noexcept { return {data_.data(), size_}; }

private:
  template <std::unsigned_integral Number>
  void append(Number number) {
    for (std::size_t i = sizeof(Number); i-- > 0;)
      data_[size_++] = static_cast<std::uint8_t>(number >> (8 * i));
  }

  std::array<std::uint8_t, max_id_size_bytes> data_;
  std::size_t size_ = 0;
};

/// The reading side of one transaction of an engine. Keys and values are as they are stored: sealed
/// and not yet trusted. What `get` returns stays valid until the next one, the next write or the
/// transaction's end; what a visitor is shown, until it returns.
class table_reader {
public:
  virtual ~table_reader() = default;

  table_reader() = default;
  table_reader(const table_reader&) = delete;
  table_reader& operator=(const table_reader&) = delete;

  [[nodiscard]] virtual result<std::optional<byte_view>> get(table which, byte_view key) = 0;

  /// The key of the last entry of a table that is keyed by one number; 0: the table is empty.
  [[nodiscard]] virtual result<std::uint64_t> last_number(table which) = 0;

  /// Gets each entry in the order of keys; false ends the walk.
  using visitor = std::function<result<bool>(byte_view key, byte_view value)>;

  /// Visits the entries from the first whose key is not less than `from`.
  [[nodiscard]] virtual caf::error walk(table which, byte_view from, const visitor& visit) = 0;
};

/// One write transaction of an engine. An error means that the whole transaction is lost.
class table_writer : public table_reader {
public:
  [[nodiscard]] virtual caf::error put(table which, byte_view key, byte_view value) = 0;

  /// As `put`, for a key that is greater than all others in its table.
  [[nodiscard]] virtual caf::error append(table which, byte_view key, byte_view value) = 0;

  /// Erasing what is not there is not an error.
  [[nodiscard]] virtual caf::error erase(table which, byte_view key) = 0;
};

/// Seals a value under its table and key, and unseals it. Errors of `unseal_value`:
/// `store_corrupt`, `store_too_new`; the message names table and key.
[[nodiscard]] bytes seal_value(table which, byte_view key, byte_view payload);
/// Into bytes that are used again.
void seal_value(table which, byte_view key, byte_view payload, bytes& sealed);
[[nodiscard]] result<byte_view> unseal_value(table which, byte_view key, byte_view sealed);

/// Says which entry is meant, for messages: `the head of session number 7`.
[[nodiscard]] std::string describe(table which, byte_view key);

} // namespace fermata::detail
