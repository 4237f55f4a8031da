#include "stop_signal.hpp"

#include "../exit_status.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace fermata::service {

namespace {

/// Two signals that come together are handled by two threads at once.
std::atomic<bool> asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);
int waker = -1; ///< An eventfd, which a handler may write to.

void wake() {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(waker, &one, sizeof one);
  errno = saved;
}

void note(int) {
  if (asked.exchange(true))
    ::_exit(static_cast<int>(command_line::exit_status::interrupted));
  wake();
}

} // namespace

caf::error watch_for_stop_signals() {
  waker = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (waker < 0)
    return make_error(errc::io_error, std::string{"eventfd: "} + std::strerror(errno));
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return caf::none;
}

bool stop_was_asked_for() noexcept {
  return asked;
}

void stop_by_itself() noexcept {
  asked = true;
  wake();
}

void wait_for_stop_signal() {
  pollfd ready{waker, POLLIN, 0};
  while (!asked)
    static_cast<void>(::poll(&ready, 1, -1));
}

} // namespace fermata::service
