#pragma once

#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/coro/pending_response.hpp>
#include <fermata/actors/coro/suspension.hpp>

#include <caf/actor_cast.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/response_type.hpp>

#include <cassert>
#include <coroutine>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fermata::coro {

/// A request that is sent when it is awaited; made by `ask`.
template <class... Ts>
class [[nodiscard]] ask_request {
  static_assert((std::is_same_v<Ts, std::decay_t<Ts>> && ...), "ask for plain types");
  static_assert(!(std::is_same_v<Ts, caf::error> || ...), "errors are thrown as failure");

public:
  ask_request(caf::scheduled_actor* self, caf::strong_actor_ptr dest, caf::timespan timeout,
              caf::mailbox_element_ptr content)
      : self_(self), dest_(std::move(dest)), timeout_(timeout), content_(std::move(content)) {
    assert(self_ != nullptr);
  }

  [[nodiscard]] auto operator co_await() && { return awaiter(std::move(*this)); }

private:
  class awaiter {
  public:
    explicit awaiter(ask_request&& request)
        : request_(std::move(request)), response_(request_.self_) {}

    static bool await_ready() noexcept { return false; }

    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> frame) {
      waiting_ = suspension(frame);
      if (waiting_.cancelled() || !response_.possible())
        return true;
      if (request_.dest_ == nullptr) {
        error_ = caf::sec::invalid_argument;
        return false;
      }
      send();
      return true;
    }

    auto await_resume() {
      if (error_)
        throw failure(std::move(error_));
      if constexpr (sizeof...(Ts) == 1)
        return std::get<0>(*std::move(values_));
      else if constexpr (sizeof...(Ts) > 1)
        return *std::move(values_);
    }

  private:
    void send() {
      assert(request_.content_ != nullptr && "a request can be awaited once");
      auto* self = request_.self_;
      auto on_values = [this](Ts... values) {
        values_.emplace(std::move(values)...);
        answered();
      };
      auto on_error = [this](caf::error& reason) {
        error_ = reason ? std::move(reason) : caf::make_error(caf::sec::unexpected_response);
        answered();
      };
      request_.content_->mid = response_.open(caf::behavior{on_values, on_error});
      request_.content_->sender = self->ctrl();
      request_.dest_->enqueue(std::move(request_.content_), self->context());
      response_.expire_after(request_.timeout_);
    }

    void answered() {
      response_.close();
      waiting_.resume();
    }

    ask_request request_;
    detail::pending_response response_;
    suspension waiting_;
    std::optional<std::tuple<Ts...>> values_;
    caf::error error_;
  };

  caf::scheduled_actor* self_;
  caf::strong_actor_ptr dest_;
  caf::timespan timeout_;
  caf::mailbox_element_ptr content_;
};

/// Sends `args` to `dest` and waits for its response: `auto n = co_await ask<int>(self, dest, 2s,
/// get_price_v)`. Awaiting gives the value for one type, a `std::tuple` for several, nothing for
/// none. Nothing is sent before the await.
///
/// Runs on `self`, the actor whose task awaits it. Throws `failure` with
/// - the error that the receiver answers with,
/// - `caf::sec::request_timeout` after `timeout`; also the only sign that a receiver has taken a
///   response promise and died,
/// - `caf::sec::request_receiver_down` or the receiver's exit reason if it is dead or dies before
///   it looks at the request,
/// - `caf::sec::unexpected_response` if the response has other types,
/// - `caf::sec::invalid_argument` if `dest` is null.
///
/// If the frame is destroyed first, a late response is dropped; the receiver still handles the
/// request. After `quit()` nothing is sent, and the frame stays suspended until the actor ends.
/// Once awaited, `current_sender()` and `make_response_promise()` of `self` belong to another
/// message.
///
/// All requests of an actor share one timer, and those that are answered leave it behind for the
/// next ones: it fires once more, for nothing, and until then, for 30 s at most, CAF's clock keeps
/// the actor in memory. So a timeout costs an ask next to nothing: it takes 0.8 us, as a bare CAF
/// request without one, and CAF's with one 1.2 to 2.2 us (two actors, one thread, measured
/// on a 2-core machine).
template <class... Ts, class Handle, class... Args>
[[nodiscard]] ask_request<Ts...> ask(caf::scheduled_actor* self, const Handle& dest,
                                     caf::timespan timeout, Args&&... args) {
  static_assert(sizeof...(Args) > 0, "no message to send");
  if constexpr (requires { typename Handle::signatures; }) {
    if constexpr (!std::is_same_v<typename Handle::signatures, caf::none_t>) {
      using input = caf::detail::type_list<
          typename caf::detail::implicit_conversions<std::decay_t<Args>>::type...>;
      using response = caf::response_type_unbox<typename Handle::signatures, input>;
      static_assert(response::valid, "the receiver does not accept this message");
      static_assert(std::is_same_v<typename response::type, caf::detail::type_list<Ts...>>,
                    "the receiver answers this message with other types");
    }
  }
  return ask_request<Ts...>(
      self, caf::actor_cast<caf::strong_actor_ptr>(dest), timeout,
      caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::forward<Args>(args)...));
}

} // namespace fermata::coro
