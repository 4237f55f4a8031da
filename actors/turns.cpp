#include <fermata/actors/detail/turns.hpp>

#include <caf/actor.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <iterator>
#include <limits>

namespace fermata::detail {

// -- turn_gate ------------------------------------------------------------------------------------

void turn_gate::give_back() noexcept {
  --taken_;
  if (asked_.exchange(false))
    if (const auto directory = caf::actor_cast<caf::actor>(directory_))
      caf::anon_send(directory, turn_ended{});
}

// -- turn_queue -----------------------------------------------------------------------------------

void turn_queue::push(delivery_ptr message, std::uint64_t served) {
  const auto& session = message->session;
  auto& of_session = waiting_[session];
  if (of_session.empty())
    order_.emplace(place{served, ++arrivals_}, session);
  of_session.push_back(std::move(message));
}

delivery_ptr turn_queue::pop(std::uint64_t turn) {
  auto first = order_.extract(order_.begin());
  const auto found = waiting_.find(first.mapped());
  auto message = std::move(found->second.front());
  found->second.pop_front();
  if (found->second.empty()) {
    waiting_.erase(found);
  } else {
    first.key() = {turn, ++arrivals_};
    order_.insert(std::move(first));
  }
  return message;
}

std::vector<delivery_ptr>
turn_queue::take_all(const std::function<bool(const session_id&)>& is_wanted) {
  std::vector<delivery_ptr> taken;
  std::erase_if(order_, [&](const auto& one) {
    if (!is_wanted(one.second))
      return false;
    auto messages = std::move(waiting_.extract(one.second).mapped());
    std::move(messages.begin(), messages.end(), std::back_inserter(taken));
    return true;
  });
  return taken;
}

std::size_t turn_queue::waiting_for(const session_id& session) const {
  const auto found = waiting_.find(session);
  return found == waiting_.end() ? 0 : found->second.size();
}

void turn_queue::clear() {
  order_.clear();
  waiting_.clear();
}

// -- transaction_pace -----------------------------------------------------------------------------

void transaction_pace::observe(std::size_t commits, std::chrono::steady_clock::time_point begin,
                               std::chrono::nanoseconds duration) noexcept {
  constexpr std::uint32_t remembered = 64;
  const auto microseconds = [](std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::micro>{time}.count();
  };
  const auto count = static_cast<double>(commits);
  auto time = microseconds(duration);
  auto cycle = observed_ == 0 ? time : microseconds(begin - last_begin_);
  last_begin_ = begin;
  // A disk that hangs for once, or nothing to do for an hour, says nothing about what is usual.
  if (observed_ >= remembered)
    time = std::min(time, 4 * duration_);
  if (observed_ > 0)
    cycle = std::min(cycle, 4 * std::max(cycle_, duration_));
  observed_ = std::min(observed_ + 1, remembered);
  const auto learn = [weight = 1.0 / observed_](double& mean, double value) {
    mean += weight * (value - mean);
  };
  learn(commits_, count);
  learn(duration_, time);
  learn(cycle_, cycle);
  learn(commits_squared_, count * count);
  learn(product_, count * time);
}

std::uint32_t transaction_pace::worthwhile_commits() const noexcept {
  constexpr auto least = 16.0;
  constexpr auto most = 512.0;
  if (observed_ < 8)
    return 32;
  const auto enough = std::min(enough_for_disk(), enough_for_processor());
  return static_cast<std::uint32_t>(std::clamp(enough, least, most));
}

double transaction_pace::enough_for_disk() const noexcept {
  constexpr auto unbounded = std::numeric_limits<double>::max();
  const auto variance = commits_squared_ - commits_ * commits_;
  if (variance < 1)
    return unbounded; // it is not known what each of them adds
  const auto of_each = (product_ - commits_ * duration_) / variance;
  const auto of_any = duration_ - of_each * commits_;
  if (of_any <= 0)
    return 0;
  return of_each > 0 ? of_any / of_each : unbounded;
}

double transaction_pace::enough_for_processor() const noexcept {
  constexpr auto busy_part = 0.9;
  return cycle_ > 0 ? commits_ * duration_ / (busy_part * cycle_) : 0;
}

} // namespace fermata::detail
