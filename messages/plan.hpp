#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/limits.hpp>

namespace fermata {

/// How often something that failed is tried again by itself, and how long after. Only failures that
/// are said to be retryable are; while it backs off, nothing but a timer exists.
struct retry_policy {
  std::uint32_t max_attempts = 1; ///< In all; 1: nothing is tried again.
  std::chrono::milliseconds initial_backoff{1'000};
  std::chrono::milliseconds max_backoff{3'600'000};

  retry_policy() = default;
  retry_policy(std::uint32_t attempts, std::chrono::milliseconds initial,
               std::chrono::milliseconds longest)
      : max_attempts{attempts}, initial_backoff{initial}, max_backoff{longest} {}
  friend bool operator==(const retry_policy&, const retry_policy&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("max_attempts", &retry_policy::max_attempts),
                      optional_field("initial_backoff_ms", &retry_policy::initial_backoff),
                      optional_field("max_backoff_ms", &retry_policy::max_backoff)};
  }
};

/// How long to back off after attempt number `failed` (from 1): `initial_backoff`, doubled with
/// each further attempt up to `max_backoff`, of which a half is fixed and the other half is scaled
/// by `random` ("equal jitter"; Marc Brooker, Exponential Backoff And Jitter, AWS, 2015).
[[nodiscard]] std::chrono::milliseconds backoff_after(const retry_policy& policy,
                                                      std::uint32_t failed, std::uint64_t random);

/// One unit of work of a plan, as proposed.
struct subtask_spec {
  subtask_id id;
  std::string description;
  agent_name agent;                   ///< Absent: `script`.
  std::vector<subtask_id> depends_on; ///< Ids of subtasks that must be done or skipped before.
  json steps;         ///< For agent `script`: the tool calls; see agents/script.hpp.
  json result;        ///< For agent `script`: the final result.
  json parameters;    ///< For other agents: whatever they define.
  retry_policy retry; ///< What becomes of a failure that its agent calls retryable.
  /// How long one attempt may take from its start, pauses included; then it fails, and is tried
  /// again as `retry` says. 0: for ever.
  std::chrono::milliseconds time_limit{0};

  subtask_spec() = default;
  friend bool operator==(const subtask_spec&, const subtask_spec&) = default;
  static constexpr auto fields() {
    return field_list{field("id", &subtask_spec::id),
                      optional_field("description", &subtask_spec::description),
                      optional_field("agent", &subtask_spec::agent),
                      optional_field("depends_on", &subtask_spec::depends_on),
                      optional_field("steps", &subtask_spec::steps),
                      optional_field("result", &subtask_spec::result),
                      optional_field("parameters", &subtask_spec::parameters),
                      optional_field("retry", &subtask_spec::retry),
                      optional_field("time_limit_ms", &subtask_spec::time_limit)};
  }
};

/// Who answers a call: the host, with a `tool_result` message; the runtime, which runs the tool; or
/// a person, who is asked a question.
enum class tool_kind : std::uint8_t { client, server, person };
constexpr std::array<std::string_view, 3> enum_names(tool_kind) {
  return {"client", "server", "person"};
}

/// A client tool that a plan brings along.
struct tool_declaration {
  tool_kind kind = tool_kind::client; ///< Must be `client`.
  std::string description;
  json schema; ///< The JSON Schema (draft 7) of the arguments; absent: any object.

  tool_declaration() = default;
  friend bool operator==(const tool_declaration&, const tool_declaration&) = default;
  static constexpr auto fields() {
    return field_list{optional_field("kind", &tool_declaration::kind),
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
    return field_list{field("goal", &plan_spec::goal), field("subtasks", &plan_spec::subtasks),
                      optional_field("tools", &plan_spec::tools)};
  }
};

/// Reads a plan file. Errors: `invalid_json` with line and column, `invalid_field` with the path,
/// `invalid_id`, `limit_exceeded` (plan_size_bytes).
[[nodiscard]] result<plan_spec> parse_plan(std::string_view text, const limits& limits = {});

/// Errors: `invalid_field`, `limit_exceeded` (subtask_attempts, timer_horizon).
[[nodiscard]] caf::error check_retry(const retry_policy& policy, const limits& limits);

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

/// pending -> running -> done | failed | backing_off; backing_off -> pending (its timer, or retry);
/// failed, cancelled -> pending (retry) | skipped; pending <-> blocked; any open one -> cancelled
enum class subtask_status : std::uint8_t {
  pending,
  blocked,
  running,
  done,
  failed,
  skipped,
  cancelled,
  backing_off ///< It failed and will be tried again when its timer fires.
};
constexpr std::array<std::string_view, 8> enum_names(subtask_status) {
  return {"pending", "blocked", "running", "done", "failed", "skipped", "cancelled", "backing_off"};
}

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<retry_policy>;
extern template struct struct_codec<subtask_spec>;
extern template struct struct_codec<tool_declaration>;
extern template struct struct_codec<plan_spec>;

} // namespace fermata::detail
