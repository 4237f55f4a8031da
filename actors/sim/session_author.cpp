#include <fermata/actors/sim/session_author.hpp>

#include <fermata/actors/sim/participant.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

/// How often he tries to delete what is held up by a run that has not ended.
constexpr std::uint32_t most_attempts = 20;

} // namespace

session_author::session_author(std::string name, std::vector<planned_session> sessions,
                               author_character character, std::string node)
    : name_{std::move(name)}, character_{character}, node_{std::move(node)} {
  for (auto& one : sessions) {
    auto& added = progress_[one.id];
    added.wanted = std::move(one);
  }
}

void session_author::begin(world& in) {
  for (auto& [id, one] : progress_)
    pursue_after(in, one, one.wanted.begins);
}

void session_author::stored(world& in, const stored_commit& what) {
  const auto found = progress_.find(what.session);
  if (found == progress_.end())
    return;
  auto& one = found->second;
  for (const auto& fact : what.events) {
    if (is_next_of(one, fact))
      move_on(one);
    if (std::holds_alternative<session_deleted>(fact.body)) {
      one.next = one.wanted.plans.size() + one.wanted.messages.size();
      one.tidied = true;
      one.tidying.clear();
    }
    const auto* moved = std::get_if<state_changed>(&fact.body);
    if (moved == nullptr)
      continue;
    one.live = !accepts_new_plan(moved->to);
    if (!one.live && !one.is_over())
      pursue_after(in, one,
                   whims(in, one, "pause").between(character_.least_pause, character_.most_pause));
    if (!one.live && one.is_over())
      tidy(in, one);
  }
}

void session_author::tidy(world& in, progress& of) {
  if (of.wanted.plans.empty() && of.wanted.messages.empty())
    return; // it was there before
  auto random = whims(in, of, "tidy");
  const auto pause = random.between(character_.least_pause, character_.most_pause);
  const bool trims = random.chance(character_.trims);
  const bool deletes = random.chance(character_.deletes);
  if ((!trims && !deletes) || std::exchange(of.tidied, true))
    return;
  if (deletes) {
    of.tidying.emplace_back(delete_session{"nobody needs it any more"});
    if (random.chance(character_.double_clicks))
      of.tidying.push_back(of.tidying.back());
  }
  if (trims) {
    of.tidying.emplace_back(trim_history{1 + random.below(40)});
    if (random.chance(character_.double_clicks))
      of.tidying.emplace_back(trim_history{random.below(40)});
  }
  of.said.reset();
  tidy_after(in, of, pause);
}

/// Says what is to be said, one after the other, each again until it is settled.
void session_author::tidy_after(world& in, progress& of, std::chrono::milliseconds delay) {
  in.after(delay, [this, &in, &of] {
    if (of.said && of.said->answer()
        && (*of.said->answer() || !may_pass(of.said->answer()->error()))) {
      const bool waits_for_run = !*of.said->answer()
                                 && is(of.said->answer()->error(), errc::not_allowed)
                                 && of.attempts < most_attempts;
      if (!waits_for_run && !of.tidying.empty()) {
        of.tidying.pop_back();
        of.attempts = 0;
      }
    }
    of.said.reset();
    if (of.tidying.empty())
      return;
    of.said = say(in, of.wanted.id, of.tidying.back());
    tidy_after(in, of, patience(of.attempts++));
  });
}

void session_author::look_at(world& in, const session_id& session) {
  auto& one = progress_[session];
  one.wanted.id = session;
  const auto status = in.status(session);
  one.live = status && !accepts_new_plan(status->state);
}

bool session_author::is_done() const noexcept {
  return std::none_of(progress_.begin(), progress_.end(), [](const auto& one) {
    return one.second.live || !one.second.is_over() || !one.second.tidying.empty();
  });
}

std::vector<session_id> session_author::unfinished() const {
  std::vector<session_id> open;
  for (const auto& [session, one] : progress_)
    if (one.live || !one.is_over())
      open.push_back(session);
  return open;
}

