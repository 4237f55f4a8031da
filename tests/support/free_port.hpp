#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

namespace fermata::test {

/// A port of the loopback interface that nobody uses, and that stays so: it is none of those that
/// the system takes for connections that go out (from 32,768 on), and no other process of the tests
/// begins to look for one at the same place.
inline std::uint16_t free_port() {
  constexpr int first = 10'000;
  constexpr int count = 20'000;
  static int tried = static_cast<int>(::getpid()) * 97 % count;
  for (int i = 0; i < count; ++i) {
    tried = (tried + 1) % count;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(first + tried));
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_free = ::bind(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(made);
    if (is_free)
      return static_cast<std::uint16_t>(first + tried);
  }
  throw std::runtime_error{"no free port"};
}

} // namespace fermata::test
