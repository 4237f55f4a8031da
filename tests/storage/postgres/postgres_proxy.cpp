#include "postgres_proxy.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace fermata::test {

namespace {

constexpr const char* socket_name = ".s.PGSQL.5432";

int socket_at(const std::string& path, bool listens) {
  const auto made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const auto done = listens ? ::bind(made, generic, sizeof address) == 0 && ::listen(made, 16) == 0
                            : ::connect(made, generic, sizeof address) == 0;
  if (done)
    return made;
  ::close(made);
  return -1;
}

std::size_t size_at(const std::string& data, std::size_t at) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i)
    size = size << 8 | static_cast<unsigned char>(data[at + i]);
  return size;
}

bool send_all(int to, const char* data, std::size_t size) {
  while (size > 0) {
    const auto sent = ::send(to, data, size, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

} // namespace

struct postgres_proxy::link {
  int client = -1;
  int server = -1;
  bool has_started = false;
  bool has_looked = false;
  bool begins = false; ///< Within the first round trip of a transaction.
  bool has_begun = false;
  bool rolls_back = false;
  bool is_to_linger = false;
  bool hides_answers = false; ///< Until the next one is complete, where it is cut.
  std::string from_client;
  std::string from_server;
  std::thread thread;
};

postgres_proxy::postgres_proxy(const postgres_server& server)
    : server_{(server.directory() / socket_name).string()} {
  listener_ = socket_at((directory_.path() / socket_name).string(), true);
  if (listener_ < 0)
    throw std::runtime_error{"no socket for the proxy"};
  thread_ = std::thread{[this] { serve(); }};
}

postgres_proxy::~postgres_proxy() {
  stops_ = true;
  hold(kept::nothing);
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  cut_all();
  for (auto& one : links_)
    one.thread.join();
  ::close(listener_);
  if (lingering_server_ >= 0)
    ::close(lingering_server_);
}

std::string postgres_proxy::connection() const {
  return "host=" + directory_.path().string() + " dbname=postgres user=fermata";
}

void postgres_proxy::cut_all() {
  const std::lock_guard lock{mutex_};
  for (auto& one : links_) {
    if (one.client >= 0)
      ::shutdown(one.client, SHUT_RDWR);
    if (one.server >= 0)
      ::shutdown(one.server, SHUT_RDWR);
  }
}

void postgres_proxy::hold(kept what) {
  const std::lock_guard lock{mutex_};
  holds_ = what;
  changed_.notify_all();
}

void postgres_proxy::wait_until_held() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return is_held_; });
}

void postgres_proxy::wait_while_held(kept what) {
  std::unique_lock lock{mutex_};
  is_held_ = holds_ == what;
  changed_.notify_all();
  changed_.wait(lock, [&] { return holds_ != what; });
  is_held_ = false;
}

void postgres_proxy::send_what_is_late() {
  const std::lock_guard lock{mutex_};
  if (late_server_ < 0)
    return;
  send_all(late_server_, late_data_.data(), late_data_.size());
  // The answer says that the transaction is over; nobody else wants it.
  for (std::array<char, 4096> answer{}; late_server_ >= 0;) {
    const auto size = ::recv(late_server_, answer.data(), answer.size(), 0);
    if (size <= 0
        || std::string_view{answer.data(), static_cast<std::size_t>(size)}.find("COMMIT")
               != std::string_view::npos)
      ::close(std::exchange(late_server_, -1));
  }
}

void postgres_proxy::serve() {
  while (!stops_) {
    const auto client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
      continue;
    const auto server = accepts_ ? socket_at(server_, false) : -1;
    if (server < 0) {
      ::close(client);
      continue;
    }
    const std::lock_guard lock{mutex_};
    auto& of = links_.emplace_back();
    of.client = client;
    of.server = server;
    of.thread = std::thread{[this, &of] { carry(of); }};
  }
}

