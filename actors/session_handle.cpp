#include <fermata/actors/detail/event_readers.hpp>
#include <fermata/actors/detail/live_readers.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/runtime_implementation.hpp>
#include <fermata/actors/queries.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <mutex>

namespace fermata {

namespace {

/// How a session is read: where it may move, always through the router, which knows where it lives.
bool is_read_here(const detail::services& shared, const session_id& session) {
  return !shared.shares_store() && shared.is_home_of(session);
}

using callback = std::function<void(result<receipt>)>;

std::string_view type_of(const command& body) {
  return name_of(body);
}

std::string_view type_of(const detail::wake&) {
  return "wake";
}

template <class Body>
void post(runtime::implementation& to, const session_id& session, Body body, callback answer,
          send_options how = {}) {
  auto message = std::make_shared<detail::delivery>();
  message->answer = detail::reply{std::move(answer), detail::admission{}};
  message->answer.watch(detail::watch_answer(to.shared, session, type_of(body)));
  std::shared_lock lock{to.gate};
  auto refused = to.started
                     ? detail::check_admission(*to.shared)
                     : make_error(errc::shutting_down, "the runtime is not started, or stopped");
  if (refused) {
    lock.unlock(); // the callback may send something itself
    return message->answer(std::move(refused));
  }
  message->session = session;
  message->body = std::move(body);
  message->wait_for_node = how.wait_for_node;
  message->answer.admit(detail::admission{to.shared->under_way});
  caf::anon_send(to.node.directory, std::move(message));
}

template <class Body>
std::future<result<receipt>> post(runtime::implementation& to, const session_id& session, Body body,
                                  send_options how = {}) {
  auto promise = std::make_shared<std::promise<result<receipt>>>();
  auto future = promise->get_future();
  post(
      to, session, std::move(body),
      [promise](result<receipt> answer) { promise->set_value(std::move(answer)); }, how);
  return future;
}

} // namespace

std::future<result<receipt>> session_handle::send(command body, send_options how) const {
  return post(*runtime_->implementation_, id_, std::move(body), how);
}

void session_handle::send(command body, callback answer, send_options how) const {
  post(*runtime_->implementation_, id_, std::move(body), std::move(answer), how);
}

std::future<result<receipt>> session_handle::wake() const {
  return post(*runtime_->implementation_, id_, detail::wake{});
}

void session_handle::wake(callback answer) const {
  post(*runtime_->implementation_, id_, detail::wake{}, std::move(answer));
}

result<session_status> session_handle::status() const {
  const auto& shared = *runtime_->implementation_->shared;
  if (shared.shares_store() || shared.is_home_of(id_))
    return query_status(shared.store(), id_);
  auto promise = std::make_shared<std::promise<result<session_status>>>();
  auto future = promise->get_future();
  caf::anon_send(
      shared.options.router->forwarder,
      std::make_shared<detail::status_inquiry::element_type>(
          status_query{id_}, std::chrono::milliseconds{0},
          [promise](result<session_status> answer) { promise->set_value(std::move(answer)); }));
  return future.get();
}

result<std::optional<session_status>>
session_handle::wait_until_paused(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto& shared = runtime_->implementation_->shared;
  const auto read = is_read_here(*shared, id_) ? detail::read_here : detail::read_elsewhere;
  for (;;) {
    auto now = status();
    if (!now)
      return std::move(now.error());
    if (!is_running(now->state))
      return std::optional{std::move(*now)};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      return std::optional<session_status>{};
    const auto more = read(shared, id_, now->events + 1, detail::if_absent::fail)->next(left);
    if (!more)
      return more.error();
  }
}

event_stream session_handle::follow(std::uint64_t first) const {
  const auto& shared = runtime_->implementation_->shared;
  first = std::max<std::uint64_t>(first, 1);
  const auto read = is_read_here(*shared, id_) ? detail::read_here : detail::read_elsewhere;
  return event_stream{read(shared, id_, first, detail::if_absent::wait)};
}

event_watch session_handle::watch(std::function<void(std::uint64_t)> committed) const {
  const auto& shared = runtime_->implementation_->shared;
  const auto begin = is_read_here(*shared, id_) ? detail::watch_here : detail::watch_elsewhere;
  return event_watch{begin(shared, id_, std::move(committed))};
}

live_watch session_handle::listen(live_observer show,
                                  std::function<void(std::uint64_t)> lost) const {
  const auto& shared = runtime_->implementation_->shared;
  if (is_read_here(*shared, id_))
    return live_watch{detail::listen_here(shared, id_, std::move(show))};
  return live_watch{detail::listen_elsewhere(shared, id_, std::move(show), std::move(lost))};
}

} // namespace fermata
