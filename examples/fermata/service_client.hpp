#pragma once

#include "sse_reader.hpp"

#include <fermata/messages/errors.hpp>
#include <fermata/messages/json.hpp>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

/// Talks to the service of a store: HTTP/1.1 over its Unix socket, one connection for each request.
namespace fermata::command_line {

struct service_request {
  std::string target; ///< Path and query.
  bool is_post = false;
  std::string accept = "application/json";
  std::optional<json> body;

  service_request() = default;
};

/// How long the other side may take.
struct service_patience {
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds answer{60'000};  ///< From the request to the head of the answer.
  std::chrono::milliseconds silence{60'000}; ///< Within an answer: four keep-alives.

  service_patience() = default;
};

/// A request, and the answer to it, which is read as it comes. Used by one thread.
///
/// Whatever waits looks for SIGINT and SIGTERM, and ends with `shutting_down` when one came. Other
/// errors of all members: `timed_out` when the connection broke, or nothing came in time, so that
/// what became of the request is not known; `internal` for what is no HTTP, or no answer;
/// `limit_exceeded` for an answer that is too large.
class service_exchange {
public:
  /// Connects, sends, and reads the head of the answer. Errors: also `store_unavailable` when
  /// nobody listens: then nothing was sent.
  [[nodiscard]] static result<service_exchange> start(const std::filesystem::path& socket,
                                                      const service_request& request,
                                                      const service_patience& patience = {});

  service_exchange(service_exchange&&) noexcept;
  service_exchange& operator=(service_exchange&&) noexcept;
  ~service_exchange();

  /// The HTTP status.
  [[nodiscard]] unsigned status() const;

  /// True when the answer is a stream of server-sent events.
  [[nodiscard]] bool is_stream() const;

  /// Reads the answer to its end, which has at most so many bytes.
  [[nodiscard]] result<std::string> read_all(std::size_t limit_bytes);

  /// Waits for the next event of a stream. Nothing: none came in time. Errors: `timed_out` also
  /// when the stream has ended.
  [[nodiscard]] result<std::optional<sse_event>> next(std::chrono::milliseconds timeout);

private:
  struct implementation;
  explicit service_exchange(std::unique_ptr<implementation>);
  std::unique_ptr<implementation> implementation_;
};

/// Asks, and reads the answer, which has at most so many bytes. Errors: those of
/// `service_exchange`; what the service refuses it with.
[[nodiscard]] result<std::string> ask_service(const std::filesystem::path& socket,
                                              const service_request& request,
                                              std::size_t limit_bytes,
                                              const service_patience& patience = {});

/// The socket of the service that owns a store: the one that it has written down in `service.json`
/// in the store's folder, else `service.sock` there. Nothing: no service answers there, or whoever
/// does owns another store, or does not say which. A service that was killed leaves `service.json`
/// behind, and its socket's path may be another's by now. Errors: `timed_out`, `overloaded` and
/// `shutting_down` where it cannot be told at the moment, or a signal came.
[[nodiscard]] result<std::optional<std::filesystem::path>>
find_service(const std::filesystem::path& store);

/// The error that an answer which is not 200 tells of: its `error` and `message`. An error that has
/// no name here is `internal`. Errors of reading it are returned in its place.
[[nodiscard]] caf::error refusal_of(service_exchange& answer);

/// The error that `{"error": NAME, "message": TEXT}` tells of.
[[nodiscard]] caf::error refusal_of(const json& body);

} // namespace fermata::command_line
