#include "backup.hpp"

#include "databases.hpp"
#include "escape.hpp"
#include "interruption.hpp"

#include <fermata/storage/lmdb_store.hpp>

namespace fermata::command_line {

namespace {

constexpr std::uint64_t bytes_per_megabyte = 1'000'000;

} // namespace

caf::error back_up(const std::filesystem::path& store, const arguments& given, console& out) {
  if (auto error = refuse_database(store, "backup",
                                   "back the database up as PostgreSQL's manual says, with "
                                   "pg_dump or continuous archiving"))
    return error;
  lmdb_options reading;
  reading.access = store_access::read_only;
  reading.create = false;
  const auto from = lmdb_store::open(store, reading);
  if (!from)
    return from.error();
  std::uint64_t size_bytes = 0;
  backup_options options;
  options.bytes_per_second = given.rate * bytes_per_megabyte;
  options.goes_on = [&](std::uint64_t written_bytes) {
    size_bytes = written_bytes;
    return !was_interrupted();
  };
  if (auto error = (*from)->backup_to(given.directory, options))
    return error;
  out.print(json{{"backup", {{"directory", given.directory}, {"size_bytes", size_bytes}}}});
  out.say(escape_line(given.directory) + " is a copy of the store: " + std::to_string(size_bytes)
          + " bytes.");
  return caf::none;
}

} // namespace fermata::command_line
