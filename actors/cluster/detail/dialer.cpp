#include <fermata/actors/cluster/detail/dialer.hpp>

#include <fermata/messages/errors.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <set>

namespace fermata::detail {

namespace {

struct dialer_state {
  static inline const char* name = "fermata.dialer";
};

caf::behavior dialer(caf::stateful_actor<dialer_state>* self, caf::actor middleman,
                     std::chrono::milliseconds timeout) {
  return {
      [self, middleman, timeout](const cluster_member& peer) {
        auto promise = self->make_response_promise();
        if (timeout.count() > 0)
          if (auto error = try_port(peer.host, peer.port, timeout))
            return promise.deliver(std::move(error));
        self->request(middleman, caf::infinite, caf::connect_atom::value, peer.host, peer.port)
            .then(
                [promise](const caf::node_id&, const caf::strong_actor_ptr& gate,
                          const std::set<std::string>&) mutable {
                  promise.deliver(caf::actor_cast<caf::actor>(gate));
                },
                [promise](caf::error& why) mutable { promise.deliver(std::move(why)); });
      },
  };
}

class socket_guard {
public:
  explicit socket_guard(int fd) noexcept : fd_{fd} {}
  socket_guard(const socket_guard&) = delete;
  socket_guard& operator=(const socket_guard&) = delete;
  ~socket_guard() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

/// 0, or the number of the error.
int try_address(const addrinfo& at, std::chrono::milliseconds timeout) {
  const socket_guard made{
      ::socket(at.ai_family, at.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at.ai_protocol)};
  if (made.get() < 0)
    return errno;
  if (::connect(made.get(), at.ai_addr, at.ai_addrlen) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  pollfd waits{made.get(), POLLOUT, 0};
  const auto ready = ::poll(&waits, 1, static_cast<int>(timeout.count()));
  if (ready < 0)
    return errno;
  if (ready == 0)
    return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(made.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

} // namespace

dialer_factory dialer_by(caf::actor middleman, std::chrono::milliseconds timeout) {
  return [middleman = std::move(middleman), timeout](caf::event_based_actor* owner) -> caf::actor {
    if (timeout.count() == 0)
      return owner->spawn<caf::linked>(dialer, middleman, timeout);
    return owner->spawn<caf::linked + caf::detached>(dialer, middleman, timeout);
  };
}

caf::error try_port(const std::string& host, std::uint16_t port,
                    std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const auto failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
      failed != 0)
    return make_error(errc::node_unavailable, ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses{found, ::freeaddrinfo};
  int error = ETIMEDOUT;
  for (const auto* at = addresses.get(); at != nullptr && error != 0; at = at->ai_next)
    error = try_address(*at, timeout);
  if (error == 0)
    return caf::none;
  return make_error(errc::node_unavailable, std::strerror(error));
}

} // namespace fermata::detail
