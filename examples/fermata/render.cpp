#include "render.hpp"

#include "escape.hpp"
#include "fold.hpp"
#include "preview.hpp"
#include "times.hpp"
#include "tree.hpp"

#include <fermata/actors/tools/text.hpp>

#include <algorithm>

namespace fermata::command_line {

namespace {

/// The width of the bar before text from outside as `fold` counts it, and what `say` leaves free.
constexpr std::size_t margin_columns = 9;

/// What expires sooner is marked.
constexpr std::chrono::milliseconds urgent_within = std::chrono::hours{1};

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
  case subtask_status::backing_off:
    return paint::warning;
  default:
    return paint::faint;
  }
}

std::string describe_waits(const waiting_counts& waiting) {
  const std::array<std::pair<std::uint32_t, const char*>, 5> counts{{{waiting.outcome, "outcome"},
                                                                     {waiting.decision, "decision"},
                                                                     {waiting.answer, "answer"},
                                                                     {waiting.result, "result"},
                                                                     {waiting.backoff, "timer"}}};
  std::string text;
  for (const auto& [count, what] : counts) {
    if (count == 0)
      continue;
    text.append(text.empty() ? "" : ", ").append(std::to_string(count)).append(" ").append(what);
    text += count > 1 ? "s" : "";
  }
  return text;
}

bool waits_for_timers_only(const session_status& status) {
  return status.waiting.backoff > 0 && status.waiting.total() == status.waiting.backoff;
}

std::string describe_state(const session_status& status) {
  auto text = name(status.state);
  std::replace(text.begin(), text.end(), '_', ' ');
  const bool is_suspended = status.state == session_state::suspended;
  if (is_suspended && status.suspended_until)
    text += " until " + show_time(*status.suspended_until);
  if (status.waiting.total() > 0 && (is_suspended || status.state == session_state::waiting))
    text += (is_suspended ? ", with waits for " : " for ") + describe_waits(status.waiting);
  if (status.state == session_state::waiting && waits_for_timers_only(status) && status.next_timer)
    text += ", until " + show_time(*status.next_timer);
  return text;
}

bool is_over(subtask_status status) {
  return status == subtask_status::done || status == subtask_status::failed
         || status == subtask_status::skipped || status == subtask_status::cancelled;
}

/// What a subtask of a status is, behind its id.
std::string describe_subtask(const console& out, const subtask_summary& subtask) {
  std::string text;
  if (subtask.attempts > 1)
    text += " (attempt " + std::to_string(subtask.attempts) + ")";
  if (subtask.deadline && !is_over(subtask.status))
    text += " (deadline " + show_time(*subtask.deadline) + ")";
  if (subtask.next_step)
    text +=
        (subtask.status == subtask_status::backing_off ? " (tried again at " : " (sleeps until ")
        + show_time(*subtask.next_step) + ")";
  if (!subtask.description.empty())
    text += ": " + escape_line(subtask.description);
  if (!subtask.error.empty())
    text += ": " + out.painted(paint::bad, escape_line(subtask.error));
  else if (subtask.status == subtask_status::done)
    text += ": " + brief(subtask.result, 80);
  return text;
}

std::string describe_progress(const plan_progress& progress) {
  auto text = std::to_string(progress.done) + " of " + std::to_string(progress.total)
              + (progress.total == 1 ? " subtask done (" : " subtasks done (")
              + std::to_string(progress.percent) + " %)";
  for (const auto& [count, what] :
       {std::pair{progress.running, " running"}, std::pair{progress.failed, " failed"},
        std::pair{progress.cancelled, " cancelled"}})
    if (count > 0)
      text += ", " + std::to_string(count) + what;
  return text;
}

void show_usage(console& out, const model_usage& usage) {
  if (usage.requests > 0)
    out.say("Models: " + std::to_string(usage.requests) + " requests, "
            + std::to_string(usage.input_tokens) + " tokens in, "
            + std::to_string(usage.output_tokens) + " out");
}

