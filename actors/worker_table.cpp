#include <fermata/actors/detail/worker_table.hpp>

namespace fermata::detail {

bool worker_table::reserve(const call_id& call, std::uint32_t number, bool blocking) {
  return reserve(call, number, blocking, false);
}

bool worker_table::reserve_look(const call_id& call, std::uint32_t number) {
  return reserve(call, number, true, true);
}

bool worker_table::reserve(const call_id& call, std::uint32_t number, bool blocking, bool look) {
  const std::lock_guard lock{mutex_};
  if (closed_ || runs_.contains(call))
    return false;
  if (blocking && free_slots_ == 0) {
    // In the same step as the refusal, so that no worker becomes free in between unnoticed.
    if (lined_up_.insert(call.session()).second)
      waiting_.push_back(call.session());
    return false;
  }
  if (blocking)
    --free_slots_;
  auto& added = runs_[call];
  added.blocking = blocking;
  added.look = look;
  added.number = number;
  return true;
}

bool worker_table::is_look(const call_id& call) const {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  return found != runs_.end() && found->second.look;
}

void worker_table::release(const call_id& call) {
  const std::lock_guard lock{mutex_};
  if (const auto found = runs_.find(call); found != runs_.end() && !found->second.outcome) {
    free_slot(found->second);
    runs_.erase(found);
  }
}

std::optional<session_id> worker_table::finish(const call_id& call, result<json> outcome) {
  const std::lock_guard lock{mutex_};
  if (const auto found = runs_.find(call); found != runs_.end()) {
    free_slot(found->second);
    if (found->second.forgotten)
      runs_.erase(found);
    else
      found->second.outcome = std::move(outcome);
  }
  return take_waiting();
}

std::optional<session_id> worker_table::next_waiting() {
  const std::lock_guard lock{mutex_};
  return free_slots_ == 0 ? std::nullopt : take_waiting();
}

std::optional<result<json>> worker_table::outcome(const call_id& call, std::uint32_t number) const {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  return found == runs_.end() || found->second.number != number ? std::nullopt
                                                                : found->second.outcome;
}

std::optional<std::uint32_t> worker_table::ended_run(const call_id& call) const {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  return found == runs_.end() || !found->second.outcome ? std::nullopt
                                                        : std::optional{found->second.number};
}

void worker_table::note_overdue(const call_id& call) {
  const std::lock_guard lock{mutex_};
  if (const auto found = runs_.find(call); found != runs_.end())
    found->second.overdue = true;
}

bool worker_table::is_overdue(const call_id& call) const {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  return found != runs_.end() && found->second.overdue && !found->second.outcome
         && !found->second.forgotten;
}

std::optional<session_id> worker_table::abandon(const call_id& call) {
  const std::lock_guard lock{mutex_};
  if (const auto found = runs_.find(call); found != runs_.end()) {
    if (!found->second.outcome)
      free_slot(found->second);
    runs_.erase(found);
  }
  return take_waiting();
}

void worker_table::forget(const call_id& call) {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  if (found == runs_.end())
    return;
  if (found->second.outcome)
    runs_.erase(found);
  else
    found->second.forgotten = true;
}

bool worker_table::has(const call_id& call, std::uint32_t number) const {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  return found != runs_.end() && found->second.number == number && !found->second.forgotten;
}

std::size_t worker_table::under_way() const {
  const std::lock_guard lock{mutex_};
  return static_cast<std::size_t>(std::count_if(
      runs_.begin(), runs_.end(), [](const auto& one) { return !one.second.outcome; }));
}

std::vector<call_id> worker_table::runs_of(const session_id& session) const {
  const std::lock_guard lock{mutex_};
  std::vector<call_id> calls;
  for (auto one = runs_.lower_bound(call_id{session, 0});
       one != runs_.end() && one->first.session() == session; ++one)
    calls.push_back(one->first);
  return calls;
}

std::vector<call_id> worker_table::calls() const {
  const std::lock_guard lock{mutex_};
  std::vector<call_id> all;
  all.reserve(runs_.size());
  for (const auto& [call, one] : runs_)
    all.push_back(call);
  return all;
}

std::stop_token worker_table::stop_token(const call_id& call) const {
  const std::lock_guard lock{mutex_};
  const auto found = runs_.find(call);
  return found == runs_.end() ? std::stop_token{} : found->second.stop.get_token();
}

void worker_table::stop(const call_id& call) {
  std::stop_source source{std::nostopstate};
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = runs_.find(call); found != runs_.end())
      source = found->second.stop;
  }
  // Outside of the lock: stop callbacks are the tools' own code.
  source.request_stop();
}

void worker_table::stop_all() {
  std::vector<std::stop_source> sources;
  {
    const std::lock_guard lock{mutex_};
    closed_ = true;
    for (const auto& [call, one] : runs_)
      sources.push_back(one.stop);
  }
  for (auto& source : sources)
    source.request_stop();
}

std::optional<session_id> worker_table::take_waiting() {
  if (waiting_.empty())
    return std::nullopt;
  auto next = std::move(waiting_.front());
  waiting_.pop_front();
  lined_up_.erase(next);
  return next;
}

void worker_table::free_slot(const run& ended) {
  if (ended.blocking)
    ++free_slots_;
}

} // namespace fermata::detail
