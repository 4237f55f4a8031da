#include <utility> // Boost 1.74's awaitable.hpp lacks it

#include "server.hpp"

#include "connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

namespace fermata::service {

namespace asio = boost::asio;
using asio::ip::tcp;
using local = asio::local::stream_protocol;
using error_code = boost::system::error_code;

namespace {

/// How many clients beyond the limit are told so at once; more are cut off.
constexpr std::size_t max_surplus = 64;

/// How long to take no client when the system has no file descriptor for one.
constexpr std::chrono::milliseconds accept_pause{100};

caf::error refuse_address(const std::string& address, const std::string& why) {
  return make_error(errc::invalid_field, "--listen " + address + " is refused: " + why);
}

caf::error cannot(const std::string& what, const error_code& failure) {
  return make_error(errc::io_error, what + ": " + failure.message());
}

result<tcp::endpoint> parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const char* const begin = text.data() + (colon == std::string::npos ? text.size() : colon + 1);
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(begin, end, port);
  error_code failure;
  const auto address = asio::ip::make_address(host, failure);
  if (failure || begin == end || read.ec != std::errc{} || read.ptr != end)
    return refuse_address(text, "accepted is ADDRESS:PORT as in 127.0.0.1:8080 or [::1]:8080");
  if (!address.is_loopback())
    return refuse_address(text,
                          "the service has no TLS, so that whoever sees its traffic has its "
                          "token; it listens on loopback addresses only. A proxy that has TLS "
                          "can connect to it there, or to its socket");
  return tcp::endpoint{address, port};
}

/// Where `listen` says to serve, if that can be.
result<tcp::endpoint> choose_address(const server_options& options) {
  auto place = parse_address(options.listen);
  if (place && options.token.empty())
    return refuse_address(options.listen,
                          "clients that come by TCP show a token; name its file with "
                          "--token-file FILE");
  return place;
}

/// Errors: `invalid_field` where no socket can be.
caf::error check_path(const std::filesystem::path& socket) {
  if (socket.native().size() >= sizeof(sockaddr_un{}.sun_path))
    return make_error(errc::invalid_field, socket.string()
                                               + " is too long for a socket, which has at most "
                                               + std::to_string(sizeof(sockaddr_un{}.sun_path) - 1)
                                               + " bytes; name a shorter one with --socket PATH");
  struct stat found {};
  // Whatever else may be wrong, binding tells.
  if (::lstat(socket.c_str(), &found) == 0 && !S_ISSOCK(found.st_mode))
    return make_error(errc::invalid_field, socket.string() + " is there, and is no socket");
  return caf::none;
}

/// What is in the place of a socket.
enum class occupant {
  none,
  dead_service ///< The socket of one that has ended without removing it.
};

/// Errors: `invalid_field` when somebody serves there.
result<occupant> find_occupant(const std::filesystem::path& socket) {
  struct stat found {};
  if (::lstat(socket.c_str(), &found) != 0)
    return occupant::none;
  asio::io_context context;
  local::socket probe{context};
  error_code failure;
  probe.connect(local::endpoint{socket.string()}, failure);
  if (failure != asio::error::connection_refused)
    return make_error(
        errc::invalid_field,
        socket.string()
            + (failure ? ": " + failure.message() : " is taken: another process serves there"));
  return occupant::dead_service;
}

/// Binds a socket that is its owner's alone, and never has another mode, not even for a moment:
/// Linux gives the file the mode of the socket, less the process's mask, which other threads may
/// depend on. Errors: those of the system.
error_code bind_privately(local::acceptor& acceptor, const local::endpoint& place) {
  error_code failure;
  acceptor.open(place.protocol(), failure);
  if (!failure && ::fchmod(acceptor.native_handle(), S_IRUSR | S_IWUSR) != 0)
    failure = error_code{errno, boost::system::system_category()};
  if (!failure)
    acceptor.bind(place, failure);
  return failure;
}

} // namespace

