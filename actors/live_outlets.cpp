#include <fermata/actors/detail/live_outlets.hpp>

#include <fermata/messages/type_ids.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

namespace fermata::detail {

namespace {

std::uint64_t size_of(const json& content) {
  return content.is_string() ? content.get_ref<const std::string&>().size()
                             : to_text(content).size();
}

} // namespace

/// One reader of one actor, from `listen` to its end.
class live_outlets::outlet {
public:
  outlet(services_ptr shared, caf::response_promise promise, const listen_live& asked)
      : what{asked}, to{promise.next()}, shared_{std::move(shared)}, promise_{std::move(promise)} {
    listener_ =
        shared_->live.listen(what.session, [this](const live_update& update) { send(update); });
  }
  outlet(const outlet&) = delete;
  outlet& operator=(const outlet&) = delete;
  ~outlet() { shared_->live.forget(what.session, listener_); }

  [[nodiscard]] bool is_of(const caf::strong_actor_ptr& who, const session_id& session,
                           std::uint64_t reader) const {
    return to == who && what.session == session && what.reader == reader;
  }

  template <class Answer>
  void end(Answer answer) {
    promise_.deliver(std::move(answer));
  }

  void taken(const live_taken& more) {
    const std::lock_guard lock{mutex_};
    updates_ -= std::min(updates_, more.updates);
    size_bytes_ -= std::min(size_bytes_, more.size_bytes);
    if (dropped_ > 0 && has_room())
      post(make_batch());
  }

  const listen_live what;
  const caf::strong_actor_ptr to;

private:
  /// On the thread that says it.
  void send(const live_update& update) {
    const auto size = size_of(update.content);
    const std::lock_guard lock{mutex_};
    if (!has_room() || size > listen_live::max_size_bytes) {
      ++dropped_;
      return;
    }
    ++updates_;
    size_bytes_ += size;
    auto batch = make_batch();
    batch.updates.push_back(update);
    batch.size_bytes = size;
    post(std::move(batch));
  }

  [[nodiscard]] bool has_room() const noexcept {
    return updates_ < listen_live::max_updates && size_bytes_ < listen_live::max_size_bytes;
  }

  [[nodiscard]] live_batch make_batch() {
    live_batch made;
    made.session = what.session;
    made.reader = what.reader;
    made.dropped = std::exchange(dropped_, 0);
    return made;
  }

  void post(live_batch batch) const {
    caf::anon_send(caf::actor_cast<caf::actor>(to), std::move(batch));
  }

  services_ptr shared_;
  caf::response_promise promise_;
  std::uint64_t listener_ = 0;
  std::mutex mutex_;
  std::uint64_t updates_ = 0; ///< On their way, with the size of their contents.
  std::uint64_t size_bytes_ = 0;
  std::uint64_t dropped_ = 0;
};

live_outlets::live_outlets(services_ptr shared) : shared_{std::move(shared)} {}
live_outlets::~live_outlets() = default;

void live_outlets::add(caf::response_promise promise, const listen_live& what) {
  if (promise.next() == nullptr)
    return; // nobody hears it
  // Who asks anew does not know of the one before, or has given it up.
  drop([&](outlet& one) {
    if (one.to != promise.next() || one.what.session != what.session)
      return false;
    one.end(live_batch{});
    return true;
  });
  outlets_.push_back(std::make_unique<outlet>(shared_, std::move(promise), what));
}

template <class Predicate>
void live_outlets::drop(const Predicate& end) {
  std::erase_if(outlets_, [&](const auto& one) { return end(*one); });
}

void live_outlets::taken(const caf::strong_actor_ptr& who, const live_taken& what) {
  for (const auto& one : outlets_)
    if (one->is_of(who, what.session, what.reader))
      one->taken(what);
}

void live_outlets::unlisten(const caf::strong_actor_ptr& who, const unlisten_live& what) {
  drop([&](outlet& one) {
    if (!one.is_of(who, what.session, what.reader))
      return false;
    one.end(live_batch{});
    return true;
  });
}

void live_outlets::depart() {
  drop([&](outlet& one) {
    if (shared_->is_home_of(one.what.session))
      return false;
    one.end(make_error(errc::node_unavailable, "session " + one.what.session.str()
                                                   + " has moved to another node; ask again"));
    return true;
  });
}

void live_outlets::gone(const caf::node_id& node) {
  drop([&](const outlet& one) { return one.to->node() == node; });
}

void live_outlets::close() {
  drop([](outlet& one) {
    one.end(make_error(errc::shutting_down, "the runtime is stopping"));
    return true;
  });
}

} // namespace fermata::detail
