#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/limits.hpp>

namespace fermata {

/// One unit of work of a plan, as proposed.
struct subtask_spec {
  subtask_id id;
  std::string description;
  agent_name agent;                   ///< Absent: `script`.
  std::vector<subtask_id> depends_on; ///< Ids of subtasks that must be done or skipped before.
  json steps;      ///< For agent `script`: the tool calls; see agents/script.hpp.
  json result;     ///< For agent `script`: the final result.
  json parameters; ///< For other agents: whatever they define.

  subtask_spec() = default;
  friend bool operator==(const subtask_spec&, const subtask_spec&) = default;
  static constexpr auto fields() {
    return std::tuple{field("id", &subtask_spec::id),
                      optional_field("description", &subtask_spec::description),
                      optional_field("agent", &subtask_spec::agent),
                      optional_field("depends_on", &subtask_spec::depends_on),
                      optional_field("steps", &subtask_spec::steps),
                      optional_field("result", &subtask_spec::result),
                      optional_field("parameters", &subtask_spec::parameters)};
  }
};

/// Who runs a tool: the runtime, or the host, which answers with a `tool_result` message.
enum class tool_kind : std::uint8_t { client, server };
constexpr std::array<std::string_view, 2> enum_names(tool_kind) {
  return {"client", "server"};
}

/// A client tool that a plan brings along.
struct tool_declaration {
  tool_kind kind = tool_kind::client; ///< Must be `client`.
  std::string description;
  json schema; ///< The JSON Schema (draft 7) of the arguments; absent: any object.

  tool_declaration() = default;
  friend bool operator==(const tool_declaration&, const tool_declaration&) = default;
  static constexpr auto fields() {
    return std::tuple{optional_field("kind", &tool_declaration::kind),
                      optional_field("description", &tool_declaration::description),
                      optional_field("schema", &tool_declaration::schema)};
  }
};

/// A plan as proposed: the format of plan files.
struct plan_spec {
  std::string goal;
  std::vector<subtask_spec> subtasks;
  std::map<std::string, tool_declaration> tools;

  plan_spec() = default;
  friend bool operator==(const plan_spec&, const plan_spec&) = default;
  static constexpr auto fields() {
    return std::tuple{field("goal", &plan_spec::goal), field("subtasks", &plan_spec::subtasks),
                      optional_field("tools", &plan_spec::tools)};
  }
};

/// Reads a plan file. Errors: `invalid_json` with line and column, `invalid_field` with the path,
/// `invalid_id`, `limit_exceeded` (plan_size_bytes).
[[nodiscard]] result<plan_spec> parse_plan(std::string_view text, const limits& limits = {});

/// Checks what a plan says of itself. Errors: `empty_plan`, `duplicate_subtask`,
/// `unknown_dependency`, `self_dependency`, `dependency_cycle` (the message names the cycle),
/// `limit_exceeded`, `invalid_field`, `invalid_id`. Whether its agents and tools exist is the
/// runtime's to check.
[[nodiscard]] caf::error check_plan(const plan_spec& plan, const limits& limits);

/// draft -> approved -> in_progress -> completed | failed | cancelled; draft -> rejected |
/// cancelled
enum class plan_status : std::uint8_t {
  draft,
  approved,
  in_progress,
  completed,
  failed,
  cancelled,
  rejected
};
constexpr std::array<std::string_view, 7> enum_names(plan_status) {
  return {"draft", "approved", "in_progress", "completed", "failed", "cancelled", "rejected"};
}

/// pending -> running -> done | failed; failed -> pending (retry) | skipped; pending <-> blocked;
/// any open one -> cancelled
enum class subtask_status : std::uint8_t {
  pending,
  blocked,
  running,
  done,
  failed,
  skipped,
  cancelled
};
constexpr std::array<std::string_view, 7> enum_names(subtask_status) {
  return {"pending", "blocked", "running", "done", "failed", "skipped", "cancelled"};
}

} // namespace fermata