void session_author::pursue_after(world& in, progress& of, std::chrono::milliseconds delay) {
  if (of.is_over() || std::exchange(of.pursued, true))
    return;
  in.after(delay, [this, &in, &of] { pursue(in, of); });
}

/// Proposes what comes next, or finds out why that is not the time for it.
void session_author::pursue(world& in, progress& of) {
  of.pursued = false;
  if (of.said && of.said->answer() && !*of.said->answer()) {
    const auto& refused = of.said->answer()->error();
    if (!may_pass(refused) && !is(refused, errc::session_busy))
      move_on(of);
  }
  of.said.reset();
  if (of.is_over() || of.live)
    return; // the end of the plan that is live brings him back
  propose(in, of);
  pursue_after(in, of, patience(of.attempts++));
}

void session_author::propose(world& in, progress& of) {
  auto random = whims(in, of, "propose");
  const bool double_clicks = random.chance(character_.double_clicks);
  const bool badly = random.chance(character_.proposes_badly);
  if (of.attempts == 0 && badly && of.next < of.wanted.plans.size())
    std::ignore = say(in, of.wanted.id, propose_plan{spoiled(of.wanted.plans[of.next], random)});
  const auto body = next_of(of);
  of.said = say(in, of.wanted.id, body);
  if (of.attempts == 0 && double_clicks)
    std::ignore = say(in, of.wanted.id, body);
}

command session_author::next_of(const progress& of) {
  const auto& wanted = of.wanted;
  if (of.next < wanted.plans.size())
    return propose_plan{wanted.plans[of.next]};
  return post_message{wanted.messages[of.next - wanted.plans.size()]};
}

bool session_author::is_next_of(const progress& of, const event& one) {
  if (of.is_over())
    return false;
  const auto& wanted = of.wanted;
  if (of.next < wanted.plans.size()) {
    const auto* proposed = std::get_if<plan_proposed>(&one.body);
    return proposed != nullptr && proposed->goal == wanted.plans[of.next].goal;
  }
  const auto* said = std::get_if<message_received>(&one.body);
  return said != nullptr && said->text == wanted.messages[of.next - wanted.plans.size()];
}

void session_author::move_on(progress& of) {
  ++of.next;
  of.attempts = 0;
  of.said.reset();
}

ticket session_author::say(world& in, const session_id& session, command body) const {
  return in.send(session, std::move(body), node_);
}

seeded_random session_author::whims(const world& in, const progress& of,
                                    std::string_view about) const {
  return in.random(name_ + "/" + of.wanted.id.str() + "/" + std::to_string(of.next) + "/"
                   + std::string{about});
}

plan_spec spoiled(plan_spec plan, seeded_random& random) {
  const auto some = [&]() -> subtask_spec& {
    return plan.subtasks[random.below(plan.subtasks.size())];
  };
  plan.goal += " (badly)";
  switch (random.below(9)) {
  case 0:
    plan.subtasks.clear();
    break;
  case 1:
    plan.subtasks.push_back(some());
    break;
  case 2:
    some().depends_on.push_back(*subtask_id::parse("nobody"));
    break;
  case 3: {
    auto& one = some();
    one.depends_on = {one.id};
    break;
  }
  case 4: {
    subtask_spec other;
    other.id = *subtask_id::parse("circle");
    auto& one = some();
    one.depends_on.push_back(other.id);
    other.depends_on.push_back(one.id);
    plan.subtasks.push_back(std::move(other));
    break;
  }
  case 5:
    some().agent = *agent_name::parse("nobody");
    break;
  case 6: {
    auto& one = some();
    one.agent = {};
    one.parameters = nullptr;
    one.steps = json::array({{{"tool", "no_such_tool"}}});
    break;
  }
  case 7:
    some().retry.max_attempts = 0;
    break;
  default:
    plan.goal = std::string(100'000, 'x');
    break;
  }
  return plan;
}

} // namespace fermata::sim
