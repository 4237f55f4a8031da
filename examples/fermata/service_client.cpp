#include "service_client.hpp"

#include "interruption.hpp"

#include <fermata/actors/tools/text.hpp>
#include <fermata/storage/file_descriptor.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

namespace fermata::command_line {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t read_size_bytes = 16'384;
constexpr std::size_t max_head_bytes = 16'384;

/// An event has a plan at most, whose characters JSON may write as six.
constexpr std::size_t max_event_bytes = 32'000'000;

/// A service says at once who it is.
constexpr auto identification_patience = 10s;

/// More than an error that quotes what it refuses.
constexpr std::size_t max_refusal_bytes = 1'000'000;

caf::error interrupted() {
  return make_error(errc::shutting_down, "interrupted");
}

caf::error broken(const std::string& how) {
  return make_error(errc::timed_out, "the service " + how);
}

/// A connected socket, or why there is none. The deadline is the system's: connecting waits when
/// more want to than the listener has room for.
result<file_descriptor> connect(const std::filesystem::path& socket, milliseconds patience) {
  const auto refuse = [&](const std::string& why) {
    return make_error(errc::store_unavailable,
                      "no service answers at " + socket.string() + ": " + why);
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = socket.string();
  if (path.size() >= sizeof address.sun_path)
    return refuse("a socket's path has less than " + std::to_string(sizeof address.sun_path)
                  + " characters");
  std::memcpy(address.sun_path, path.data(), path.size());
  file_descriptor connected{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (connected.get() < 0)
    return refuse(std::strerror(errno));
  const timeval limit{static_cast<time_t>(patience / 1s),
                      static_cast<suseconds_t>(patience % 1s / 1ms * 1'000)};
  ::setsockopt(connected.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(connected.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return connected;
  if (errno == EINTR && was_interrupted())
    return interrupted();
  return refuse(errno == EAGAIN ? "too many wait for it already" : std::strerror(errno));
}

http::request<http::string_body> make_message(const service_request& from) {
  http::request<http::string_body> made{from.is_post ? http::verb::post : http::verb::get,
                                        from.target, 11};
  made.set(http::field::host, "fermata");
  made.set(http::field::accept, from.accept);
  made.keep_alive(false);
  if (from.body) {
    made.set(http::field::content_type, "application/json");
    made.body() = to_text(*from.body);
  }
  made.prepare_payload();
  return made;
}

/// Where a service of the store would be.
std::filesystem::path service_socket(const std::filesystem::path& store) {
  // Much more than a path: whatever is in the folder, it is not read without a bound.
  std::array<char, 16'384> text{};
  std::ifstream file{store / "service.json", std::ios::binary};
  file.read(text.data(), text.size());
  if (const auto size = static_cast<std::size_t>(file.gcount()); size > 0) {
    const auto written = parse_json({text.data(), size});
    if (written && written->is_object())
      if (const auto socket = written->find("socket");
          socket != written->end() && socket->is_string() && !socket->empty())
        return store / socket->get<std::string>(); // An absolute path stays as it is.
  }
  return store / "service.sock";
}

/// True when the answer to `/healthz` is that of a service of this store.
bool is_of(const std::filesystem::path& store, const std::string& answer) {
  const auto told = parse_json(answer);
  const auto owned = told && told->is_object() ? told->value("store", json{}) : json{};
  std::error_code error;
  const auto canonical = std::filesystem::canonical(store, error);
  return !error && owned == as_utf8(canonical.string());
}

} // namespace

struct service_exchange::implementation {
  asio::io_context context{1};
  asio::local::stream_protocol::socket socket{context};
  boost::beast::flat_buffer buffer{2 * max_head_bytes};
  http::response_parser<http::buffer_body> parser;
  service_patience patience;

  std::array<char, read_size_bytes> piece{};
  bool is_reading = false; ///< A read of the body is under way.
  std::optional<error_code> read_ended;
  steady_clock::time_point heard = steady_clock::now();
  sse_reader events{max_event_bytes, "paused"}; // The state of the session is in the store.

  /// Runs what was started until `is_done`, or until then. Errors: `shutting_down`.
  template <class Done>
  result<bool> run_until(steady_clock::time_point deadline, Done is_done) {
    for (;;) {
      context.restart();
      const auto left = deadline - steady_clock::now();
      context.run_one_for(std::clamp<steady_clock::duration>(left, 0ms, signal_interval));
      if (is_done())
        return true;
      if (was_interrupted())
        return interrupted();
      if (left <= 0ms)
        return false;
    }
  }

  /// Starts something and waits for its end. Errors: `shutting_down`; `timed_out` when it takes
  /// longer than an answer may, or fails.
  template <class Start>
  caf::error finish(Start start, const char* what, steady_clock::time_point deadline) {
    std::optional<error_code> ended;
    start([&ended](error_code error, std::size_t) { ended = error; });
    const auto in_time = run_until(deadline, [&] { return ended.has_value(); });
    if (in_time && *in_time && !*ended)
      return caf::none;
    // Nothing may run on that refers to `ended`.
    if (!ended) {
      error_code ignored;
      socket.close(ignored);
      while (!ended) {
        context.restart();
        context.run_one();
      }
    }
    if (!in_time)
      return in_time.error();
    return *in_time ? failure_of(*ended)
                    : broken(std::string{"did not "} + what + " within "
                             + std::to_string(patience.answer / 1s) + " s");
  }

  static caf::error failure_of(error_code error) {
    if (error == http::error::end_of_stream || error == http::error::partial_message
        || error == asio::error::connection_reset || error == asio::error::broken_pipe
        || error == asio::error::eof)
      return broken("closed the connection");
    if (error.category() == http::make_error_code(http::error::bad_version).category())
      return make_error(errc::internal, "the service sent what is no HTTP: " + error.message());
    return broken("cannot be heard: " + error.message());
  }

  /// Reads more of the body, which is in `piece` then. Nothing: none came in time; an empty one: it
  /// has ended.
  result<std::optional<std::string_view>> read_piece(milliseconds timeout) {
    const auto deadline = steady_clock::now() + timeout;
    for (;;) {
      if (!is_reading && parser.is_done())
        return std::optional{std::string_view{}};
      if (!is_reading)
        start_reading();
      const auto in_time = run_until(deadline, [&] { return read_ended.has_value(); });
      if (!in_time)
        return in_time.error();
      if (!*in_time && steady_clock::now() - heard > patience.silence)
        return broken("has been silent for " + std::to_string(patience.silence / 1s) + " s");
      if (!*in_time)
        return std::optional<std::string_view>{};
      is_reading = false;
      heard = steady_clock::now();
      if (*read_ended && *read_ended != http::error::need_buffer)
        return failure_of(*read_ended);
      const std::string_view read{piece.data(), piece.size() - parser.get().body().size};
      // Nothing: it was the frame of what has not come yet.
      if (!read.empty())
        return std::optional{read};
    }
  }

  void start_reading() {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    is_reading = true;
    read_ended.reset();
    http::async_read_some(socket, buffer, parser,
                          [this](error_code error, std::size_t) { read_ended = error; });
  }
};

service_exchange::service_exchange(std::unique_ptr<implementation> made)
    : implementation_{std::move(made)} {}
service_exchange::service_exchange(service_exchange&&) noexcept = default;
service_exchange& service_exchange::operator=(service_exchange&&) noexcept = default;
service_exchange::~service_exchange() = default;

result<service_exchange> service_exchange::start(const std::filesystem::path& socket,
                                                 const service_request& request,
                                                 const service_patience& patience) {
  auto connected = connect(socket, patience.connect);
  if (!connected)
    return std::move(connected.error());
  auto made = std::make_unique<implementation>();
  made->patience = patience;
  made->parser.header_limit(max_head_bytes);
  // Whoever reads it has a limit. In Boost 1.74 `none` refuses every body whose length is known.
  made->parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  error_code error;
  made->socket.assign({}, connected->get(), error);
  if (error)
    return make_error(errc::internal, "a socket cannot be used: " + error.message());
  static_cast<void>(connected->release()); // The socket of `made` closes it.

  const auto deadline = steady_clock::now() + patience.answer;
  auto message = make_message(request);
  auto failed = made->finish([&](auto then) { http::async_write(made->socket, message, then); },
                             "take the request", deadline);
  if (failed && (was_interrupted() || !made->socket.is_open()))
    return failed;
  // One that was not read to its end may have been answered all the same.
  if (auto unheard = made->finish(
          [&](auto then) {
            http::async_read_header(made->socket, made->buffer, made->parser, then);
          },
          "answer", deadline))
    return failed ? failed : unheard;
  made->heard = steady_clock::now();
  return service_exchange{std::move(made)};
}

unsigned service_exchange::status() const {
  return implementation_->parser.get().result_int();
}

bool service_exchange::is_stream() const {
  return implementation_->parser.get()[http::field::content_type].starts_with("text/event-stream");
}

result<std::string> service_exchange::read_all(std::size_t limit_bytes) {
  std::string text;
  for (;;) {
    const auto piece = implementation_->read_piece(signal_interval);
    if (!piece)
      return piece.error();
    if (!*piece)
      continue;
    if ((*piece)->empty())
      return text;
    if (text.size() + (*piece)->size() > limit_bytes)
      return make_error(errc::limit_exceeded, "the service's answer is larger than "
                                                  + std::to_string(limit_bytes) + " bytes");
    text += **piece;
  }
}

result<std::optional<sse_event>> service_exchange::next(milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  for (;;) {
    if (was_interrupted()) // Also when events come without an end.
      return interrupted();
    if (auto event = implementation_->events.take())
      return event;
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    const auto piece = implementation_->read_piece(std::max(left, 0ms));
    if (!piece)
      return piece.error();
    if (!*piece)
      return std::optional<sse_event>{};
    if ((*piece)->empty())
      return broken("ended the stream");
    if (auto error = implementation_->events.push(**piece))
      return error;
  }
}

result<std::string> ask_service(const std::filesystem::path& socket, const service_request& request,
                                std::size_t limit_bytes, const service_patience& patience) {
  auto answer = service_exchange::start(socket, request, patience);
  if (!answer)
    return std::move(answer.error());
  if (answer->status() != 200)
    return refusal_of(*answer);
  return answer->read_all(limit_bytes);
}

result<std::optional<std::filesystem::path>> find_service(const std::filesystem::path& store) {
  const auto socket = service_socket(store);
  service_request request;
  request.target = "/healthz";
  service_patience patience;
  patience.answer = identification_patience;
  patience.silence = identification_patience;
  const auto answer = ask_service(socket, request, max_refusal_bytes, patience);
  if (answer)
    return is_of(store, *answer) ? std::optional{socket} : std::nullopt;
  const bool may_be_there = is(answer.error(), errc::timed_out)
                            || is(answer.error(), errc::overloaded)
                            || is(answer.error(), errc::shutting_down);
  if (may_be_there)
    return answer.error();
  return std::optional<std::filesystem::path>{};
}

caf::error refusal_of(const json& body) {
  const auto text = [&](const char* key) {
    const auto found = body.is_object() ? body.find(key) : body.end();
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  const auto name = text("error");
  for (unsigned code = 0; code < 256; ++code)
    if (!name.empty() && name == name_of(static_cast<errc>(code)))
      return make_error(static_cast<errc>(code), text("message"));
  return make_error(errc::internal,
                    "the service refused it"
                        + (name.empty() ? " without a word" : ": " + name + " " + text("message")));
}

caf::error refusal_of(service_exchange& answer) {
  const auto text = answer.read_all(max_refusal_bytes);
  if (!text)
    return text.error();
  const auto body = parse_json(*text);
  if (!body)
    return make_error(errc::internal, "the service answered with HTTP status "
                                          + std::to_string(answer.status())
                                          + ", and with what is no JSON");
  return refusal_of(*body);
}

} // namespace fermata::command_line
