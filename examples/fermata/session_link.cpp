#include "session_link.hpp"

#include "inputs.hpp"

namespace fermata::command_line {

namespace {

constexpr std::string_view approved_by = "--approve all";

command approve(const pending_item& item, const approval_id& id) {
  if (const auto* plan = std::get_if<plan_id>(&id)) {
    decide_plan decision{plan->revision(), plan_verdict::approve};
    decision.by = approved_by;
    return decision;
  }
  decide_call decision{std::get<call_id>(id), call_verdict::approve};
  decision.by = approved_by;
  decision.digest = item.digest;
  return decision;
}

/// What somebody else did in the meantime, or what changed: looking again tells what to do.
bool is_outdated(const caf::error& error) {
  return is(error, errc::stale_approval) || is(error, errc::already_decided)
         || is(error, errc::superseded);
}

struct approvals {
  std::size_t asked = 0;
  std::size_t approved = 0;
};

result<approvals> approve_pending(session_link& link, records& from, const session_id& session) {
  const auto items = from.pending(session);
  if (!items)
    return items.error();
  approvals counted;
  for (const auto& item : *items) {
    const auto id = parse_approval_id(item.id);
    if (item.waiting_for != wait_cause::decision || !id)
      continue;
    const auto answer = link.send(approve(item, *id));
    if (!answer && !is_outdated(answer.error()))
      return answer.error();
    ++counted.asked;
    counted.approved += answer ? 1 : 0;
  }
  return counted;
}

} // namespace

result<halt> approve_all(session_link& link, records& from, const session_id& session, halt at) {
  // A call whose target changes all the time would be asked for again and again.
  for (int fruitless = 0; at == halt::paused && fruitless < 3;) {
    const auto approved = approve_pending(link, from, session);
    if (!approved)
      return approved.error();
    if (approved->asked == 0)
      break;
    fruitless = approved->approved == 0 ? fruitless + 1 : 0;
    const auto next = link.follow();
    if (!next)
      return next;
    at = *next;
  }
  return at;
}

} // namespace fermata::command_line
