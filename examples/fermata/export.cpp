#include "export.hpp"

#include "escape.hpp"
#include "interruption.hpp"
#include "new_file.hpp"

#include <fermata/actors/queries.hpp>

namespace fermata::command_line {

namespace {

caf::error interrupted(const session_id& session) {
  return make_error(errc::shutting_down,
                    "interrupted before session " + session.str() + " was exported");
}

export_options options_of(const console& out) {
  export_options options;
  options.redaction = out.redaction();
  return options;
}

/// Whatever --json says: the lines are JSON by themselves.
caf::error export_to_output(store& from, const session_id& session, console& out) {
  bool stopped = false;
  const auto print = [&](std::string_view line) {
    out.write(line);
    stopped = out.has_no_reader() || !out.failure().empty();
    if (stopped)
      return make_error(errc::io_error, "standard output takes no more");
    return was_interrupted() ? interrupted(session) : caf::none;
  };
  const auto counts = export_session(from, session, print, options_of(out));
  // A reader that has gone away is no error, and a failure of the console is told at the end.
  return counts || stopped ? caf::none : counts.error();
}

std::string in_words(const export_counts& counts) {
  return std::to_string(counts.events) + " events, " + std::to_string(counts.records) + " records, "
         + std::to_string(counts.pending) + " pending, " + std::to_string(counts.timers)
         + " timers";
}

caf::error export_to_file(store& from, const session_id& session, const std::string& path,
                          console& out) {
  auto file = new_file::make(path);
  if (!file)
    return std::move(file.error());
  const auto write = [&](std::string_view line) {
    return was_interrupted() ? interrupted(session) : file->write(line);
  };
  const auto counts = export_session(from, session, write, options_of(out));
  if (!counts)
    return counts.error();
  if (auto error = file->keep())
    return error;
  auto done = to_json(*counts);
  done["session"] = session.str();
  done["file"] = path;
  out.print(json{{"exported", std::move(done)}});
  out.say(escape_line(path) + " has session " + session.str() + ": " + in_words(*counts));
  return caf::none;
}

} // namespace

caf::error query_of_export(const arguments& given, store& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  if (given.out.empty() || given.out == "-")
    return export_to_output(from, *session, out);
  return export_to_file(from, *session, given.out, out);
}

} // namespace fermata::command_line
