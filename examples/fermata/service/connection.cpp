#include <utility> // Boost 1.74's awaitable.hpp lacks it

#include "connection.hpp"

#include "../escape.hpp"
#include "distant_stream.hpp"
#include "gathering.hpp"
#include "letter_box.hpp"
#include "session_stream.hpp"
#include "sse.hpp"
#include "token.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <optional>

namespace fermata::service {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::awaitable;
using asio::redirect_error;
using asio::use_awaitable;
using error_code = boost::system::error_code;

namespace {

/// Bodies up to this size are not counted: there are no more of them than connections.
constexpr std::size_t small_body_size_bytes = 64 * 1'024;

/// What a body's frame may have between two pieces of the body: the extensions of a chunk, the
/// trailers. Also how much is read at once.
constexpr std::size_t frame_size_bytes = 64 * 1'024;

/// How often a stream looks whether the budget has a share for its piece.
constexpr std::chrono::milliseconds share_interval{50};

/// How long, and for how many bytes, a client may go on sending when it has been refused.
constexpr std::chrono::seconds linger_time{2};
constexpr std::size_t linger_size_bytes = 16 * 1'024 * 1'024;

enum class input { nothing, bytes, end };

/// What can be read from a socket now. A wait that says "readable" does not tell: it may answer to
/// bytes that were read before it began.
input what_came(connection::socket_type& socket) {
  char byte = 0;
  const auto size = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return input::nothing;
  return size > 0 ? input::bytes : input::end;
}

std::string text_of(beast::string_view text) {
  return {text.data(), text.size()};
}

http_response overloaded_response(const char* why) {
  return error_response(make_error(errc::overloaded, why), redactor{});
}

/// Why the header of a request is refused although it could be read; null: it is not.
///
/// Whoever has another idea than a proxy before it of where a request ends takes a part of it for
/// the next one (RFC 9112, 11.2). So there is one way to say it: either a length, or `chunked`.
template <class Parser>
const char* fault_of(const Parser& parser) {
  const auto& header = parser.get();
  if (header.version() >= 11 && header.count(http::field::host) != 1)
    return "a request has one Host header";
  if (header.count(http::field::transfer_encoding) == 0)
    return nullptr;
  if (header.count(http::field::transfer_encoding) > 1 || !parser.chunked()
      || !beast::iequals(header[http::field::transfer_encoding], "chunked"))
    return "accepted as Transfer-Encoding is `chunked` alone";
  if (header.version() < 11)
    return "HTTP/1.0 has no Transfer-Encoding";
  return header.count(http::field::content_length) > 0
             ? "a request has a Content-Length or a Transfer-Encoding, not both"
             : nullptr;
}

/// Not `overloaded`: it would be as large the next time.
http_response too_large_response(std::size_t size_bytes, std::size_t limit_bytes) {
  return error_response(
      make_error(errc::limit_exceeded, "the answer has " + std::to_string(size_bytes)
                                           + " bytes, and at most " + std::to_string(limit_bytes)
                                           + " are sent; ask for a part of it"),
      redactor{});
}

http_response too_large(std::uint64_t limit_bytes) {
  return error_response(413, "limit_exceeded",
                        "the body has more than " + std::to_string(limit_bytes) + " bytes");
}

} // namespace

// -- life
// --------------------------------------------------------------------------------------------------------------

connection::connection(socket_type socket, std::shared_ptr<connection_setting> setting,
                       client_kind client, std::function<void(connection*)> ended)
    : socket_{std::move(socket)}, setting_{std::move(setting)}, client_{client},
      ended_{std::move(ended)}, bell_{std::make_shared<bell>(setting_->context,
                                                             socket_.get_executor())},
      limit_{socket_.get_executor()}, buffer_{setting_->options.header_size_bytes
                                              + frame_size_bytes},
      is_stranger_{client == client_kind::remote} {}

void connection::start() {
  asio::co_spawn(socket_.get_executor(), live(shared_from_this()),
                 [self = shared_from_this()](std::exception_ptr failure) {
                   try {
                     if (failure)
                       std::rethrow_exception(failure);
                   } catch (const std::exception& error) {
                     // A defect of one connection ends that one.
                     const auto& redaction = self->setting_->options.redaction;
                     std::fprintf(stderr, "fermata: a connection ended: %s\n",
                                  command_line::escape_line(redaction.text(error.what())).c_str());
                   }
                   self->shut();
                   self->ended_(self.get());
                 });
}

void connection::look_again() {
  bell_->ring();
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->is_idle_ && self->is_ending())
      self->stop_reading();
  });
}

