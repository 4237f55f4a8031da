#include "pause.hpp"

#include "continuation.hpp"
#include "render.hpp"
#include "tools.hpp"

#include <fermata/actors/queries.hpp>

#include <algorithm>

namespace fermata::command_line {

namespace {

caf::error add_plan(records& from, pause_view& view) {
  const auto& session = view.status.session;
  const auto& shown = *view.status.plan;
  auto plan = from.plan(session, shown.revision);
  if (!plan)
    return std::move(plan.error());
  view.plan = std::move(*plan);
  if (shown.status != plan_status::draft)
    return caf::none;
  auto diff = from.difference(session, shown.revision);
  if (!diff)
    return std::move(diff.error());
  if (diff->replaces == 0)
    return caf::none;
  auto before = from.plan(session, diff->replaces);
  if (!before)
    return std::move(before.error());
  replan_view replan;
  replan.diff = std::move(*diff);
  replan.before = std::move(*before);
  view.replan = std::move(replan);
  return caf::none;
}

/// A plan comes before the calls of the one that it may take the place of.
bool comes_first(const pending_item& one, const pending_item& other) {
  if (one.waiting_for != other.waiting_for)
    return one.waiting_for < other.waiting_for;
  return one.kind == pending_kind::plan && other.kind != pending_kind::plan;
}

} // namespace

result<pause_view> look_at(records& from, const session_id& session) {
  auto status = from.status(session);
  if (!status)
    return std::move(status.error());
  auto items = from.pending(session);
  if (!items)
    return std::move(items.error());
  pause_view view;
  view.workspace = status->workspace;
  view.elsewhere = from.elsewhere(session);
  view.status = std::move(*status);
  view.items = std::move(*items);
  std::stable_sort(view.items.begin(), view.items.end(), comes_first);
  if (view.status.plan)
    if (auto error = add_plan(from, view))
      return error;
  return view;
}

void show_proposal(console& out, const pause_view& view) {
  if (view.replan) {
    show_plan_diff(out, view.replan->diff, view.replan->before, view.plan);
    out.say("All of the revision:");
  }
  show_plan(out, view.plan);
}

void show_pause(console& out, const arguments& given, const pause_view& view) {
  out.say();
  // A plan that waits for its decision is shown below, with what it is going to do.
  if (view.status.state == session_state::awaiting_plan_decision)
    show_state(out, view.status);
  else
    show_status(out, view.status);
  const auto tools = make_tools_for_showing();
  for (const auto& item : view.items) {
    out.print("pending", item);
    if (out.as_json())
      continue;
    out.say();
    show_pending(out, item, tools, view.workspace, view.elsewhere);
    if (item.kind == pending_kind::plan)
      show_proposal(out, view);
  }
  const auto lines = continuations(given, view.status, view.items);
  if (lines.empty())
    return;
  out.say();
  out.say("It continues with:");
  for (const auto& line : lines)
    out.say("  " + line);
}

} // namespace fermata::command_line