const tool* find_tool(const std::vector<tool>& tools, const pending_item& item) {
  const auto found = std::find_if(tools.begin(), tools.end(),
                                  [&](const tool& one) { return item.tool == one.name; });
  return found == tools.end() ? nullptr : &*found;
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

void warn_of_commands(console& out, const tool& called) {
  if (called.name.str() == "execute_command")
    out.say(out.painted(paint::warning,
                        "  Warning: a command is not confined to the workspace; it can do all "
                        "that this user can do."));
}

void show_warnings(console& out, const tool& called, const pending_item& item,
                   const call_preview& shown) {
  warn_of_commands(out, called);
  if (!shown.settled)
    out.say(out.painted(paint::warning, "  Warning: what it changes is being changed by somebody "
                                        "else; it may not be as shown any more."));
  if (!called.fingerprint || item.fingerprint.empty())
    return;
  if (!shown.fingerprint || *shown.fingerprint != item.fingerprint)
    out.say(out.painted(paint::warning, "  Note: what it changes is not what it was when the call "
                                        "was proposed; approved as it is, it is asked again."));
}

/// What an agent asks, and what an answer has to look like.
void show_question(console& out, const json& asked) {
  const auto pretty = [&](const json& value) {
    show_block(out, value.dump(2, ' ', false, json::error_handler_t::replace));
  };
  const auto text = asked.find("question");
  if (!asked.is_object() || text == asked.end() || !text->is_string()) {
    pretty(asked);
    return;
  }
  show_block(out, text->get_ref<const std::string&>());
  if (const auto schema = asked.find("schema"); schema != asked.end() && !schema->is_null()) {
    out.say("  The answer has to fit this JSON Schema:");
    pretty(*schema);
  }
}

void show_call(console& out, const pending_item& item, const std::vector<tool>& tools,
               const std::filesystem::path& workspace, const std::optional<node_name>& elsewhere) {
  const auto* called = find_tool(tools, item);
  const auto arguments = out.shown(item).arguments;
  if (elsewhere) {
    // The files of that name here, if any, are others.
    show_block(out, arguments.dump(2, ' ', false, json::error_handler_t::replace));
    if (called == nullptr)
      return;
    out.say("  These are its arguments; what it would change is shown by commands on the store of "
            "node "
            + elsewhere->str() + ".");
    return warn_of_commands(out, *called);
  }
  const auto taken =
      called != nullptr ? take_preview(*called, item.arguments, workspace) : call_preview{};
  if (taken.text.empty()) {
    show_block(out, arguments.dump(2, ' ', false, json::error_handler_t::replace));
    return;
  }
  if (const auto shown = without_secrets(taken.text, item.arguments, out.redaction())) {
    show_block(out, *shown, shown->starts_with("--- "));
    if (const auto settings = settings_of(arguments); !settings.empty())
      show_block(out, settings);
  } else {
    out.say("  What it does cannot be shown without a secret. These are its arguments:");
    show_block(out, arguments.dump(2, ' ', false, json::error_handler_t::replace));
  }
  show_warnings(out, *called, item, taken);
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
      for (const auto piece : fold(line, terminal_columns() - margin_columns))
        print(piece);
    left.remove_prefix(std::min(end + 1, left.size()));
  }
}

void show_state(console& out, const session_status& status) {
  out.say(out.painted(paint::heading, status.session.str()) + ": " + describe_state(status));
}

void show_status(console& out, const session_status& of) {
  const auto status = out.shown(of);
  show_state(out, status);
  if (!status.plan)
    return;
  const auto& plan = *status.plan;
  out.say("Goal: " + escape_line(plan.goal) + " (revision " + std::to_string(plan.revision) + ", "
          + name(plan.status) + ")");
  if (plan.deadline && !accepts_new_plan(status.state))
    out.say("Deadline: " + show_time(*plan.deadline));
  if (!plan.feedback.empty())
    out.say("Feedback: " + escape_line(plan.feedback));
  out.say("Progress: " + describe_progress(status.progress));
  const auto tree = branches_of(out);
  for (std::size_t i = 0; i < status.subtasks.size(); ++i) {
    const auto& subtask = status.subtasks[i];
    out.say(std::string{i + 1 == status.subtasks.size() ? tree.last : tree.middle}
            + out.painted(paint_of(subtask.status), "[" + name(subtask.status) + "]") + " "
            + subtask.id.str() + describe_subtask(out, subtask));
  }
  if (status.next_timer)
    out.say("Next timer: " + show_time(*status.next_timer));
  show_usage(out, status.usage);
  if (!status.workspace.empty())
    out.say("Workspace: " + escape_line(status.workspace));
}

std::string describe_wait(const pending_item& item, timestamp now) {
  auto text = "for " + show_roughly(now - item.since) + " (since " + show_time(item.since) + ")";
  if (!item.expires_at)
    return text;
  const auto left = *item.expires_at - now;
  text += left.count() > 0 ? ", expires in " + show_roughly(left)
                           : ", expired " + show_roughly(-left) + " ago";
  return text + " (at " + show_time(*item.expires_at) + ")";
}

void show_pending(console& out, const pending_item& item, const std::vector<tool>& tools,
                  const std::filesystem::path& workspace,
                  const std::optional<node_name>& elsewhere) {
  auto line = out.painted(paint::heading, item.id);
  if (item.tool)
    line += " " + item.tool->str();
  if (item.subtask)
    line += " for subtask " + item.subtask->str();
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const bool is_urgent = item.expires_at && *item.expires_at - now < urgent_within;
  line += " waits for its " + name(item.waiting_for) + " ";
  out.say(line + out.painted(is_urgent ? paint::warning : paint::plain, describe_wait(item, now)));
  if (!item.prompt.empty())
    out.say("  " + out.painted(paint::warning, escape_line(out.shown(item).prompt)));
  if (item.kind == pending_kind::plan)
    out.say("  Plan: " + escape_line(out.shown(item).goal));
  else if (item.kind == pending_kind::input)
    show_question(out, out.shown(item).arguments);
  else
    show_call(out, item, tools, workspace, elsewhere);
}

void show_transcript_item(console& out, const transcript_item& item, const session_id& session) {
  const auto subtask = out.painted(paint::heading, item.subtask.str());
  if (!item.call) {
    constexpr std::array<std::string_view, 4> speakers{
        " says:", ", a user says:", ", a note with the handover:", ", the runtime tells:"};
    out.say(subtask + std::string{speakers.at(static_cast<std::size_t>(item.source))});
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

} // namespace fermata::command_line
