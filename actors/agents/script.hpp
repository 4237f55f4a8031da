#pragma once

#include <fermata/actors/agent.hpp>

namespace fermata {

/// The agent `script`, which needs no model: its subtask carries the tool calls to make, one after
/// the other.
///
///     "steps":  [{"tool": NAME, "arguments": {...}, "expires_after_ms": NUMBER,
///                 "on_error": "fail" | "continue", "on_rejected": "continue" | "fail"}, ...]
///                 (or {"calls": [{"tool", "arguments", "expires_after_ms"}, ...]} for several at
///                 once, or {"sleep_ms": NUMBER} to go on after so long, which can be days)
///     "result": any JSON; absent or null: the result of the last step, or null
///
/// Anywhere in arguments and result, an object with the only key "$ref" is replaced by the value
/// that its JSON Pointer (RFC 6901) names in
///
///     {"results": {<id of a dependency>: its result}, "steps": [result of the first step, ...],
///     "goal": ...}
///
/// so `{"$ref": "/results/collect/stdout"}` is part of what subtask `collect` left. A step of
/// several calls has an array as its result, one that slept null. A rejected call has `{"rejected":
/// true, "feedback":
/// ...}` as its result, and the script goes on, since a person rejected this call and not the
/// subtask; `"on_rejected": "fail"` fails the subtask instead. A failed call has
/// `{"error": ...}` and fails the subtask unless `"on_error": "continue"`; one that has expired or
/// was cancelled counts as failed. A failed or expired call fails the subtask in a way that may
/// pass by itself, so a subtask with `retry` makes all its calls again; not so one whose run was
/// cut off at its tool's time limit, since it may have taken effect (P8).
///
/// A person is asked with the tool `ask_human`, whose arguments are `question` and `schema`.
///
/// What a reference names is data: a `{"$ref": ...}` in it stays as it is. There is no way to write
/// an object of that form literally.
///
/// A reference that names nothing fails the subtask when it is needed. Refused when the plan is
/// proposed: a reference to a subtask that is not a dependency, or to a step that does not come
/// before, and a field that is missing, unknown or of the wrong type (`invalid_field`; `invalid_id`
/// for a tool's name), with the path to it as in `steps[1].arguments.path`.
[[nodiscard]] agent script_agent();

} // namespace fermata
