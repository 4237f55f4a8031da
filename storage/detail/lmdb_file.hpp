#pragma once

#include <fermata/messages/errors.hpp>

#include <cstdint>
#include <filesystem>

namespace fermata::detail {

// The files of a store's directory.
inline constexpr auto data_file_name = "data.mdb";
inline constexpr auto reader_file_name = "lock.mdb";
inline constexpr auto owner_file_name = "owner.lock";
/// A folder with the file that is to replace `data.mdb`, while it is made.
inline constexpr auto compact_folder_name = "compact.partial";

enum class file_state : std::uint8_t {
  absent,   ///< There is no file, or an empty one: LMDB will make it.
  complete, ///< As long as its newest state needs.
  short_,   ///< Shorter than its newest state has pages; see `check_lmdb_file`.
};

/// Compares an LMDB file's two meta pages with each other and with the file's length, without
/// mapping it: a truncated file opens without an error and then kills its reader with SIGBUS.
///
/// `short_` does not quite mean truncated: pages at the end that a transaction allocated and gave
/// back are counted, but never written. Only reading everything that is reachable tells.
///
/// Errors: `store_corrupt`, `store_too_new`, `store_unavailable` (the file cannot be read).
[[nodiscard]] result<file_state> check_lmdb_file(const std::filesystem::path& file);

/// Makes the file as long as its newest state needs, which `short_` files are not.
[[nodiscard]] caf::error extend_lmdb_file(int descriptor, std::uint64_t size_bytes);

} // namespace fermata::detail
