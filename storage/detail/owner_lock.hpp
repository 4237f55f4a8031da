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
/// releases it with the process, however that ends. Errors: `store_busy`, naming the owner's pid;
/// `store_unavailable`.
[[nodiscard]] result<file_descriptor> lock_for_owner(const std::filesystem::path& directory);

} // namespace fermata::detail
