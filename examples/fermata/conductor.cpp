#include "conductor.hpp"

#include "inputs.hpp"
#include "interruption.hpp"
#include "render.hpp"

#include <chrono>
#include <utility>

namespace fermata::command_line {

namespace {

using namespace std::chrono_literals;

/// How often a signal is looked for while there is nothing to show.
constexpr auto signal_interval = 50ms;

constexpr std::string_view approved_by = "--approve all";

bool shows_progress(const event& happened) {
  return !std::holds_alternative<state_changed>(happened.body)
         && !std::holds_alternative<session_activated>(happened.body)
         && !std::holds_alternative<plan_started>(happened.body)
         && !std::holds_alternative<model_used>(happened.body)
         && !std::holds_alternative<call_requeued>(happened.body);
}

command approve(const pending_item& item, const approval_id& id) {
  if (const auto* plan = std::get_if<plan_id>(&id)) {
    decide_plan decision{plan->revision(), plan_verdict::approve};
    decision.by = approved_by;
    return decision;
  }
  decide_call decision{std::get<call_id>(id), call_verdict::approve};
  decision.by = approved_by;
  decision.digest = item.digest;
  return decision;
}

/// What somebody else did in the meantime, or what changed: looking again tells what to do.
bool is_outdated(const caf::error& error) {
  return is(error, errc::stale_approval) || is(error, errc::already_decided)
         || is(error, errc::superseded);
}

} // namespace

conductor::conductor(host& owner, console& out, session_id session)
    : host_{owner}, out_{out}, session_{owner.running().session(session)}, live_{
                                                                               out,
                                                                               std::move(session)} {
  // What happened before is not shown again.
  if (const auto status = query_status(owner.store(), session_.id()))
    next_event_ = status->events + 1;
}

result<halt> conductor::apply(command body) {
  return follow(session_.send(std::move(body)));
}

result<halt> conductor::wake() {
  return follow(session_.wake());
}

result<halt> conductor::follow(std::future<result<receipt>> sent) {
  while (sent.wait_for(signal_interval) != std::future_status::ready)
    if (was_interrupted())
      host_.stop();
  const auto answer = sent.get();
  if (!answer)
    return answer.error();
  if (auto error = host_.memory().keep())
    return error;
  out_.print("receipt", *answer);
  if (answer->kind == receipt_kind::duplicate)
    out_.say("This was said before; nothing changed.");
  if (answer->kind == receipt_kind::late)
    out_.say("This comes too late: the call is over. It was noted, and changes nothing.");
  auto events = session_.follow(next_event_);
  return run_until_pause(events);
}

result<halt> conductor::run_until_pause(event_stream& events) {
  bool seems_paused = false;
  for (;;) {
    auto next = events.next(seems_paused ? 0ms : signal_interval);
    if (!next)
      return std::move(next.error());
    next_event_ = events.position();
    live_.show(host_.live().take());
    if (*next) {
      const auto& happened = **next;
      show(happened);
      if (const auto* change = std::get_if<state_changed>(&happened.body))
        seems_paused = !is_running(change->to);
      continue;
    }
    out_.flush();
    if (was_interrupted()) {
      host_.stop();
      return halt::interrupted;
    }
    const auto status = session_.status();
    if (!status)
      return status.error();
    if (!is_running(status->state) && next_event_ > status->events)
      return halt::paused;
    seems_paused = false;
  }
}

void conductor::show(const event& happened) {
  out_.print("event", happened);
  const bool is_shown = live_.finish(happened);
  if (!is_shown && shows_progress(happened))
    out_.say(describe(out_.shown(happened), session_.id()));
}

result<halt> conductor::approve_all(halt at) {
  // A call whose target changes all the time would be asked for again and again.
  for (int fruitless = 0; at == halt::paused && fruitless < 3;) {
    const auto approved = approve_pending();
    if (!approved)
      return approved.error();
    if (approved->asked == 0)
      break;
    fruitless = approved->approved == 0 ? fruitless + 1 : 0;
    auto events = session_.follow(next_event_);
    auto next = run_until_pause(events);
    if (!next)
      return next;
    at = *next;
  }
  return at;
}

result<conductor::approvals> conductor::approve_pending() {
  const auto items = query_pending(host_.store(), session_.id());
  if (!items)
    return items.error();
  approvals counted;
  for (const auto& item : *items) {
    const auto id = parse_approval_id(item.id);
    if (item.waiting_for != wait_cause::decision || !id)
      continue;
    const auto answer = session_.send(approve(item, *id)).get();
    if (!answer && !is_outdated(answer.error()))
      return answer.error();
    ++counted.asked;
    counted.approved += answer ? 1 : 0;
  }
  return counted;
}

} // namespace fermata::command_line
