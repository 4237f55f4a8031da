#include "query.hpp"

#include "backup.hpp"
#include "continuation.hpp"
#include "deletion.hpp"
#include "escape.hpp"
#include "export.hpp"
#include "import.hpp"
#include "inputs.hpp"
#include "past.hpp"
#include "pending_list.hpp"
#include "policies.hpp"
#include "records.hpp"
#include "render.hpp"
#include "service_client.hpp"
#include "stores.hpp"
#include "transcript.hpp"
#include "version.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/storage/verify_store.hpp>

#include <limits>
#include <map>

namespace fermata::command_line {

namespace {

/// How many events are read and shown at a time.
constexpr std::size_t page = 512;

/// How many timers are shown unless more are asked for.
constexpr std::size_t timers_shown = 1'000;

caf::error query_of_status(const arguments& given, records& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  const auto status = from.status(*session);
  if (!status)
    return status.error();
  out.print(*status);
  show_status(out, *status);
  const auto items = from.pending(*session);
  if (!items)
    return items.error();
  for (const auto& line : continuations(given, *status, *items))
    out.say("Continues with: " + line);
  return caf::none;
}

caf::error query_of_plan_diff(const arguments& given, records& from, console& out,
                              const session_id& session) {
  const auto diff = from.difference(session, given.revision);
  if (!diff)
    return diff.error();
  out.print(*diff);
  if (out.as_json())
    return caf::none;
  const auto after = from.plan(session, diff->revision);
  if (!after)
    return after.error();
  const auto before =
      diff->replaces == 0 ? result<plan_spec>{plan_spec{}} : from.plan(session, diff->replaces);
  if (!before)
    return before.error();
  show_plan_diff(out, *diff, *before, *after);
  return caf::none;
}

caf::error query_of_plan(const arguments& given, records& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  if (given.diff)
    return query_of_plan_diff(given, from, out, *session);
  const auto plan = from.plan(*session, given.revision);
  if (!plan)
    return plan.error();
  out.print(*plan);
  show_plan(out, *plan);
  return caf::none;
}

caf::error query_of_events(const arguments& given, records& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  for (auto first = given.from; !out.has_no_reader();) {
    const auto events = from.events(*session, first, page);
    if (!events)
      return events.error();
    for (const auto& one : *events) {
      out.print(one);
      if (!out.as_json())
        out.say(std::to_string(one.number) + "  " + show_time(one.at) + "  "
                + describe(out.shown(one), *session));
    }
    if (events->size() < page)
      break;
    first = events->back().number + 1;
  }
  return caf::none;
}

caf::error query_of_transcript(const arguments& given, records& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  const auto items = from.transcript(*session);
  if (!items)
    return items.error();
  for (const auto& one : *items) {
    const auto shown = shown_item(one, out.redaction());
    if (out.as_json())
      out.print(transcript_json(shown, *session));
    else
      show_transcript_item(out, shown, *session);
  }
  return caf::none;
}

caf::error query_of_remembered(const arguments& given, records& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  const auto decisions = from.remembered(*session);
  if (!decisions)
    return decisions.error();
  for (const auto& one : *decisions) {
    out.print(one);
    out.say(std::to_string(one.number) + "  " + show_time(one.at) + "  "
            + describe_remembered(out.shown(one)));
  }
  if (decisions->empty())
    out.say("No decision holds for later calls.");
  return caf::none;
}

result<std::optional<session_state>> parse_state(const std::string& text) {
  if (text.empty())
    return std::optional<session_state>{};
  auto state = from_json<session_state>(json(text));
  if (!state)
    return make_error(errc::invalid_field, "--state: " + message_of(state.error()));
  return std::optional<session_state>{*state};
}

caf::error query_of_sessions(const arguments& given, records& from, console& out) {
  const auto state = parse_state(given.state);
  if (!state)
    return state.error();
  return from.read_sessions(*state, [&](const std::vector<session_summary>& sessions) {
    for (const auto& one : sessions) {
      const auto line = to_json(one);
      out.print(line);
      out.say(one.session.str() + "  " + line.at("state").get<std::string>());
    }
    out.flush();
    return !out.has_no_reader();
  });
}

caf::error query_of_pending(const arguments& given, records& from, console& out) {
  const auto session = parse_optional_session(given.session);
  if (!session)
    return session.error();
  return print_pending(given, from, out, *session);
}

caf::error query_of_timers(const arguments& given, store& from, console& out) {
  const auto limit = given.limit.value_or(timers_shown);
  const auto timers = query_timers(from, std::nullopt, limit);
  if (!timers)
    return timers.error();
  const auto now = std::chrono::system_clock::now();
  bool any_due = false;
  for (const auto& one : *timers) {
    const bool is_due = one.due <= now;
    any_due = any_due || is_due;
    auto line = to_json(one);
    line["is_due"] = is_due;
    out.print(line);
    out.say(show_time(one.due) + "  "
            + (one.damage.empty() ? one.session.str()
                                  : out.painted(paint::bad, escape_line(one.damage)))
            + (is_due ? "  " + out.painted(paint::warning, "due") : ""));
  }
  if (timers->empty())
    out.say("No timer is armed.");
  if (timers->size() == limit && !given.limit)
    out.say("There may be more: --limit N shows so many.");
  if (any_due)
    out.say("`fermata resume --due` continues what is due.");
  return caf::none;
}

void show_missing(console& out, const std::vector<missing_node>& missing) {
  for (const auto& one : missing) {
    out.print("missing", one);
    out.say(out.painted(paint::bad, "Missing is what node " + escape_line(one.node) + " has: "
                                        + escape_line(out.redaction().text(one.reason))));
  }
}

void show_damaged(console& out, const std::vector<std::string>& damaged) {
  for (const auto& why : damaged) {
    const auto text = out.redaction().text(why);
    out.print(json{{"damaged", {{"reason", text}}}});
    out.say(out.painted(paint::bad, "What cannot be read is left out: " + escape_line(text)));
  }
}

caf::error verify(const std::filesystem::path& folder, console& out) {
  const auto report = verify_store_of(folder);
  if (!report)
    return report.error();
  if (!report->sound()) {
    std::string problems;
    for (const auto& one : report->problems)
      problems += (problems.empty() ? "" : "; ") + one;
    return make_error(errc::store_corrupt, folder.string() + ": " + problems);
  }
  json found{{"store", folder.string()},        {"sound", true},
             {"sessions", report->sessions},    {"events", report->events},
             {"records", report->records},      {"garbage", report->garbage},
             {"size_bytes", report->size_bytes}};
  if (!report->identity.empty())
    found["identity"] = report->identity.str();
  out.print(found);
  out.say(escape_line(folder.string()) + " is sound: " + std::to_string(report->sessions)
          + " sessions, " + std::to_string(report->events) + " events.");
  if (!report->identity.empty())
    out.say("It is the store " + report->identity.str() + ", which nodes can share.");
  if (report->garbage > 0)
    out.say(
        std::to_string(report->garbage)
        + " entries of what was deleted are not erased yet; whoever runs the store does that, or "
          "`fermata compact`.");
  return caf::none;
}

/// More than all that a service counts.
constexpr std::size_t max_metrics_bytes = 16'000'000;

caf::error metrics(const std::filesystem::path& folder, console& out) {
  service_request request;
  request.target = "/metrics";
  request.accept = "text/plain";
  const auto socket = find_service(folder);
  if (!socket)
    return socket.error();
  if (!*socket)
    return make_error(errc::store_unavailable,
                      "no service of this store answers; metrics are those of a service, which "
                      "`fermata serve --store "
                          + folder.string() + "` starts");
  const auto text = ask_service(**socket, request, max_metrics_bytes);
  if (!text)
    return text.error();
  out.print({{"metrics", *text}});
  // Names and values, but the text is another program's.
  if (!out.as_json())
    out.write(escape_block(*text));
  return caf::none;
}

using query = caf::error (*)(const arguments&, records&, console&);

/// What is asked of sessions.
query query_named(const std::string& command) {
  static const std::map<std::string, query> queries{{"status", query_of_status},
                                                    {"plan", query_of_plan},
                                                    {"events", query_of_events},
                                                    {"transcript", query_of_transcript},
                                                    {"sessions", query_of_sessions},
                                                    {"pending", query_of_pending},
                                                    {"remembered", query_of_remembered},
                                                    {"history", query_of_history},
                                                    {"audit", query_of_audit}};
  const auto found = queries.find(command);
  return found == queries.end() ? nullptr : found->second;
}

result<exit_status> look(const std::filesystem::path& folder, query at, const arguments& given,
                         console& out) {
  const auto own = open_store(folder, store_purpose::query);
  const auto from = choose_records(folder, *parse_optional_session(given.session), own);
  if (!from)
    return from.error();
  if (auto error = at(given, **from, out))
    return error;
  const auto missing = (*from)->missing();
  show_missing(out, missing);
  show_damaged(out, (*from)->damaged());
  return missing.empty() && (*from)->damaged().empty() ? exit_status::done : exit_status::attention;
}

/// What is asked of a store, or of the service of it, as a whole.
caf::error look_at_store(const std::filesystem::path& folder, const arguments& given,
                         console& out) {
  if (given.command == "verify")
    return verify(folder, out);
  if (given.command == "import")
    return import_into(folder, given, out);
  if (given.command == "backup")
    return back_up(folder, given, out);
  if (given.command == "compact")
    return compact(folder, out);
  if (given.command == "metrics")
    return metrics(folder, out);
  const auto own = open_store(folder, store_purpose::query);
  if (!own)
    return own.error();
  return given.command == "timers" ? query_of_timers(given, **own, out)
                                   : query_of_export(given, **own, out);
}

result<exit_status> done_unless(caf::error error) {
  return error ? result<exit_status>{std::move(error)} : exit_status::done;
}

} // namespace

result<exit_status> run_query(const arguments& given, console& out) {
  if (given.command == "version") {
    out.print({{"version", version}});
    out.say(std::string{"fermata "} + version);
    return exit_status::done;
  }
  if (given.command == "policy")
    return done_unless(check_policy(given, out));
  // Bad input is said before the store is looked for.
  if (!given.session.empty())
    if (const auto session = session_id::parse(given.session); !session)
      return session.error();
  if (const auto state = parse_state(given.state); !state)
    return state.error();
  const auto folder = locate_store(given.store);
  if (!folder)
    return folder.error();
  if (const auto at = query_named(given.command))
    return look(*folder, at, given, out);
  return done_unless(look_at_store(*folder, given, out));
}

} // namespace fermata::command_line
