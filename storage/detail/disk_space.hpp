#pragma once

#include <cstdint>
#include <filesystem>

namespace fermata::detail {

/// Whether this process could not have written so many more bytes to files in `directory`: the file
/// system, a quota or the limit on file sizes leaves no room. LMDB reports all that as EIO. May
/// write, and remove, a file of up to 1 MiB to find out.
[[nodiscard]] bool lacks_space(const std::filesystem::path& directory, std::uint64_t size_bytes);

} // namespace fermata::detail
