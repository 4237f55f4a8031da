#pragma once

#include <fermata/messages/errors.hpp>

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::command_line {

/// One event of a stream of server-sent events (the HTML standard, section 9.2).
struct sse_event {
  std::string name; ///< "message" where the stream gives none.
  std::string data;
  std::string id; ///< The last one that the stream gave, also with an earlier event.

  sse_event() = default;
};

/// Takes a stream of server-sent events apart, however it was cut into pieces. What it holds is
/// bounded, whatever the other side sends.
class sse_reader {
public:
  explicit sse_reader(std::size_t max_event_bytes) : max_event_bytes_{max_event_bytes} {}

  /// Reads on. Errors: `limit_exceeded` for a line, or an event, that is too large; then the stream
  /// cannot be read any further.
  [[nodiscard]] caf::error push(std::string_view bytes);

  /// The oldest event that is complete and was not taken yet.
  [[nodiscard]] std::optional<sse_event> take();

private:
  [[nodiscard]] caf::error end_line();
  void read_field(std::string_view name, std::string_view value);
  void dispatch();

  std::size_t max_event_bytes_;
  std::string line_;
  bool after_carriage_return_ = false; ///< A line feed that follows ends no line of its own.
  bool is_first_line_ = true;
  bool has_data_ = false;
  sse_event next_;
  std::deque<sse_event> complete_;
};

} // namespace fermata::command_line
