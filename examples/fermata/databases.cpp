#include "databases.hpp"

#include "inputs.hpp"

#include <fermata/messages/json.hpp>

#include <system_error>

namespace fermata::command_line {

namespace {

constexpr std::size_t max_file_bytes = 65'536;

/// As LMDB names it.
constexpr const char* file_of_sessions = "data.mdb";

bool is_there(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::exists(file, ignored);
}

} // namespace

result<std::optional<database_setting>> read_database(const std::filesystem::path& folder) {
  const auto file = folder / remembered_database;
  if (!is_there(file))
    return std::optional<database_setting>{};
  const auto text = read_text(file.string(), max_file_bytes);
  if (!text)
    return text.error();
  const auto value = parse_json(*text);
  auto read = value ? from_json<database_setting>(*value, unknown_fields::keep)
                    : result<database_setting>{value.error()};
  if (!read)
    return make_error(code_of(read.error()), file.string() + ": " + message_of(read.error()));
  return std::optional{std::move(*read)};
}

result<std::optional<database_setting>> choose_database(const arguments& given,
                                                        const std::filesystem::path& folder) {
  auto known = read_database(folder);
  if (!known || given.database.empty())
    return known;
  if (!*known && is_there(folder / file_of_sessions))
    return make_error(errc::invalid_field,
                      folder.string()
                          + " has sessions itself, and would have others in the "
                            "database; name an empty folder, and `fermata export` and "
                            "`fermata import` those that are to go on there");
  database_setting chosen{given.database, given.schema};
  if (chosen.schema.empty())
    chosen.schema = *known ? (*known)->schema : database_setting{}.schema;
  if (*known)
    chosen.identity = (*known)->identity;
  return std::optional{std::move(chosen)};
}

caf::error refuse_database(const std::filesystem::path& folder, const char* command,
                           const char* instead) {
  const auto known = read_database(folder);
  if (!known)
    return known.error();
  if (!*known)
    return caf::none;
  return make_error(errc::invalid_field, std::string{command}
                                             + " is for sessions in a store's own files, and those "
                                               "of "
                                             + folder.string() + " are in a database ("
                                             + remembered_database + " says which); " + instead);
}

} // namespace fermata::command_line
