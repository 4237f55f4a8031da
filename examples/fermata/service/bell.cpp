#include <utility> // Boost 1.74's awaitable.hpp lacks it

#include "bell.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace fermata::service {

namespace asio = boost::asio;

bell::bell(std::shared_ptr<asio::io_context> context, asio::any_io_executor where)
    : context_{std::move(context)}, timer_{std::move(where)} {}

void bell::ring() {
  if (rung_.exchange(true))
    return;
  asio::post(timer_.get_executor(), [weak = weak_from_this()] {
    if (const auto self = weak.lock())
      self->timer_.cancel();
  });
}

asio::awaitable<bool> bell::wait_until(std::chrono::steady_clock::time_point end) {
  if (!rung_) {
    timer_.expires_at(end);
    boost::system::error_code cancelled_or_none;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled_or_none));
  }
  co_return rung_.exchange(false);
}

} // namespace fermata::service
