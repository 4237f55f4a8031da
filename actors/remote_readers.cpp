#include <fermata/actors/detail/event_readers.hpp>

#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/tell.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>

namespace fermata::detail {

namespace {

/// Events of one message.
constexpr std::uint32_t at_once = 16;

/// For those who wait as long as it takes.
constexpr auto for_ever = std::chrono::milliseconds::max();

/// When a stream asks again that was refused twice: the links wait for the next home themselves,
/// but may have reasons not to.
constexpr std::chrono::milliseconds stream_retry_interval{100};

/// When a watch asks again that got an error.
constexpr std::chrono::seconds status_retry_interval{1};

/// Behind all events: for who only wants to know which session it is, and how far.
constexpr auto no_event = std::numeric_limits<std::uint64_t>::max();

follow_inquiry follow(follow_chunks what, std::chrono::milliseconds wait_for_node,
                      follow_inquiry::element_type::callback answer) {
  return std::make_shared<follow_inquiry::element_type>(std::move(what), wait_for_node,
                                                        std::move(answer));
}

event to_event(chunk&& from) {
  event made;
  made.number = from.number;
  made.at = from.at;
  made.body = std::move(from.body);
  return made;
}

/// Asks for one batch at a time. What is asked for stays so when a reader does not wait longer.
class remote_stream final : public event_stream::implementation {
public:
  remote_stream(services_ptr with, session_id id, std::uint64_t first, if_absent absent)
      : implementation{first}, shared_{std::move(with)}, session_{std::move(id)}, absent_{absent} {}
  ~remote_stream() override {
    if (const auto asked = asked_.lock()) {
      asked->abandon();
      caf::anon_send(shared_->options.router->forwarder, abandoned{asked});
    }
  }

private:
  /// What an answer is put into, which may come when the stream is gone.
  struct letter_box {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<result<chunk_batch>> answer;
  };

  caf::error fill(std::deque<event>& buffer, std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    do {
      auto more = receive(deadline);
      if (!more) {
        if (!goes_on(more.error()))
          return std::move(more.error());
        continue;
      }
      if (more->incarnation == 0)
        return away_; // nothing came in time
      away_ = caf::none;
      refusals_ = 0;
      incarnation_ = more->incarnation;
      for (auto& one : more->chunks)
        buffer.push_back(to_event(std::move(one)));
      // It may only have said which session it is.
    } while (buffer.empty() && time_left(deadline).count() > 0);
    return buffer.empty() ? away_ : caf::none;
  }

  /// True: it is to be asked again, while there is time. Where sessions move, the links wait for
  /// the next home, and the first answer from there comes at once.
  bool goes_on(const caf::error& why) {
    if (shared_->shares_store() && is(why, errc::node_unavailable)) {
      away_ = why;
      ++refusals_;
      return true;
    }
    refusals_ = 0;
    return std::exchange(away_, caf::none) && absent_ == if_absent::wait && incarnation_ == 0
           && is(why, errc::unknown_session);
  }

  static std::chrono::milliseconds time_left(std::chrono::steady_clock::time_point deadline) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
  }

  /// Without an incarnation: nothing came in time.
  result<chunk_batch> receive(std::chrono::steady_clock::time_point deadline) {
    if (!awaited_)
      ask(deadline);
    std::unique_lock lock{awaited_->mutex};
    if (!awaited_->filled.wait_until(lock, deadline, [&] { return awaited_->answer.has_value(); }))
      return chunk_batch{};
    auto answer = std::move(*awaited_->answer);
    lock.unlock();
    awaited_.reset();
    // As a stream of this runtime that stops.
    if (!answer && is(answer.error(), errc::shutting_down))
      return chunk_batch{};
    return answer;
  }

  void ask(std::chrono::steady_clock::time_point deadline) {
    awaited_ = std::make_shared<letter_box>();
    follow_chunks what{session_, position()};
    what.limit = at_once;
    what.incarnation = incarnation_;
    // Whoever waits for another session's events must not take them for this one's.
    what.identify = incarnation_ == 0 || away_;
    what.await_creation = absent_ == if_absent::wait && !away_;
    const auto patience = away_ ? std::max(time_left(deadline), std::chrono::milliseconds{0})
                                : std::chrono::milliseconds{0};
    auto asked = follow(std::move(what), patience, [to = awaited_](result<chunk_batch> answer) {
      const std::lock_guard lock{to->mutex};
      to->answer = std::move(answer);
      to->filled.notify_one();
    });
    asked_ = asked;
    const auto& forwarder = shared_->options.router->forwarder;
    if (refusals_ < 2)
      caf::anon_send(forwarder, std::move(asked));
    else
      caf::delayed_anon_send(forwarder, stream_retry_interval, std::move(asked));
  }

