#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/storage/store.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// A look at a store with another build before that goes live.
namespace fermata {

/// Something of a session that would not go on with these agents and tools.
struct preflight_finding {
  session_id session;                ///< Empty: it cannot be told; `why` has the session's number.
  std::optional<subtask_id> subtask; ///< Of a plan in force or of one to decide on.
  std::optional<call_id> call;       ///< That is open.
  /// `unknown_agent`, or what an agent's `check` says: the subtask will fail. `unknown_tool`: the
  /// call, or a step that makes one, will fail. `invalid_arguments`: those of an open call of a
  /// server tool do not fit the tool's schema any more, and would run all the same.
  /// `stale_approval`: such a tool has another version, so that somebody is asked again. Of the
  /// whole session: what keeps it from being loaded (`store_corrupt`, `store_too_new`).
  caf::error why;

  preflight_finding() = default;
  /// `session s1, subtask build, call s1:c3: ...`, as people read it.
  [[nodiscard]] std::string text() const;
};

struct preflight_report {
  std::uint64_t sessions = 0;              ///< That are not over: those that were looked at.
  std::vector<preflight_finding> findings; ///< In the order of the sessions' numbers, by state.
  bool is_complete = true; ///< False: there was more than `limit` to say, and it was not looked on.

  preflight_report() = default;
};

/// Looks at all sessions of a store that are not over, as an activation reads them, and lists what
/// would keep each from going on if a runtime with these agents and tools took over: subtasks that
/// are not over and their agents, the tools that they are known to call, and open calls. Nothing is
/// changed, and the store's owner goes on meanwhile; each page of sessions is read as of one
/// moment.
///
/// Linear in the sessions that are not over and in their plans; some hundred of them are in memory
/// at a time, one by one. Errors: those of `store::read` and of the index of sessions.
[[nodiscard]] result<preflight_report> preflight(store& of, const agent_registry& agents,
                                                 const tool_registry& tools,
                                                 std::size_t limit = 10'000);

} // namespace fermata
