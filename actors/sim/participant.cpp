#include <fermata/actors/sim/participant.hpp>

#include <fermata/actors/sim/expectation.hpp>
#include <fermata/actors/sim/must.hpp>
#include <fermata/messages/fields.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

constexpr std::chrono::milliseconds first_patience{20'000};
constexpr std::uint32_t most_doublings = 5;

std::optional<wait_cause> cause_of(call_status status) {
  switch (status) {
  case call_status::awaiting_decision:
    return wait_cause::decision;
  case call_status::awaiting_result:
    return wait_cause::result;
  case call_status::awaiting_outcome:
    return wait_cause::outcome;
  case call_status::awaiting_answer:
    return wait_cause::answer;
  default:
    return std::nullopt;
  }
}

/// What a call waits for after an event; nothing: the event does not say.
std::optional<wait_cause> cause_of(const event& one, std::uint64_t call) {
  if (const auto* proposed = std::get_if<call_proposed>(&one.body))
    return proposed->call == call ? cause_of(proposed->status) : std::nullopt;
  if (const auto* decided = std::get_if<call_decided>(&one.body))
    return decided->call == call ? cause_of(decided->status) : std::nullopt;
  if (const auto* again = std::get_if<call_asked_again>(&one.body))
    return again->call == call ? std::optional{wait_cause::decision} : std::nullopt;
  if (const auto* unknown = std::get_if<outcome_unknown>(&one.body))
    return unknown->call == call ? std::optional{wait_cause::outcome} : std::nullopt;
  return std::nullopt;
}

/// What an entry of the pending index that was put waits for, as far as the commit's events tell,
/// so that only those who look after it have to decode it.
std::optional<wait_cause> cause_of(const stored_commit& what, std::uint64_t number) {
  if (number >= pending_plan_base)
    return wait_cause::decision;
  for (auto one = what.events.rbegin(); one != what.events.rend(); ++one)
    if (const auto cause = cause_of(*one, number))
      return cause;
  return std::nullopt;
}

/// The item's number in the pending index, by its id.
std::uint64_t number_of(const pending_item& item) {
  if (const auto call = call_id::parse(item.id))
    return call->number();
  return pending_plan_base + plan_id::parse(item.id)->revision();
}

} // namespace

command approval_of(const pending_item& item) {
  if (const auto plan = plan_id::parse(item.id))
    return decide_plan{plan->revision(), plan_verdict::approve};
  decide_call approval{must(call_id::parse(item.id)), call_verdict::approve};
  approval.digest = item.digest;
  return approval;
}

bool may_pass(const caf::error& error) noexcept {
  // store_corrupt among them: a flipped bit that was found; the next read may be sound.
  return is(error, errc::conflict) || is_environmental(code_of(error));
}

std::chrono::milliseconds patience(std::uint32_t attempts) {
  return first_patience * (1u << std::min(attempts, most_doublings));
}

participant::participant(std::string name, std::string node, std::set<wait_cause> causes)
    : name_{std::move(name)}, node_{std::move(node)}, causes_{std::move(causes)} {}

void participant::look_at(world& in, const session_id& session) {
  for (auto& item : in.pending(session))
    if (causes_.contains(item.waiting_for)) {
      const auto number = number_of(item);
      note(in, session, number, std::move(item));
    }
}

void participant::settle(world& in) {
  settled_ = true;
  for (auto& [session, tasks] : tasks_)
    for (auto& [number, one] : tasks) {
      one.left_alone = false;
      act_after(in, session, number, one, settling_time(in, one));
    }
}

void participant::stored(world& in, const stored_commit& what) {
  for (const auto& change : what.raw.pending) {
    const auto cause = change.value ? cause_of(what, change.item) : std::nullopt;
    if (!change.value || (cause && !causes_.contains(*cause))) {
      strike(in, what.session, change.item);
      continue;
    }
    auto item = from_record<pending_item>(*change.value);
    if (!item)
      throw violation{"P1", "a pending entry that was stored is not readable: "
                                + message_of(item.error())};
    if (causes_.contains(item->waiting_for))
      note(in, what.session, change.item, std::move(*item));
    else
      strike(in, what.session, change.item);
  }
}

void participant::note(world& in, const session_id& session, std::uint64_t number,
                       pending_item item) {
  auto& tasks = tasks_[session];
  const bool is_new = !tasks.contains(number);
  auto& one = tasks[number];
  one.item = std::move(item);
  if (!is_new)
    return; // only what is shown of it has changed
  auto delay = came_up(in, one);
  if (settled_)
    delay = settling_time(in, one);
  one.left_alone = !delay;
  if (delay)
    act_after(in, session, number, one, *delay);
}

participant::milliseconds participant::settling_time(const world& in, const task& one) const {
  return whims(in, one.item.id + "/settle").between(milliseconds{1'000}, milliseconds{60'000});
}

void participant::strike(world& in, const session_id& session, std::uint64_t number) {
  const auto found = tasks_.find(session);
  if (found == tasks_.end())
    return;
  auto struck = found->second.extract(number);
  if (found->second.empty())
    tasks_.erase(found);
  if (!struck.empty())
    went(in, struck.mapped());
}

void participant::act_after(world& in, const session_id& session, std::uint64_t number, task& one,
                            milliseconds delay) {
  one.turn = ++turns_;
  in.after(delay,
           [this, &in, session, number, turn = one.turn] { take_turn(in, session, number, turn); });
}

void participant::take_turn(world& in, const session_id& session, std::uint64_t number,
                            std::uint64_t turn) {
  const auto tasks = tasks_.find(session);
  if (tasks == tasks_.end())
    return;
  const auto found = tasks->second.find(number);
  if (found == tasks->second.end() || found->second.turn != turn)
    return; // it is done, or another turn took the place of this one
  auto& one = found->second;
  caf::error refused;
  if (one.said && one.said->answer() && !*one.said->answer())
    refused = one.said->answer()->error();
  one.said = act(in, one, refused);
  one.left_alone = !one.said;
  if (one.said)
    act_after(in, session, number, one, patience(one.attempts++));
}

ticket participant::say(world& in, const session_id& session, command body) const {
  return in.send(session, std::move(body), node_);
}

seeded_random participant::whims(const world& in, std::string_view about) const {
  return in.random(name_ + "/" + std::string{about});
}

const std::map<std::uint64_t, participant::task>&
participant::tasks_of(const session_id& session) const {
  static const std::map<std::uint64_t, task> none;
  const auto found = tasks_.find(session);
  return found == tasks_.end() ? none : found->second;
}

std::size_t participant::left_alone() const noexcept {
  std::size_t count = 0;
  for (const auto& [session, tasks] : tasks_)
    for (const auto& [number, one] : tasks)
      count += one.left_alone;
  return count;
}

} // namespace fermata::sim
