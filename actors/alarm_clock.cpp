#include <fermata/actors/detail/alarm_clock.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <limits>

namespace fermata::detail {

namespace {

/// How many sessions are told at once.
constexpr std::size_t batch = 256;

/// Among how many of the next timers one is looked for whose session lives here.
constexpr std::size_t looked_ahead = 16;

/// When those are told again that could not deal with their timers.
constexpr std::chrono::seconds alarm_retry_interval{5};

/// Of so many damaged timers the observer is told.
constexpr std::size_t max_told_of = 1'000;

} // namespace

void alarm_clock::look() {
  if (stopped_ || in_flight_ > 0)
    return;
  const auto now = shared_->options.clock->now();
  auto view = shared_->store().read();
  auto due = view ? (*view)->due(now, batch, behind_) : view.error();
  if (!due) {
    behind_.reset();
    return plan(now + alarm_retry_interval);
  }
  if (due->empty()) {
    behind_.reset();
    return plan_next(now);
  }
  behind_ = due->back();
  view->reset(); // those that are told write
  std::erase_if(*due, [this](const due_timer& one) { return is_for_others(one); });
  if (due->empty())
    return plan(now); // the next ones, after whatever else waits for this actor
  in_flight_ = due->size();
  for (const auto& one : *due) {
    if (one.damage)
      tell_of_damage(one);
    if (one.session.empty()) {
      fired(false);
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

void alarm_clock::tell_of_damage(const due_timer& one) {
  if (told_of_.size() < max_told_of && told_of_.insert(one.place()).second)
    shared_->observe([&](auto& observer) { observer.damage_found(one.damage); });
}

void alarm_clock::fired(bool dealt_with) {
  failed_ = failed_ || !dealt_with;
  if (in_flight_ > 0 && --in_flight_ == 0)
    look();
}

void alarm_clock::plan_next(timestamp looked_at) {
  const auto now = shared_->options.clock->now();
  const bool again = std::exchange(failed_, false);
  // A session that could not deal with its timer has armed it when it was activated: that is no
  // reason to tell it at once.
  if (const auto armed = std::exchange(armed_, {}); armed && !(again && *armed <= looked_at))
    plan(*armed);
  // Those that could not deal with theirs are still among what is due, as are those of other nodes.
  const bool leftovers = again || shared_->shares_store();
  due_timer behind;
  behind.due = looked_at;
  behind.number = std::numeric_limits<session_number>::max();
  auto view = shared_->store().read();
  auto next = view ? (*view)->due(timestamp::max(), shared_->shares_store() ? looked_ahead : 1,
                                  leftovers ? std::optional{behind} : std::nullopt)
                   : view.error();
  if (again || !next)
    plan(now + alarm_retry_interval);
  if (!next || next->empty())
    return;
  const auto own = std::find_if_not(next->begin(), next->end(),
                                    [this](const due_timer& one) { return is_for_others(one); });
  // Where all of them are for others, it looks on when the last of them is due.
  plan(own != next->end() ? own->due : next->back().due);
}

void alarm_clock::armed(timestamp due) {
  if (!behind_)
    return plan(due);
  // The pass may have come past it already: then it is found by the next one.
  armed_ = armed_ ? std::min(*armed_, due) : due;
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
