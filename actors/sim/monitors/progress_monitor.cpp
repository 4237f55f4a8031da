#include <fermata/actors/sim/monitors/progress_monitor.hpp>

namespace fermata::sim {

namespace {

/// How long after the last thing that was seen of a node a session that is running there may show
/// no sign of it. Longer than all intervals in which something is tried again.
constexpr std::chrono::hours longest_stall{24};

/// How long after its node has looked at its wall clock a timer may be late.
constexpr std::chrono::minutes timer_tolerance{10};

} // namespace

void progress_monitor::stored(world& in, const stored_commit& what) {
  const auto* found = known_->find(in, what.session);
  if (found->flaw)
    return;
  if (found->index >= timers_.size())
    timers_.resize(found->index + 1);
  auto& timer = timers_[found->index];
  const auto due = found->model.next_timer();
  if (due == timer.due)
    return;
  if (timer.due)
    by_time_.erase({*timer.due, found->index});
  if (due)
    by_time_.insert({*due, found->index});
  timer = {};
  timer.due = due;
}

void progress_monitor::quiet(world& in) {
  check_timers(in);
  for (const auto& [name, node] : known_->nodes()) {
    if (node.busy_sessions == 0 || in.elapsed() - node.active < longest_stall)
      continue;
    for (const auto& known : known_->sessions())
      if (known.node == name && !known.is_interrupted)
        check_running(in, known);
  }
}

void progress_monitor::check_timers(world& in) {
  const auto latest = in.latest_now();
  for (const auto& [due, index] : by_time_) {
    if (due > latest)
      return;
    const auto& known = known_->sessions()[index];
    auto& timer = timers_[index];
    if (due > in.now(known.node) || !has_time(in, known)) {
      timer.noticed.reset();
      continue;
    }
    if (!timer.noticed)
      timer.noticed = in.elapsed();
    const auto& node = known_->nodes().at(known.node);
    if (in.elapsed() - *timer.noticed > node.clock_check_interval + timer_tolerance)
      violate(in, "P6",
              about(known.model.id, known.model.events) + "its timer has been due for "
                  + std::to_string((in.now(known.node) - due).count()) + " ms, and has not fired");
  }
}

bool progress_monitor::has_time(const world& in, const known_session& known) const {
  const auto& node = known_->nodes().at(known.node);
  const auto load = in.load(known.node);
  return node.fires_timers && load && load->parked_messages == 0
         && load->resident_sessions < node.limits.resident_sessions && in.is_calm(known.node);
}

/// Something is under way, or it is a dead end.
void progress_monitor::check_running(world& in, const known_session& known) {
  const auto load = in.load(known.node);
  if (known.flaw || !known.is_busy || !load || !in.is_calm(known.node))
    return;
  // A worker that runs something may be what a queued call waits for; a step that awaits something
  // has a coroutine, and whose it is cannot be told.
  if (load->runs_under_way > 0 || load->parked_messages > 0 || known_->frames() > 0)
    return;
  const auto idle = in.elapsed() - known_->nodes().at(known.node).active;
  const auto why = known.is_interrupted
                       ? "its process has ended, and nobody has woken it since " + known.node
                             + " was started again"
                       : "nothing is under way, and nothing has happened on " + known.node + " for "
                             + std::to_string(idle.count()) + " ms";
  violate(in, "P6",
          about(known.model.id, known.model.events) + "it is " + enum_name(known.model.recorded)
              + ", but " + why);
}

void progress_monitor::ended(world& in) {
  check_timers(in);
  for (const auto& known : known_->sessions()) {
    const auto& model = known.model;
    if (known.flaw)
      continue;
    check_running(in, known);
    if ((model.recorded == session_state::waiting
         || model.recorded == session_state::awaiting_plan_decision)
        && model.pending().empty() && !model.next_timer())
      violate(in, "P6",
              about(model.id, model.events) + "it is " + enum_name(model.recorded)
                  + ", but nothing is pending and no timer is armed");
  }
}

} // namespace fermata::sim
