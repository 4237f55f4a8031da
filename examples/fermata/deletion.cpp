#include "deletion.hpp"

#include "databases.hpp"
#include "escape.hpp"
#include "gateway.hpp"
#include "inputs.hpp"
#include "interruption.hpp"
#include "stores.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/storage/lmdb_store.hpp>

#include <array>
#include <limits>
#include <set>
#include <vector>

namespace fermata::command_line {

namespace {

/// What is said of a session before it is gone.
struct doomed_session {
  session_id session;
  session_state state = session_state::idle;
  std::uint64_t events = 0; ///< That are kept.
};

doomed_session doomed(const session_status& status) {
  return {status.session, status.state, status.events + 1 - status.first_event};
}

void tell(console& out, const char* what, const doomed_session& of, const std::string& words) {
  out.print(json{
      {what,
       {{"session", of.session.str()}, {"state", enum_name(of.state)}, {"events", of.events}}}});
  out.say(of.session.str() + " " + words + " (" + enum_name(of.state) + ", "
          + std::to_string(of.events) + " events).");
}

result<gateway_options> options_for(const arguments& given) {
  auto store = locate_store(given.store);
  if (!store)
    return std::move(store.error());
  gateway_options options;
  options.owner.store = std::move(*store);
  options.owner.create_store = false;
  options.owner.approve = given.approve;
  return options;
}

result<std::vector<session_id>> named_sessions(const arguments& given) {
  std::vector<session_id> sessions;
  std::set<session_id> seen;
  for (const auto& text : given.ids) {
    auto session = session_id::parse(text);
    if (!session)
      return std::move(session.error());
    if (seen.insert(*session).second)
      sessions.push_back(std::move(*session));
  }
  return sessions;
}

/// Nothing has happened to it since `before`.
result<bool> is_older(store& from, const session_status& status, timestamp before) {
  const auto last = query_events(from, status.session, status.events, 1);
  if (!last)
    return last.error();
  return !last->empty() && last->front().at < before;
}

struct finished_sessions {
  std::vector<session_id> sessions;
  std::vector<std::string> damaged; ///< Of those that cannot be read: why.
};

/// Adds a session if it is over for long enough. Errors: as those of `query_status`.
caf::error add_finished(const arguments& given, store& from, const session_id& session,
                        timestamp before, finished_sessions& found) {
  const auto status = query_status(from, session);
  if (!status)
    return status.error();
  const auto older = given.after ? is_older(from, *status, before) : result<bool>{true};
  if (!older)
    return older.error();
  if (*older)
    found.sessions.push_back(session);
  return caf::none;
}

/// Those whose plan is over, and was long enough.
result<finished_sessions> find_finished(const arguments& given, store& from) {
  constexpr std::array over{session_state::completed, session_state::failed,
                            session_state::cancelled, session_state::rejected};
  const auto before =
      std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())
      - given.after.value_or(std::chrono::milliseconds{0});
  finished_sessions found;
  for (const auto state : over)
    for (std::optional<session_number> after = 0; after;) {
      const auto page = query_session_page(from, state, *after);
      if (!page)
        return page.error();
      after = page->next;
      found.damaged.insert(found.damaged.end(), page->damaged.begin(), page->damaged.end());
      for (const auto& one : page->sessions) {
        const auto error = add_finished(given, from, one.session, before, found);
        if (is_damage(error))
          found.damaged.push_back(message_of(error));
        else if (error && !is(error, errc::unknown_session)) // another one has deleted it
          return error;
      }
    }
  return found;
}

/// Says what is left alone since it cannot be read. Damage is for people to look at.
exit_status complain(const std::vector<std::string>& damaged, console& out) {
  for (const auto& why : damaged)
    out.report(name_of(errc::store_corrupt), out.as_json() ? why : escape_line(why));
  return damaged.empty() ? exit_status::done : exit_status::attention;
}

result<exit_status> list_finished(const arguments& given, console& out) {
  const auto folder = locate_store(given.store);
  if (!folder)
    return folder.error();
  const auto from = open_store(*folder, store_purpose::query);
  if (!from)
    return from.error();
  const auto found = find_finished(given, **from);
  if (!found)
    return found.error();
  for (const auto& one : found->sessions)
    if (const auto status = query_status(**from, one))
      tell(out, "would_delete", doomed(*status), "would be deleted");
  out.say(std::to_string(found->sessions.size()) + " sessions would be deleted.");
  return complain(found->damaged, out);
}

/// A session that goes on, or has gone, while others are deleted.
bool is_left_alone(const caf::error& error) {
  return is(error, errc::not_allowed) || is(error, errc::unknown_session);
}

result<exit_status> delete_sessions(const arguments& given, console& out) {
  auto sessions = named_sessions(given);
  if (!sessions)
    return std::move(sessions.error());
  auto options = options_for(given);
  if (!options)
    return std::move(options.error());
  const auto way = gateway::open(*options, given, out);
  if (!way)
    return way.error();
  auto over = given.finished ? find_finished(given, (*way)->store()) : finished_sessions{};
  if (!over)
    return std::move(over.error());
  if (given.finished)
    sessions = std::move(over->sessions);
  std::uint64_t deleted = 0;
  for (const auto& session : *sessions) {
    if (was_interrupted())
      return exit_status::interrupted;
    const auto before = (*way)->records_of(session).status(session);
    delete_session body{given.reason};
    body.by = user_name();
    const auto done =
        before ? (*way)->link_to(session)->send(std::move(body)) : result<receipt>{before.error()};
    if (!done && given.finished && is_left_alone(done.error()))
      continue;
    if (!done)
      return done.error();
    ++deleted;
    tell(out, "deleted", doomed(*before), "is deleted");
  }
  if (deleted > 0)
    out.say("The space is used for what is stored next; `fermata compact` gives it back.");
  else
    out.say("Nothing is to be deleted.");
  return complain(over->damaged, out);
}

result<exit_status> trim(const arguments& given, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  auto options = options_for(given);
  if (!options)
    return std::move(options.error());
  const auto way = gateway::open(*options, given, out);
  if (!way)
    return way.error();
  const auto before = (*way)->records_of(*session).status(*session);
  if (!before)
    return before.error();
  trim_history body{given.keep};
  body.by = user_name();
  if (const auto done = (*way)->link_to(*session)->send(std::move(body)); !done)
    return done.error();
  const auto after = (*way)->records_of(*session).status(*session);
  if (!after)
    return after.error();
  out.print(json{{"trimmed",
                  {{"session", session->str()},
                   {"first_event", after->first_event},
                   {"events", after->events}}}});
  out.say(after->first_event == before->first_event
              ? "There is nothing to drop: " + session->str() + " has no more events."
              : std::to_string(after->first_event - before->first_event) + " events of "
                    + session->str() + " are dropped; the first one is "
                    + std::to_string(after->first_event) + " now.");
  return exit_status::done;
}

} // namespace

result<exit_status> run_deletion(const arguments& given, console& out) {
  if (given.command == "trim")
    return trim(given, out);
  return given.dry_run ? list_finished(given, out) : delete_sessions(given, out);
}

caf::error compact(const std::filesystem::path& store, console& out) {
  if (auto error = refuse_database(store, "compact", "PostgreSQL vacuums by itself"))
    return error;
  backup_options options;
  options.goes_on = [](std::uint64_t) { return !was_interrupted(); };
  const auto done = lmdb_store::compact(store, options);
  if (!done)
    return done.error();
  out.print(json{{"compacted",
                  {{"store", store.string()},
                   {"erased", done->erased},
                   {"size_before_bytes", done->size_before_bytes},
                   {"size_after_bytes", done->size_after_bytes}}}});
  const auto freed = done->size_before_bytes > done->size_after_bytes
                         ? done->size_before_bytes - done->size_after_bytes
                         : 0;
  out.say(escape_line(store.string()) + " has " + std::to_string(done->size_after_bytes)
          + " bytes now: " + std::to_string(freed) + " are given back.");
  return caf::none;
}

} // namespace fermata::command_line