void connection::close() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->shut(); });
}

void connection::shut() {
  is_shut_ = true;
  error_code ignored;
  socket_.close(ignored);
  limit_.cancel();
  bell_->ring();
}

bool connection::is_ending() const {
  return is_shut_ || setting_->phase == service_phase::ending;
}

awaitable<void> connection::live(std::shared_ptr<connection> self) {
  co_await self->run();
}

awaitable<void> connection::run() {
  if (client_ == client_kind::surplus) {
    was_refused_ = true;
    auto response = overloaded_response("there are as many connections as there may be");
    co_await write(std::move(response), false);
  } else {
    while (co_await request_comes()) {
      const bool goes_on = co_await serve_request();
      buffer_.shrink_to_fit(); // many connections, few of which do anything
      if (!goes_on)
        break;
    }
  }
  co_await close_gently();
}

/// Waits for the first byte of a request. False: none comes.
awaitable<bool> connection::request_comes() {
  if (is_ending())
    co_return false;
  if (buffer_.size() > 0)
    co_return true;
  error_code failure;
  is_idle_ = true;
  limit_time(within(setting_->options.idle_timeout), &connection::stop_reading);
  do {
    co_await socket_.async_wait(socket_type::wait_read, redirect_error(use_awaitable, failure));
  } while (!failure && what_came(socket_) == input::nothing);
  lift_limit();
  is_idle_ = false;
  co_return !failure && !is_late_ && !is_ending();
}

/// Closes so that a client that was refused gets to know why, although it may still be sending:
/// closing a socket that has unread data can throw away what the other end has not read yet.
awaitable<void> connection::close_gently() {
  error_code failure;
  if (!was_refused_ && socket_.available(failure) == 0)
    co_return;
  socket_.shutdown(socket_type::shutdown_send, failure);
  limit_time(linger_time, &connection::shut);
  buffer_.clear();
  for (std::size_t size = 0; !failure && size < linger_size_bytes;) {
    const auto space = buffer_.prepare(4'096);
    size += co_await socket_.async_read_some(space, redirect_error(use_awaitable, failure));
  }
  lift_limit();
}

// -- time
// --------------------------------------------------------------------------------------------------------------

/// A limit, unless a stranger's time is up before.
std::chrono::milliseconds connection::within(std::chrono::milliseconds limit) const {
  if (!is_stranger_)
    return limit;
  const auto end = since_ + setting_->options.token_timeout;
  return std::min(
      limit, std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()));
}

void connection::limit_time(std::chrono::milliseconds limit, time_limit_action then) {
  const auto number = ++limits_;
  limit_.expires_after(limit);
  limit_.async_wait([self = shared_from_this(), number, then](error_code cancelled) {
    if (!cancelled && number == self->limits_)
      (self.get()->*then)();
  });
}

void connection::lift_limit() {
  ++limits_;
  limit_.cancel();
}

/// Ends what is being read, also a read that has not begun yet; the client can still be answered.
void connection::stop_reading() {
  is_late_ = true;
  error_code ignored;
  socket_.shutdown(socket_type::shutdown_receive, ignored);
}

// -- requests
// --------------------------------------------------------------------------------------------------------------

