#include <fermata/actors/detail/alarm_clock.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <limits>

namespace fermata::detail {

namespace {

/// How many sessions are told at once.
constexpr std::size_t batch = 256;

/// When those are told again that could not deal with their timers.
constexpr std::chrono::seconds retry_interval{5};

} // namespace

void alarm_clock::look() {
  if (stopped_ || in_flight_ > 0)
    return;
  auto view = shared_->store().read();
  auto due = view ? (*view)->due(shared_->options.clock->now(), batch, behind_) : view.error();
  if (!due) {
    behind_.reset();
    return plan(shared_->options.clock->now() + retry_interval);
  }
  if (due->empty()) {
    behind_.reset();
    return plan_next();
  }
  behind_ = due->back();
  in_flight_ = due->size();
  view->reset(); // those that are told write
  for (const auto& one : *due) {
    if (one.damage) {
      fired(false); // reported by whoever addresses the session
      continue;
    }
    auto message = std::make_shared<delivery>();
    message->session = one.session;
    message->body = timer_due{};
    message->answer = reply{[to = caf::actor_cast<caf::actor>(self_)](result<receipt> answer) {
                              caf::anon_send(to, atoms::fired_atom_v, static_cast<bool>(answer));
                            },
                            admission{}};
    deliver_(std::move(message));
  }
}

void alarm_clock::fired(bool dealt_with) {
  failed_ = failed_ || !dealt_with;
  if (in_flight_ > 0 && --in_flight_ == 0)
    look();
}

void alarm_clock::plan_next() {
  const auto now = shared_->options.clock->now();
  const bool again = std::exchange(failed_, false);
  // Those that could not deal with theirs are still among what is due.
  due_timer behind;
  behind.due = now;
  behind.number = std::numeric_limits<session_number>::max();
  auto view = shared_->store().read();
  auto first = view
                   ? (*view)->due(timestamp::max(), 1, again ? std::optional{behind} : std::nullopt)
                   : view.error();
  if (again || !first)
    plan(now + retry_interval);
  if (first && !first->empty())
    plan(first->front().due);
}

void alarm_clock::armed(timestamp due) {
  // What is due already is found when those in flight are dealt with, or now.
  if (in_flight_ == 0)
    plan(due);
}

void alarm_clock::plan(timestamp due) {
  const auto wait = std::clamp(due - shared_->options.clock->now(), timestamp::duration{0},
                               shared_->options.clock_check_interval);
  const auto at = self_->clock().now() + wait;
  if (stopped_ || (next_tick_ && *next_tick_ <= at))
    return;
  next_tick_ = at;
  if (wait.count() == 0)
    self_->send(self_, atoms::alarm_atom_v);
  else
    self_->delayed_send(self_, wait, atoms::alarm_atom_v);
}

void alarm_clock::tick() {
  if (!next_tick_ || self_->clock().now() < *next_tick_)
    return; // an earlier one took its place
  next_tick_.reset();
  look();
}

} // namespace fermata::detail
