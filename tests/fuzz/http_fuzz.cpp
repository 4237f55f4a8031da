// Whatever bytes a client of the service sends, it gets an answer that is JSON or text, and nothing
// breaks.
#include "require.hpp"

#include "service/routes.hpp"

#include <fermata/storage/memory_store.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>

#include <string>

using namespace fermata;
namespace http = boost::beast::http;

namespace {

/// A request as the service's connections take it from the wire; nothing: it is refused there.
std::optional<service::http_request> request_in(const std::uint8_t* data, std::size_t size) {
  http::request_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(8'192);
  parser.body_limit(4 * 1'024 * 1'024);
  boost::system::error_code failure;
  parser.put(boost::asio::buffer(data, size), failure);
  if (failure || !parser.is_header_done())
    return std::nullopt;
  const auto& got = parser.get();
  const auto text = [](boost::beast::string_view from) {
    return std::string{from.data(), from.size()};
  };
  service::http_request made;
  made.method = text(got.method_string());
  made.target = text(got.target());
  made.accept = text(got[http::field::accept]);
  made.content_type = text(got[http::field::content_type]);
  made.last_event_id = text(got["Last-Event-ID"]);
  made.body = got.body();
  return made;
}

void check_response(const service::http_response& response) {
  fuzz::require(response.status >= 200 && response.status < 600, "a response has a status");
  if (response.content_type == "application/json") {
    const auto body = parse_json(response.body);
    fuzz::require(body.engaged(), "a response is JSON");
    fuzz::require(response.status < 400 || body->contains("error") || response.status == 503,
                  "a refusal has a name");
  }
}

void check_command(const command& body) {
  const auto again = fermata::from_json<command>(to_json(body));
  fuzz::require(again && *again == body, "a command is the same after JSON");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static memory_store store;
  const auto request = request_in(data, size);
  if (!request)
    return 0;
  service::route_context context;
  context.store = &store;
  const auto made = service::route(*request, context);
  if (const auto* response = std::get_if<service::http_response>(&made))
    check_response(*response);
  if (const auto* order = std::get_if<service::command_order>(&made))
    if (order->body)
      check_command(*order->body);
  return 0;
}
