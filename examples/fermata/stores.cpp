#include "stores.hpp"

#include "inputs.hpp"

#include <fermata/storage/lmdb_store.hpp>

#ifdef FERMATA_HAS_POSTGRES
#  include <fermata/storage/postgres/postgres_ownership.hpp>
#endif

#include <system_error>

namespace fermata::command_line {

namespace {

#ifdef FERMATA_HAS_POSTGRES

/// For the socket of a service, and what the store remembers. Errors: `store_unavailable`.
caf::error make_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  if (!std::filesystem::create_directories(folder, failure) && !failure)
    return caf::none; // there was one
  if (!failure)
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failure);
  if (failure)
    return make_error(errc::store_unavailable,
                      folder.string() + " cannot be made: " + failure.message());
  return caf::none;
}

/// What is wrong with the options of a database, in the words of the command.
caf::error as_option_error(const caf::error& refusal) {
  auto text = message_of(refusal);
  for (const auto& [from, to] : {std::pair{"postgres_options.connection must", "--database must"},
                                 std::pair{"postgres_options.schema", "--schema"}})
    if (const auto at = text.find(from); at != std::string::npos)
      text.replace(at, std::string_view{from}.size(), to);
  return make_error(code_of(refusal), std::move(text));
}

postgres_options options_of(const database_setting& database) {
  postgres_options options;
  options.connection = database.connection;
  options.schema = database.schema;
  return options;
}

/// Somebody else's sessions, or none, are where the folder's are expected. That it was asked for by
/// --database is no consent: that is in the files by which a service is started.
caf::error not_the_store(const std::filesystem::path& folder, const database_setting& database,
                         const caf::error& refusal) {
  const auto file = (folder / remembered_database).string();
  return make_error(
      errc::invalid_field,
      message_of(refusal) + ", and the sessions of " + folder.string() + " are in the store "
          + database.identity.str() + " (" + file
          + "): --database and --schema are to lead to that one, wherever it has moved. If another "
            "one is meant from now on, remove "
          + file + ", and name it with --database and --schema");
}

result<std::shared_ptr<postgres_store>> open_database(const std::filesystem::path& folder,
                                                      store_purpose purpose,
                                                      const database_setting& database,
                                                      const node_name& node) {
  auto options = options_of(database);
  options.node = node;
  options.access =
      purpose == store_purpose::query ? store_access::read_only : store_access::read_write;
  options.create = purpose == store_purpose::create;
  options.identity = database.identity;
  auto opened = postgres_store::open(std::move(options));
  if (!opened && is(opened.error(), errc::other_store))
    return not_the_store(folder, database, opened.error());
  if (!opened)
    return as_option_error(opened.error());
  if (purpose == store_purpose::create)
    if (auto error = make_folder(folder))
      return error;
  return opened;
}

#else

/// Has what is used of one.
struct no_database : store {
  virtual result<verify_report> verify() = 0;
  virtual store_identity identity() = 0;
};

caf::error no_databases() {
  return make_error(errc::store_unavailable,
                    "this build of fermata has no PostgreSQL: it was made without libpq");
}

result<std::shared_ptr<no_database>> open_database(const std::filesystem::path&, store_purpose,
                                                   const database_setting&, const node_name&) {
  return no_databases();
}

#endif

} // namespace

result<std::filesystem::path> locate_store(const std::string& given) {
  if (!given.empty())
    return std::filesystem::path{given};
  if (const auto named = environment_variable("FERMATA_STORE"); !named.empty())
    return std::filesystem::path{named};
  // The XDG Base Directory Specification: a relative path is to be ignored.
  std::filesystem::path data = environment_variable("XDG_DATA_HOME");
  if (!data.is_absolute()) {
    const auto home = environment_variable("HOME");
    if (home.empty())
      return make_error(errc::store_unavailable,
                        "there is no HOME to keep the store in; name one with --store DIR or "
                        "FERMATA_STORE");
    data = std::filesystem::path{home} / ".local" / "share";
  }
  return data / "fermata" / "store";
}

result<std::shared_ptr<store>> open_store(const std::filesystem::path& folder,
                                          store_purpose purpose) {
  const auto database = read_database(folder);
  if (!database)
    return database.error();
  return open_store(folder, purpose, *database);
}

result<std::shared_ptr<store>> open_store(const std::filesystem::path& folder,
                                          store_purpose purpose,
                                          const std::optional<database_setting>& database) {
  auto opened = open_sessions(folder, purpose, database);
  if (!opened)
    return std::move(opened.error());
  return std::move(opened->store);
}

result<opened_sessions> open_sessions(const std::filesystem::path& folder, store_purpose purpose,
                                      const std::optional<database_setting>& database) {
  opened_sessions made;
  if (database) {
    auto opened = open_database(folder, purpose, *database, {});
    if (!opened)
      return std::move(opened.error());
    made.identity = (*opened)->identity();
    made.store = std::move(*opened);
    return made;
  }
  lmdb_options options;
  options.access =
      purpose == store_purpose::query ? store_access::read_only : store_access::read_write;
  options.create = purpose == store_purpose::create;
  auto opened = lmdb_store::open(folder, options);
  if (!opened)
    return std::move(opened.error());
  made.store = std::move(*opened);
  return made;
}

#ifdef FERMATA_HAS_POSTGRES

std::string describe(const database_setting& database) {
  return fermata::describe(options_of(database));
}

result<opened_sessions> open_shared_store(const std::filesystem::path& folder,
                                          const database_setting& database, const node_name& node,
                                          std::chrono::milliseconds lease) {
  auto opened = open_database(folder, store_purpose::create, database, node);
  if (!opened)
    return std::move(opened.error());
  auto joined = postgres_ownership::join(*opened, lease);
  if (!joined)
    return std::move(joined.error());
  opened_sessions made;
  made.identity = (*opened)->identity();
  made.store = std::move(*opened);
  made.ownership = std::move(*joined);
  return made;
}

#else

std::string describe(const database_setting& database) {
  return "schema " + database.schema + " of a database";
}

result<opened_sessions> open_shared_store(const std::filesystem::path&, const database_setting&,
                                          const node_name&, std::chrono::milliseconds) {
  return no_databases();
}

#endif

result<verify_report> verify_store_of(const std::filesystem::path& folder) {
  const auto database = read_database(folder);
  if (!database)
    return database.error();
  if (!*database)
    return verify_store(folder);
  const auto opened = open_database(folder, store_purpose::query, **database, {});
  if (!opened)
    return opened.error();
  return (*opened)->verify();
}

} // namespace fermata::command_line
