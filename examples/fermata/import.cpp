#include "import.hpp"

#include "escape.hpp"
#include "membership.hpp"
#include "stores.hpp"

#include <fermata/storage/session_export.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>

namespace fermata::command_line {

namespace {

result<imported_session> read_export(store& into, const std::string& file,
                                     const import_options& how) {
  return file == "-" ? import_session(into, lines_of(std::cin), how)
                     : import_session(into, std::filesystem::path{file}, how);
}

caf::error check_readable(const std::string& file) {
  if (std::filesystem::is_regular_file(file) && std::ifstream{file})
    return caf::none;
  return make_error(errc::invalid_field, file + ": it cannot be opened, or is not a file");
}

} // namespace

caf::error import_into(const std::filesystem::path& store, const arguments& given, console& out) {
  // Before a store is made for it.
  if (given.export_file != "-")
    if (auto error = check_readable(given.export_file))
      return error;
  const auto node = read_membership(store);
  if (!node)
    return node.error();
  const auto into = open_store(store, store_purpose::create);
  if (!into)
    return into.error();
  import_options how;
  how.accept_edited = given.accept_edited;
  how.check_session = [&](const session_id& session) {
    return check_home(store, *node, session, ", where nobody would find it");
  };
  const auto done = read_export(**into, given.export_file, how);
  if (!done)
    return done.error();
  out.print(json{{"imported",
                  {{"session", done->session.str()},
                   {"events", done->events},
                   {"redacted", done->redacted}}}});
  out.say("Session " + done->session.str() + " is imported, with " + std::to_string(done->events)
          + " events. `fermata status " + done->session.str() + "` says where it stands.");
  if (done->redacted)
    out.say(out.painted(paint::warning, "It was redacted: what was hidden is gone, and agents and "
                                        "tools get [redacted] for it."));
  return caf::none;
}

} // namespace fermata::command_line
