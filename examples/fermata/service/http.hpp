#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/json.hpp>
#include <fermata/messages/redaction.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// HTTP messages as plain data: what the routes see of them.
namespace fermata::service {

/// A request that has arrived as a whole. A header that is absent is empty.
struct http_request {
  std::string method;
  std::string target;
  std::string accept;
  std::string content_type;
  std::string last_event_id;
  std::string body;

  http_request() = default;
};

struct http_response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers; ///< Beyond those of every response.
  std::string body;

  http_response() = default;
};

[[nodiscard]] http_response json_response(const json& body);

/// `{"error": name, "message": message}`. For what only HTTP knows; all else has an `errc`.
[[nodiscard]] http_response error_response(unsigned status, std::string_view name,
                                           std::string_view message);

/// The same for an error of Fermata, with the status that it has in HTTP, and as clients are shown
/// it: a message quotes what it refuses.
[[nodiscard]] http_response error_response(const caf::error& error, const redactor& redaction);

/// The object that tells of an error, in a response or in a stream.
[[nodiscard]] json error_object(const caf::error& error, const redactor& redaction);

/// What an error is in HTTP: 4xx when the client can do something about it.
[[nodiscard]] unsigned http_status_of(errc code) noexcept;

/// What a client would rather have as the answer to a command.
enum class answer_form {
  events,  ///< A stream of events until the session pauses.
  receipt, ///< The receipt as JSON.
  neither  ///< The client accepts none of the two.
};

/// Reads an `Accept` header (RFC 9110, 12.5.1). An absent one accepts anything; of two that are
/// accepted alike, the one that is named goes before a wildcard, and the first before the second.
[[nodiscard]] answer_form preferred_form(std::string_view accept);

/// True for `application/json`, with any parameters.
[[nodiscard]] bool is_json(std::string_view content_type);

} // namespace fermata::service
