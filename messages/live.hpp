#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace fermata {

enum class live_kind : std::uint8_t {
  text,     ///< `content` is a string: a part of what an agent is about to say.
  progress, ///< `content` is what a running tool reports.
  restarted ///< The step runs again: what was shown of it is void. `content` is null.
};
constexpr std::array<std::string_view, 3> enum_names(live_kind) {
  return {"text", "progress", "restarted"};
}

/// Something to show while it happens. It is neither recorded nor numbered, and may be lost: the
/// session's events have the whole of it when it is over.
struct live_update {
  session_id session;
  subtask_id subtask;          ///< Empty for progress.
  std::optional<call_id> call; ///< For progress.
  live_kind kind = live_kind::text;
  json content;
  std::uint64_t after = 0; ///< The number of the session's last event by then: it comes behind it.

  live_update() = default;
  friend bool operator==(const live_update&, const live_update&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &live_update::session),
                      optional_field("subtask", &live_update::subtask),
                      optional_field("call", &live_update::call),
                      field("kind", &live_update::kind),
                      field("content", &live_update::content),
                      field("after", &live_update::after)};
  }
};

/// A node asks another one for the live updates of a session, which come as `live_batch`es from
/// then on. The answer is one too, without updates: it comes when there will be no more. Errors:
/// `node_unavailable` when the session lives elsewhere by then, `shutting_down`.
struct listen_live {
  static constexpr const char* wire_name = "fermata::listen_live";
  /// So much may be on its way, or untold of, at a time; what is said beyond it is dropped. A part
  /// that is larger by itself is dropped always.
  static constexpr std::uint64_t max_updates = 64;
  static constexpr std::uint64_t max_size_bytes = 256 * 1024;

  session_id session;
  std::uint64_t reader = 0; ///< Which of the asking actor's readers it is.

  listen_live() = default;
  listen_live(session_id of, std::uint64_t which) : session{std::move(of)}, reader{which} {}
  friend bool operator==(const listen_live&, const listen_live&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &listen_live::session),
                      field("reader", &listen_live::reader)};
  }
};

/// The actor's reader listens no more.
struct unlisten_live {
  static constexpr const char* wire_name = "fermata::unlisten_live";
  session_id session;
  std::uint64_t reader = 0;

  unlisten_live() = default;
  unlisten_live(session_id of, std::uint64_t which) : session{std::move(of)}, reader{which} {}
  friend bool operator==(const unlisten_live&, const unlisten_live&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &unlisten_live::session),
                      field("reader", &unlisten_live::reader)};
  }
};

struct live_batch {
  static constexpr const char* wire_name = "fermata::live_batch";
  session_id session;
  std::uint64_t reader = 0;
  std::uint64_t dropped = 0; ///< How many there were before these that are not here.
  std::vector<live_update> updates;
  std::uint64_t size_bytes = 0; ///< Of their contents.

  live_batch() = default;
  friend bool operator==(const live_batch&, const live_batch&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &live_batch::session), field("reader", &live_batch::reader),
                      optional_field("dropped", &live_batch::dropped),
                      optional_field("updates", &live_batch::updates),
                      optional_field("size_bytes", &live_batch::size_bytes)};
  }
};

/// The actor's reader has taken so much of what came: there is room for more.
struct live_taken {
  static constexpr const char* wire_name = "fermata::live_taken";
  session_id session;
  std::uint64_t reader = 0;
  std::uint64_t updates = 0;
  std::uint64_t size_bytes = 0;

  live_taken() = default;
  friend bool operator==(const live_taken&, const live_taken&) = default;
  static constexpr auto fields() {
    return field_list{field("session", &live_taken::session), field("reader", &live_taken::reader),
                      field("updates", &live_taken::updates),
                      field("size_bytes", &live_taken::size_bytes)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<live_update>;
extern template struct struct_codec<listen_live>;
extern template struct struct_codec<unlisten_live>;
extern template struct struct_codec<live_batch>;
extern template struct struct_codec<live_taken>;

} // namespace fermata::detail
