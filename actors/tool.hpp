#pragma once

#include <fermata/actors/coro/task.hpp>
#include <fermata/messages/tool_call.hpp>
#include <fermata/storage/store.hpp>

#include <caf/fwd.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

namespace fermata {

/// What a running tool is given. Borrowed for the duration of the run.
struct tool_context {
  call_id call;
  session_number incarnation = 0;
  std::string idempotency_key; ///< The same for every run of one call: `<incarnation>/<call id>`.
  json arguments;              ///< Checked against the tool's schema.
  std::filesystem::path workspace; ///< The session's folder; empty when it has none.
  /// The fingerprint of what a person approved; nothing when nobody had to. A tool that changes
  /// something compares it with what it finds at the moment of use, and returns `stale_approval`
  /// instead of running on something else.
  std::optional<std::string> approved_fingerprint;
  std::stop_token
      stop; ///< Asks the tool to end early: the runtime stops, or the call was cancelled.

  tool_context() = default;
};

/// Runs on a thread of the blocking pool. An error becomes a failed result that the agent sees, but
/// `stale_approval`, which asks the person again. Exceptions are caught and become `tool_failed`.
using blocking_tool = std::function<result<json>(const tool_context&)>;

/// Runs as a coroutine on the tool worker's actor, which is `self` for `coro::ask` and
/// `coro::delay`. Failures are thrown as `coro::failure`. The context outlives the task.
using coroutine_tool =
    std::function<coro::task<json>(caf::event_based_actor* self, const tool_context&)>;

/// A tool that agents can call.
struct tool {
  tool_name name;
  std::string description;
  /// The JSON Schema (draft 7) of the arguments. Null: any object.
  json schema;
  /// Part of what an approval approves; raise it when the meaning of the arguments changes.
  std::uint32_t version = 1;
  /// Running it twice with one idempotency key does no more than running it once. Then an open
  /// claim found at recovery is re-run without asking (P8).
  bool idempotent = false;
  /// How the runtime runs it. `std::monostate`: a client tool, which the host runs and answers with
  /// a `tool_result`.
  std::variant<std::monostate, blocking_tool, coroutine_tool> run;
  /// For a tool that changes a thing: identifies the present content of that thing, as a person is
  /// shown it. Must be quick; called from actors. Its value is part of the approval's digest (P9).
  std::function<result<std::string>(const json& arguments, const std::filesystem::path& workspace)>
      fingerprint;
  /// What a person needs to see to judge the call: a diff for a file write, a command line for a
  /// command. Plain text that is not escaped yet; whoever shows it escapes it.
  std::function<std::string(const json& arguments, const std::filesystem::path& workspace)> preview;

  tool() = default;
  [[nodiscard]] tool_kind kind() const noexcept {
    return std::holds_alternative<std::monostate>(run) ? tool_kind::client : tool_kind::server;
  }
};

/// The tools of a runtime. Filled before the runtime starts, read-only and shared by all its
/// threads afterwards.
class tool_registry {
public:
  /// Errors: `invalid_field` for a second tool of one name, or a schema that is not one.
  [[nodiscard]] caf::error add(tool added);

  /// Nothing when there is none of that name. Valid as long as the registry.
  [[nodiscard]] const tool* find(const tool_name& name) const noexcept;

  [[nodiscard]] const std::map<tool_name, tool>& all() const noexcept { return tools_; }

private:
  std::map<tool_name, tool> tools_;
};

} // namespace fermata
