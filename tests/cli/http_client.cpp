#include "http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace fermata::test {

namespace {

/// A run under sanitizers on a busy machine is slow; one that hangs must end.
constexpr timeval socket_patience{120, 0};

int connect_to(int family, const sockaddr* address, socklen_t size) {
  const int made = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0)
    throw std::runtime_error{std::string{"socket: "} + std::strerror(errno)};
  ::setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &socket_patience, sizeof socket_patience);
  ::setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &socket_patience, sizeof socket_patience);
  if (::connect(made, address, size) != 0) {
    const std::string why = std::strerror(errno);
    ::close(made);
    throw std::runtime_error{"connect: " + why};
  }
  return made;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char one) { return static_cast<char>(std::tolower(one)); });
  return text;
}

/// Makes an event of its lines. Nothing: it is a comment.
std::optional<streamed_event> parse_event(std::string_view text) {
  streamed_event made;
  bool has_data = false;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto value = [&](std::string_view field) { return line.substr(field.size()); };
    if (line.starts_with("event: "))
      made.name = value("event: ");
    else if (line.starts_with("id: "))
      made.id = std::stoull(std::string{value("id: ")});
    else if (line.starts_with("data: ")) {
      const auto parsed = parse_json(value("data: "));
      if (!parsed || has_data)
        throw std::runtime_error{"bad data: " + std::string{line}};
      made.data = *parsed;
      has_data = true;
    } else if (!line.starts_with(":"))
      throw std::runtime_error{"no line of a stream: " + std::string{line}};
  }
  return has_data ? std::optional{std::move(made)} : std::nullopt;
}

} // namespace

json http_answer::value() const {
  const auto parsed = parse_json(body);
  if (!parsed)
    throw std::runtime_error{"no JSON: " + body};
  return *parsed;
}

std::string http_answer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string{} : found->second;
}

std::string http_answer::error() const {
  return value().at("error").get<std::string>();
}

http_client::http_client(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path)
    throw std::runtime_error{"the path is too long: " + socket.string()};
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  socket_ = connect_to(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

http_client::http_client(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socket_ = connect_to(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

http_client::http_client(http_client&& other) noexcept
    : socket_{std::exchange(other.socket_, -1)}, received_{std::move(other.received_)},
      stream_{std::move(other.stream_)}, is_chunked_{other.is_chunked_}, ended_{other.ended_},
      ended_well_{other.ended_well_} {}

http_client::~http_client() {
  if (socket_ >= 0)
    ::close(socket_);
}

bool http_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void http_client::request(std::string_view method, std::string_view target, std::string_view body,
                          const http_headers& headers) {
  std::string text = std::string{method} + " " + std::string{target} + " HTTP/1.1\r\nHost: x\r\n";
  bool has_type = false;
  for (const auto& [name, value] : headers) {
    text += name + ": " + value + "\r\n";
    has_type = has_type || name == "Content-Type";
  }
  if (!body.empty() && !has_type)
    text += "Content-Type: application/json\r\n";
  if (!body.empty() || method == "POST")
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  send(text + "\r\n" + std::string{body});
}

http_answer http_client::call(std::string_view method, std::string_view target,
                              std::string_view body, const http_headers& headers) {
  request(method, target, body, headers);
  return receive();
}

bool http_client::read_more() {
  std::array<char, 65'536> piece;
  for (;;) {
    const auto size = ::recv(socket_, piece.data(), piece.size(), 0);
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      throw std::runtime_error{"nothing came in time"};
    if (size <= 0)
      return false;
    received_.append(piece.data(), static_cast<std::size_t>(size));
    return true;
  }
}

std::optional<std::string> http_client::take_line() {
  for (;;) {
    if (const auto end = received_.find("\r\n"); end != std::string::npos) {
      auto line = received_.substr(0, end);
      received_.erase(0, end + 2);
      return line;
    }
    if (!read_more())
      return std::nullopt;
  }
}

bool http_client::need(std::size_t size) {
  while (received_.size() < size)
    if (!read_more())
      return false;
  return true;
}

http_answer http_client::receive_header() {
  http_answer answer;
  ended_ = ended_well_ = false;
  stream_.clear();
  const auto first = take_line();
  if (!first)
    return answer;
  if (!first->starts_with("HTTP/1.") || first->size() < 12)
    throw std::runtime_error{"no response: " + *first};
  answer.status = std::stoi(first->substr(9, 3));
  for (auto line = take_line(); line && !line->empty(); line = take_line()) {
    const auto colon = line->find(':');
    answer.headers[lower_case(line->substr(0, colon))] = line->substr(colon + 2);
  }
  is_chunked_ = answer.header("transfer-encoding") == "chunked";
  return answer;
}

http_answer http_client::receive() {
  auto answer = receive_header();
  if (is_chunked_) {
    while (read_chunk())
      ;
    answer.body = std::exchange(stream_, {});
    answer.is_whole = ended_well_;
  } else if (const auto length = answer.header("content-length"); !length.empty()) {
    const auto size = std::stoul(length);
    answer.is_whole = need(size);
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
  } else if (answer.status != 0) {
    while (read_more())
      ;
    answer.body = std::exchange(received_, {});
    answer.is_whole = true;
  }
  return answer;
}

bool http_client::read_chunk() {
  if (ended_)
    return false;
  ended_ = true;
  if (!is_chunked_) {
    if (received_.empty() && !read_more())
      return false;
    stream_ += std::exchange(received_, {});
    ended_ = false;
    return true;
  }
  const auto line = take_line();
  if (!line)
    return false;
  std::size_t size = 0;
  const auto* const end = line->data() + line->size();
  if (std::from_chars(line->data(), end, size, 16).ptr != end)
    throw std::runtime_error{"no chunk: " + *line};
  if (!need(size + 2))
    return false;
  stream_ += received_.substr(0, size);
  received_.erase(0, size + 2);
  ended_well_ = size == 0;
  ended_ = size == 0;
  return size != 0;
}

std::optional<std::string> http_client::take_block() {
  for (;;) {
    if (const auto end = stream_.find("\n\n"); end != std::string::npos) {
      auto block = stream_.substr(0, end);
      stream_.erase(0, end + 2);
      return block;
    }
    if (!read_chunk())
      return std::nullopt;
  }
}

std::optional<streamed_event> http_client::next_event() {
  while (const auto block = take_block())
    if (auto event = parse_event(*block))
      return event;
  return std::nullopt;
}

bool http_client::next_is_comment() {
  const auto block = take_block();
  return block && !parse_event(*block);
}

std::vector<streamed_event> http_client::all_events() {
  std::vector<streamed_event> events;
  while (auto one = next_event())
    events.push_back(std::move(*one));
  return events;
}

bool http_client::is_closed() {
  return received_.empty() && !read_more();
}

void http_client::end_sending() {
  ::shutdown(socket_, SHUT_WR);
}

std::vector<streamed_event> parse_events(std::string_view text) {
  std::vector<streamed_event> events;
  while (!text.empty()) {
    const auto end = text.find("\n\n");
    if (end == std::string_view::npos)
      throw std::runtime_error{"a stream ends within an event"};
    if (auto one = parse_event(text.substr(0, end)))
      events.push_back(std::move(*one));
    text.remove_prefix(end + 2);
  }
  return events;
}

std::vector<streamed_event> named_events(const std::vector<streamed_event>& events,
                                         std::string_view name) {
  std::vector<streamed_event> found;
  std::copy_if(events.begin(), events.end(), std::back_inserter(found),
               [&](const auto& one) { return one.name == name; });
  return found;
}

} // namespace fermata::test
