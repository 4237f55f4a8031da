#pragma once

#include "databases.hpp"

#include <fermata/storage/session_ownership.hpp>
#include <fermata/storage/store.hpp>
#include <fermata/storage/verify_store.hpp>

#include <chrono>

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

/// Opens the sessions of a folder, wherever they are: in it, or in the database that it remembers.
/// Errors: `store_unavailable` when there are none, or they cannot be opened or made; `store_busy`
/// when another process owns them; `store_corrupt`, `store_too_new`; those of `read_database`;
/// `invalid_field` when the database has not the store that the folder remembers, but another one.
[[nodiscard]] result<std::shared_ptr<store>> open_store(const std::filesystem::path& folder,
                                                        store_purpose purpose);

/// The same of a database that is known already; nothing: in the folder.
[[nodiscard]] result<std::shared_ptr<store>>
open_store(const std::filesystem::path& folder, store_purpose purpose,
           const std::optional<database_setting>& database);

/// Sessions that are open, with what there is to know where they are in a database.
struct opened_sessions {
  std::shared_ptr<fermata::store> store;
  std::shared_ptr<session_ownership> ownership; ///< Null: no other node has them.
  store_identity identity;                      ///< Empty: they are in a folder.

  opened_sessions() = default;
};

/// As `open_store`.
[[nodiscard]] result<opened_sessions>
open_sessions(const std::filesystem::path& folder, store_purpose purpose,
              const std::optional<database_setting>& database);

/// Opens or makes the sessions in a database for one of the nodes that share it. Errors: as
/// `open_store`.
[[nodiscard]] result<opened_sessions> open_shared_store(const std::filesystem::path& folder,
                                                        const database_setting& database,
                                                        const node_name& node,
                                                        std::chrono::milliseconds lease);

/// The database of a setting, for people; never with a password.
[[nodiscard]] std::string describe(const database_setting& database);

/// Checks all that is stored, beside whoever owns it. Errors: those of `verify_store` and
/// `open_store`.
[[nodiscard]] result<verify_report> verify_store_of(const std::filesystem::path& folder);

} // namespace fermata::command_line