struct connection::incoming {
  http::request_parser<http::string_body> parser;
  memory_budget::share share;
  error_code failure;
};

/// A whole request, and what it takes of the budget for bodies.
struct connection::received {
  http_request request;
  memory_budget::share share;
  bool keep = true; ///< The client wants to use the connection again.

  received() = default;

  /// Takes what the header says: before the body is read, for trailers come behind it, which the
  /// parser adds to the header, and which are not to say anything.
  template <class Parser>
  void take_header(const Parser& parser) {
    const auto& header = parser.get();
    request.method = text_of(header.method_string());
    request.target = text_of(header.target());
    request.accept = text_of(header[http::field::accept]);
    request.content_type = text_of(header[http::field::content_type]);
    request.last_event_id = text_of(header["Last-Event-ID"]);
    keep = parser.keep_alive();
  }
};

/// Reads one request and answers it. True: the connection can be used for another one.
awaitable<bool> connection::serve_request() {
  client_has_left_ = false;
  auto request = co_await receive();
  if (!request)
    co_return false;
  const bool goes_on = co_await carry_out(std::move(request));
  co_return goes_on;
}

/// Nothing: it was refused, or there is none. What reading takes is gone when it returns: a stream
/// that answers the request may last for days.
awaitable<std::unique_ptr<connection::received>> connection::receive() {
  incoming request;
  limit_time(within(setting_->options.request_timeout), &connection::stop_reading);
  const bool is_begun = co_await read_header(request);
  if (!is_begun)
    co_return nullptr;
  auto whole = std::make_unique<received>();
  whole->take_header(request.parser);
  const bool is_read = co_await read_body(request);
  if (!is_read)
    co_return nullptr;
  lift_limit();
  whole->request.body = std::move(request.parser.get().body());
  whole->share = std::move(request.share);
  co_return whole;
}

route_context connection::context() const {
  route_context made;
  made.store = &setting_->running->store();
  if (client_ == client_kind::local)
    made.store_path = setting_->options.store.string();
  made.is_stopping = setting_->phase != service_phase::serving;
  made.metrics = setting_->options.metrics;
  made.redaction = setting_->options.redaction;
  made.is_node = setting_->cluster != nullptr;
  if (const auto* others = setting_->cluster; others != nullptr && !others->shares_store())
    made.is_elsewhere = [others](const session_id& session) {
      return others->elsewhere(session) != nullptr;
    };
  return made;
}

/// The node that a session lives on; null: this one.
const node_name* connection::elsewhere(const session_id& session) const {
  return setting_->cluster == nullptr ? nullptr : setting_->cluster->elsewhere(session);
}

/// False: it was refused, or there is none.
awaitable<bool> connection::read_header(incoming& request) {
  is_head_ = false;
  request.parser.header_limit(setting_->options.header_size_bytes);
  request.parser.body_limit(setting_->options.body_size_bytes);
  co_await http::async_read_header(socket_, buffer_, request.parser,
                                   redirect_error(use_awaitable, request.failure));
  if (request.failure) {
    co_await refuse_unread(request);
    co_return false;
  }
  const auto& header = request.parser.get();
  version_ = header.version();
  is_head_ = header.method() == http::verb::head;
  if (client_ == client_kind::remote
      && !shows_token(text_of(header[http::field::authorization]), setting_->options.token)) {
    // Before anything of it is looked at, or its body is read.
    http_response response;
    response.status = 401;
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    co_return co_await refuse(std::move(response));
  }
  if (std::exchange(is_stranger_, false))
    limit_time(setting_->options.request_timeout, &connection::stop_reading);
  if (const auto* fault = fault_of(request.parser)) {
    auto response = error_response(400, "invalid_request", fault);
    co_return co_await refuse(std::move(response));
  }
  co_return true;
}

/// Answers a request that has something unread, and takes no other one. False.
awaitable<bool> connection::refuse(http_response response) {
  was_refused_ = true;
  co_await write(std::move(response), false);
  co_return false;
}

