#pragma once

#include <fermata/messages/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::test {

struct http_answer {
  int status = 0;
  std::map<std::string, std::string> headers; ///< By their names in lower case.
  std::string body;                           ///< Without the chunks that it came in.
  bool is_whole = false;                      ///< False: the connection ended before the body did.

  http_answer() = default;
  [[nodiscard]] json value() const;
  [[nodiscard]] std::string header(const std::string& name) const;
  /// The `error` of a refusal.
  [[nodiscard]] std::string error() const;
};

/// A server-sent event.
struct streamed_event {
  std::string name;
  std::optional<std::uint64_t> id;
  json data;

  streamed_event() = default;
};

using http_headers = std::vector<std::pair<std::string, std::string>>;

/// One connection to the service, as a plain blocking socket. Nothing waits longer than `patience`;
/// then it throws.
class http_client {
public:
  explicit http_client(const std::filesystem::path& socket);
  explicit http_client(std::uint16_t port);
  http_client(http_client&& other) noexcept;
  ~http_client();

  /// Sends bytes as they are. False: the other end does not take them any more.
  bool send(std::string_view bytes);

  /// Sends a request; with a body, as JSON unless `headers` say otherwise.
  void request(std::string_view method, std::string_view target, std::string_view body = {},
               const http_headers& headers = {});

  /// Reads a whole response; of a stream, all of it.
  [[nodiscard]] http_answer receive();

  /// `request` and `receive`.
  [[nodiscard]] http_answer call(std::string_view method, std::string_view target,
                                 std::string_view body = {}, const http_headers& headers = {});

  /// Reads the status and the headers of a response, whose body is a stream that is read by
  /// `next_event`.
  [[nodiscard]] http_answer receive_header();

  /// The next event of a stream. Nothing: it has ended, or was cut off.
  [[nodiscard]] std::optional<streamed_event> next_event();

  /// Reads the next thing of a stream. True: it is a comment, which `next_event` passes over.
  [[nodiscard]] bool next_is_comment();

  /// The rest of a stream.
  [[nodiscard]] std::vector<streamed_event> all_events();

  /// True: the stream that was read has come to its end, and was not cut off.
  [[nodiscard]] bool ended_well() const noexcept { return ended_well_; }

  /// Waits until the other end closes. False: it sent something first.
  [[nodiscard]] bool is_closed();

  /// Tells the other end that nothing more comes.
  void end_sending();

private:
  /// Reads more. False: the other end has closed.
  bool read_more();
  [[nodiscard]] std::optional<std::string> take_line();
  [[nodiscard]] bool need(std::size_t size);
  /// What stands before the next empty line of a stream.
  [[nodiscard]] std::optional<std::string> take_block();
  /// Reads a chunk of a body to the stream. False: there is none.
  bool read_chunk();

  int socket_ = -1;
  std::string received_;
  std::string stream_; ///< What `next_event` has not looked at yet.
  bool is_chunked_ = false;
  bool ended_ = false; ///< The stream has no more.
  bool ended_well_ = false;
};

/// The events of a whole stream, as text.
[[nodiscard]] std::vector<streamed_event> parse_events(std::string_view text);

/// Those of one name.
[[nodiscard]] std::vector<streamed_event> named_events(const std::vector<streamed_event>& events,
                                                       std::string_view name);

} // namespace fermata::test
