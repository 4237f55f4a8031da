#include <fermata/actors/detail/followers.hpp>

#include <fermata/actors/queries.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

constexpr std::uint32_t max_followed = 1024;

} // namespace

void followers::add(caf::response_promise promise, follow_chunks what) {
  if (what.limit == 0 || what.limit > max_followed) {
    promise.deliver(
        make_error(errc::limit_exceeded, "follow_chunks::limit is refused; accepted are 1 to "
                                             + std::to_string(max_followed)));
    return;
  }
  // Watching begins before the store is read, so that nothing committed in between goes unnoticed.
  shared_->hub.watch(what.session);
  follower one{std::move(promise), std::move(what)};
  const bool answered = answer(one);
  if (!answered && count_ < shared_->options.limits.followers) {
    ++count_;
    waiting_[one.what.session].push_back(std::move(one));
    return;
  }
  shared_->hub.unwatch(one.what.session);
  if (!answered)
    one.promise.deliver(
        make_error(errc::overloaded, "session " + one.what.session.str()
                                         + " cannot be followed now: " + std::to_string(count_)
                                         + " wait for chunks, as many as `followers` allows"));
}

template <class Predicate>
void followers::drop(std::map<session_id, std::vector<follower>>::iterator of,
                     const Predicate& is_over) {
  const auto dropped = std::erase_if(of->second, is_over);
  count_ -= dropped;
  for (std::size_t i = 0; i < dropped; ++i)
    shared_->hub.unwatch(of->first);
  if (of->second.empty())
    waiting_.erase(of);
}

void followers::published(const session_id& session) {
  if (const auto found = waiting_.find(session); found != waiting_.end())
    drop(found, [&](follower& one) { return answer(one); });
}

void followers::unfollow(const caf::strong_actor_ptr& who, const unfollow_chunks& what) {
  if (const auto found = waiting_.find(what.session); found != waiting_.end())
    drop(found, [&](follower& one) {
      if (one.what.reader != what.reader || one.promise.next() != who)
        return false;
      one.promise.deliver(chunk_batch{});
      return true;
    });
}

void followers::depart() {
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    const auto of = next++;
    if (!shared_->is_home_of(of->first))
      drop(of, [](follower& one) {
        one.promise.deliver(
            make_error(errc::node_unavailable, "session " + one.what.session.str()
                                                   + " has moved to another node; ask again"));
        return true;
      });
  }
}

void followers::gone(const caf::node_id& node) {
  for (auto next = waiting_.begin(); next != waiting_.end();)
    drop(next++, [&](const follower& one) {
      const auto asked_by = one.promise.next();
      return asked_by != nullptr && asked_by->node() == node;
    });
}

void followers::close() {
  count_ = 0;
  for (auto& [session, list] : std::exchange(waiting_, {}))
    for (auto& one : list) {
      one.promise.deliver(make_error(errc::shutting_down, "the runtime is stopping"));
      shared_->hub.unwatch(session);
    }
}

bool followers::answer(follower& one) {
  auto& what = one.what;
  auto page =
      query_event_page(shared_->store(), what.session, std::max<std::uint64_t>(what.first, 1),
                       what.limit, chunk_batch::max_size_bytes);
  const bool is_absent = !page && is(page.error(), errc::unknown_session);
  if (is_absent && what.await_creation && what.incarnation == 0)
    return false;
  if ((is_absent || page) && what.incarnation != 0
      && (is_absent || page->session != what.incarnation))
    page = make_error(errc::unknown_session, "session " + what.session.str() + " is deleted");
  if (!page) {
    one.promise.deliver(std::move(page.error()));
    return true;
  }
  what.incarnation = page->session;
  if (page->events.empty() && !what.identify)
    return false;
  chunk_batch batch;
  batch.incarnation = page->session;
  batch.last = page->last;
  batch.chunks.reserve(page->events.size());
  for (auto& fact : page->events)
    batch.chunks.emplace_back(what.session, std::move(fact));
  one.promise.deliver(std::move(batch));
  return true;
}

} // namespace fermata::detail