/// False: it was refused.
awaitable<bool> connection::read_body(incoming& request) {
  const auto length = request.parser.content_length();
  const auto size =
      length ? *length : (request.parser.chunked() ? setting_->options.body_size_bytes : 0);
  if (size > small_body_size_bytes) {
    auto share = setting_->bodies.take(size);
    if (!share) {
      auto response = overloaded_response("too many large requests are under way");
      co_return co_await refuse(std::move(response));
    }
    request.share = std::move(*share);
  }
  if (beast::iequals(request.parser.get()[http::field::expect], "100-continue")) {
    const std::string go_on{"HTTP/1.1 100 Continue\r\n\r\n"};
    const auto bytes = asio::buffer(go_on);
    co_await asio::async_write(socket_, bytes, redirect_error(use_awaitable, request.failure));
  }
  if (!request.failure)
    co_await http::async_read(socket_, buffer_, request.parser,
                              redirect_error(use_awaitable, request.failure));
  if (request.failure) {
    co_await refuse_unread(request);
    co_return false;
  }
  co_return true;
}

/// Answers a request that could not be read, unless the client has gone.
awaitable<void> connection::refuse_unread(incoming& request) {
  const auto& failure = request.failure;
  std::optional<http_response> response;
  if (is_late_)
    response = error_response(408, "timed_out", "the request did not arrive in time");
  else if (failure == http::error::header_limit)
    response = error_response(431, "limit_exceeded",
                              "the header has more than "
                                  + std::to_string(setting_->options.header_size_bytes) + " bytes");
  else if (failure == http::error::body_limit)
    response = too_large(setting_->options.body_size_bytes);
  else if (failure == http::error::buffer_overflow)
    response = error_response(431, "limit_exceeded",
                              "the extensions of a chunk, or the trailers, are too large");
  else if (failure.category() == http::make_error_code(http::error::bad_method).category()
           && failure != http::error::end_of_stream && failure != http::error::partial_message)
    response = error_response(400, "invalid_request", "this is not HTTP: " + failure.message());
  if (response)
    co_await refuse(std::move(*response));
}

// -- answers
// --------------------------------------------------------------------------------------------------------------

awaitable<bool> connection::write(http_response response, bool keep) {
  std::optional<memory_budget::share> share;
  if (const auto size = response.body.size(); size > setting_->bodies.size_bytes()) {
    response = too_large_response(size, setting_->bodies.size_bytes());
  } else if (size > small_body_size_bytes) {
    share = setting_->bodies.take(size);
    if (!share)
      response = overloaded_response("too many large responses are under way");
  }
  http::response<http::string_body> message{http::int_to_status(response.status), version_};
  message.keep_alive(keep && !is_ending());
  if (!response.body.empty())
    message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-store");
  for (const auto& [name, value] : response.headers)
    message.set(name, value);
  message.body() = std::move(response.body);
  message.prepare_payload();
  if (is_head_)
    message.body().clear(); // what would have come is described by the header
  error_code failure;
  limit_time(setting_->options.write_timeout, &connection::shut);
  co_await http::async_write(socket_, message, redirect_error(use_awaitable, failure));
  lift_limit();
  co_return !failure && message.keep_alive();
}

/// Fills a stream's inbox as long as it lives.
struct connection::subscription {
  subscription(connection& owner, const session_id& of, std::shared_ptr<stream_inbox> into)
      : live{owner.setting_->live}, others{owner.setting_->cluster}, home{owner.elsewhere(of)},
        session{of}, inbox{std::move(into)}, watch{owner.setting_->running->session(of).watch(
                                                 [to = inbox](std::uint64_t number) {
                                                   to->committed(number);
                                                 })} {
    auto& running = *owner.setting_->running;
    live->enter(session, inbox,
                {[&](live_observer show, std::function<void(std::uint64_t)> lost) {
                   return running.session(of).listen(std::move(show), std::move(lost));
                 },
                 others != nullptr && (home != nullptr || others->shares_store())});
    if (home != nullptr)
      others->enter(*home, inbox);
  }
  ~subscription() {
    live->leave(session, inbox);
    if (home != nullptr)
      others->leave(*home, inbox);
  }
  subscription(const subscription&) = delete;
  subscription& operator=(const subscription&) = delete;

