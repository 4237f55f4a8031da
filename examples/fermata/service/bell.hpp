#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <memory>

namespace fermata::service {

/// Lets a coroutine wait for what other threads do. Rings that come before it waits are not lost;
/// several are as good as one, so it looks at everything when it is woken.
class bell : public std::enable_shared_from_this<bell> {
public:
  /// `where`: the coroutine's executor, a strand of `context`, which lives as long as the bell: so
  /// late rings find it.
  bell(std::shared_ptr<boost::asio::io_context> context, boost::asio::any_io_executor where);

  /// From any thread.
  void ring();

  /// Waits for a ring. False: none came until then. One coroutine at a time, on the executor.
  [[nodiscard]] boost::asio::awaitable<bool> wait_until(std::chrono::steady_clock::time_point end);

private:
  std::shared_ptr<boost::asio::io_context> context_;
  boost::asio::steady_timer timer_;
  std::atomic<bool> rung_{false};
};

} // namespace fermata::service
