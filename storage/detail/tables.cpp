#include <fermata/storage/detail/tables.hpp>

#include <fermata/storage/record_codec.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

/// What the checksum of an entry covers besides its value: the table's letter and the key.
class checksum_key {
public:
  checksum_key(table which, byte_view key) : size_{1 + std::min(key.size(), data_.size() - 1)} {
    data_[0] = static_cast<std::uint8_t>(which);
    std::copy_n(key.begin(), size_ - 1, data_.begin() + 1);
  }

  operator byte_view() const noexcept { return {data_.data(), size_}; }

private:
  std::array<std::uint8_t, 1 + max_id_size_bytes> data_;
  std::size_t size_;
};

} // namespace

std::string_view name_of(table which) noexcept {
  switch (which) {
  case table::meta:
    return "meta";
  case table::ids:
    return "ids";
  case table::heads:
    return "heads";
  case table::log:
    return "log";
  case table::parts:
    return "parts";
  case table::by_status:
    return "by_status";
  case table::pending:
    return "pending";
  case table::timers:
    return "timers";
  case table::garbage:
    return "garbage";
  }
  return "unknown";
}

bytes seal_value(table which, byte_view key, byte_view payload) {
  return seal(checksum_key{which, key}, payload);
}

void seal_value(table which, byte_view key, byte_view payload, bytes& sealed) {
  seal(checksum_key{which, key}, payload, sealed);
}

result<byte_view> unseal_value(table which, byte_view key, byte_view sealed) {
  auto payload = unseal({}, checksum_key{which, key}, sealed);
  if (payload)
    return payload;
  // The description is made only now: building it on every read would cost more than reading.
  return unseal(describe(which, key), checksum_key{which, key}, sealed);
}

std::string describe(table which, byte_view key) {
  const auto number_at = [key](std::size_t offset) {
    return std::to_string(load_big_endian<std::uint64_t>(key.subspan(offset)));
  };
  if (which == table::heads && key.size() == 8)
    return "the head of session number " + number_at(0);
  if (which == table::log && key.size() == 8)
    return "the journal record at position " + number_at(0);
  if (which == table::pending && key.size() == 16)
    return "pending item " + number_at(8) + " of session number " + number_at(0);
  if (which == table::parts && key.size() == 21)
    return "the record of kind " + std::to_string(key[8]) + ", group "
           + std::to_string(load_big_endian<std::uint32_t>(key.subspan(9))) + ", index "
           + number_at(13) + " of session number " + number_at(0);
  if (which == table::garbage && key.size() == 16)
    return "the garbage of session number " + number_at(0) + " below event " + number_at(8);
  constexpr std::string_view digits = "0123456789abcdef";
  const auto is_text = which == table::ids || which == table::meta;
  std::string text = "the entry ";
  for (const auto byte : key) {
    if (is_text && byte > 0x20 && byte < 0x7F) {
      text += static_cast<char>(byte);
    } else {
      text += digits[byte >> 4];
      text += digits[byte & 0xF];
    }
  }
  return text + " of table " + std::string{name_of(which)};
}

} // namespace fermata::detail
