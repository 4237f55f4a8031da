#pragma once

#include "arguments.hpp"

#include <fermata/messages/fields.hpp>
#include <fermata/messages/store_identity.hpp>

#include <filesystem>
#include <optional>
#include <string>

/// Where the sessions of a store's folder are, if not in the folder itself.
namespace fermata::command_line {

/// A store keeps where its database is in this file, from the first command with --database on.
inline constexpr const char* remembered_database = "database.json";

/// A PostgreSQL database. The store's folder has the rest: the socket of its service, the files
/// that it remembers.
struct database_setting {
  std::string connection; ///< As libpq reads it.
  std::string schema = "fermata";
  /// Of the store that was there when the folder remembered it. Empty: it was not asked for yet, as
  /// by an earlier version.
  store_identity identity;

  database_setting() = default;
  database_setting(std::string where, std::string in)
      : connection{std::move(where)}, schema{std::move(in)} {}
  static constexpr auto fields() {
    return field_list{field("connection", &database_setting::connection),
                      optional_field("schema", &database_setting::schema),
                      optional_field("identity", &database_setting::identity)};
  }
};

/// The one that a folder remembers; nothing: sessions are in the folder. Errors: those of
/// `read_text`, `parse_json` and `from_json`.
[[nodiscard]] result<std::optional<database_setting>>
read_database(const std::filesystem::path& folder);

/// The one that --database and --schema name, else the one that the folder remembers; in any case
/// with the identity that the folder remembers: wherever its database has moved, it is to be the
/// same. Errors: also `invalid_field` where the folder has sessions itself.
[[nodiscard]] result<std::optional<database_setting>>
choose_database(const arguments& given, const std::filesystem::path& folder);

/// Of commands that are about files. Errors: `invalid_field` where the folder's sessions are in a
/// database; `instead` says what its operator does.
[[nodiscard]] caf::error refuse_database(const std::filesystem::path& folder, const char* command,
                                         const char* instead);

} // namespace fermata::command_line
