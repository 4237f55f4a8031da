#include "escape.hpp"
#include "render.hpp"
#include "times.hpp"
#include "tree.hpp"

#include <fermata/actors/tools/diff.hpp>

#include <algorithm>
#include <optional>

namespace fermata::command_line {

namespace {

std::string join_ids(const std::vector<subtask_id>& ids) {
  std::string out;
  for (const auto& one : ids)
    out += (out.empty() ? "" : ", ") + one.str();
  return out;
}

/// The number of milliseconds in a member of a step, if it has one.
std::optional<std::chrono::milliseconds> duration_in(const json& step, const char* name) {
  const auto member = step.find(name);
  if (member == step.end() || !member->is_number_unsigned())
    return std::nullopt;
  return std::chrono::milliseconds{member->get<std::int64_t>()};
}

std::string describe_call(const json& step) {
  if (const auto slept = duration_in(step, "sleep_ms"))
    return "sleeps for " + show_duration(*slept);
  const auto tool = step.find("tool");
  const auto given = step.find("arguments");
  if (tool == step.end() || !tool->is_string())
    return brief(step, 400);
  auto text = escape_line(tool->get_ref<const std::string&>());
  if (given != step.end())
    text += " " + brief(*given, 400);
  if (const auto expires = duration_in(step, "expires_after_ms"))
    text += ", expires after " + show_duration(*expires);
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
  if (subtask.time_limit.count() > 0)
    lines.push_back("fails after " + show_duration(subtask.time_limit));
  if (subtask.retry.max_attempts > 1)
    lines.push_back("tried up to " + std::to_string(subtask.retry.max_attempts)
                    + " times where a failure may pass");
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

paint paint_of(subtask_fate fate) {
  switch (fate) {
  case subtask_fate::kept:
  case subtask_fate::continued:
  case subtask_fate::unchanged:
    return paint::plain;
  case subtask_fate::again:
  case subtask_fate::changed:
    return paint::warning;
  case subtask_fate::added:
    return paint::good;
  case subtask_fate::dropped:
    return paint::bad;
  }
  return paint::plain;
}

/// As in a diff of text: what is added, removed, different, and what stays.
std::string_view sign_of(subtask_fate fate) {
  switch (fate) {
  case subtask_fate::added:
    return "+ ";
  case subtask_fate::dropped:
    return "- ";
  case subtask_fate::again:
  case subtask_fate::changed:
    return "! ";
  case subtask_fate::kept:
  case subtask_fate::continued:
  case subtask_fate::unchanged:
    break;
  }
  return "  ";
}

/// How many subtasks have each fate, as in "2 kept, 1 added".
std::string count_fates(const plan_diff& diff) {
  std::string text;
  for (std::size_t i = 0; i < enum_names(subtask_fate{}).size(); ++i) {
    const auto fate = static_cast<subtask_fate>(i);
    const auto count = std::count_if(diff.subtasks.begin(), diff.subtasks.end(),
                                     [&](const subtask_change& one) { return one.fate == fate; });
    if (count > 0)
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + name(fate);
  }
  return text;
}

const subtask_spec* find_subtask(const plan_spec& plan, const subtask_id& id) {
  const auto found = std::find_if(plan.subtasks.begin(), plan.subtasks.end(),
                                  [&](const subtask_spec& one) { return one.id == id; });
  return found == plan.subtasks.end() ? nullptr : &*found;
}

/// All of a subtask, a line for each value.
std::string text_of(const subtask_spec& subtask) {
  return to_json(subtask).dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

/// What exactly is different in a subtask that both plans have.
void show_subtask_diff(console& out, const subtask_id& id, const plan_spec& before,
                       const plan_spec& after) {
  const auto* was = find_subtask(before, id);
  const auto* is = find_subtask(after, id);
  if (was != nullptr && is != nullptr)
    show_block(out, unified_diff(text_of(*was), text_of(*is), id.str()), true);
}

} // namespace

void show_plan(console& out, const plan_spec& of) {
  const auto plan = out.shown(of);
  out.say("Goal: " + out.painted(paint::heading, escape_line(plan.goal)));
  for (std::size_t i = 0; i < plan.subtasks.size(); ++i)
    show_subtask(out, plan.subtasks[i], i + 1 == plan.subtasks.size());
  for (const auto& [tool, declaration] : plan.tools)
    out.say("Client tool " + escape_line(tool)
            + (declaration.description.empty() ? "" : ": " + escape_line(declaration.description))
            + " (answered with `fermata result`)");
}

void show_plan_diff(console& out, const plan_diff& diff, const plan_spec& before,
                    const plan_spec& after) {
  if (diff.replaces == 0) {
    out.say("Revision " + std::to_string(diff.revision)
            + " takes the place of no plan in progress.");
    return;
  }
  out.say("Once approved, revision " + std::to_string(diff.revision)
          + " takes the place of revision " + std::to_string(diff.replaces)
          + ", which is in progress: " + count_fates(diff) + ".");
  if (!diff.goal_before.empty())
    out.say("The goal changes; it was: " + escape_line(out.shown(diff).goal_before));
  for (const auto& one : diff.subtasks) {
    const auto what =
        std::string{sign_of(one.fate)} + one.subtask.str() + " [" + name(one.fate) + "]";
    out.say("  " + out.painted(paint_of(one.fate), what) + ": " + escape_line(one.because));
    if (one.fate == subtask_fate::changed)
      show_subtask_diff(out, one.subtask, out.shown(before), out.shown(after));
  }
}

} // namespace fermata::command_line
