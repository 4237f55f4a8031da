#include <fermata/actors/detail/event_readers.hpp>

#include <fermata/actors/detail/local_messages.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace fermata::detail {

namespace {

/// Events of one message.
constexpr std::uint32_t at_once = 16;

/// For those who wait as long as it takes.
constexpr auto for_ever = std::chrono::milliseconds::max();

/// When a watch asks again that got an error.
constexpr std::chrono::seconds status_retry_interval{1};

/// When a stream asks again whose session is on its way to another node.
constexpr std::chrono::milliseconds moving_interval{100};

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
      : implementation{first}, shared_{std::move(with)}, session_{std::move(id)},
        existed_{absent == if_absent::fail} {}
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
    auto more = receive_anywhere(timeout);
    if (!more)
      return std::move(more.error());
    existed_ = existed_ || !more->chunks.empty();
    for (auto& one : more->chunks)
      buffer.push_back(to_event(std::move(one)));
    return caf::none;
  }

  /// Asks again while there is time, where sessions move from node to node.
  result<chunk_batch> receive_anywhere(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (auto left = timeout;;) {
      auto answer = receive(left);
      left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (answer || !shared_->shares_store() || !is(answer.error(), errc::node_unavailable)
          || left.count() <= 0)
        return answer;
      std::this_thread::sleep_for(std::min(left, moving_interval));
      left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0)
        return answer;
    }
  }

  /// Without chunks: none came in time.
  result<chunk_batch> receive(std::chrono::milliseconds timeout) {
    if (!awaited_) {
      awaited_ = std::make_shared<letter_box>();
      follow_chunks what{session_, position()};
      what.limit = at_once;
      // A session that was there and is not is deleted.
      what.await_creation = !existed_;
      auto asked = follow(std::move(what), std::chrono::milliseconds{0},
                          [to = awaited_](result<chunk_batch> answer) {
                            const std::lock_guard lock{to->mutex};
                            to->answer = std::move(answer);
                            to->filled.notify_one();
                          });
      asked_ = asked;
      caf::anon_send(shared_->options.router->forwarder, std::move(asked));
    }
    std::unique_lock lock{awaited_->mutex};
    if (!awaited_->filled.wait_for(lock, timeout, [&] { return awaited_->answer.has_value(); }))
      return chunk_batch{};
    auto answer = std::move(*awaited_->answer);
    lock.unlock();
    awaited_.reset();
    // As a stream of this runtime that stops.
    if (!answer && is(answer.error(), errc::shutting_down))
      return chunk_batch{};
    return answer;
  }

  services_ptr shared_;
  session_id session_;
  bool existed_;
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
    ask_status(state_, std::chrono::milliseconds{0});
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
  static void ask_status(const state_ptr& of, std::chrono::milliseconds delay) {
    send(of, delay,
         std::make_shared<status_inquiry::element_type>(
             status_query{of->session}, for_ever, [of](const result<session_status>& now) {
               if (now || is(now.error(), errc::unknown_session))
                 tell(of, now ? now->events : 0);
               else if (goes_on(of, now.error()))
                 ask_status(of, status_retry_interval);
             }));
  }

  static void ask_behind(const state_ptr& of, std::uint64_t number) {
    follow_chunks what{of->session, number + 1};
    what.limit = at_once;
    // One that was there and is not is deleted.
    what.await_creation = number == 0;
    send(of, std::chrono::milliseconds{0},
         follow(std::move(what), for_ever, [of](const result<chunk_batch>& more) {
           if (more && !more->chunks.empty())
             tell(of, more->chunks.back().number);
           else if (!more && is(more.error(), errc::unknown_session))
             tell(of, 0);
           else if (!more && goes_on(of, more.error()))
             ask_status(of, status_retry_interval);
         }));
  }

  static void tell(const state_ptr& of, std::uint64_t last) {
    {
      const std::lock_guard lock{of->mutex};
      if (of->over)
        return;
      of->committed(last);
    }
    ask_behind(of, last);
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