  live_board* live;
  cluster_side* others;
  const node_name* home; ///< Null: this node.
  session_id session;
  std::shared_ptr<stream_inbox> inbox;
  event_watch watch;
};

/// Lets a reader do what may wait for the store, and goes on with what that gives, or throws.
template <class Work>
awaitable<std::invoke_result_t<Work&>> connection::read(Work& work) {
  using given = std::invoke_result_t<Work&>;
  const auto by_reader = [&work]() -> awaitable<std::optional<given>> { co_return work(); };
  auto done = co_await asio::co_spawn(setting_->readers.get_executor(), by_reader(), use_awaitable);
  co_return std::move(*done);
}

awaitable<bool> connection::carry_out(std::unique_ptr<received> request) {
  const bool keep = request->keep;
  const auto from = context();
  const auto find_answer = [&] { return route(request->request, from); };
  answer todo;
  if (reads_store(request->request))
    todo = co_await read(find_answer);
  else
    todo = find_answer();
  auto share = std::move(request->share);
  request.reset();
  if (auto* order = std::get_if<command_order>(&todo))
    co_return co_await give_command(std::move(*order), std::move(share), keep);
  share = {};
  if (auto* order = std::get_if<stream_order>(&todo))
    co_return co_await show_session(std::move(*order), keep);
  if (auto* order = std::get_if<elsewhere_order>(&todo))
    co_return co_await show_elsewhere(std::move(*order), keep);
  if (auto* order = std::get_if<gather_order>(&todo))
    co_return co_await show_list(std::move(*order), keep);
  if (std::holds_alternative<cluster_order>(todo))
    co_return co_await show_cluster(keep);
  if (std::holds_alternative<drain_order>(todo))
    co_return co_await drain_node(keep);
  co_return co_await write(std::move(std::get<http_response>(todo)), keep);
}

awaitable<bool> connection::show_session(stream_order order, bool keep) {
  auto inbox = std::make_shared<stream_inbox>([to_ring = bell_] { to_ring->ring(); });
  subscription subscribed{*this, order.session, inbox};
  const auto find = [&] { return setting_->running->store().find(order.session); };
  const auto now = co_await read(find);
  if (now && *now)
    inbox->committed((*now)->events); // live updates come behind them
  auto view = view_of(order.session, order.first, stream_end::never);
  co_return co_await stream(std::move(view), inbox, keep);
}

std::unique_ptr<stream_view> connection::view_of(const session_id& session, std::uint64_t first,
                                                 stream_end end) const {
  const auto& redaction = setting_->options.redaction;
  if (const auto* home = elsewhere(session))
    return std::make_unique<distant_stream>(*setting_->cluster, *home, session, first, end,
                                            redaction, [to_ring = bell_] { to_ring->ring(); });
  return std::make_unique<session_stream>(setting_->running->store(), session, first, end,
                                          redaction);
}

/// Notices, as long as it lives, that the client leaves.
struct connection::attention {
  explicit attention(connection& to) : of{to} { of.watch_client(); }
  ~attention() {
    ++of.watches_;
    error_code ignored;
    of.socket_.cancel(ignored);
  }
  attention(const attention&) = delete;
  attention& operator=(const attention&) = delete;

  connection& of;
};