struct server::implementation {
  implementation(runtime& to, live_board& live, server_options options, cluster_side* cluster)
      : setting{std::make_shared<connection_setting>(to, live, std::move(options), cluster)},
        work{asio::make_work_guard(*setting->context)},
        local_acceptor{asio::make_strand(*setting->context)}, tcp_acceptor{asio::make_strand(
                                                                  *setting->context)} {}

  [[nodiscard]] caf::error bind_socket();
  [[nodiscard]] caf::error bind_address();
  void accept();
  template <class Acceptor>
  asio::awaitable<void> accept_clients(Acceptor& acceptor, client_kind client);
  void welcome(connection::socket_type socket, client_kind client);
  [[nodiscard]] client_kind place_for(client_kind client) const;
  void close_acceptors();
  void tell_all();

  std::shared_ptr<connection_setting> setting;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  local::acceptor local_acceptor;
  tcp::acceptor tcp_acceptor;
  std::uint16_t port = 0;
  std::optional<ino_t> inode; ///< Of our socket, so that no other one is removed.
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable all_ended;
  std::unordered_map<connection*, std::weak_ptr<connection>> clients;
  std::array<std::size_t, 3> counts{}; ///< Of the clients of each kind.
};

caf::error server::implementation::bind_socket() {
  const auto& path = setting->options.socket;
  if (auto error = check_path(path))
    return error;
  const auto found = find_occupant(path);
  if (!found)
    return found.error();
  if (*found == occupant::dead_service)
    ::unlink(path.c_str());
  auto failure = bind_privately(local_acceptor, local::endpoint{path.string()});
  if (failure)
    return cannot("the socket " + path.string() + " cannot be made", failure);
  struct stat made {};
  if (::lstat(path.c_str(), &made) == 0)
    inode = made.st_ino;
  local_acceptor.listen(local::acceptor::max_listen_connections, failure);
  return failure ? cannot("the socket " + path.string() + " cannot be listened to", failure)
                 : caf::error{};
}

caf::error server::implementation::bind_address() {
  const auto& text = setting->options.listen;
  const auto place = choose_address(setting->options);
  if (!place)
    return place.error();
  error_code failure;
  tcp_acceptor.open(place->protocol(), failure);
  if (!failure)
    tcp_acceptor.set_option(tcp::acceptor::reuse_address{true}, failure);
  if (!failure)
    tcp_acceptor.bind(*place, failure);
  if (!failure)
    tcp_acceptor.listen(tcp::acceptor::max_listen_connections, failure);
  if (failure)
    return cannot("--listen " + text, failure);
  port = tcp_acceptor.local_endpoint().port();
  return caf::none;
}

void server::implementation::accept() {
  if (local_acceptor.is_open())
    asio::co_spawn(local_acceptor.get_executor(),
                   accept_clients(local_acceptor, client_kind::local), asio::detached);
  if (tcp_acceptor.is_open())
    asio::co_spawn(tcp_acceptor.get_executor(), accept_clients(tcp_acceptor, client_kind::remote),
                   asio::detached);
  for (std::size_t i = 0; i < setting->options.threads; ++i)
    threads.emplace_back([context = setting->context] { context->run(); });
}

template <class Acceptor>
asio::awaitable<void> server::implementation::accept_clients(Acceptor& acceptor,
                                                             client_kind client) {
  while (acceptor.is_open()) {
    typename Acceptor::protocol_type::socket peer{asio::make_strand(*setting->context)};
    error_code failure;
    co_await acceptor.async_accept(peer, asio::redirect_error(asio::use_awaitable, failure));
    if (!failure) {
      if constexpr (std::is_same_v<Acceptor, tcp::acceptor>) {
        error_code ignored;
        peer.set_option(tcp::no_delay{true}, ignored); // events are small, and are waited for
      }
      welcome(connection::socket_type{std::move(peer)}, client);
      continue;
    }
    if (failure == asio::error::operation_aborted || failure == asio::error::bad_descriptor)
      break;
    // Out of file descriptors, most likely: some client will go.
    asio::steady_timer pause{acceptor.get_executor(), accept_pause};
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, failure));
  }
}

