#pragma once

#include <fermata/actors/core/session_data.hpp>
#include <fermata/messages/errors.hpp>
#include <fermata/messages/json.hpp>

#include <cstdint>
#include <optional>

namespace fermata::core {

/// A session's data while nobody looks at it: its records, one behind the other, in one piece of
/// memory. As objects they take four to five times as much.
struct packed_session {
  /// As a CBOR sequence (RFC 8742), of each twice its kind, and one more if it is not written yet;
  /// the group and index of its key; and its value.
  bytes records;
  std::uint64_t first_event = 1;
  std::uint64_t tail_size_bytes = 0;
  std::optional<timestamp> last_change;

  packed_session() = default;
};

/// Packs committed data, with no call or plan of the past but those that are not written yet.
[[nodiscard]] packed_session pack(const session_data& data);

/// What `pack` was given, or rather what an activation would load in its place. Errors: as
/// `load_records`.
[[nodiscard]] result<session_data> unpack(const packed_session& packed);

} // namespace fermata::core