/// Waits for what others put into a box, and ring. Nothing: they did not in time, or the client has
/// gone.
template <class Answer>
awaitable<std::optional<Answer>>
connection::await_others(std::shared_ptr<letter_box<Answer>> awaited) {
  const attention to_client{*this};
  const auto end = std::chrono::steady_clock::now() + setting_->options.node_timeout;
  for (;;) {
    auto given = awaited->take();
    if (given || is_gone() || std::chrono::steady_clock::now() >= end)
      co_return given;
    co_await bell_->wait_until(end);
  }
}

/// Asks the service of another node; the threads that serve clients do not wait for it. Errors:
/// also `timed_out`; whatever it is when the client has gone.
awaitable<result<node_answer>> connection::ask(const node_name& node, node_question question) {
  const auto awaited = std::make_shared<letter_box<result<node_answer>>>();
  setting_->cluster->ask(node, question, [awaited, to_ring = bell_](result<node_answer> given) {
    awaited->put(std::move(given));
    to_ring->ring();
  });
  auto given = co_await await_others(awaited);
  if (given)
    co_return std::move(*given);
  co_return make_error(errc::timed_out,
                       "node " + node.str() + " has not answered in "
                           + std::to_string(setting_->options.node_timeout.count())
                           + " ms; nothing was changed by the question, try again");
}

/// How many events a session has, wherever it lives; 0: there is none.
awaitable<result<std::uint64_t>> connection::events_of(const session_id& session) {
  if (const auto* home = elsewhere(session)) {
    node_question question;
    question.kind = question_kind::position;
    question.session = session;
    auto given = co_await ask(*home, std::move(question));
    co_return given ? result<std::uint64_t>{given->events} : std::move(given.error());
  }
  const auto find = [&] { return setting_->running->store().find(session); };
  const auto found = co_await read(find);
  co_return found ? result<std::uint64_t>{*found ? (*found)->events : 0} : found.error();
}

awaitable<bool> connection::show_elsewhere(elsewhere_order order, bool keep) {
  node_question question;
  question.target = std::move(order.target);
  question.last_event_id = std::move(order.last_event_id);
  auto given = co_await ask(*elsewhere(order.session), std::move(question));
  if (is_gone())
    co_return false;
  if (given && given->status == 0) {
    stream_order shown;
    shown.session = std::move(order.session);
    shown.first = given->events;
    co_return co_await show_session(std::move(shown), keep);
  }
  http_response response;
  if (given) {
    response.status = given->status;
    response.content_type = std::move(given->content_type);
    response.body = std::move(given->text);
  } else {
    response = error_response(given.error(), setting_->options.redaction);
  }
  co_return co_await write(std::move(response), keep);
}

awaitable<bool> connection::show_list(gather_order order, bool keep) {
  const auto& node = setting_->cluster->node();
  // What other nodes answer is held until the last one has: counted before it comes.
  std::optional<memory_budget::share> share;
  {
    const attention to_client{*this};
    share = co_await wait_for_share(max_page_size_bytes);
  }
  if (is_gone())
    co_return false;
  if (!share) {
    auto refusal = overloaded_response("too many large responses are under way");
    co_return co_await write(std::move(refusal), keep);
  }
  gathering all{std::move(order), node.members()};
  while (const auto* member = all.node()) {
    auto question = all.question();
    if (member->name == node.name()) {
      const auto answer_here = [&] { return setting_->cluster->answer_here(question); };
      auto here = co_await read(answer_here);
      all.take(std::move(here), setting_->options.redaction);
      continue;
    }
    auto given = co_await ask(member->name, std::move(question));
    if (is_gone())
      co_return false;
    all.take(std::move(given), setting_->options.redaction);
  }
  auto response = all.response();
  share.reset(); // the response takes one of its size
  co_return co_await write(std::move(response), keep);
}

