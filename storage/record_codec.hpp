#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/json.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace fermata {

/// The newest record format that this version reads, and the one it writes.
inline constexpr std::uint8_t record_format = 1;

/// The CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `data`, continuing from `crc`.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::uint8_t> data,
                                   std::uint32_t crc = 0) noexcept;

/// The same, computed with tables as on processors without an instruction for it; for tests.
[[nodiscard]] std::uint32_t crc32c_portable(std::span<const std::uint8_t> data,
                                            std::uint32_t crc = 0) noexcept;

/// Wraps a payload for storage: CRC-32C (4 bytes, little endian, over the key, the format and the
/// payload), format (1 byte), payload. The key takes part in the checksum, so a value under
/// another's key is found out.
[[nodiscard]] bytes seal(std::span<const std::uint8_t> key, std::span<const std::uint8_t> payload);
/// Into bytes that are used again.
void seal(std::span<const std::uint8_t> key, std::span<const std::uint8_t> payload, bytes& sealed);

/// Unwraps what `seal` made; the payload borrows from `sealed`. Errors: `store_corrupt` for a wrong
/// checksum or a value that is too short, `store_too_new` for a newer format; `what` names the
/// record in the message.
[[nodiscard]] result<std::span<const std::uint8_t>> unseal(std::string_view what,
                                                           std::span<const std::uint8_t> key,
                                                           std::span<const std::uint8_t> sealed);

} // namespace fermata