  services_ptr shared_;
  session_id session_;
  if_absent absent_;
  std::uint64_t incarnation_ = 0; ///< Of the session that it reads; 0: it is not known yet.
  caf::error away_; ///< Why no node that has the session could be reached; none: one was.
  std::uint32_t refusals_ = 0;          ///< How often that was said since one was.
  std::shared_ptr<letter_box> awaited_; ///< Null: nothing was asked for.
  std::weak_ptr<follow_inquiry::element_type> asked_;
};

/// Asks for what is new, again and again. Where the session stands is asked first, so that its past
/// is not sent, and told: whoever reads by other ways may have read before it was looked at. It is
/// asked again after an error, since it may be another one by then.
class remote_watch final : public event_watch::implementation {
public:
  remote_watch(services_ptr with, session_id id, std::function<void(std::uint64_t)> tell)
      : state_{std::make_shared<state>(std::move(with), std::move(id), std::move(tell))} {
    ask_where(state_, std::chrono::milliseconds{0});
  }
  ~remote_watch() override {
    std::shared_ptr<any_inquiry> asked; // which may end here, and then wants the mutex itself
    {
      const std::lock_guard lock{state_->mutex};
      state_->over = true;
      asked = state_->asked.lock();
    }
    if (!asked)
      return;
    asked->abandon();
    caf::anon_send(state_->shared->options.router->forwarder, abandoned{asked});
  }

private:
  struct state {
    state(services_ptr with, session_id id, std::function<void(std::uint64_t)> tell)
        : shared{std::move(with)}, session{std::move(id)}, committed{std::move(tell)} {}

    services_ptr shared;
    session_id session;
    std::function<void(std::uint64_t)> committed;
    std::mutex mutex; ///< Held while `committed` runs.
    bool over = false;
    std::weak_ptr<any_inquiry> asked; ///< What is under way.
  };
  using state_ptr = std::shared_ptr<state>;

  /// Sends what is asked next, unless nobody listens any more.
  template <class Inquiry>
  static void send(const state_ptr& of, std::chrono::milliseconds delay, Inquiry what) {
    {
      const std::lock_guard lock{of->mutex};
      if (of->over)
        what->abandon();
      of->asked = what;
    }
    const auto& forwarder = of->shared->options.router->forwarder;
    if (delay.count() == 0)
      caf::anon_send(forwarder, std::move(what));
    else
      caf::delayed_anon_send(forwarder, delay, std::move(what));
  }

  /// Where it stands is told, as events may have been missed.
  static void ask_where(const state_ptr& of, std::chrono::milliseconds delay) {
    follow_chunks what{of->session, no_event};
    what.identify = true;
    send(of, delay, follow(std::move(what), for_ever, [of](const result<chunk_batch>& where) {
           take(of, where);
         }));
  }

  static void ask_behind(const state_ptr& of, std::uint64_t number, std::uint64_t incarnation) {
    follow_chunks what{of->session, number + 1};
    what.limit = at_once;
    what.incarnation = incarnation;
    // One that was there and is not is deleted.
    what.await_creation = incarnation == 0;
    send(of, std::chrono::milliseconds{0},
         follow(std::move(what), for_ever,
                [of](const result<chunk_batch>& more) { take(of, more); }));
  }

  static void take(const state_ptr& of, const result<chunk_batch>& more) {
    if (more && more->incarnation != 0)
      tell(of, more->chunks.empty() ? more->last : more->chunks.back().number, more->incarnation);
    else if (!more && is(more.error(), errc::unknown_session))
      tell(of, 0, 0);
    else if (!more && goes_on(of, more.error()))
      ask_where(of, status_retry_interval);
  }

  static void tell(const state_ptr& of, std::uint64_t last, std::uint64_t incarnation) {
    {
      const std::lock_guard lock{of->mutex};
      if (of->over)
        return;
      detail::tell(of->committed, last);
    }
    ask_behind(of, last, incarnation);
  }

  static bool goes_on(const state_ptr& of, const caf::error& error) {
    const std::lock_guard lock{of->mutex};
    return !of->over && !is(error, errc::shutting_down);
  }

  state_ptr state_;
};

} // namespace

std::unique_ptr<event_stream::implementation>
read_elsewhere(services_ptr shared, session_id session, std::uint64_t first, if_absent absent) {
  return std::make_unique<remote_stream>(std::move(shared), std::move(session), first, absent);
}

std::unique_ptr<event_watch::implementation>
watch_elsewhere(services_ptr shared, session_id session,
                std::function<void(std::uint64_t)> committed) {
  return std::make_unique<remote_watch>(std::move(shared), std::move(session),
                                        std::move(committed));
}

} // namespace fermata::detail