awaitable<bool> connection::show_cluster(bool keep) {
  const auto awaited = std::make_shared<letter_box<std::vector<member_status>>>();
  setting_->cluster->node().status([awaited, to_ring = bell_](std::vector<member_status> all) {
    awaited->put(std::move(all));
    to_ring->ring();
  });
  const auto given = co_await await_others(awaited);
  if (is_gone())
    co_return false;
  if (!given) {
    auto refusal = error_response(
        make_error(errc::timed_out, "a node has not said in time how it is; try again"),
        setting_->options.redaction);
    co_return co_await write(std::move(refusal), keep);
  }
  auto response = json_response(setting_->cluster->describe(*given));
  co_return co_await write(std::move(response), keep);
}

awaitable<bool> connection::drain_node(bool keep) {
  const auto awaited = std::make_shared<letter_box<caf::error>>();
  auto& node = setting_->cluster->node();
  node.drain([awaited, to_ring = bell_](const caf::error& how) {
    awaited->put(how);
    to_ring->ring();
  });
  auto given = co_await await_others(awaited);
  if (is_gone())
    co_return false; // it goes on giving
  if (!given)
    given = make_error(errc::timed_out, "the node has not given all of its sessions to the others "
                                        "yet, and goes on; ask again, or look at /v1/cluster");
  auto response = *given ? error_response(*given, setting_->options.redaction)
                         : json_response({{"drained", {{"node", node.name().str()}}}});
  co_return co_await write(std::move(response), keep);
}

awaitable<bool> connection::give_command(command_order order, memory_budget::share share,
                                         bool keep) {
  const auto session = setting_->running->session(order.session);
  const auto inbox = std::make_shared<stream_inbox>([to_ring = bell_] { to_ring->ring(); });
  // Before the command is given, so that nothing that it causes is missed.
  std::optional<subscription> subscribed;
  if (order.answer == answer_form::events)
    subscribed.emplace(*this, order.session, inbox);
  std::uint64_t events = 0;
  if (order.answer == answer_form::events) {
    const auto before = co_await events_of(order.session);
    if (is_gone())
      co_return false; // and has given no command
    if (!before) {
      auto response = error_response(before.error(), setting_->options.redaction);
      co_return co_await write(std::move(response), keep);
    }
    events = *before;
    inbox->committed(events);
  }

  const auto awaited = std::make_shared<letter_box<result<receipt>>>();
  auto answered = [awaited, to_ring = bell_](result<receipt> given) {
    awaited->put(std::move(given));
    to_ring->ring();
  };
  if (order.body)
    session.send(std::move(*order.body), std::move(answered));
  else
    session.wake(std::move(answered));
  std::optional<result<receipt>> given;
  while (!(given = awaited->take())) {
    if (is_shut_)
      co_return false; // the command goes on without its client
    co_await bell_->wait_until(std::chrono::steady_clock::time_point::max());
  }
  share = {};
  if (!*given || order.answer == answer_form::receipt) {
    auto response = *given ? json_response(to_json(**given))
                           : error_response(given->error(), setting_->options.redaction);
    co_return co_await write(std::move(response), keep);
  }
  auto view = view_of(order.session, events + 1, stream_end::at_pause);
  view->begin(**given);
  co_return co_await stream(std::move(view), inbox, keep);
}

// -- streams
// --------------------------------------------------------------------------------------------------------------

awaitable<bool> connection::stream(std::unique_ptr<stream_view> view,
                                   std::shared_ptr<stream_inbox> inbox, bool keep) {
  const attention to_client{*this};
  bool is_whole = co_await write_stream_header(keep);
  if (is_whole)
    is_whole = co_await stream_pieces(*view, *inbox);
  if (is_whole && version_ >= 11) {
    error_code failure;
    const auto last = http::make_chunk_last();
    limit_time(setting_->options.write_timeout, &connection::shut);
    co_await asio::async_write(socket_, last, redirect_error(use_awaitable, failure));
    lift_limit();
    is_whole = !failure;
  }
  co_return is_whole&& keep&& version_ >= 11 && !is_ending();
}

