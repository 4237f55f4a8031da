#include <fermata/actors/sim/session_operator.hpp>

#include <fermata/actors/queries.hpp>
#include <fermata/actors/sim/sample.hpp>

#include <algorithm>

namespace fermata::sim {

using milliseconds = std::chrono::milliseconds;

namespace {

/// After so many looks at one session he does not retry any more but gives up what fails.
constexpr std::uint32_t patient_turns = 12;
/// Nor does he retry a subtask that was attempted so often.
constexpr std::uint32_t patient_attempts = 4;

constexpr milliseconds settled_stuck_after = std::chrono::hours{1};

std::vector<subtask_id> with_status(const session_status& status,
                                    std::initializer_list<subtask_status> wanted) {
  std::vector<subtask_id> found;
  for (const auto& one : status.subtasks)
    if (std::find(wanted.begin(), wanted.end(), one.status) != wanted.end())
      found.push_back(one.id);
  return found;
}

/// One of them; where there is none, one that does not exist.
subtask_id some_of(const std::vector<subtask_id>& subtasks, seeded_random& random) {
  return subtasks.empty() ? *subtask_id::parse("nothing") : subtasks[random.below(subtasks.size())];
}

/// The plan that is drafted or in force, with a few changes.
std::optional<plan_spec> revised(const world& in, const session_id& session,
                                 seeded_random& random) {
  auto plan = query_plan(*in.store(in.home(session)).clone(), session);
  if (!plan)
    return std::nullopt;
  auto& changed = plan->subtasks[random.below(plan->subtasks.size())];
  switch (random.below(4)) {
  case 0:
    plan->goal += ", better";
    break;
  case 1:
    changed.description += " (again, with care)";
    break;
  case 2:
    changed.retry.max_attempts = 3;
    break;
  default: {
    subtask_spec more;
    more.id = *subtask_id::parse("more-" + std::to_string(plan->subtasks.size()));
    more.depends_on.push_back(changed.id);
    more.result = "one more";
    if (std::none_of(plan->subtasks.begin(), plan->subtasks.end(),
                     [&](const subtask_spec& one) { return one.id == more.id; }))
      plan->subtasks.push_back(std::move(more));
  }
  }
  return std::move(*plan);
}

template <class Command>
Command signed_by(const std::string& name, Command body) {
  body.by = name;
  return body;
}

} // namespace

session_operator::session_operator(std::string name, operator_character character,
                                   std::shared_ptr<outside> effects, std::string node)
    : participant{std::move(name), std::move(node), {wait_cause::outcome}},
      character_{character}, effects_{std::move(effects)} {}

// -- what became of calls -------------------------------------------------------------------------

std::optional<participant::milliseconds> session_operator::came_up(world& in, const task& what) {
  return whims(in, what.item.id).between(character_.least_thought, character_.most_thought);
}

std::optional<ticket> session_operator::act(world& in, const task& what, const caf::error&) {
  const auto call = *call_id::parse(what.item.id);
  auto random = whims(in, what.item.id + "/outcome");
  resolve_outcome body{call, outcome_resolution::failed};
  if (auto result = effects_ ? effects_->result_of(call) : std::nullopt) {
    body.resolution = outcome_resolution::happened;
    body.content = std::move(*result);
  } else if (random.chance(character_.reruns)) {
    body.resolution = outcome_resolution::rerun;
  } else {
    body.reason = "nothing was done";
  }
  body.by = name();
  auto said = say(in, what.item.session, body);
  if (what.attempts == 0 && random.chance(character_.double_clicks))
    std::ignore = say(in, what.item.session, body);
  return said;
}

// -- what he notices ------------------------------------------------------------------------------

void session_operator::stored(world& in, const stored_commit& what) {
  participant::stored(in, what);
  for (const auto& one : what.events)
    notice(in, what.session, one);
}

void session_operator::notice(world& in, const session_id& session, const event& one) {
  const auto forget_claim = [&](std::uint64_t call) { sessions_[session].claimed.erase(call); };
  if (const auto* moved = std::get_if<state_changed>(&one.body)) {
    notice_state(in, session, moved->to);
  } else if (const auto* claimed = std::get_if<call_claimed>(&one.body)) {
    sessions_[session].claimed[claimed->call] = claimed->run;
    watch_run(in, session, claimed->call, claimed->run);
  } else if (const auto* proposed = std::get_if<call_proposed>(&one.body)) {
    sessions_[session].last_call = proposed->call;
  } else if (const auto* answered = std::get_if<call_answered>(&one.body)) {
    forget_claim(answered->call);
  } else if (const auto* unknown = std::get_if<outcome_unknown>(&one.body)) {
    forget_claim(unknown->call);
  } else if (const auto* backed_off = std::get_if<call_backed_off>(&one.body)) {
    forget_claim(backed_off->call);
  } else if (const auto* again = std::get_if<call_asked_again>(&one.body)) {
    forget_claim(again->call);
  } else if (const auto* started = std::get_if<subtask_started>(&one.body)) {
    auto& begun = sessions_[session].subtasks;
    if (std::find(begun.begin(), begun.end(), started->subtask) == begun.end())
      begun.push_back(started->subtask);
  } else if (std::holds_alternative<plan_started>(one.body)) {
    sessions_[session].subtasks.clear();
  } else if (std::holds_alternative<plan_proposed>(one.body)) {
    meddle_after(in, session);
  }
}

void session_operator::notice_state(world& in, const session_id& session, session_state state) {
  auto& mind = sessions_[session];
  mind.state = state;
  if (state != session_state::needs_attention && state != session_state::suspended
      && state != session_state::planning)
    return;
  auto random = whims(in, session.str() + "/need/" + std::to_string(mind.turns));
  attend_after(in, session, random.between(character_.least_thought, character_.most_thought));
}

void session_operator::look_at(world& in, const session_id& session) {
  participant::look_at(in, session);
  const auto status = in.status(session);
  if (!status)
    return;
  for (const auto& one : status->subtasks)
    if (one.attempts > 0)
      sessions_[session].subtasks.push_back(one.id);
  notice_state(in, session, status->state);
  meddle_after(in, session);
}

void session_operator::watch_run(world& in, const session_id& session, std::uint64_t call,
                                 std::uint32_t run) {
  if (character_.stuck_after.count() == 0)
    return;
  const auto delay =
      settled() ? std::min(settled_stuck_after, character_.stuck_after) : character_.stuck_after;
  in.after(delay, [this, &in, session, call, run] {
    const auto& claimed = sessions_[session].claimed;
    const auto found = claimed.find(call);
    if (found == claimed.end() || found->second != run)
      return;
    std::ignore =
        say(in, session, signed_by(name(), cancel_call{call_id{session, call}, "it is stuck"}));
    watch_run(in, session, call, run);
  });
}

void session_operator::settle(world& in) {
  participant::settle(in);
  for (auto& [session, one] : sessions_) {
    for (const auto& [call, run] : one.claimed)
      watch_run(in, session, call, run);
    attend_after(in, session, character_.least_thought);
  }
}

// -- sessions in need -----------------------------------------------------------------------------

void session_operator::attend_after(world& in, const session_id& session, milliseconds delay) {
  if (std::exchange(sessions_[session].attended, true))
    return;
  in.after(delay, [this, &in, session] { attend(in, session); });
}

/// Looks whether the session still needs somebody, does something about it, and looks again a while
/// later.
void session_operator::attend(world& in, const session_id& session) {
  auto& mind = sessions_[session];
  mind.attended = false;
  auto body = remedy(in, session, mind);
  if (!body)
    return;
  std::ignore = say(in, session, std::move(*body));
  const auto about = session.str() + "/again/" + std::to_string(mind.turns++);
  attend_after(in, session,
               whims(in, about).between(character_.least_thought, character_.most_thought)
                   + patience(0));
}

/// What a session needs now; nothing: it needs nobody.
std::optional<command> session_operator::remedy(const world& in, const session_id& session,
                                                const known& mind) const {
  switch (mind.state) {
  case session_state::suspended:
    return resume_session{name()};
  case session_state::planning: {
    auto random = whims(in, session.str() + "/revise/" + std::to_string(mind.turns));
    if (mind.turns < 2 * patient_turns)
      if (auto plan = revised(in, session, random))
        return revise_plan{std::move(*plan)};
    return signed_by(name(), cancel_plan{"it was sent back too often"});
  }
  case session_state::needs_attention: {
    const auto status = in.status(session);
    return status ? help(in, *status, mind.turns) : std::nullopt;
  }
  default:
    return std::nullopt;
  }
}

std::optional<command> session_operator::help(const world& in, const session_status& status,
                                              std::uint32_t turn) const {
  auto random = whims(in, status.session.str() + "/help/" + std::to_string(turn));
  const auto stuck = with_status(status, {subtask_status::failed, subtask_status::cancelled});
  const auto chosen = random.below(20);
  if (stuck.empty() || turn >= 2 * patient_turns || (chosen == 0 && !settled()))
    return signed_by(name(), fail_plan{"it is no use"});
  if (chosen == 1 && !settled())
    return signed_by(name(), cancel_plan{"it is not needed any more"});
  if (chosen <= 4 && !settled())
    if (auto plan = revised(in, status.session, random))
      return revise_plan{std::move(*plan)};
  const auto& id = stuck[random.below(stuck.size())];
  const auto one = std::find_if(status.subtasks.begin(), status.subtasks.end(),
                                [&](const auto& subtask) { return subtask.id == id; });
  if (chosen <= 12 && turn < patient_turns && one->attempts < patient_attempts)
    return signed_by(name(), retry_subtask{id});
  auto skip = signed_by(name(), skip_subtask{id});
  skip.reason = "it can do without";
  return skip;
}

// -- meddling -------------------------------------------------------------------------------------

void session_operator::meddle_after(world& in, const session_id& session) {
  auto& mind = sessions_[session];
  if (character_.meddles_every.count() == 0 || settled() || mind.meddled_with)
    return;
  mind.meddled_with = true;
  auto random = whims(in, session.str() + "/meddle-at/" + std::to_string(mind.meddlings));
  in.after(random.between(character_.meddles_every / 8, character_.meddles_every * 15 / 8),
           [this, &in, session] { meddle(in, session); });
}

void session_operator::meddle(world& in, const session_id& session) {
  auto& mind = sessions_[session];
  mind.meddled_with = false;
  if (settled() || accepts_new_plan(mind.state))
    return; // the next plan brings him back
  auto random = whims(in, session.str() + "/meddle/" + std::to_string(mind.meddlings++));
  auto body = random.chance(character_.nonsense) ? nonsense(in, session, random)
                                                 : meddling(in, session, random);
  if (body)
    std::ignore = say(in, session, std::move(*body));
  meddle_after(in, session);
}

call_id session_operator::some_call(const world& in, const session_id& session,
                                    seeded_random& random) const {
  const auto& mind = sessions_.at(session);
  // Rather one that is under way than one of the past.
  if (random.chance(0.4) && !mind.claimed.empty())
    return {session, mind.claimed.begin()->first};
  for (const auto& item : in.pending(session))
    if (item.kind != pending_kind::plan && random.chance(0.6))
      return *call_id::parse(item.id);
  return {session, 1 + random.below(std::max<std::uint64_t>(mind.last_call, 1))};
}

std::optional<command> session_operator::meddling(const world& in, const session_id& session,
                                                  seeded_random& random) const {
  const auto& subtasks = sessions_.at(session).subtasks;
  const auto soon = in.now() + random.between(milliseconds{1'000}, std::chrono::hours{12});
  switch (random.below(26)) {
  case 0:
  case 1:
    return signed_by(name(), suspend_session{"a look at it first"});
  case 2:
  case 3: {
    auto body = signed_by(name(), suspend_session{"until later"});
    body.until = soon;
    return body;
  }
  case 4:
    return resume_session{name()};
  case 5:
    return signed_by(name(), cancel_plan{"something else came up"});
  case 6:
  case 7:
    return signed_by(name(), cancel_subtask{some_of(subtasks, random), "not this one"});
  case 8:
  case 9:
  case 10:
    return signed_by(name(), cancel_call{some_call(in, session, random), "it takes too long"});
  case 11:
    return signed_by(name(), retry_subtask{some_of(subtasks, random)});
  case 12:
    return signed_by(name(), skip_subtask{some_of(subtasks, random)});
  case 13:
    return signed_by(name(), set_deadline{soon});
  case 14:
  case 15:
    return signed_by(name(), set_deadline{soon, some_of(subtasks, random)});
  case 16:
    return signed_by(name(), set_deadline{std::nullopt});
  case 17:
  case 18:
    return signed_by(name(), post_message{"how is it going?"});
  case 19:
  case 20:
    if (auto plan = revised(in, session, random))
      return revise_plan{std::move(*plan)};
    return std::nullopt;
  case 21:
    return signed_by(name(), forget_decision{1 + random.below(3)});
  default:
    if (effects_)
      for (const auto& document : effects_->documents(session.str() + "/"))
        effects_->change(document);
    return std::nullopt;
  }
}

command session_operator::nonsense(const world& in, const session_id& session,
                                   seeded_random& random) const {
  const call_id call{session, sessions_.at(session).last_call + 1 + random.below(100)};
  switch (random.below(12)) {
  case 0:
    return signed_by(name(), cancel_call{call, "it was never called"});
  case 1:
    return decide_call{call, call_verdict::approve};
  case 2:
    return signed_by(name(), retry_subtask{*subtask_id::parse("nothing")});
  case 3:
    return signed_by(name(), set_deadline{in.now()});
  case 4:
    return signed_by(name(), set_deadline{in.now() + max_duration});
  case 5:
    return signed_by(name(), post_message{""});
  case 6:
    return decide_plan{1'000'000, plan_verdict::approve};
  case 7:
    return signed_by(name(), forget_decision{1'000'000});
  case 8:
    return resolve_outcome{some_call(in, session, random), outcome_resolution::rerun};
  case 9:
    return answer_question{some_call(in, session, random), "an answer to no question"};
  case 10:
    return decide_calls{};
  default: {
    plan_spec another;
    another.goal = "a second plan beside the first";
    another.subtasks.emplace_back().id = *subtask_id::parse("only");
    return propose_plan{std::move(another)};
  }
  }
}

} // namespace fermata::sim
