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

/// How many entries are read at a time: a screenful is there at once.
constexpr std::size_t entries_at_once = 256;
/// Moves are short, and each page costs a walk to where it begins.
constexpr std::size_t moves_at_once = 10'000;

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

caf::error query_of_history(const arguments& given, store& from, console& out) {
  const auto session = session_id::parse(given.session);
  if (!session)
    return session.error();
  for (std::optional<std::uint64_t> first = 1; first && !out.has_no_reader();) {
    const auto read = query_history(from, *session, *first, moves_at_once);
    if (!read)
      return read.error();
    for (const auto& one : read->moves) {
      out.print(one);
      out.say(describe(out.shown(one)));
    }
    out.flush();
    first = read->next;
  }
  return caf::none;
}

caf::error query_of_audit(const arguments& given, store& from, console& out) {
  const auto session = parse_optional_session(given.session);
  if (!session)
    return session.error();
  auto left = given.limit.value_or(std::numeric_limits<std::size_t>::max());
  std::optional<audit_cursor> after{std::in_place};
  bool is_empty = true;
  while (after && left > 0 && !out.has_no_reader()) {
    const auto read = query_audit(from, *session, *after, std::min(left, entries_at_once));
    if (!read)
      return read.error();
    for (const auto& one : read->entries) {
      out.print(one);
      out.say(describe(out.shown(one)));
      is_empty = false;
    }
    out.flush();
    left -= read->entries.size();
    after = read->next;
  }
  if (is_empty)
    out.say("Nobody has decided anything.");
  return caf::none;
}

} // namespace fermata::command_line
