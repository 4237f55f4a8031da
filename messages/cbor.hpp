#pragma once

#include <fermata/messages/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

/// CBOR (RFC 8949) without a tree of JSON in between: what records are written with, and read with
/// as long as they are what is written here.
namespace fermata::detail {

/// The first three bits of an item.
enum class cbor_major : std::uint8_t {
  unsigned_integer,
  negative_integer,
  bytes,
  text,
  array,
  map,
  tag,
  simple
};

// Items that are one byte.
inline constexpr std::uint8_t cbor_false = 0xf4;
inline constexpr std::uint8_t cbor_true = 0xf5;
inline constexpr std::uint8_t cbor_null = 0xf6;

/// Bytes to write to, for a short time: a thread's own, which grow once and not for each record.
class cbor_buffer {
public:
  cbor_buffer() : storage_{std::exchange(spare(), {})} {}
  cbor_buffer(const cbor_buffer&) = delete;
  cbor_buffer& operator=(const cbor_buffer&) = delete;
  ~cbor_buffer() {
    constexpr std::size_t most_kept_bytes = 65'536;
    if (storage_.size() <= most_kept_bytes)
      spare() = std::move(storage_);
  }

  /// Room for so many more bytes.
  [[nodiscard]] std::uint8_t* room(std::size_t size_bytes) {
    if (storage_.size() - size_bytes_ < size_bytes)
      storage_.resize(std::max(usual_size_bytes, 2 * storage_.size() + size_bytes));
    return storage_.data() + size_bytes_;
  }
  /// So many of them are written.
  void advance(std::size_t size_bytes) noexcept { size_bytes_ += size_bytes; }

  /// What is written, no larger than it is.
  [[nodiscard]] bytes content() const { return {storage_.data(), storage_.data() + size_bytes_}; }

private:
  static constexpr std::size_t usual_size_bytes = 512; // most records are smaller

  static bytes& spare() noexcept {
    thread_local bytes kept;
    return kept;
  }

  bytes storage_;
  std::size_t size_bytes_ = 0;
};

/// Appends items to a buffer; each byte is the one that `to_cbor` writes.
class cbor_writer {
public:
  /// `out` must outlive the writer.
  explicit cbor_writer(cbor_buffer& out) : out_{out} {}

  void null() { byte(cbor_null); }
  void boolean(bool value) { byte(value ? cbor_true : cbor_false); }
  void unsigned_integer(std::uint64_t value) { head(cbor_major::unsigned_integer, value); }
  void integer(std::int64_t value) {
    if (value >= 0)
      unsigned_integer(static_cast<std::uint64_t>(value));
    else
      head(cbor_major::negative_integer, static_cast<std::uint64_t>(-1 - value));
  }
  void text(std::string_view value) {
    head(cbor_major::text, value.size());
    append(value.data(), value.size());
  }
  void byte_string(std::span<const std::uint8_t> value) {
    head(cbor_major::bytes, value.size());
    append(value.data(), value.size());
  }
  /// So many items follow, or so many pairs of a key, which is a text, and an item: sorted by key.
  void array(std::size_t size) { head(cbor_major::array, size); }
  void map(std::size_t size) { head(cbor_major::map, size); }
  void value(const json& value);

private:
  void head(cbor_major major, std::uint64_t argument);
  void byte(std::uint8_t value) {
    *out_.room(1) = value;
    out_.advance(1);
  }
  void append(const void* data, std::size_t size_bytes) {
    if (size_bytes == 0)
      return; // there may be no data
    std::memcpy(out_.room(size_bytes), data, size_bytes);
    out_.advance(size_bytes);
  }

  cbor_buffer& out_;
};

/// Reads items one by one. Each function takes the next item and says true, or says false where it
/// is not what is asked for, or is not as `cbor_writer` writes it (a map whose keys are not in
/// order, for example): the reader then stands somewhere in between, and `parse_cbor` may read the
/// record after all, or says what is wrong with it. Never reads beyond the end.
class cbor_reader {
public:
  /// `data` must outlive the reader, and the texts that it lends.
  explicit cbor_reader(std::span<const std::uint8_t> data) : rest_{data} {}

  [[nodiscard]] bool is_at_end() const noexcept { return rest_.empty(); }
  /// True, and the item is taken, if it is null; else nothing is taken.
  [[nodiscard]] bool take_null() noexcept;
  [[nodiscard]] bool boolean(bool& out) noexcept;
  [[nodiscard]] bool unsigned_integer(std::uint64_t& out) noexcept;
  [[nodiscard]] bool integer(std::int64_t& out) noexcept;
  /// Only what is written as a floating-point number.
  [[nodiscard]] bool floating(double& out) noexcept;
  /// The text is in the data.
  [[nodiscard]] bool text(std::string_view& out) noexcept;
  /// The bytes are in the data.
  [[nodiscard]] bool byte_string(std::span<const std::uint8_t>& out) noexcept;
  [[nodiscard]] bool array(std::size_t& size) noexcept;
  [[nodiscard]] bool map(std::size_t& size) noexcept;
  /// Not nested beyond `max_json_depth`.
  [[nodiscard]] bool value(json& out) { return value(out, max_json_depth); }
  [[nodiscard]] bool skip() noexcept { return skip(max_json_depth); }

  /// Is the next item an integer below zero?
  [[nodiscard]] bool is_negative() const noexcept {
    return !rest_.empty() && major_of(rest_.front()) == cbor_major::negative_integer;
  }

private:
  static cbor_major major_of(std::uint8_t first) noexcept {
    return static_cast<cbor_major>(first >> 5);
  }
  [[nodiscard]] bool head(cbor_major expected, std::uint64_t& argument) noexcept;
  [[nodiscard]] bool size(cbor_major expected, std::size_t& out) noexcept;
  [[nodiscard]] bool value(json& out, std::size_t levels);
  [[nodiscard]] bool skip(std::size_t levels) noexcept;

  std::span<const std::uint8_t> rest_;
};

} // namespace fermata::detail
