#pragma once

#include <fermata/storage/store.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace fermata::command_line {

/// Where sessions are kept: `given` (from --store), else $FERMATA_STORE, else
/// ${XDG_DATA_HOME:-~/.local/share}/fermata/store. Errors: `store_unavailable` when there is no
/// home.
[[nodiscard]] result<std::filesystem::path> locate_store(const std::string& given);

enum class store_purpose {
  query,  ///< To read, also beside another process that owns the store.
  change, ///< To own a store that exists.
  create  ///< To own a store, which is made when it does not exist.
};

/// Errors: `store_unavailable` when there is none, or it cannot be opened or made; `store_busy`
/// when another process owns it; `store_corrupt`, `store_too_new`.
[[nodiscard]] result<std::shared_ptr<store>> open_store(const std::filesystem::path& folder,
                                                        store_purpose purpose);

} // namespace fermata::command_line
