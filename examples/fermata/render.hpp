#pragma once

#include "console.hpp"

#include <fermata/actors/queries.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/plan_diff.hpp>
#include <fermata/messages/status.hpp>

#include <string>
#include <vector>

/// How things look to a person. Everything from outside is escaped here; `show_...` also hide the
/// console's secrets, the others are given what it has `shown`.
namespace fermata::command_line {

/// JSON on one line, cut off at about `size_bytes`.
[[nodiscard]] std::string brief(const json& value, std::size_t size_bytes = 160);

/// Local time with its distance from UTC, to the second.
[[nodiscard]] std::string show_time(timestamp at);

/// What one event says, on one line, without number and time.
[[nodiscard]] std::string describe(const event& happened, const session_id& session);

/// What a decision that holds for later calls says, on one line.
[[nodiscard]] std::string describe_remembered(const remembered_record& decision);

/// Prints a plan as a tree: its goal, its subtasks, and what each is going to do.
void show_plan(console& out, const plan_spec& plan);

/// Prints what an approval of a revision, `after`, does to the plan in progress, `before`.
void show_plan_diff(console& out, const plan_diff& diff, const plan_spec& before,
                    const plan_spec& after);

/// Prints what a session is doing, on one line.
void show_state(console& out, const session_status& status);

/// Prints where a session stands: its state, the goal, and the tree of subtasks with what became of
/// each.
void show_status(console& out, const session_status& status);

/// How long something has waited, and how long it still may: `for 3 h (since ...), expires in 20
/// min (at ...)`.
[[nodiscard]] std::string describe_wait(const pending_item& item, timestamp now);

/// Prints one thing that waits so that a person can judge it: the diff of a file write, the command
/// line of a command, otherwise the arguments; the arguments also where a secret could be seen.
/// `workspace`: the session's. `elsewhere`: the node that has it, if it is not here: then only the
/// arguments are shown, for what is in a file here may not be what it is there.
void show_pending(console& out, const pending_item& item, const std::vector<tool>& tools,
                  const std::filesystem::path& workspace,
                  const std::optional<node_name>& elsewhere = {});

/// Takes a shown item (transcript.hpp).
void show_transcript_item(console& out, const transcript_item& item, const session_id& session);

/// Prints text of several lines behind a bar, which nothing in the text can leave.
void show_block(console& out, std::string_view text, bool is_diff = false);

} // namespace fermata::command_line
