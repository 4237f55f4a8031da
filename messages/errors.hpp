#pragma once

#include <caf/atom.hpp>
#include <caf/error.hpp>
#include <caf/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata {

/// Everything that Fermata refuses or reports, by name. The names are part of the interface
/// (`"error"` in the JSON output of the command); the numbers travel in CAF messages and are never
/// reused.
enum class errc : std::uint8_t {
  // Input that cannot be understood.
  invalid_json =
      1, ///< Not JSON, duplicate keys, nested too deeply; the message gives line and column.
  invalid_field = 2, ///< A field is missing, unknown, of the wrong type or out of its range.
  invalid_id = 3,    ///< An id is empty, too long or has a character that ids do not have.
  limit_exceeded =
      4, ///< Something is larger than a limit; the message names the limit and its value.
  // Plans.
  empty_plan = 10,         ///< A plan without subtasks.
  duplicate_subtask = 11,  ///< Two subtasks with one id.
  unknown_dependency = 12, ///< A subtask depends on an id that is not in the plan.
  self_dependency = 13,    ///< A subtask depends on itself.
  dependency_cycle = 14,   ///< Subtasks depend on each other in a circle, which the message names.
  unknown_agent = 15,      ///< No agent of that name is registered.
  unknown_tool = 16,       ///< No tool of that name is registered or declared by the plan.
  invalid_arguments = 17,  ///< Arguments that do not fit the tool's JSON Schema.
  // Sessions.
  unknown_session = 30,  ///< No session of that id exists.
  unknown_subtask = 31,  ///< The plan has no subtask of that id.
  unknown_call = 32,     ///< The session has no tool call of that id.
  unknown_approval = 33, ///< There is no plan revision of that number to decide on.
  session_busy = 34,     ///< The session has a live plan; a second one is refused.
  not_allowed = 35,      ///< The command does not fit the state; the message lists what is allowed.
  not_approved = 36,     ///< A result for a call that nobody has approved yet.
  already_answered = 37, ///< The call has another result already.
  already_decided = 38,  ///< Another decision was made already.
  superseded = 39,       ///< The decision is about an older revision of the plan.
  stale_approval = 40,   ///< What was shown is not what would run now; look at it again.
  unknown_chunk = 41,    ///< A stream was asked for from a number that does not exist yet.
  invalid_answer = 42,   ///< An answer does not fit the question's JSON Schema.
  denied_by_policy = 43, ///< The policy denies it; the message names the rule.
  unknown_decision = 44, ///< The session remembers no decision of that number.
  // Running.
  agent_failed = 50,      ///< An agent threw, or returned a step that cannot be taken.
  tool_failed = 51,       ///< A tool ended with an error of its own.
  outside_workspace = 52, ///< A path leaves the workspace.
  tool_timed_out = 53,    ///< A tool ran longer than its time limit.
  tool_unavailable = 54,  ///< A tool could not do it now; it may be tried again.
  model_failed = 55,      ///< A language model did not answer, or with something that is no answer.
  deadline_passed = 56,   ///< A subtask or plan was not over at its deadline.
  // The runtime and its environment.
  overloaded = 70,       ///< Too much is waiting already; try again later.
  shutting_down = 71,    ///< The runtime is stopping.
  timed_out = 72,        ///< No answer in time; whether the command was applied is not known.
  node_unavailable = 73, ///< The node where the session lives cannot be reached; nothing was done.
  peer_refused = 74,  ///< Two nodes do not belong together; the message says in what they differ.
  cannot_listen = 75, ///< A node cannot take connections at its address.
  other_store = 76,   ///< A store is not the one that is expected, or that the cluster has.
  store_busy = 80,    ///< Another process owns the store; the message names its pid.
  store_unavailable = 81, ///< The store's directory cannot be created, opened or written.
  store_corrupt = 82,     ///< The store fails its checks; the message says which.
  store_too_new = 83,     ///< The store was written by a newer version.
  disk_full = 84,         ///< A commit failed because the disk is full; nothing of it was applied.
  io_error = 85,          ///< A commit failed; nothing of it is acknowledged.
  conflict = 86,          ///< A commit was decided on a state that is not the stored one any more.
  internal = 99,          ///< A defect of Fermata.
};

/// CAF's name for our errors: the category of every `caf::error` that Fermata makes.
inline constexpr caf::atom_value error_category = caf::atom("fermata");

/// The name of a code, as in `enum class errc`.
[[nodiscard]] std::string_view name_of(errc code) noexcept;

/// CAF renders our errors with it.
[[nodiscard]] std::string to_string(errc code);

/// Makes an error that a stranger can act on: `message` says what was refused, why, and what would
/// be accepted.
[[nodiscard]] caf::error make_error(errc code, std::string message);
[[nodiscard]] caf::error make_error(errc code);

/// True when `error` is ours and has this code.
[[nodiscard]] bool is(const caf::error& error, errc code) noexcept;

/// Our code for any error: those of CAF become `timed_out`, `shutting_down` or `internal`.
[[nodiscard]] errc code_of(const caf::error& error) noexcept;

/// The human-readable message of an error; for errors of CAF, CAF's own text.
[[nodiscard]] std::string message_of(const caf::error& error);

/// A value, or the `caf::error` that explains why there is none.
template <class T>
using result = caf::expected<T>;

} // namespace fermata
