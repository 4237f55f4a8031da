#include "live_view.hpp"

#include "fold.hpp"
#include "render.hpp"

#include <fermata/actors/tools/text.hpp>

#include <map>

namespace fermata::command_line {

namespace {

/// More of one text is shown, but not compared with what is recorded of it.
constexpr std::size_t max_text_bytes = 1'000'000;

/// What the bar takes, and some more for what escaping makes longer.
constexpr std::size_t margin_columns = 10;

} // namespace

void live_view::show(const live_feed::batch& batch) {
  // Of a tool's reports that came at once the last one tells most.
  std::map<call_id, const live_update*> reports;
  for (const auto& update : batch.updates) {
    if (update.session != session_)
      continue;
    if (update.kind == live_kind::text)
      show_text(update);
    else if (update.kind == live_kind::restarted)
      show_restart(update.subtask);
    else if (update.call)
      reports[*update.call] = &update;
  }
  if (!batch.is_complete)
    is_whole_ = false;
  for (const auto& [call, update] : reports)
    out_.say(out_.painted(paint::faint,
                          call.str() + ": " + brief(out_.redaction().value(update->content))));
}

bool live_view::finish(const event& next) {
  print_rest();
  // It stands between a text and the event that has it.
  if (std::holds_alternative<model_used>(next.body))
    return false;
  const auto* said = std::get_if<agent_said>(&next.body);
  const bool is_shown =
      said != nullptr && is_whole_ && said->subtask == speaker_ && said->text == text_;
  begin({});
  return is_shown;
}

void live_view::show_text(const live_update& update) {
  // A secret could come in pieces; the whole text is shown once it is recorded.
  if (!update.content.is_string() || !out_.redaction().hides_nothing())
    return;
  if (update.subtask != speaker_) {
    print_rest();
    begin(update.subtask);
    out_.say(speaker_.str() + " says:");
  }
  if (text_.size() > max_text_bytes) {
    print_rest();
    begin(update.subtask);
    is_whole_ = false;
  }
  text_ += update.content.get_ref<const std::string&>();
  print_lines();
}

void live_view::show_restart(const subtask_id& subtask) {
  print_rest();
  out_.say(
      out_.painted(paint::warning, subtask.str() + " begins this again; what it said is void"));
  begin({});
}

void live_view::begin(const subtask_id& speaker) {
  speaker_ = speaker;
  text_.clear();
  printed_ = 0;
  is_whole_ = true;
}

/// Whole lines, and of a long one what fills the terminal's width, broken at a space.
void live_view::print_lines() {
  const auto columns = terminal_columns() - margin_columns;
  for (;;) {
    const auto left = std::string_view{text_}.substr(printed_);
    const auto end = left.find('\n');
    if (end != std::string_view::npos && end <= columns) {
      show_block(out_, left.substr(0, end + 1));
      printed_ += end + 1;
      continue;
    }
    if (left.size() <= columns)
      return;
    const auto full = cut_utf8(left, columns);
    const auto space = full.rfind(' ');
    const auto size = space == std::string_view::npos ? full.size() : space + 1;
    show_block(out_, std::string{full.substr(0, size)} + "\n");
    printed_ += size;
  }
}

void live_view::print_rest() {
  const auto left = std::string_view{text_}.substr(printed_);
  if (!left.empty())
    show_block(out_, left);
  printed_ = text_.size();
}

} // namespace fermata::command_line