/// Writes what there is to show until it is over. False: the client has gone.
awaitable<bool> connection::stream_pieces(stream_view& view, stream_inbox& inbox) {
  using clock = std::chrono::steady_clock;
  const auto interval = setting_->options.keep_alive_interval;
  for (auto quiet_until = clock::now() + interval; !view.is_over();) {
    if (is_gone())
      co_return false;
    // Looked at first: what the runtime has committed before it stopped is shown.
    const bool ends = is_ending();
    const auto look = [&] { return view.next(inbox); };
    auto piece = result<std::string>{std::string{}};
    if (view.reads_store())
      piece = co_await read(look);
    else
      piece = look();
    if (!piece)
      piece = view.fail(piece.error());
    else if (ends && piece->empty() && !view.is_over())
      piece = view.fail(make_error(errc::shutting_down, "the service is stopping"));
    if (piece->empty()) {
      if (co_await bell_->wait_until(quiet_until))
        continue;
      if (clock::now() < quiet_until)
        continue; // an old ring
      piece = sse_comment("keep-alive");
    }
    std::optional<memory_budget::share> share;
    if (piece->size() > small_body_size_bytes) {
      share = co_await wait_for_share(piece->size());
      if (!share)
        piece = view.fail(make_error(errc::overloaded, "too many large pieces are under way"));
    }
    if (!co_await write_piece(std::move(*piece)))
      co_return false;
    quiet_until = clock::now() + interval;
  }
  co_return true;
}

/// Takes what a piece of a stream, or a list, needs of the budget, at most all of it, when the
/// others have left so much. Nothing: they have not in time, or the client has gone.
awaitable<std::optional<memory_budget::share>> connection::wait_for_share(std::size_t size_bytes) {
  using clock = std::chrono::steady_clock;
  const auto wanted = std::min(size_bytes, setting_->bodies.size_bytes());
  const auto end = clock::now() + setting_->options.write_timeout;
  auto share = setting_->bodies.take(wanted);
  while (!share && !is_gone() && clock::now() < end) {
    // Rings mean nothing here: after the piece the stream looks at everything anyway.
    co_await bell_->wait_until(std::min(end, clock::now() + share_interval));
    share = setting_->bodies.take(wanted);
  }
  co_return share;
}

awaitable<bool> connection::write_stream_header(bool keep) {
  http::response<http::empty_body> message{http::status::ok, version_};
  message.set(http::field::content_type, "text/event-stream");
  message.set(http::field::cache_control, "no-store");
  message.keep_alive(keep && version_ >= 11);
  message.chunked(version_ >= 11);
  http::response_serializer<http::empty_body> serializer{message};
  error_code failure;
  limit_time(setting_->options.write_timeout, &connection::shut);
  co_await http::async_write_header(socket_, serializer, redirect_error(use_awaitable, failure));
  lift_limit();
  co_return !failure;
}

awaitable<bool> connection::write_piece(std::string text) {
  error_code failure;
  limit_time(setting_->options.write_timeout, &connection::shut);
  if (version_ >= 11) {
    const auto chunk = http::make_chunk(asio::buffer(text));
    co_await asio::async_write(socket_, chunk, redirect_error(use_awaitable, failure));
  } else {
    const auto bytes = asio::buffer(text);
    co_await asio::async_write(socket_, bytes, redirect_error(use_awaitable, failure));
  }
  lift_limit();
  co_return !failure;
}

/// Notices that the client has closed its end, which a stream that has nothing to write would not.
void connection::watch_client() {
  const auto number = ++watches_;
  socket_.async_wait(socket_type::wait_read,
                     [self = shared_from_this(), number](error_code failure) {
                       if (failure || number != self->watches_)
                         return;
                       const auto came = what_came(self->socket_);
                       if (came == input::nothing)
                         return self->watch_client();
                       // Bytes are its next request, which waits for its turn.
                       self->client_has_left_ = came == input::end;
                       self->bell_->ring();
                     });
}

} // namespace fermata::service