void server::implementation::welcome(connection::socket_type socket, client_kind client) {
  std::shared_ptr<connection> added;
  {
    const std::lock_guard lock{mutex};
    client = place_for(client);
    auto& count = counts[static_cast<std::size_t>(client)];
    if (client == client_kind::surplus && count >= max_surplus)
      return;
    added = std::make_shared<connection>(std::move(socket), setting, client,
                                         [this, &count](connection* ended) {
                                           const std::lock_guard guard{mutex};
                                           clients.erase(ended);
                                           --count;
                                           all_ended.notify_all();
                                         });
    clients.emplace(added.get(), added);
    ++count;
  }
  added->start();
}

/// What a client becomes that comes now. Strangers, who come by TCP and need no permission for it,
/// leave half of the places to those who may open the socket.
client_kind server::implementation::place_for(client_kind client) const {
  const auto most = setting->options.connections;
  const auto remote = counts[static_cast<std::size_t>(client_kind::remote)];
  const auto served = counts[static_cast<std::size_t>(client_kind::local)] + remote;
  const bool is_one_too_many =
      served >= most || (client == client_kind::remote && remote >= (most + 1) / 2);
  return is_one_too_many ? client_kind::surplus : client;
}

void server::implementation::close_acceptors() {
  const auto close = [](auto& acceptor) {
    asio::post(acceptor.get_executor(), [&acceptor] {
      error_code ignored;
      acceptor.close(ignored);
    });
  };
  close(local_acceptor);
  close(tcp_acceptor);
  struct stat found {};
  const auto& path = setting->options.socket;
  if (inode && ::lstat(path.c_str(), &found) == 0 && found.st_ino == *inode)
    ::unlink(path.c_str());
  inode.reset();
}

void server::implementation::tell_all() {
  const std::lock_guard lock{mutex};
  for (const auto& [address, one] : clients)
    if (const auto client = one.lock())
      client->look_again();
}

server::server(std::unique_ptr<implementation> made) : implementation_{std::move(made)} {}

server::~server() {
  stop();
}

caf::error server::check(const server_options& options, bool tries_socket) {
  if (!options.listen.empty())
    if (const auto place = choose_address(options); !place)
      return place.error();
  if (options.socket.empty())
    return caf::none;
  if (auto error = check_path(options.socket))
    return error;
  if (tries_socket)
    if (const auto found = find_occupant(options.socket); !found)
      return found.error();
  return caf::none;
}

result<std::unique_ptr<server>> server::bind(runtime& to, live_board& live, server_options options,
                                             cluster_side* cluster) {
  auto made = std::make_unique<implementation>(to, live, std::move(options), cluster);
  if (!made->setting->options.listen.empty())
    if (auto error = made->bind_address())
      return error;
  if (!made->setting->options.socket.empty())
    if (auto error = made->bind_socket())
      return error;
  return std::unique_ptr<server>{new server{std::move(made)}};
}

void server::start() {
  implementation_->accept();
}

void server::drain() {
  auto& self = *implementation_;
  auto serving = service_phase::serving;
  if (self.setting->phase.compare_exchange_strong(serving, service_phase::draining))
    self.close_acceptors();
}

void server::stop() {
  auto& self = *implementation_;
  drain(); // also one that was never started has a socket to remove
  if (self.threads.empty())
    return;
  self.setting->phase = service_phase::ending;
  self.tell_all();
  {
    std::unique_lock lock{self.mutex};
    const auto is_empty = [&] { return self.clients.empty(); };
    if (!self.all_ended.wait_for(lock, self.setting->options.stop_timeout, is_empty)) {
      for (const auto& [address, one] : self.clients)
        if (const auto client = one.lock())
          client->close();
      self.all_ended.wait(lock, is_empty);
    }
  }
  self.work.reset();
  for (auto& one : self.threads)
    one.join();
  self.threads.clear();
  self.setting->readers.join();
}

std::uint16_t server::port() const noexcept {
  return implementation_->port;
}

std::size_t server::connections() const {
  const std::lock_guard lock{implementation_->mutex};
  return implementation_->clients.size();
}

} // namespace fermata::service
