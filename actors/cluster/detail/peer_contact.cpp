#include <fermata/actors/cluster/detail/peer_contact.hpp>

#include <algorithm>
#include <utility>

namespace fermata::detail {

void peer_contact::enter(contact_state state, std::string why) {
  state_ = state;
  reason_ = std::move(why);
}

void peer_contact::connected(time now) {
  attempt_under_way_ = false;
  failures_ = 0;
  beating_ = false;
  heard_ = now;
  enter(contact_state::connected, {});
}

void peer_contact::failed(std::string why, time now) {
  attempt_under_way_ = false;
  const auto doublings = std::min<std::uint32_t>(failures_++, 16);
  retry_at_ =
      now + head_start_ + std::min(timing_.first_retry * (1u << doublings), timing_.longest_retry);
  enter(contact_state::apart, std::move(why));
}

void peer_contact::refused(std::string why, time now) {
  attempt_under_way_ = false;
  retry_at_ = now + head_start_ + timing_.refused_retry;
  enter(contact_state::refused, std::move(why));
}

void peer_contact::lost(std::string why, time now) {
  // One that is refused loses its connection as well, which says less.
  if (state_ == contact_state::refused)
    refused(std::exchange(reason_, {}), now);
  else
    failed(std::move(why), now);
}

bool peer_contact::heard(time now) {
  beating_ = false;
  heard_ = now;
  if (state_ != contact_state::silent)
    return false;
  enter(contact_state::connected, {});
  return true;
}

void peer_contact::asked(time now) {
  if (state_ == contact_state::connected && !beating_)
    heard_ = now;
}

bool peer_contact::sighted() {
  if (state_ == contact_state::connected)
    return false;
  attempt_under_way_ = true;
  return true;
}

peer_contact::deed peer_contact::next(time now, bool awaited) {
  const auto at = due(awaited);
  if (!at || now < *at)
    return deed::nothing;
  switch (state_) {
  case contact_state::connecting:
    if (now >= first_until_) {
      // An attempt that is under way goes on, but nobody waits for it.
      enter(contact_state::apart, "it did not answer in time");
      return deed::give_up;
    }
    [[fallthrough]];
  case contact_state::apart:
  case contact_state::refused:
    attempt_under_way_ = true;
    return deed::connect;
  case contact_state::connected:
    if (beating_) {
      enter(contact_state::silent, "it gives no sign of life");
      heard_ = now;
      return deed::give_up;
    }
    [[fallthrough]];
  case contact_state::silent:
    beating_ = true;
    heard_ = now;
    return deed::heartbeat;
  }
  return deed::nothing;
}

std::optional<peer_contact::time> peer_contact::next_heartbeat(bool awaited) const {
  if (!awaited && timing_.idle_heartbeat.count() == 0)
    return std::nullopt;
  return heard_ + (awaited ? timing_.heartbeat : timing_.idle_heartbeat);
}

std::optional<peer_contact::time> peer_contact::due(bool awaited) const {
  switch (state_) {
  case contact_state::connecting:
    return attempt_under_way_ ? first_until_ : std::min(retry_at_, first_until_);
  case contact_state::apart:
  case contact_state::refused:
    // One attempt at a time: it says when it has ended.
    return attempt_under_way_ ? std::nullopt : std::optional{retry_at_};
  case contact_state::connected:
    return beating_ ? heard_ + timing_.silence : next_heartbeat(awaited);
  case contact_state::silent:
    return heard_ + timing_.silence; // it is asked again
  }
  return std::nullopt;
}

} // namespace fermata::detail
