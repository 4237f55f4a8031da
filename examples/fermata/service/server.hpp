#pragma once

#include "cluster_side.hpp"
#include "live_board.hpp"
#include "server_options.hpp"

#include <fermata/actors/runtime.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fermata::service {

/// Serves a runtime's sessions over HTTP/1.1, with a few threads of its own for all clients.
///
/// Life: `bind` it, start the runtime, `start` it, then `drain`, stop the runtime, and `stop` (the
/// destructor stops too). All of it by one thread at a time.
class server {
public:
  /// Says what `bind` would refuse, and changes nothing: for hosts that have something to do before
  /// they can bind. `tries_socket`: also when somebody serves at the socket, which takes connecting
  /// to it. Errors: `invalid_field` for an address that is refused (not of the loopback interface,
  /// or without a token), a path that is too long for a Unix socket or is taken.
  [[nodiscard]] static caf::error check(const server_options& options, bool tries_socket);

  /// Binds what the options name. Clients that come now wait until `start`. Borrows the runtime,
  /// which need not have started, and the board that shows live updates; they outlive the
  /// server. Errors: those of `check`; `io_error` when the system refuses.
  /// `cluster`: of the node that the runtime is of, which outlives the server too; null: of none.
  [[nodiscard]] static result<std::unique_ptr<server>>
  bind(runtime& to, live_board& live, server_options options, cluster_side* cluster = nullptr);

  /// Begins to serve; the runtime has started. Called once.
  void start();

  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Takes no more clients. Those that are there get answers to queries and see their streams;
  /// commands and new streams are refused with `shutting_down`, and, once the runtime of a node has
  /// stopped, what only other nodes could answer.
  void drain();

  /// Ends all streams with `shutting_down`, closes all connections, and waits until they are:
  /// `stop_timeout`, and then they are cut off. The runtime has stopped, or no command is under
  /// way whose answer matters.
  void stop();

  /// The TCP port; 0: none.
  [[nodiscard]] std::uint16_t port() const noexcept;

  /// How many clients are connected.
  [[nodiscard]] std::size_t connections() const;

private:
  struct implementation;
  explicit server(std::unique_ptr<implementation> made);
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata::service
