#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fermata {

/// What a session is doing; the last four are the terminal outcome of its last plan, from which a
/// new plan may be proposed just as from `idle`.
enum class session_state : std::uint8_t {
  idle,                   ///< No plan yet.
  planning,               ///< The plan was sent back; a new revision is awaited.
  awaiting_plan_decision, ///< A plan revision waits for a person.
  running,                ///< A step or a server tool is under way, or about to be.
  waiting,         ///< Nothing is under way; somebody outside must act: see `waiting_counts`.
  needs_attention, ///< A subtask failed and nothing else can run: retry, skip, replan, fail or
                   ///< cancel.
  suspended,       ///< An operator stopped it.
  completed,
  failed,
  cancelled,
  rejected,
};
constexpr std::array<std::string_view, 11> enum_names(session_state) {
  return {"idle",      "planning",  "awaiting_plan_decision",
          "running",   "waiting",   "needs_attention",
          "suspended", "completed", "failed",
          "cancelled", "rejected"};
}

/// True for the states in which no plan is live, so that a new one may be proposed.
[[nodiscard]] constexpr bool accepts_new_plan(session_state state) noexcept {
  return state == session_state::idle || state >= session_state::completed;
}

/// True when the session moves on without anybody outside.
[[nodiscard]] constexpr bool is_running(session_state state) noexcept {
  return state == session_state::running;
}

} // namespace fermata
