#include "session_view.hpp"

#include "render.hpp"

namespace fermata::command_line {

namespace {

bool shows_progress(const event& happened) {
  return !std::holds_alternative<state_changed>(happened.body)
         && !std::holds_alternative<session_activated>(happened.body)
         && !std::holds_alternative<plan_started>(happened.body)
         && !std::holds_alternative<model_used>(happened.body)
         && !std::holds_alternative<call_requeued>(happened.body);
}

} // namespace

void session_view::show(const receipt& answer) {
  out_.print("receipt", answer);
  if (answer.kind == receipt_kind::duplicate)
    out_.say("This was said before; nothing changed.");
  if (answer.kind == receipt_kind::late)
    out_.say("This comes too late: the call is over. It was noted, and changes nothing.");
}

void session_view::show(const event& happened) {
  out_.print("event", happened);
  const bool is_shown = live_.finish(happened);
  if (!is_shown && shows_progress(happened))
    out_.say(describe(out_.shown(happened), session_));
}

} // namespace fermata::command_line
