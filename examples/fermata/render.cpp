#include "render.hpp"

#include "escape.hpp"
#include "fold.hpp"

#include <fermata/actors/tools/text.hpp>

#include <algorithm>
#include <exception>

namespace fermata::command_line {

namespace {

/// The width of the bar before text from outside as `fold` counts it, and what `say` leaves free.
constexpr std::size_t bar_columns = 9;

template <named_enum Enum>
std::string name(Enum value) {
  return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
}

/// The lines of a tree.
struct branches {
  std::string_view middle;
  std::string_view last;
  std::string_view down;
  std::string_view none = "   ";
};

branches branches_of(const console& out) {
  return out.draws_lines() ? branches{"├─ ", "└─ ", "│  "} : branches{"|- ", "`- ", "|  "};
}

paint paint_of_diff_line(std::string_view line) {
  if (line.starts_with("+"))
    return paint::good;
  if (line.starts_with("-"))
    return paint::bad;
  return line.starts_with("@@") ? paint::faint : paint::plain;
}

paint paint_of(subtask_status status) {
  switch (status) {
  case subtask_status::done:
    return paint::good;
  case subtask_status::failed:
    return paint::bad;
  case subtask_status::running:
  case subtask_status::blocked:
    return paint::warning;
  default:
    return paint::faint;
  }
}

std::string join_ids(const std::vector<subtask_id>& ids) {
  std::string out;
  for (const auto& one : ids)
    out += (out.empty() ? "" : ", ") + one.str();
  return out;
}

std::string describe_call(const json& step) {
  const auto tool = step.find("tool");
  const auto given = step.find("arguments");
  if (tool == step.end() || !tool->is_string())
    return brief(step, 400);
  auto text = escape_line(tool->get_ref<const std::string&>());
  if (given != step.end())
    text += " " + brief(*given, 400);
  return text;
}

/// What a subtask is going to do, a line each.
std::vector<std::string> work_of(const subtask_spec& subtask) {
  std::vector<std::string> lines;
  if (subtask.steps.is_array())
    for (const auto& step : subtask.steps) {
      const auto calls = step.is_object() ? step.find("calls") : step.end();
      if (!step.is_object() || calls == step.end() || !calls->is_array()) {
        lines.push_back(describe_call(step));
        continue;
      }
      for (const auto& one : *calls)
        lines.push_back("together: " + describe_call(one));
    }
  if (!subtask.parameters.is_null())
    lines.push_back("parameters: " + brief(subtask.parameters, 400));
  if (!subtask.result.is_null())
    lines.push_back("result: " + brief(subtask.result, 400));
  return lines;
}

void show_subtask(console& out, const subtask_spec& subtask, bool is_last) {
  const auto tree = branches_of(out);
  auto line = std::string{is_last ? tree.last : tree.middle}
              + out.painted(paint::heading, subtask.id.str());
  if (!subtask.agent.empty())
    line += " (" + subtask.agent.str() + ")";
  if (!subtask.description.empty())
    line += ": " + escape_line(subtask.description);
  if (!subtask.depends_on.empty())
    line += out.painted(paint::faint, ", after " + join_ids(subtask.depends_on));
  out.say(line);
  const auto work = work_of(subtask);
  for (std::size_t i = 0; i < work.size(); ++i)
    out.say(std::string{is_last ? tree.none : tree.down}
            + std::string{i + 1 == work.size() ? tree.last : tree.middle} + work[i]);
}

std::string describe_state(const session_status& status) {
  const auto& waiting = status.waiting;
  const std::array<std::pair<std::uint32_t, const char*>, 5> counts{{{waiting.outcome, "outcome"},
                                                                     {waiting.decision, "decision"},
                                                                     {waiting.answer, "answer"},
                                                                     {waiting.result, "result"},
                                                                     {waiting.backoff, "backoff"}}};
  auto text = name(status.state);
  std::replace(text.begin(), text.end(), '_', ' ');
  if (status.state != session_state::waiting)
    return text;
  std::string_view separator = " for ";
  for (const auto& [count, what] : counts) {
    if (count == 0)
      continue;
    text.append(separator).append(std::to_string(count)).append(" ").append(what);
    text += count > 1 ? "s" : "";
    separator = ", ";
  }
  return text;
}

const tool* find_tool(const std::vector<tool>& tools, const pending_item& item) {
  const auto found = std::find_if(tools.begin(), tools.end(),
                                  [&](const tool& one) { return item.tool == one.name; });
  return found == tools.end() ? nullptr : &*found;
}

/// What the tool itself shows of a call; empty: nothing.
std::string preview_of(const tool& called, const pending_item& item,
                       const std::filesystem::path& workspace) {
  if (!called.preview)
    return {};
  try {
    return called.preview(item.arguments, workspace);
  } catch (const std::exception& error) {
    return std::string{"This cannot be shown: "} + error.what() + "\n";
  }
}

/// Numbers and switches, of which a preview may not speak.
std::string settings_of(const json& given) {
  std::string text;
  if (given.is_object())
    for (const auto& [key, value] : given.items())
      if (value.is_number() || value.is_boolean())
        text += (text.empty() ? "" : ", ") + key + ": " + value.dump();
  return text;
}

void show_warnings(console& out, const tool& called, const pending_item& item,
                   const std::filesystem::path& workspace) {
  if (called.name.str() == "execute_command")
    out.say(out.painted(paint::warning,
                        "  Warning: a command is not confined to the workspace; it can do all "
                        "that this user can do."));
  if (!called.fingerprint || item.fingerprint.empty())
    return;
  const auto present = called.fingerprint(item.arguments, workspace);
  if (!present || *present != item.fingerprint)
    out.say(out.painted(paint::warning, "  Note: what it changes is not what it was when the call "
                                        "was proposed; approved as it is, it is asked again."));
}

void show_call(console& out, const pending_item& item, const std::vector<tool>& tools,
               const std::filesystem::path& workspace) {
  const auto* called = find_tool(tools, item);
  const auto preview = called != nullptr ? preview_of(*called, item, workspace) : std::string{};
  if (preview.empty()) {
    show_block(out, item.arguments.dump(2, ' ', false, json::error_handler_t::replace));
    return;
  }
  show_block(out, preview, preview.starts_with("--- "));
  if (const auto settings = settings_of(item.arguments); !settings.empty())
    show_block(out, settings);
  show_warnings(out, *called, item, workspace);
}

} // namespace

std::string brief(const json& value, std::size_t size_bytes) {
  const auto text = to_text(value);
  const auto cut = cut_utf8(text, size_bytes);
  auto shown = escape_line(cut);
  if (cut.size() < text.size())
    shown += "... (" + std::to_string(text.size()) + " bytes)";
  return shown;
}

void show_block(console& out, std::string_view text, bool is_diff) {
  const auto bar = out.draws_lines() ? "  │ " : "  | ";
  const auto escaped = escape_block(text);
  const auto print = [&](std::string_view line) {
    out.say(bar + out.painted(is_diff ? paint_of_diff_line(line) : paint::plain, line));
  };
  std::string_view left = escaped;
  while (!left.empty()) {
    const auto end = std::min(left.find('\n'), left.size());
    const auto line = left.substr(0, end);
    if (!out.is_interactive())
      print(line);
    else
      for (const auto piece : fold(line, terminal_columns() - bar_columns))
        print(piece);
    left.remove_prefix(std::min(end + 1, left.size()));
  }
}

void show_plan(console& out, const plan_spec& plan) {
  out.say("Goal: " + out.painted(paint::heading, escape_line(plan.goal)));
  for (std::size_t i = 0; i < plan.subtasks.size(); ++i)
    show_subtask(out, plan.subtasks[i], i + 1 == plan.subtasks.size());
  for (const auto& [tool, declaration] : plan.tools)
    out.say("Client tool " + escape_line(tool)
            + (declaration.description.empty() ? "" : ": " + escape_line(declaration.description))
            + " (answered with `fermata result`)");
}

void show_state(console& out, const session_status& status) {
  out.say(out.painted(paint::heading, status.session.str()) + ": " + describe_state(status));
}

void show_status(console& out, const session_status& status) {
  show_state(out, status);
  if (!status.plan)
    return;
  out.say("Goal: " + escape_line(status.plan->goal) + " (revision "
          + std::to_string(status.plan->revision) + ", " + name(status.plan->status) + ")");
  if (!status.plan->feedback.empty())
    out.say("Feedback: " + escape_line(status.plan->feedback));
  const auto tree = branches_of(out);
  for (std::size_t i = 0; i < status.subtasks.size(); ++i) {
    const auto& subtask = status.subtasks[i];
    auto line = std::string{i + 1 == status.subtasks.size() ? tree.last : tree.middle}
                + out.painted(paint_of(subtask.status), "[" + name(subtask.status) + "]") + " "
                + subtask.id.str();
    if (subtask.attempts > 1)
      line += " (attempt " + std::to_string(subtask.attempts) + ")";
    if (!subtask.description.empty())
      line += ": " + escape_line(subtask.description);
    if (!subtask.error.empty())
      line += ": " + out.painted(paint::bad, escape_line(subtask.error));
    else if (subtask.status == subtask_status::done)
      line += ": " + brief(subtask.result, 80);
    out.say(line);
  }
  if (!status.workspace.empty())
    out.say("Workspace: " + escape_line(status.workspace));
}

void show_pending(console& out, const pending_item& item, const std::vector<tool>& tools,
                  const std::filesystem::path& workspace) {
  auto line = out.painted(paint::heading, item.id);
  if (item.tool)
    line += " " + item.tool->str();
  if (item.subtask)
    line += " for subtask " + item.subtask->str();
  line += " waits for its " + name(item.waiting_for) + ", since " + show_time(item.since);
  out.say(line);
  if (item.kind == pending_kind::plan)
    out.say("  Plan: " + escape_line(item.goal));
  else
    show_call(out, item, tools, workspace);
}

void show_transcript_item(console& out, const transcript_item& item, const session_id& session) {
  const auto subtask = out.painted(paint::heading, item.subtask.str());
  if (!item.call) {
    out.say(subtask + " says:");
    show_block(out, item.text);
    return;
  }
  const auto& call = *item.call;
  out.say(subtask + " calls " + call_id{session, call.number}.str() + " " + call.tool.str() + " ("
          + name(call.status) + ")");
  show_block(out, call.arguments.dump(2, ' ', false, json::error_handler_t::replace));
  if (!call.answer)
    return;
  out.say("  " + name(call.answer->outcome) + ":");
  show_block(out, call.answer->content.is_string()
                      ? call.answer->content.get<std::string>()
                      : call.answer->content.dump(2, ' ', false, json::error_handler_t::replace));
}

json transcript_json(const transcript_item& item, const session_id& session) {
  json line{{"subtask", item.subtask.str()}};
  if (!item.call) {
    line["text"] = item.text;
    return line;
  }
  const auto& call = *item.call;
  line["call"] = call_id{session, call.number}.str();
  line["tool"] = call.tool.str();
  line["arguments"] = call.arguments;
  line["status"] = name(call.status);
  line["answer"] = call.answer ? to_json(*call.answer) : json(nullptr);
  return line;
}

} // namespace fermata::command_line
