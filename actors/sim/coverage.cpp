#include <fermata/actors/sim/coverage.hpp>

#include <fermata/actors/core/session_data.hpp>
#include <fermata/actors/sim/world.hpp>

#include <algorithm>
#include <concepts>
#include <utility>

namespace fermata::sim {

namespace {

template <std::size_t Size>
void add(std::array<std::uint64_t, Size>& to, const std::array<std::uint64_t, Size>& more) {
  for (std::size_t index = 0; index < Size; ++index)
    to[index] += more[index];
}

template <std::size_t Size>
void name_all(std::map<std::string, std::uint64_t>& all, const std::string& group,
              const std::array<std::string_view, Size>& names,
              const std::array<std::uint64_t, Size>& counts) {
  for (std::size_t index = 0; index < Size; ++index)
    all.emplace(group + std::string{names[index]}, counts[index]);
}

/// The names of events, by their place in `event_body`.
template <std::size_t... Indexes>
constexpr auto event_names(std::index_sequence<Indexes...>) {
  return std::array<std::string_view, sizeof...(Indexes)>{
      std::variant_alternative_t<Indexes, event_body>::type...};
}

constexpr bool is_paused(session_state state) {
  return !is_running(state) && !accepts_new_plan(state);
}

template <class Fact, class... Facts>
concept one_of = (std::same_as<Fact, Facts> || ...);

/// True for facts by which a paused session moves on.
template <class Fact>
constexpr bool is_move =
    one_of<Fact, plan_proposed, plan_decided, plan_ended, subtask_failed, subtask_retried,
           subtask_skipped, subtask_cancelled, subtask_woke, session_resumed, call_decided,
           call_requeued, outcome_resolved, call_answered>;

} // namespace

reach_counts& reach_counts::operator+=(const reach_counts& more) {
  add(faults_, more.faults_);
  add(events_, more.events_);
  add(states_, more.states_);
  add(answers_, more.answers_);
  add(receipts_, more.receipts_);
  add(refusals_, more.refusals_);
  add(rare_, more.rare_);
  return *this;
}

std::map<std::string, std::uint64_t> reach_counts::by_name() const {
  std::map<std::string, std::uint64_t> all;
  name_all(all, "fault/", enum_names(fault_kind{}), faults_);
  name_all(all, "event/", event_names(std::make_index_sequence<std::variant_size_v<event_body>>{}),
           events_);
  name_all(all, "state/", enum_names(session_state{}), states_);
  name_all(all, "answer/", enum_names(call_outcome{}), answers_);
  name_all(all, "receipt/", enum_names(receipt_kind{}), receipts_);
  name_all(all, "rare/", enum_names(rare_state{}), rare_);
  for (std::size_t code = 0; code < refusals_.size(); ++code)
    if (refusals_[code] > 0)
      all.emplace("refusal/" + std::string{name_of(static_cast<errc>(code))}, refusals_[code]);
  return all;
}

/// Counts the facts of one commit, and keeps up what is known of its session.
class coverage::fact_counter {
public:
  fact_counter(reach_counts& counts, followed& session, const stored_commit& what)
      : counts_{counts}, session_{session} {
    for (const auto& fact : what.events) {
      counts_.count(fact.body);
      std::visit(
          [this](const auto& body) {
            moved_ = moved_ || is_move<std::decay_t<decltype(body)>>;
            (*this)(body);
          },
          fact.body);
      session_.events = fact.number;
    }
    for (const auto& timer : what.raw.timers)
      if (timer.armed)
        session_.armed = timer.due;
      else if (session_.armed == timer.due)
        session_.armed.reset();
  }

  /// True: the commit holds something by which a paused session moves on.
  [[nodiscard]] bool moved() const noexcept { return moved_; }
  /// True: something of it happened because its time had come.
  [[nodiscard]] bool timer_fired() const noexcept { return timer_fired_; }

private:
  template <class Fact>
  void operator()(const Fact&) {}

  void operator()(const state_changed& fact) {
    session_.state = fact.to;
    counts_.count(fact.to);
  }

  void operator()(const session_activated&) {
    is_recovery_ = true;
    if (session_.has_committed)
      counts_.count(rare_state::reloaded_after_failure);
  }

