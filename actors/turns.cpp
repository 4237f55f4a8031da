#include <fermata/actors/detail/turns.hpp>

#include <caf/actor.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <iterator>

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

// -- transaction_costs ----------------------------------------------------------------------------

void transaction_costs::observe(std::size_t commits, std::chrono::nanoseconds duration) noexcept {
  constexpr std::uint32_t remembered = 64;
  const auto count = static_cast<double>(commits);
  auto time = std::chrono::duration<double, std::micro>{duration}.count();
  // A disk that hangs for once says nothing about what is usual.
  if (observed_ >= remembered)
    time = std::min(time, 4 * duration_);
  observed_ = std::min(observed_ + 1, remembered);
  const auto weight = 1.0 / observed_;
  const auto learn = [weight](double& mean, double value) { mean += weight * (value - mean); };
  learn(commits_, count);
  learn(duration_, time);
  learn(commits_squared_, count * count);
  learn(product_, count * time);
}

std::uint32_t transaction_costs::worthwhile_commits() const noexcept {
  constexpr auto least = 16.0;
  constexpr auto most = 512.0;
  const auto variance = commits_squared_ - commits_ * commits_;
  if (observed_ < 8 || variance < 1)
    return 32;
  const auto of_each = (product_ - commits_ * duration_) / variance;
  const auto of_any = duration_ - of_each * commits_;
  if (of_any <= 0)
    return static_cast<std::uint32_t>(least);
  if (of_each * most <= of_any)
    return static_cast<std::uint32_t>(most);
  return static_cast<std::uint32_t>(std::clamp(of_any / of_each, least, most));
}

} // namespace fermata::detail
