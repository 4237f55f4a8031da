#include "continuation.hpp"

#include <fermata/actors/tools/command_tool.hpp>

#include <filesystem>

namespace fermata::command_line {

namespace {

std::string line(const arguments& given, std::vector<std::string> words,
                 const std::string& to_fill_in = {}) {
  words.insert(words.begin(), given.program);
  for (const auto& [option, path] :
       {std::pair{"--store", &given.store}, std::pair{"--redact", &given.redact}}) {
    if (path->empty())
      continue;
    std::error_code ignored;
    const auto whole = std::filesystem::absolute(*path, ignored);
    words.insert(words.end(), {option, ignored ? *path : whole.string()});
  }
  return shell_quoted(words) + (to_fill_in.empty() ? "" : " " + to_fill_in);
}

} // namespace

std::string resume_line(const arguments& given, const session_id& session) {
  return line(given, {"resume", session.str()});
}

std::string watch_line(const arguments& given, const session_id& session) {
  return line(given, {"watch", session.str()});
}

std::string continuation(const arguments& given, const pending_item& item) {
  switch (item.waiting_for) {
  case wait_cause::decision:
    return line(given, {"approve", item.id});
  case wait_cause::answer:
    return line(given, {"answer", item.id}, "JSON");
  case wait_cause::result:
    return line(given, {"result", item.id}, "JSON");
  case wait_cause::outcome:
    return line(given, {"outcome", item.id}, "rerun|failed|'happened JSON'");
  case wait_cause::backoff:
    break;
  }
  return resume_line(given, item.session);
}

std::vector<std::string> continuations(const arguments& given, const session_status& status,
                                       const std::vector<pending_item>& items) {
  const auto& session = status.session.str();
  std::vector<std::string> lines;
  if (accepts_new_plan(status.state))
    return lines;
  if (status.state == session_state::planning)
    lines.push_back(line(given, {"revise", session}, "PLAN.json"));
  for (const auto& item : items)
    lines.push_back(continuation(given, item));
  if (status.state == session_state::needs_attention)
    for (const auto& subtask : status.subtasks)
      if (subtask.status == subtask_status::failed || subtask.status == subtask_status::cancelled)
        lines.push_back(line(given, {"retry", session, subtask.id.str()}));
  // Whatever is decided meanwhile, a suspended session stands still.
  if (lines.empty() || status.state == session_state::suspended)
    lines.push_back(resume_line(given, status.session));
  return lines;
}

} // namespace fermata::command_line