  // -- plans

  void operator()(const plan_proposed& fact) {
    if (fact.replaces != 0)
      session_.replacing.insert(fact.revision);
  }

  void operator()(const plan_decided& fact) {
    // Calls that end with the replaced plan are answered in front of it.
    if (fact.verdict == plan_verdict::approve && session_.replacing.contains(fact.revision)
        && (!session_.open.empty() || call_was_answered_))
      counts_.count(rare_state::replaced_while_calls_open);
    session_.replacing.erase(fact.revision);
  }

  void operator()(const plan_ended& fact) {
    session_.subtasks_waiting.clear();
    session_.replacing.clear();
    if (fact.by != "timer")
      return;
    timer_fired_ = true;
    if (fact.status == plan_status::cancelled)
      counts_.count(rare_state::plan_expired);
  }

  // -- subtasks

  void operator()(const subtask_failed& fact) {
    if (fact.retry_at)
      session_.subtasks_waiting.insert(fact.subtask);
    timer_fired_ = timer_fired_ || fact.reason.starts_with("deadline_passed");
  }

  void operator()(const subtask_retried& fact) {
    session_.subtasks_waiting.erase(fact.subtask);
    if (fact.by == "backoff")
      note_end_of_backoff();
  }

  void operator()(const subtask_cancelled& fact) { session_.subtasks_waiting.erase(fact.subtask); }

  void operator()(const subtask_woke&) { timer_fired_ = true; }

  void operator()(const session_resumed& fact) {
    timer_fired_ = timer_fired_ || fact.by == "timer";
    if (std::exchange(session_.suspended_at_death, false))
      counts_.count(rare_state::suspension_over_crash);
  }

  // -- calls

  void operator()(const call_proposed& fact) {
    if (fact.first_of_step)
      session_.step = fact.call;
    session_.open[fact.call].step = session_.step;
    if (core::is_remembered(fact.ruled_by))
      counts_.count(rare_state::decided_by_memory);
  }

  void operator()(const call_decided& fact) {
    if (fact.verdict == call_verdict::edit)
      session_.open[fact.call].was_edited = true;
  }

  void operator()(const call_claimed& fact) {
    auto& call = session_.open[fact.call];
    call.is_running = true;
    if (call.was_edited)
      counts_.count(rare_state::edited_call_ran);
  }

  void operator()(const call_asked_again& fact) {
    session_.open[fact.call].is_running = false;
    session_.open[fact.call].was_edited = false;
  }

  void operator()(const call_backed_off& fact) {
    session_.open[fact.call].is_running = false;
    session_.calls_waiting.insert(fact.call);
  }

  void operator()(const call_requeued& fact) {
    session_.calls_waiting.erase(fact.call);
    note_end_of_backoff();
  }

  void operator()(const outcome_unknown& fact) {
    session_.open[fact.call].is_running = false;
    if (is_recovery_)
      counts_.count(rare_state::open_claim_asked);
  }

  void operator()(const outcome_resolved& fact) {
    session_.open[fact.call].is_running = false;
    if (fact.by == "idempotent")
      counts_.count(rare_state::open_claim_rerun);
    else if (fact.by == "reconcile")
      counts_.count(rare_state::open_claim_reconciled);
    else if (fact.by == "tool")
      counts_.count(rare_state::run_ended_after_all);
  }

  void operator()(const call_answered& fact) {
    call_was_answered_ = true;
    counts_.count(fact.answer.outcome);
    if (fact.by == "policy")
      counts_.count(rare_state::denied_call);
    if (fact.answer.outcome == call_outcome::expired)
      timer_fired_ = true;
    if (session_.state == session_state::suspended)
      counts_.count(rare_state::answered_while_suspended);
    const auto call = session_.open.extract(fact.call);
    session_.calls_waiting.erase(fact.call);
    if (call.empty())
      return;
    if (call.mapped().is_running && fact.answer.outcome == call_outcome::cancelled)
      counts_.count(rare_state::cancelled_while_running);
    if (std::any_of(session_.open.begin(), session_.open.end(),
                    [&](const auto& other) { return other.second.step == call.mapped().step; }))
      counts_.count(rare_state::answered_in_parallel);
  }

