#pragma once

#include <fermata/actors/coro/task.hpp>
#include <fermata/messages/tool_call.hpp>
#include <fermata/storage/store.hpp>

#include <caf/fwd.hpp>

#include <chrono>
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
  /// Asks the tool to end early: its time is up, the call was cancelled, or the runtime stops.
  std::stop_token stop;
  std::uint32_t run = 1; ///< Which run of this call it is, from 1.
  /// Tells whoever watches how far the run is; not recorded. Any JSON of at most
  /// `limits::text_size_bytes`; what is more, or comes after `limits::progress_updates` of them, is
  /// dropped. Called from any thread until the run ends.
  std::function<void(json)> progress;

  tool_context() = default;
};

/// What a tool's `reconcile` found out about a run whose end is not known.
struct reconciliation {
  enum class verdict : std::uint8_t {
    unknown,       ///< It cannot tell: a person is asked.
    happened,      ///< The run did its work; `content` is its result.
    did_not_happen ///< It had no effect: the call runs again.
  };
  verdict found = verdict::unknown;
  json content;

  reconciliation() = default;
  static constexpr auto fields() {
    return field_list{field("found", &reconciliation::found),
                      optional_field("content", &reconciliation::content)};
  }
  [[nodiscard]] static reconciliation happened(json result) {
    reconciliation made;
    made.found = verdict::happened;
    made.content = std::move(result);
    return made;
  }
  [[nodiscard]] static reconciliation did_not_happen() {
    reconciliation made;
    made.found = verdict::did_not_happen;
    return made;
  }
};
constexpr std::array<std::string_view, 3> enum_names(reconciliation::verdict) {
  return {"unknown", "happened", "did_not_happen"};
}

/// Runs on a thread of the blocking pool. An error becomes a failed result that the agent sees, but
/// `stale_approval`, which asks the person again, and `tool_unavailable`, which is tried again as
/// the tool's `retry` says. Exceptions are caught and become `tool_failed`.
using blocking_tool = std::function<result<json>(const tool_context&)>;

/// Runs as a coroutine on the tool worker's actor (<caf/event_based_actor.hpp>), `self` for
/// `coro::ask` and `coro::delay`. Failures are thrown as `coro::failure`. The context outlives it.
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
  /// How long one run may take; 0: for ever. Then a coroutine is destroyed, and the call fails with
  /// `tool_timed_out`. A blocking function is asked to stop; if it does not end within
  /// `runtime_options::tool_grace`, its outcome is unknown (P8), and its thread is taken until it
  /// does end.
  std::chrono::milliseconds time_limit{0};
  /// The largest result as JSON text; 0: `limits::result_size_bytes`. More is a failed call.
  std::uint32_t result_size_bytes = 0;
  /// What becomes of `tool_unavailable`, and for an idempotent tool of `tool_timed_out` as well.
  retry_policy retry;
  /// Finds out what became of a run whose process died, so that no person need be asked (P8). Runs
  /// on the blocking pool, must only look, and may be called again. Absent: a person is asked.
  std::function<result<reconciliation>(const tool_context&)> reconcile;
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

namespace fermata::detail {

extern template struct struct_codec<reconciliation>;

} // namespace fermata::detail
