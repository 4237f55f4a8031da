#include <fermata/actors/sim/monitors/ledger.hpp>

#include <fermata/actors/coro/frames.hpp>
#include <fermata/actors/queries.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace fermata::sim {

namespace {

/// The plan of a proposal is in the records of its commit, not in the event.
event with_plan(event fact, const commit& raw) {
  auto& proposed = std::get<plan_proposed>(fact.body);
  for (const auto& one : raw.records) {
    if (one.key.kind != record_kind::subtask_spec || one.key.group != proposed.revision
        || !one.value)
      continue;
    if (auto spec = from_record<subtask_spec>(*one.value))
      proposed.plan.subtasks.push_back(std::move(*spec));
  }
  return fact;
}

/// True for a proposal as it is decoded from the store.
bool lacks_plan(const event& fact) {
  const auto* proposed = std::get_if<plan_proposed>(&fact.body);
  return proposed != nullptr && proposed->plan.subtasks.empty();
}

/// For a history that may come from elsewhere, where other limits held.
limits no_limits() {
  constexpr auto most = std::numeric_limits<std::uint32_t>::max();
  limits made;
  made.calls_per_step = made.subtask_entries = made.remembered_decisions = made.late_results =
      made.plan_messages = most;
  return made;
}

noted_event note(const event_body& body) {
  noted_event noted;
  noted.type = static_cast<std::uint8_t>(body.index());
  noted.subject = std::visit(
      [](const auto& one) -> std::uint64_t {
        if constexpr (requires { one.decision; })
          return one.decision;
        else if constexpr (requires { one.call; })
          return one.call;
        else if constexpr (requires { one.revision; })
          return one.revision;
        else
          return 0;
      },
      body);
  return noted;
}

} // namespace

ledger::ledger(const world& of) : frames_before_{coro::live_frames()} {
  for (const auto& name : of.nodes())
    look_at(of, name);
}

void ledger::look_at(const world& of, const std::string& node) {
  const auto& options = of.options(node);
  auto& known = nodes_[node];
  known.limits = options.limits;
  known.policy = options.policy.spec();
  known.passivate_after = options.passivate_after;
  known.clock_check_interval = options.clock_check_interval;
  known.fires_timers = options.fire_timers;
  known.active = of.elapsed();
}

void ledger::interrupt(const std::string& node, bool wakes_sessions) {
  for (auto& known : sessions_)
    if (known.node == node && known.is_busy && !wakes_sessions)
      known.is_interrupted = true;
  std::erase_if(running, [&](const auto& one) { return one.second == node; });
}

void ledger::move(std::uint32_t slot, const std::string& to) {
  for (const auto index : by_slot_[slot]) {
    auto& known = sessions_[index];
    if (known.node == to)
      continue;
    if (known.is_busy) {
      --nodes_[known.node].busy_sessions;
      ++nodes_[to].busy_sessions;
    }
    known.node = to;
    ++known.moves;
  }
}

known_session* ledger::find(const world& in, const session_id& session) {
  if (const auto found = places_.find(session); found != places_.end())
    return &sessions_[found->second];
  const auto status = in.status(session);
  if (!status)
    return nullptr;
  auto& added = add(session, in.home(session));
  load(in, added, status->events);
  return &added;
}

known_session& ledger::add(const session_id& session, const std::string& node) {
  auto& added = sessions_.emplace_back();
  added.index = sessions_.size() - 1;
  added.node = node;
  added.model = reference_session{session, nodes_[node].limits};
  places_.emplace(session, added.index);
  by_slot_[slot_of(session)].push_back(added.index);
  return added;
}

void ledger::load(const world& in, known_session& known, std::uint64_t events) {
  auto facts = in.events(known.model.id);
  facts.resize(std::min<std::size_t>(facts.size(), events));
  const auto copy = in.store(known.node).clone(); // has no faults
  for (auto& fact : facts)
    if (auto* proposed = std::get_if<plan_proposed>(&fact.body))
      if (auto plan = query_plan(*copy, known.model.id, proposed->revision))
        proposed->plan = std::move(*plan);
  // Where one transaction ended and the next began is not recorded, so what must be so between two
  // of them is not judged.
  const auto own_limits = std::exchange(known.model.limits, no_limits());
  for (const auto& fact : facts) {
    if ((known.flaw = apply(known.model, fact))) {
      known.model.limits = own_limits;
      return;
    }
    known.noted.push_back(note(fact.body));
    known.noted.back().state = known.model.recorded;
  }
  known.model.limits = own_limits;
  count_busy(known);
}

std::optional<contradiction> ledger::replay(const world& in, const stored_commit& what) {
  auto found = places_.find(what.session);
  if (found == places_.end()) {
    auto& added = add(what.session, in.shares_store() ? in.home(what.session) : what.node);
    if (what.raw.expected_events > 0)
      load(in, added, what.raw.expected_events);
    found = places_.find(what.session);
  }
  auto& known = sessions_[found->second];
  known.is_interrupted = false;
  if (known.model.deleted && what.raw.number == 0) {
    known.model = reference_session{what.session, known.model.limits};
    known.noted.clear();
    ++known.life;
  }
  if (!known.flaw) {
    replay(known, what);
    count_busy(known);
  }
  if (!known.flaw || std::exchange(known.flaw_is_told, true))
    return std::nullopt;
  return known.flaw;
}

void ledger::replay(known_session& known, const stored_commit& what) {
  const auto look = [&] {
    for (const auto& one : boundaries_)
      one(known);
  };
  const auto before = known.noted.size();
  begin_transaction(known.model);
  look();
  for (const auto& fact : what.events) {
    known.flaw =
        lacks_plan(fact) ? apply(known.model, with_plan(fact, what.raw)) : apply(known.model, fact);
    if (known.flaw)
      return;
    known.noted.push_back(note(fact.body));
    look();
  }
  for (auto i = before; i < known.noted.size(); ++i)
    known.noted[i].state = known.model.recorded;
  known.flaw = end_transaction(known.model);
}

void ledger::count_busy(known_session& known) {
  const auto& model = known.model;
  const bool is_busy =
      model.recorded == session_state::running || model.count_open(call_status::claimed) > 0;
  if (is_busy == std::exchange(known.is_busy, is_busy))
    return;
  auto& busy = nodes_[known.node].busy_sessions;
  is_busy ? ++busy : --busy;
}

std::size_t ledger::frames() {
  const auto now = coro::live_frames();
  frames_before_ = std::min(frames_before_, now); // another world has ended
  return now - frames_before_;
}

std::string about(const session_id& session, std::uint64_t event) {
  return "session " + session.str()
         + (event == 0 ? std::string{} : ", event " + std::to_string(event)) + ": ";
}

} // namespace fermata::sim