  void note_end_of_backoff() {
    timer_fired_ = true;
    if (std::exchange(session_.backed_off_at_death, false))
      counts_.count(rare_state::backoff_over_crash);
  }

  reach_counts& counts_;
  followed& session_;
  bool moved_ = false;
  bool timer_fired_ = false;
  bool is_recovery_ = false;
  bool call_was_answered_ = false;
};

void coverage::stored(world&, const stored_commit& what) {
  auto& session = sessions_[what.session];
  if (std::exchange(session.home, what.node) != what.node && session.events > 0)
    count_move(what.session, session);
  const auto* first = what.events.empty() ? nullptr : &what.events.front();
  // A session that the world began with was never seen before.
  if (first != nullptr && session.events == 0 && first->number > 1)
    for (const auto& fact : what.events)
      if (const auto* changed = std::get_if<state_changed>(&fact.body)) {
        session.state = changed->from;
        break;
      }
  const auto before = session.state;
  const fact_counter facts{counts_, session, what};
  if (facts.moved() && is_paused(before)) {
    ++resumes_;
    if (std::exchange(session.paused_at_death, false))
      counts_.count(rare_state::pause_over_crash);
    if (std::exchange(session.had_tail_at_death, false))
      counts_.count(rare_state::tail_over_crash);
  }
  if (facts.timer_fired() && session.was_due_while_down)
    counts_.count(rare_state::timer_due_while_down);
  session.was_due_while_down = false;
  session.has_committed = true;
  session.has_tail = what.raw.defers_records;
}

void coverage::count_move(const session_id& id, const followed& session) {
  counts_.count(handed_over_[slot_of(id)] ? rare_state::handed_over : rare_state::taken_over);
  if (is_running(session.state))
    counts_.count(rare_state::moved_while_running);
}

void coverage::slot_changed(world&, const changed_slot& what) {
  if (!what.now.node.empty() && what.now.node != what.before.node)
    handed_over_[what.slot] = what.before.has_lease;
}

void coverage::answered(world&, const command_answer& what) {
  if (!what.answer) {
    counts_.count(code_of(what.answer.error()));
    return;
  }
  counts_.count(what.answer->kind);
  if (what.answer->kind == receipt_kind::duplicate)
    if (const auto session = sessions_.find(what.session);
        session != sessions_.end() && what.answer->event <= session->second.events_at_death)
      counts_.count(rare_state::repeated_over_crash);
}

void coverage::node_down(world& in, const std::string& node) {
  for (auto& [id, session] : sessions_) {
    if (session.home != node)
      continue;
    if (!session.has_committed && is_running(session.state))
      counts_.count(rare_state::crash_during_recovery);
    session.down_since = in.now(node);
    session.events_at_death = session.events;
    session.backed_off_at_death =
        !session.calls_waiting.empty() || !session.subtasks_waiting.empty();
    session.paused_at_death = is_paused(session.state);
    session.had_tail_at_death = session.has_tail;
    session.suspended_at_death = session.state == session_state::suspended;
  }
}

void coverage::node_up(world& in, const std::string& node) {
  for (auto& [id, session] : sessions_) {
    if (session.home != node || !session.down_since)
      continue;
    session.was_due_while_down = session.was_due_while_down
                                 || (session.armed && *session.armed > *session.down_since
                                     && *session.armed <= in.now(node));
    session.down_since.reset();
    session.has_committed = false;
  }
}

void coverage::fault_hit(world&, const std::string&, fault_kind kind) {
  counts_.count(kind);
}

void coverage::quiet(world& in) {
  const auto count_beginnings = [this](rare_state what, const std::string& node, bool is_so,
                                       std::set<std::string>& before) {
    if (!is_so)
      before.erase(node);
    else if (before.insert(node).second)
      counts_.count(what);
  };
  for (const auto& node : in.nodes()) {
    const auto load = in.load(node).value_or(runtime_load{});
    count_beginnings(rare_state::messages_parked, node, load.parked_messages > 0, parking_);
    count_beginnings(rare_state::sessions_packed, node, load.packed_sessions > 0, packing_);
  }
}

} // namespace fermata::sim
