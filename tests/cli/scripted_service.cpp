#include "scripted_service.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>

namespace fermata::test {

namespace {

/// Appends what comes. False: the other side has closed.
bool read_more(int fd, std::string& to) {
  std::array<char, 65'536> piece;
  const auto size = ::read(fd, piece.data(), piece.size());
  if (size > 0)
    to.append(piece.data(), static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && errno == EINTR);
}

/// A request with its body. Nothing: whoever connected only looked whether somebody is there.
std::optional<std::string> read_request(int fd) {
  std::string text;
  std::size_t end = std::string::npos;
  while ((end = text.find("\r\n\r\n")) == std::string::npos)
    if (!read_more(fd, text))
      return std::nullopt;
  std::size_t size = 0;
  if (const auto length = text.find("Content-Length: "); length < end)
    size = std::stoul(text.substr(length + std::strlen("Content-Length: ")));
  while (text.size() < end + 4 + size)
    if (!read_more(fd, text))
      return std::nullopt;
  return text;
}

void send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    // The other side has heard enough.
    if (sent < 0)
      return;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

} // namespace

scripted_service::scripted_service(const std::filesystem::path& socket,
                                   std::vector<scripted_answer> answers)
    : scripted_service{socket, std::move(answers), health_of(socket.parent_path())} {}

scripted_service::scripted_service(const std::filesystem::path& socket,
                                   std::vector<scripted_answer> answers, const json& health)
    : health_{answer_of("200 OK", health)} {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.string().size() >= sizeof address.sun_path)
    throw std::runtime_error{"the path of the socket is too long"};
  std::strcpy(address.sun_path, socket.c_str());
  std::filesystem::remove(socket);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
      || ::listen(listener_, 16) != 0)
    throw std::runtime_error{std::string{"no socket: "} + std::strerror(errno)};
  if (answers.empty())
    ::shutdown(listener_, SHUT_RDWR);
  thread_ = std::thread{[this, answers = std::move(answers)] { serve(answers); }};
}

scripted_service::~scripted_service() {
  ::shutdown(listener_, SHUT_RDWR); // Ends an `accept`.
  thread_.join();
  ::close(listener_);
}

std::vector<std::string> scripted_service::requests() {
  const std::lock_guard guard{mutex_};
  return requests_;
}

void scripted_service::serve(std::vector<scripted_answer> answers) {
  for (std::size_t next = 0; next < answers.size();) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
      return;
    auto request = read_request(client);
    if (request && request->starts_with("GET /healthz ")) {
      send_all(client, health_);
    } else if (request) {
      {
        const std::lock_guard guard{mutex_};
        requests_.push_back(std::move(*request));
      }
      const auto& answer = answers[next++];
      if (answer.meanwhile)
        answer.meanwhile();
      // Before the last answer: nobody may connect after it and wait in vain.
      if (next == answers.size())
        ::shutdown(listener_, SHUT_RDWR);
      send_all(client, answer.bytes);
      for (std::size_t i = 0; i < answer.repeated; ++i)
        send_all(client, answer.rest);
      send_all(client, answer.last);
      std::string ignored;
      while (answer.stays_open && read_more(client, ignored)) {
      }
    }
    ::close(client);
  }
}

std::string stream_head() {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
}

std::string sse(std::string_view name, const json& data) {
  return "event: " + std::string{name} + "\ndata: " + to_text(data) + "\n\n";
}

json health_of(const std::filesystem::path& store) {
  return {{"status", "ok"}, {"store", std::filesystem::canonical(store).string()}};
}

std::string answer_of(std::string_view status, const json& body) {
  const auto text = to_text(body);
  return "HTTP/1.1 " + std::string{status}
         + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(text.size())
         + "\r\n\r\n" + text;
}

} // namespace fermata::test
