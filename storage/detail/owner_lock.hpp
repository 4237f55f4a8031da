#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <filesystem>

namespace fermata::detail {

/// Creates a directory with mode 0700 unless it exists, and those above it. Errors:
/// `store_unavailable`.
[[nodiscard]] caf::error create_private_directory(const std::filesystem::path& directory);

/// Makes the entries of a directory, and its own entry in the one above, durable.
[[nodiscard]] caf::error sync_directory(const std::filesystem::path& directory);

/// Locks the store in `directory` for writing, for as long as the returned file is open. The system
/// releases it with the process, however that ends; waits a little for the lock of one that has
/// ended, which a child of it may hold that has just begun. Errors: `store_busy`, naming the
/// owner's pid; `store_unavailable`.
[[nodiscard]] result<file_descriptor> lock_for_owner(const std::filesystem::path& directory);

/// Held while the files of a store are opened, by any number of openers at once; waits while they
/// are replaced. Where directories cannot be locked, nothing is, and nobody replaces them there.
[[nodiscard]] file_descriptor lock_for_opening(const std::filesystem::path& directory);

/// Held while the files of a store are replaced: nobody opens them meanwhile. Waits for those who
/// do. Errors: `store_unavailable`.
[[nodiscard]] result<file_descriptor> lock_for_replacing(const std::filesystem::path& directory);

/// Refuses with `store_busy`, which names its pid, when another process has the files of a store
/// open, be it only to read. This process must not have them open.
[[nodiscard]] caf::error check_unused(const std::filesystem::path& directory);

} // namespace fermata::detail
