#pragma once

#include <fermata/messages/fields.hpp>
#include <fermata/messages/plan.hpp>

namespace fermata {

/// Where a tool call stands. Waiting for a decision and waiting for a result are different states
/// (P5).
///
///     awaiting_decision -> awaiting_result (client) | queued (server) | answered (rejected)
///     a question: awaiting_answer -> answered
///     queued -> claimed -> answered | backing_off | awaiting_outcome | awaiting_decision (what was
///     approved has changed)
///     backing_off -> queued (its timer)
///     awaiting_outcome -> answered | queued (rerun)
///     any open one -> answered (cancelled; before it is claimed also: expired)
enum class call_status : std::uint8_t {
  awaiting_decision, ///< A person must approve, edit or reject it.
  awaiting_result,   ///< A client tool: the host must post its result.
  queued,            ///< A server tool: approved, waits for a free worker; not claimed.
  claimed,           ///< A server tool: claimed durably, running.
  awaiting_outcome, ///< A claim was found open at recovery: nobody knows whether the tool ran (P8).
  answered,         ///< It has its one result (P4).
  awaiting_answer,  ///< A question: a person must answer it.
  backing_off,      ///< A server tool: its run failed and is tried again when its timer fires.
};
constexpr std::array<std::string_view, 8> enum_names(call_status) {
  return {"awaiting_decision", "awaiting_result", "queued",          "claimed",
          "awaiting_outcome",  "answered",        "awaiting_answer", "backing_off"};
}

/// What kind of result a call got.
enum class call_outcome : std::uint8_t { succeeded, failed, rejected, expired, cancelled };
constexpr std::array<std::string_view, 5> enum_names(call_outcome) {
  return {"succeeded", "failed", "rejected", "expired", "cancelled"};
}

/// The tool that asks a person: every runtime has it, and its call is a question. Its arguments are
/// `question`, a text, and optionally `schema`, the JSON Schema (draft 7) of the answer.
[[nodiscard]] const tool_name& question_tool();

/// What an agent asks for.
struct tool_request {
  tool_name tool;
  json arguments; ///< An object.
  /// How long the call may wait for a decision, a result or an answer before it expires; 0: for
  /// ever, unless a rule of the policy says otherwise.
  std::chrono::milliseconds expires_after{0};

  tool_request() = default;
  tool_request(tool_name requested, json with_arguments)
      : tool{std::move(requested)}, arguments(std::move(with_arguments)) {}
  friend bool operator==(const tool_request&, const tool_request&) = default;
  static constexpr auto fields() {
    return field_list{field("tool", &tool_request::tool),
                      field("arguments", &tool_request::arguments),
                      optional_field("expires_after_ms", &tool_request::expires_after)};
  }
};

/// The one result of a call.
struct tool_answer {
  call_outcome outcome = call_outcome::succeeded;
  /// The tool's result; for the other outcomes what tells the agent why: `error` (a name of `errc`)
  /// and `message` where the runtime ran the tool. `may_have_taken_effect` (true) is there where
  /// nobody knows what became of an earlier run of the call: another call may repeat it.
  json content;

  tool_answer() = default;
  tool_answer(call_outcome kind, json result) : outcome{kind}, content(std::move(result)) {}
  friend bool operator==(const tool_answer&, const tool_answer&) = default;
  static constexpr auto fields() {
    return field_list{field("outcome", &tool_answer::outcome),
                      field("content", &tool_answer::content)};
  }
};

} // namespace fermata

namespace fermata::detail {

extern template struct struct_codec<tool_request>;
extern template struct struct_codec<tool_answer>;

} // namespace fermata::detail
