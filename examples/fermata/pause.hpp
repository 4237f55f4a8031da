#pragma once

#include "arguments.hpp"
#include "console.hpp"
#include "records.hpp"

#include <fermata/messages/plan.hpp>
#include <fermata/messages/plan_diff.hpp>
#include <fermata/messages/status.hpp>

#include <filesystem>
#include <optional>
#include <vector>

namespace fermata::command_line {

/// What a revision that waits for a decision does to the plan in progress.
struct replan_view {
  plan_diff diff;
  plan_spec before;

  replan_view() = default;
};

/// What a person is shown of a session that stands still, as it is once the store was let go.
struct pause_view {
  session_status status;
  std::vector<pending_item> items; ///< What is to be decided on first comes first.
  plan_spec plan;                  ///< The draft, else the one in force.
  std::optional<replan_view> replan;
  std::filesystem::path workspace;    ///< That calls are shown in.
  std::optional<node_name> elsewhere; ///< The node that has it; nothing: it is here.

  pause_view() = default;
};

/// Errors: `unknown_session`, those of the store.
[[nodiscard]] result<pause_view> look_at(records& from, const session_id& session);

/// Prints the proposed plan; of a replan what it changes first.
void show_proposal(console& out, const pause_view& view);

/// Prints where a session stands, what it waits for, and the commands that continue it; with
/// `--json` what it waits for.
void show_pause(console& out, const arguments& given, const pause_view& view);

} // namespace fermata::command_line
