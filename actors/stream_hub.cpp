#include <fermata/actors/detail/stream_hub.hpp>

#include <fermata/actors/detail/tell.hpp>

#include <algorithm>

namespace fermata::detail {

bool stream_hub::publish(const session_id& session, std::uint64_t number) {
  const std::lock_guard lock{mutex_};
  const auto found = topics_.find(session);
  if (found == topics_.end())
    return false;
  found->second.number = std::max(found->second.number, number);
  return tell(found->second);
}

bool stream_hub::end(const session_id& session) {
  const std::lock_guard lock{mutex_};
  const auto found = topics_.find(session);
  if (found == topics_.end())
    return false;
  found->second.number = 0;
  ++found->second.endings;
  return tell(found->second);
}

bool stream_hub::tell(const topic& about) {
  more_.notify_all();
  // Under the lock, so that `forget` can promise that it is over.
  for (const auto& [observation, observer] : about.observers)
    detail::tell(observer, about.number);
  return about.watchers != 0;
}

void stream_hub::enter(const session_id& session) {
  const std::lock_guard lock{mutex_};
  ++topics_[session].readers;
}

void stream_hub::leave(const session_id& session) {
  const std::lock_guard lock{mutex_};
  --topics_[session].readers;
  drop_if_unused(session);
}

std::uint64_t stream_hub::observe(const session_id& session,
                                  std::function<void(std::uint64_t)> observer) {
  const std::lock_guard lock{mutex_};
  topics_[session].observers.emplace(++observations_, std::move(observer));
  return observations_;
}

void stream_hub::forget(const session_id& session, std::uint64_t observation) {
  const std::lock_guard lock{mutex_};
  topics_.at(session).observers.erase(observation);
  drop_if_unused(session);
}

void stream_hub::watch(const session_id& session) {
  const std::lock_guard lock{mutex_};
  ++topics_[session].watchers;
}

void stream_hub::unwatch(const session_id& session) {
  const std::lock_guard lock{mutex_};
  --topics_[session].watchers;
  drop_if_unused(session);
}

void stream_hub::drop_if_unused(const session_id& session) {
  const auto found = topics_.find(session);
  const auto& unused = found->second;
  if (unused.readers == 0 && unused.watchers == 0 && unused.observers.empty())
    topics_.erase(found);
}

std::uint64_t stream_hub::endings(const session_id& session) {
  const std::lock_guard lock{mutex_};
  return topics_.at(session).endings;
}

bool stream_hub::wait_for(const session_id& session, std::uint64_t number, std::uint64_t endings,
                          std::chrono::milliseconds timeout) {
  std::unique_lock lock{mutex_};
  const auto& of = topics_.at(session);
  const auto is_there = [&] { return of.number >= number || of.endings != endings; };
  more_.wait_for(lock, timeout, [&] { return closed_ || is_there(); });
  return is_there();
}

void stream_hub::close() {
  const std::lock_guard lock{mutex_};
  closed_ = true;
  more_.notify_all();
}

} // namespace fermata::detail
