#include <fermata/actors/detail/event_readers.hpp>

#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <iterator>

namespace fermata {

event_stream::event_stream(std::unique_ptr<implementation> made)
    : implementation_{std::move(made)} {}
event_stream::event_stream(event_stream&&) noexcept = default;
event_stream& event_stream::operator=(event_stream&&) noexcept = default;
event_stream::~event_stream() = default;

result<std::optional<event>> event_stream::implementation::next(std::chrono::milliseconds timeout) {
  if (buffer_.empty())
    if (auto error = fill(buffer_, timeout))
      return error;
  if (buffer_.empty())
    return std::optional<event>{};
  auto first = std::move(buffer_.front());
  buffer_.pop_front();
  position_ = first.number + 1;
  return std::optional{std::move(first)};
}

result<std::optional<event>> event_stream::next(std::chrono::milliseconds timeout) {
  return implementation_->next(timeout);
}

std::uint64_t event_stream::position() const noexcept {
  return implementation_->position();
}

event_watch::event_watch(std::unique_ptr<implementation> made) : implementation_{std::move(made)} {}
event_watch::event_watch() noexcept = default;
event_watch::event_watch(event_watch&&) noexcept = default;
event_watch& event_watch::operator=(event_watch&&) noexcept = default;
event_watch::~event_watch() = default;

namespace detail {

namespace {

class local_stream final : public event_stream::implementation {
public:
  local_stream(services_ptr with, session_id id, std::uint64_t first, if_absent absent)
      : implementation{first}, shared_{std::move(with)}, session_{std::move(id)}, absent_{absent} {
    shared_->hub.enter(session_);
  }
  ~local_stream() override { shared_->hub.leave(session_); }

private:
  caf::error fill(std::deque<event>& buffer, std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
      const auto endings = shared_->hub.endings(session_);
      if (auto error = read(buffer))
        return error;
      if (!buffer.empty())
        return caf::none;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !shared_->hub.wait_for(session_, position(), endings, left))
        return caf::none;
    }
  }

  /// Reads the events that are recorded, some at a time.
  caf::error read(std::deque<event>& buffer) {
    constexpr std::size_t at_once = 256;
    constexpr std::size_t size_at_once_bytes = 1024 * 1024;
    auto more =
        query_event_page(shared_->store(), session_, position(), at_once, size_at_once_bytes);
    const bool is_absent = !more && is(more.error(), errc::unknown_session);
    if (!more && !is_absent)
      return std::move(more.error());
    if (number_ != 0 && (is_absent || more->session != number_))
      return make_error(errc::unknown_session, "session " + session_.str() + " is deleted");
    if (is_absent)
      return absent_ == if_absent::fail ? std::move(more.error()) : caf::error{};
    number_ = more->session;
    std::move(more->events.begin(), more->events.end(), std::back_inserter(buffer));
    return caf::none;
  }

  services_ptr shared_;
  session_id session_;
  if_absent absent_;
  session_number number_ = 0; ///< Of the one that it reads; 0: it was not there yet.
};

class local_watch final : public event_watch::implementation {
public:
  local_watch(services_ptr with, session_id id, std::function<void(std::uint64_t)> tell)
      : shared_{std::move(with)}, session_{std::move(id)}, observation_{shared_->hub.observe(
                                                               session_, std::move(tell))} {}
  ~local_watch() override { shared_->hub.forget(session_, observation_); }

private:
  services_ptr shared_;
  session_id session_;
  std::uint64_t observation_;
};

} // namespace

std::unique_ptr<event_stream::implementation> read_here(services_ptr shared, session_id session,
                                                        std::uint64_t first, if_absent absent) {
  return std::make_unique<local_stream>(std::move(shared), std::move(session), first, absent);
}

std::unique_ptr<event_watch::implementation>
watch_here(services_ptr shared, session_id session, std::function<void(std::uint64_t)> committed) {
  return std::make_unique<local_watch>(std::move(shared), std::move(session), std::move(committed));
}

} // namespace detail

} // namespace fermata
