#pragma once

#include <fermata/messages/events.hpp>
#include <fermata/messages/ids.hpp>

#include <cstddef>

namespace fermata {

/// What part of a session's life a chunk tells about, for hosts that show only some.
enum class chunk_kind : std::uint8_t {
  status,  ///< The session moved to another state, was created or activated.
  plan,    ///< A plan was proposed or started.
  subtask, ///< A subtask started or ended, sleeps or goes on.
  call, ///< A tool call was proposed, claimed or answered. One that is `awaiting_result` is handed
        ///< out to the host.
  approval,   ///< Somebody is asked about a call, or has decided on a plan or a call.
  text,       ///< An agent or a user said something.
  input,      ///< A person is asked a question.
  error,      ///< A subtask failed, or a proposed plan is none.
  completion, ///< A plan ended: completed, failed or cancelled.
};
constexpr std::array<std::string_view, 9> enum_names(chunk_kind) {
  return {"status", "plan", "subtask", "call", "approval", "text", "input", "error", "completion"};
}

/// One numbered piece of what a host's stream shows: a committed event with its session. Chunks of
/// a session are numbered as its events are, from 1 without gaps, so that a host that knows the
/// last number it has seen goes on from there. Where events were dropped (`trim_history`), they
/// begin with a greater number.
struct chunk {
  static constexpr const char* wire_name = "fermata::chunk";
  session_id session;
  std::uint64_t number = 0;
  timestamp at;
  chunk_kind kind = chunk_kind::status;
  event_body body;

  chunk() = default;
  chunk(session_id of, event fact);
  friend bool operator==(const chunk&, const chunk&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &chunk::session), field("number", &chunk::number),
                      field("at", &chunk::at), field("kind", &chunk::kind),
                      field("body", &chunk::body)};
  }
};

[[nodiscard]] chunk_kind kind_of(const event_body& body);

/// An actor asks the directory for the chunks of a session from number `first` on. The answer is a
/// `chunk_batch` as soon as there is at least one; ask again from behind its last. The first of
/// them has a greater number where what was asked for was dropped. Errors: `unknown_session`, also
/// when the session is deleted meanwhile, or has made room for another one of its id;
/// `shutting_down`, those of the store, `node_unavailable`, `overloaded` where as many wait as
/// `limits::followers` allows.
struct follow_chunks {
  static constexpr const char* wire_name = "fermata::follow_chunks";
  session_id session;
  std::uint64_t first = 1;
  std::uint32_t limit = 256;   ///< At most so many in one answer; 1 to 1,024.
  bool await_creation = false; ///< True: a session that does not exist is waited for.
  std::uint64_t reader = 0; ///< Which of the asking actor's readers it is, for `unfollow_chunks`.
  /// Which of the sessions that have had this id, as a `chunk_batch` has said; 0: the one that
  /// there is when it is asked for, or, where it is waited for, the next one.
  std::uint64_t incarnation = 0;
  /// True: the answer comes as soon as there is a session, also without chunks, to say which.
  bool identify = false;

  follow_chunks() = default;
  follow_chunks(session_id of, std::uint64_t from) : session{std::move(of)}, first{from} {}
  friend bool operator==(const follow_chunks&, const follow_chunks&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &follow_chunks::session),
                      field("first", &follow_chunks::first),
                      optional_field("limit", &follow_chunks::limit),
                      optional_field("await_creation", &follow_chunks::await_creation),
                      optional_field("reader", &follow_chunks::reader),
                      optional_field("incarnation", &follow_chunks::incarnation),
                      optional_field("identify", &follow_chunks::identify)};
  }
};

/// The actor's reader does not wait for chunks any more: its answer is a batch of none.
struct unfollow_chunks {
  static constexpr const char* wire_name = "fermata::unfollow_chunks";
  session_id session;
  std::uint64_t reader = 0;

  unfollow_chunks() = default;
  unfollow_chunks(session_id of, std::uint64_t which) : session{std::move(of)}, reader{which} {}
  friend bool operator==(const unfollow_chunks&, const unfollow_chunks&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &unfollow_chunks::session),
                      field("reader", &unfollow_chunks::reader)};
  }
};

/// Some chunks, all of one session: as many as were asked for at most, and not more than end with
/// the one by which their records have `max_size_bytes`.
struct chunk_batch {
  static constexpr const char* wire_name = "fermata::chunk_batch";
  static constexpr std::size_t max_size_bytes = 256 * 1024;

  std::vector<chunk> chunks;
  /// Which of the sessions that have had this id; 0: the reader does not wait any more.
  std::uint64_t incarnation = 0;
  std::uint64_t last = 0; ///< The number of its last event by then.

  chunk_batch() = default;
  friend bool operator==(const chunk_batch&, const chunk_batch&) = default;
  static constexpr auto fields() {
    return field_list{field("chunks", &chunk_batch::chunks),
                      optional_field("incarnation", &chunk_batch::incarnation),
                      optional_field("last", &chunk_batch::last)};
  }
};

/// An actor asks the directory for a session's `session_status`. Errors: `unknown_session`, those
/// of the store.
struct status_query {
  static constexpr const char* wire_name = "fermata::status_query";
  session_id session;

  status_query() = default;
  explicit status_query(session_id of) : session{std::move(of)} {}
  friend bool operator==(const status_query&, const status_query&) = default;
  static constexpr auto fields() { return field_list{field("session", &status_query::session)}; }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<chunk>;
extern template struct struct_codec<follow_chunks>;
extern template struct struct_codec<unfollow_chunks>;
extern template struct struct_codec<chunk_batch>;
extern template struct struct_codec<status_query>;

} // namespace fermata::detail
