#pragma once

#include <fermata/actors/core/decide.hpp>

/// What the session core knows of tools and calls, for its decisions.
namespace fermata::core {

/// A tool as a session sees it: registered with the runtime, declared by the plan, or the question
/// that every runtime has.
struct known_tool {
  const tool* registered = nullptr;
  const tool_declaration* declared = nullptr;

  [[nodiscard]] tool_kind kind() const;
  [[nodiscard]] std::uint32_t version() const { return registered ? registered->version : 1; }
  [[nodiscard]] bool idempotent() const { return registered && registered->idempotent; }
  [[nodiscard]] const json& schema() const;
  /// The digest of a plan's declaration, which has no version; empty: the runtime has the tool.
  [[nodiscard]] std::string declaration() const;
};

/// `declared`: what the plan declares.
[[nodiscard]] std::optional<known_tool>
find_tool(const std::map<std::string, tool_declaration>& declared, const tool_name& name,
          const tool_registry& tools);

[[nodiscard]] caf::error no_such_tool(const tool_name& name);

/// What identifies the thing that a call changes, as it is now; empty: it changes none.
[[nodiscard]] result<std::string> fingerprint_of(const known_tool& tool, const json& arguments,
                                                 const session_data& data);

/// Checks a result before it becomes part of a record: depth, size, UTF-8. A registered tool may
/// have a limit of its own.
[[nodiscard]] caf::error check_result(const json& content, const environment& env,
                                      const tool* of = nullptr);

/// Checks arguments as they would run: an object, within the limit, fitting the schema.
[[nodiscard]] caf::error check_arguments(const known_tool& tool, const json& arguments,
                                         const environment& env);

/// Checks a point in time that a host or an agent names. Errors: `invalid_field` for one that has
/// passed, `limit_exceeded` (timer_horizon).
[[nodiscard]] caf::error check_time(std::string_view what, timestamp at, const environment& env);

/// Cuts what a program says in a message of its own to the limit of texts.
[[nodiscard]] std::string shortened(std::string text, const environment& env);

/// An error as the result of a call that failed.
[[nodiscard]] json error_content(const caf::error& error, const environment& env);

[[nodiscard]] event_body answered(std::uint64_t call, tool_answer answer, std::string by = {});

/// Who works on the running subtask: its own agent, or who it was handed over to. Empty: none runs.
[[nodiscard]] agent_name current_agent(const session_data& data);

/// What the policy and the decisions that are remembered say about a call.
struct call_ruling {
  policy_ruling policy;
  const remembered_record* remembered = nullptr; ///< Decides where the policy asks.

  [[nodiscard]] policy_action action() const;
  /// As `call_proposed::ruled_by`.
  [[nodiscard]] std::string name() const;
};
[[nodiscard]] call_ruling rule_on(const session_data& data, const tool_name& name,
                                  const known_tool& tool, const json& arguments,
                                  const environment& env);

/// The error for what a rule denies; `what` begins the message.
[[nodiscard]] caf::error denied(std::string what, const policy_ruling& ruling);

/// The result of a call that is rejected (P4).
[[nodiscard]] tool_answer rejection(const std::string& feedback);

/// Where a call goes that nobody has to decide on any more.
[[nodiscard]] call_status granted_status(tool_kind kind);

/// Every open call of the running attempt gets its synthetic result (P4).
void end_open_calls(const session_data& data, call_outcome outcome, const std::string& reason,
                    std::vector<event_body>& events);

/// The content of a synthetic result.
[[nodiscard]] json synthetic_content(call_outcome outcome, const std::string& reason);

/// Asks again about an open call: its digest is that of what would run now.
[[nodiscard]] event_body asked_again(const session_data& data, const call_record& call,
                                     std::uint32_t revision, std::string reason,
                                     const environment& env);

/// What an approval of a call approves, for a plan's revision (P9): as `fermata::digest_of` an
/// object of `arguments`, `call`, `fingerprint`, `incarnation`, `revision`, `tool` and
/// `tool_version`, which is not made for it.
[[nodiscard]] std::string approval_digest(const session_data& data, std::uint64_t call,
                                          std::uint32_t revision, const tool_name& tool,
                                          std::uint32_t tool_version, const json& arguments,
                                          const std::string& fingerprint);

/// What tells one answer to a call from another (P4): as `fermata::digest_of` its JSON.
[[nodiscard]] std::string digest_of_answer(const tool_answer& answer);

} // namespace fermata::core