void postgres_proxy::carry(link& of) {
  std::array<char, 65'536> buffer{};
  for (auto goes_on = true; goes_on;) {
    std::array<pollfd, 2> ends{pollfd{of.client, POLLIN, 0}, pollfd{of.server, POLLIN, 0}};
    ::poll(ends.data(), ends.size(), -1);
    if (ends[0].revents != 0) {
      const auto size = ::recv(of.client, buffer.data(), buffer.size(), 0);
      goes_on = size > 0;
      if (goes_on) {
        of.from_client.append(buffer.data(), static_cast<std::size_t>(size));
        goes_on = pass_on(of);
      }
    }
    if (goes_on && ends[1].revents != 0) {
      const auto size = ::recv(of.server, buffer.data(), buffer.size(), 0);
      goes_on = size > 0;
      if (goes_on && !of.hides_answers)
        goes_on = send_all(of.client, buffer.data(), static_cast<std::size_t>(size));
      else if (goes_on)
        of.from_server.append(buffer.data(), static_cast<std::size_t>(size));
      // The server says that it is ready again: the transaction is over.
      for (std::size_t at = 0; at + 5 <= of.from_server.size();
           at += 1 + size_at(of.from_server, at + 1))
        if (of.from_server[at] == 'Z')
          goes_on = false;
    }
  }
  const std::lock_guard lock{mutex_};
  ::close(std::exchange(of.client, -1));
  ::close(std::exchange(of.server, -1));
}

bool postgres_proxy::pass_on(link& of) {
  for (;;) {
    auto& data = of.from_client;
    const std::size_t type = of.has_started ? 1 : 0; // the first message has none
    if (data.size() < type + 4)
      return true;
    const auto size = type + size_at(data, type);
    if (data.size() < size)
      return true;
    // Bind: the names of portal and statement follow.
    const auto commits =
        type == 1 && data[0] == 'B' && std::strcmp(data.c_str() + 6, "commit") == 0;
    if (commits) {
      wait_while_held(kept::commit);
      const auto cut = cut_.exchange(place::nowhere);
      if (cut != place::nowhere && refuses_after_cut_)
        accepts_ = false;
      if (cut == place::request)
        return false;
      if (cut == place::late_request) {
        const std::lock_guard lock{mutex_};
        late_data_ = std::move(data);
        late_server_ = ::dup(of.server);
        return false;
      }
      of.hides_answers = cut == place::response;
    }
    if (type == 1 && data[0] == 'B' && of.has_begun && !of.begins)
      wait_while_held(kept::changes);
    if (type == 1 && data[0] == 'B' && std::strcmp(data.c_str() + 6, "begin") == 0)
      of.has_begun = of.begins = true;
    // It has looked for the token, and goes on.
    if (type == 1 && data[0] == 'B' && of.has_looked) {
      send_what_is_late();
      if (cuts_after_look_.exchange(false))
        return false;
    }
    if (type == 1 && data[0] == 'B' && std::strcmp(data.c_str() + 6, "find_life") == 0)
      of.has_looked = true;
    if (type == 1 && data[0] == 'S')
      of.begins = false;
    if (type == 1 && data[0] == 'B' && std::strcmp(data.c_str() + 6, "try_ownership") == 0)
      of.is_to_linger = cuts_new_owner_.exchange(false);
    const auto lingers = of.is_to_linger && type == 1 && data[0] == 'S';
    if (commits)
      of.has_begun = false;
    if (type == 1 && data[0] == 'B')
      of.rolls_back = std::strcmp(data.c_str() + 6, "roll_back") == 0;
    round_trips += type == 1 && data[0] == 'S' && !of.rolls_back;
    statements += type == 1 && data[0] == 'E' && !of.rolls_back;
    of.has_started = true;
    if (!send_all(of.server, data.data(), size))
      return false;
    if (lingers) {
      const std::lock_guard lock{mutex_};
      lingering_server_ = ::dup(of.server);
      return false;
    }
    data.erase(0, size);
  }
}

} // namespace fermata::test
