#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace fermata::test {

/// A port of the loopback interface that nobody uses.
inline std::uint16_t free_port() {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool found = ::bind(made, reinterpret_cast<sockaddr*>(&address), size) == 0
                     && ::getsockname(made, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const auto why = errno;
  ::close(made);
  if (!found)
    throw std::system_error{why, std::generic_category(), "no free port"};
  return ntohs(address.sin_port);
}

} // namespace fermata::test
