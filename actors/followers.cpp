#include <fermata/actors/detail/followers.hpp>

#include <fermata/actors/queries.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

constexpr std::uint32_t max_batch = 1024;

} // namespace

void followers::add(caf::response_promise promise, follow_chunks what) {
  if (what.limit == 0 || what.limit > max_batch) {
    promise.deliver(
        make_error(errc::limit_exceeded, "follow_chunks::limit is refused; accepted are 1 to "
                                             + std::to_string(max_batch)));
    return;
  }
  // Watching begins before the store is read, so that nothing committed in between goes unnoticed.
  shared_->hub.watch(what.session);
  follower one{std::move(promise), std::move(what)};
  if (answer(one))
    shared_->hub.unwatch(one.what.session);
  else
    waiting_[one.what.session].push_back(std::move(one));
}

void followers::published(const session_id& session) {
  const auto found = waiting_.find(session);
  if (found == waiting_.end())
    return;
  std::erase_if(found->second, [&](follower& one) {
    if (!answer(one))
      return false;
    shared_->hub.unwatch(session);
    return true;
  });
  if (found->second.empty())
    waiting_.erase(found);
}

void followers::close() {
  for (auto& [session, list] : std::exchange(waiting_, {}))
    for (auto& one : list) {
      one.promise.deliver(make_error(errc::shutting_down, "the runtime is stopping"));
      shared_->hub.unwatch(session);
    }
}

bool followers::answer(follower& one) {
  auto events = query_events(shared_->store(), one.what.session,
                             std::max<std::uint64_t>(one.what.first, 1), one.what.limit);
  if (!events) {
    one.promise.deliver(std::move(events.error()));
    return true;
  }
  if (events->empty())
    return false;
  chunk_batch batch;
  batch.chunks.reserve(events->size());
  for (auto& fact : *events)
    batch.chunks.emplace_back(one.what.session, std::move(fact));
  one.promise.deliver(std::move(batch));
  return true;
}

} // namespace fermata::detail
