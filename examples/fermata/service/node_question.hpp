#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/ids.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

/// What the services of two nodes ask each other, by `cluster_node::request`: JSON on one line,
/// with a text as it is behind it.
namespace fermata::service {

/// How far a stream has come; the node that shows it keeps it, and the session's node goes on from
/// it.
struct stream_position {
  std::uint64_t next = 1;   ///< The number of the next event.
  std::uint64_t number = 0; ///< Of the session that is read; 0: it has not been looked for yet.
  bool seems_paused = true;
  bool is_over = false;

  stream_position() = default;
  friend bool operator==(const stream_position&, const stream_position&) = default;
  static constexpr auto fields() {
    return field_list{field("next", &stream_position::next),
                      field("number", &stream_position::number),
                      field("seems_paused", &stream_position::seems_paused),
                      optional_field("is_over", &stream_position::is_over)};
  }
};

enum class question_kind : std::uint8_t {
  route,   ///< What a GET request is answered with.
  piece,   ///< The next piece of a stream.
  position ///< How many events a session has; 0: there is none.
};
constexpr std::array<std::string_view, 3> enum_names(question_kind) {
  return {"route", "piece", "position"};
}

struct node_question {
  question_kind kind = question_kind::route;
  std::string target; ///< Of the request, with its query.
  std::string last_event_id;
  session_id session;    ///< Of a piece or a position.
  stream_position from;  ///< Of a piece.
  bool to_pause = false; ///< The stream ends with the next pause.

  node_question() = default;
  static constexpr auto fields() {
    return field_list{field("kind", &node_question::kind),
                      optional_field("target", &node_question::target),
                      optional_field("last_event_id", &node_question::last_event_id),
                      optional_field("session", &node_question::session),
                      optional_field("from", &node_question::from),
                      optional_field("to_pause", &node_question::to_pause)};
  }
};

struct node_answer {
  std::uint32_t status = 200; ///< Of a response, whose body is `text`; 0: a stream is to be shown.
  std::string content_type;
  std::uint64_t events = 0; ///< A position; of a stream, the number of its first event.
  stream_position reached;  ///< By a piece, which is `text`.
  std::string text;         ///< Travels behind the fields.

  node_answer() = default;
  static constexpr auto fields() {
    return field_list{field("status", &node_answer::status),
                      optional_field("content_type", &node_answer::content_type),
                      optional_field("events", &node_answer::events),
                      optional_field("reached", &node_answer::reached)};
  }
};

[[nodiscard]] std::string to_bytes(const node_question& question);
[[nodiscard]] std::string to_bytes(const node_answer& answer);

/// Unknown fields, of a newer version, are passed over. Errors: `invalid_json`, `invalid_field`.
[[nodiscard]] result<node_question> parse_question(std::string_view bytes);
[[nodiscard]] result<node_answer> parse_answer(std::string_view bytes);

} // namespace fermata::service
