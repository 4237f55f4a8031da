#pragma once

#include <fermata/messages/ids.hpp>
#include <fermata/messages/json.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

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

  live_update() = default;
};

/// Called on the runtime's threads, several at once; must not block.
using live_observer = std::function<void(const live_update&)>;

} // namespace fermata
