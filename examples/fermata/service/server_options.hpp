#pragma once

#include <fermata/messages/redaction.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace fermata::service {

/// Where a server listens, and what it allows its clients. The defaults are those of `fermata
/// serve`.
struct server_options {
  std::filesystem::path socket; ///< A Unix socket, made with mode 0600; empty: none.
  std::filesystem::path store;  ///< Told to local clients, to compare with theirs; empty: not.
  std::string listen;           ///< ADDRESS:PORT of a loopback address, port 0: any; empty: none.
  std::string token;            ///< What clients that come by `listen` must show.
  std::function<std::string()> metrics; ///< The text of `/metrics`; called on the server's threads.
  redactor redaction;                   ///< Of what clients are shown.

  /// One more is refused; of those that come by `listen`, one more than half of it.
  std::size_t connections = 1'024;
  std::size_t threads = 2; ///< That serve all of them.
  /// Threads that read the store for them: one that is a database may not answer for a while, and
  /// what needs nothing of it is answered meanwhile.
  std::size_t readers = 4;
  std::uint32_t header_size_bytes = 8'192;
  std::uint64_t body_size_bytes = 4 * 1'024 * 1'024; ///< A plan of the largest size, and some.
  /// Of all requests, responses and pieces of streams of more than 64 KB that are sent at once.
  std::size_t bodies_size_bytes = 64 * 1'024 * 1'024;

  std::chrono::milliseconds request_timeout{30'000}; ///< For a whole request to arrive.
  std::chrono::milliseconds idle_timeout{60'000};    ///< Between two requests of a connection.
  std::chrono::milliseconds token_timeout{5'000};    ///< For a new client to show the token.
  /// For a client to take a response, or a piece of a stream.
  std::chrono::milliseconds write_timeout{60'000};
  /// For another node of the cluster to answer a question; a command takes what it takes.
  std::chrono::milliseconds node_timeout{60'000};
  std::chrono::milliseconds keep_alive_interval{15'000}; ///< Of comments in a stream.
  /// For clients to take the ends of their streams when the server stops.
  std::chrono::milliseconds stop_timeout{5'000};

  server_options() = default;
};

} // namespace fermata::service
