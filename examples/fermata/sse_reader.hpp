#pragma once

#include <fermata/messages/errors.hpp>

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
  /// `signal`: the name of events that only say that something happened. Their data may be as large
  /// as it likes: it is dropped, and they have none. Empty: there are no such events.
  explicit sse_reader(std::size_t max_event_bytes, std::string signal = {})
      : max_event_bytes_{max_event_bytes}, signal_{std::move(signal)} {}

  /// Reads on, a piece that the caller could hold as well. Errors: `limit_exceeded` for a line, or
  /// an event, that is too large; then the stream cannot be read any further.
  [[nodiscard]] caf::error push(std::string_view bytes);

  /// The oldest event that is complete and was not taken yet.
  [[nodiscard]] std::optional<sse_event> take();

private:
  [[nodiscard]] caf::error add_to_line(std::string_view part);
  [[nodiscard]] bool is_signal() const { return !signal_.empty() && next_.name == signal_; }
  [[nodiscard]] caf::error end_line();
  void read_field(std::string_view name, std::string_view value);
  void dispatch();

  std::size_t max_event_bytes_;
  std::string signal_;
  std::string line_;
  bool after_carriage_return_ = false; ///< A line feed that follows ends no line of its own.
  bool is_first_line_ = true;
  bool has_data_ = false;
  sse_event next_;
  std::deque<sse_event> complete_;
};

} // namespace fermata::command_line
