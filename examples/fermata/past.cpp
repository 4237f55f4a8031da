#include "past.hpp"

#include "escape.hpp"
#include "inputs.hpp"
#include "render.hpp"
#include "tree.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <limits>

namespace fermata::command_line {

namespace {

std::string padded(std::string text, std::size_t columns) {
  if (text.size() < columns)
    text.append(columns - text.size(), ' ');
  return text;
}

std::string words(std::string text) {
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string said(const std::string& by, const std::string& reason) {
  return (by.empty() ? "" : " by " + escape_line(by))
         + (reason.empty() ? "" : ": " + escape_line(reason));
}

std::string describe(const state_transition& moved) {
  constexpr std::size_t state_columns = 22;
  return padded(std::to_string(moved.number), 5) + " " + show_time(moved.at) + "  "
         + padded(words(name(moved.from)), state_columns) + " -> "
         + padded(words(name(moved.to)), state_columns) + "  " + words(moved.cause)
         + said(moved.by, moved.reason);
}

std::string describe(const audit_entry& entry) {
  auto text = show_time(entry.at) + "  " + entry.session.str() + "  " + words(entry.action);
  if (!entry.subject.empty())
    text += " " + entry.subject;
  if (!entry.verdict.empty())
    text += " " + entry.verdict;
  text += said(entry.by, entry.reason);
  if (!entry.details.is_null())
    text += "  " + brief(entry.details);
  return text;
}

} // namespace

caf::error query_of_history(const arguments& given, records& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  return from.read_history(*session, [&](const std::vector<state_transition>& moves) {
    for (const auto& one : moves) {
      out.print(one);
      out.say(describe(out.shown(one)));
    }
    out.flush();
    return !out.has_no_reader();
  });
}

caf::error query_of_audit(const arguments& given, records& from, console& out) {
  const auto session = parse_optional_session(given.session);
  if (!session)
    return session.error();
  bool is_empty = true;
  auto error =
      from.read_audit(*session, given.limit.value_or(std::numeric_limits<std::size_t>::max()),
                      [&](const std::vector<audit_entry>& entries) {
                        for (const auto& one : entries) {
                          out.print(one);
                          out.say(describe(out.shown(one)));
                          is_empty = false;
                        }
                        out.flush();
                        return !out.has_no_reader();
                      });
  if (!error && is_empty)
    out.say("Nobody has decided anything.");
  return error;
}

} // namespace fermata::command_line
