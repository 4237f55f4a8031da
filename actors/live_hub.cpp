#include <fermata/actors/detail/live_hub.hpp>

#include <fermata/actors/detail/tell.hpp>

#include <utility>
#include <vector>

namespace fermata::detail {

std::uint64_t live_hub::listen(const session_id& session, live_observer observer) {
  auto made = std::make_shared<listener>();
  made->observer = std::move(observer);
  const std::lock_guard lock{mutex_};
  listeners_[session].emplace(++begun_, std::move(made));
  ++count_;
  return begun_;
}

void live_hub::forget(const session_id& session, std::uint64_t which) {
  std::shared_ptr<listener> forgotten;
  {
    const std::lock_guard lock{mutex_};
    const auto found = listeners_.find(session);
    forgotten = found->second.at(which);
    found->second.erase(which);
    if (found->second.empty())
      listeners_.erase(found);
    --count_;
  }
  const std::lock_guard lock{forgotten->mutex};
  forgotten->observer = nullptr;
}

bool live_hub::has_listeners(const session_id& session) const {
  if (count_ == 0)
    return false;
  const std::lock_guard lock{mutex_};
  return listeners_.contains(session);
}

void live_hub::show(const live_update& update) const {
  if (count_ == 0)
    return;
  std::vector<std::shared_ptr<listener>> those;
  {
    const std::lock_guard lock{mutex_};
    if (const auto found = listeners_.find(update.session); found != listeners_.end())
      for (const auto& [number, one] : found->second)
        those.push_back(one);
  }
  for (const auto& one : those) {
    const std::lock_guard lock{one->mutex};
    tell(one->observer, update);
  }
}

} // namespace fermata::detail
