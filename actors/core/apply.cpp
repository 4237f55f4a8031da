#include <fermata/actors/core/apply.hpp>

#include <fermata/messages/plan_diff.hpp>

#include <cassert>

namespace fermata::core {

namespace {

/// One overload for each event.
class applier {
public:
  applier(session_data& data, const event& fact)
      : data_{data}, number_{fact.number}, at_{fact.at} {}

  void operator()(const session_created& fact) {
    data_.head.incarnation = fact.incarnation;
    data_.head.workspace = fact.workspace;
    data_.head.created = at_;
  }

  void operator()(const plan_proposed& fact) {
    if (data_.awaits_own_proposal())
      tell_proposer(data_.draft->record.revision,
                    "was superseded by revision " + std::to_string(fact.revision));
    drop_draft();
    if (fact.replaces == 0)
      forget_messages_before(fact.first_message);
    plan_record record;
    record.revision = fact.revision;
    record.goal = fact.goal;
    record.subtasks = fact.subtasks;
    record.digest = fact.digest;
    record.replaces = fact.replaces;
    record.planning = fact.planning;
    record.planner = fact.planner;
    record.first_message = fact.first_message;
    record.expires_at = fact.expires_at;
    record.prompt = fact.prompt;
    record.proposed = at_;
    record.tools = fact.plan.tools;
    data_.draft.emplace(std::move(record), fact.plan.subtasks,
                        std::vector<subtask_record>(fact.plan.subtasks.size()));
    data_.head.draft_revision = fact.revision;
    data_.head.last_revision = fact.revision;
    data_.head.delete_at.reset();
    ++data_.head.waiting.decision;
    data_.changed.insert(plan_key(fact.revision));
    for (std::uint32_t i = 0; i < fact.subtasks; ++i) {
      data_.changed.insert(spec_key(fact.revision, i));
      data_.changed.insert(subtask_key(fact.revision, i));
    }
  }

  void operator()(const plan_decided& fact) {
    auto& record = data_.draft->record;
    assert(record.revision == fact.revision);
    data_.changed.insert(plan_key(fact.revision));
    record.verdict = fact.verdict;
    record.decision_event = number_;
    record.feedback = fact.feedback;
    record.by = fact.by;
    --data_.head.waiting.decision;
    switch (fact.verdict) {
    case plan_verdict::modify:
      if (record.planner.empty()) {
        record.sent_back = true;
        return;
      }
      // The agent that proposed it proposes another one, so nobody else is waited for.
      if (data_.awaits_own_proposal())
        tell_proposer(fact.revision, "was sent back: " + fact.feedback);
      data_.draft->set_plan_status(plan_status::cancelled);
      retire_draft();
      return;
    case plan_verdict::approve: {
      data_.draft->set_plan_status(plan_status::approved);
      const bool proposed_by_running = data_.awaits_own_proposal();
      const auto continued = record.replaces != 0 ? take_over() : std::optional<std::uint32_t>{};
      activate_draft();
      data_.head.running = continued;
      if (!continued)
        forget_attempt();
      else if (proposed_by_running)
        tell_proposer(fact.revision, "was approved and is in force now");
      return;
    }
    case plan_verdict::reject:
      if (data_.awaits_own_proposal())
        tell_proposer(fact.revision, "was rejected: " + fact.feedback);
      data_.draft->set_plan_status(plan_status::rejected);
      retire_draft();
      end_suspension_if_over();
      return;
    }
  }

  void operator()(const plan_started& fact) {
    data_.active->set_plan_status(plan_status::in_progress);
    data_.changed.insert(plan_key(fact.revision));
  }

  void operator()(const plan_ended& fact) {
    const bool of_draft = data_.draft && data_.draft->record.revision == fact.revision;
    auto& plan = of_draft ? *data_.draft : *data_.active;
    if (fact.status == plan_status::cancelled)
      cancel_open_subtasks(plan);
    else if (fact.status == plan_status::failed)
      cancel_subtasks_under_way(plan);
    if (of_draft && !plan.record.sent_back)
      --data_.head.waiting.decision;
    if (of_draft && data_.awaits_own_proposal())
      tell_proposer(fact.revision, "was withdrawn: " + fact.reason);
    plan.set_plan_status(fact.status);
    if (!fact.reason.empty())
      plan.record.feedback = fact.reason;
    if (!fact.by.empty())
      plan.record.by = fact.by;
    data_.changed.insert(plan_key(fact.revision));
    if (of_draft)
      retire_draft();
    end_suspension_if_over();
  }

  void operator()(const subtask_started& fact) {
    const auto position = position_of(fact.subtask);
    auto& subtask = data_.active->edit(position);
    subtask.attempts = fact.attempt;
    subtask.error.clear();
    subtask.result = nullptr;
    subtask.first_call = data_.head.calls + 1;
    subtask.calls = 0;
    subtask.open_calls = 0;
    subtask.first_entry = data_.head.entries + 1;
    subtask.entries = 0;
    subtask.started = number_;
    subtask.messages_before = data_.head.messages;
    subtask.agent = {};
    subtask.attempt_ends = fact.deadline;
    set_status(position, subtask_status::running);
    data_.head.running = position;
    forget_attempt();
  }

  void operator()(subtask_finished&& fact) {
    const auto position = end_running(fact.subtask);
    data_.active->edit(position).result = std::move(fact.result);
    set_status(position, subtask_status::done);
  }

  void operator()(const subtask_failed& fact) {
    const auto position = end_running(fact.subtask);
    data_.active->edit(position).error = fact.reason;
    set_status(position, fact.retry_at ? subtask_status::backing_off : subtask_status::failed,
               fact.retry_at);
  }

  void operator()(const subtask_cancelled& fact) {
    const auto position = end_running(fact.subtask);
    data_.active->edit(position).error =
        fact.reason.empty() ? "cancelled" : "cancelled: " + fact.reason;
    set_status(position, subtask_status::cancelled);
  }

  void operator()(const subtask_slept& fact) {
    set_next_step(fact.until);
    entry_record entry;
    entry.source = entry_source::timer;
    entry.until = fact.until;
    add_entry(std::move(entry));
  }

  void operator()(const subtask_woke&) { set_next_step(std::nullopt); }

  void operator()(const subtask_handed_over& fact) {
    edit_running().agent = fact.agent;
    add_text(entry_source::handover, fact.note);
  }

  void operator()(const proposal_refused& fact) {
    add_text(entry_source::refusal, "The proposed plan is refused: " + fact.reason);
  }

  void operator()(const model_used& fact) { data_.head.usage += fact.usage; }

  void operator()(const message_received& fact) {
    message_record message;
    message.number = fact.number;
    message.text = fact.text;
    message.by = fact.by;
    message.at = at_;
    data_.head.messages = fact.number;
    data_.changed.insert(message_key(fact.number));
    data_.unwritten_messages[fact.number] = message;
    data_.messages.push_back(std::move(message));
    // Without an attempt there is no transcript; every later attempt begins with it.
    if (data_.head.running)
      add_text(entry_source::user, fact.text);
  }

  void operator()(const deadline_set& fact) {
    if (!fact.subtask) {
      data_.active->record.deadline = fact.at;
      data_.changed.insert(plan_key(data_.active->record.revision));
      return;
    }
    const auto position = data_.active->position(*fact.subtask);
    data_.active->set_deadline(position, fact.at);
    data_.changed.insert(subtask_key(data_.active->record.revision, position));
  }

  void operator()(const session_suspended& fact) {
    data_.head.suspended = true;
    data_.head.suspended_until = fact.until;
  }

  void operator()(const session_deleted&) {
    data_.deleted = true;
    data_.head.delete_at.reset();
  }

  void operator()(const history_trimmed& fact) { data_.first_event = fact.first_event; }

  void operator()(const deletion_scheduled& fact) { data_.head.delete_at = fact.at; }

  void operator()(const session_resumed&) { end_suspension(); }

  void operator()(const subtask_blocked& fact) {
    const auto position = data_.active->position(fact.subtask);
    data_.active->edit(position).error = "blocked by " + fact.by.str();
    set_status(position, subtask_status::blocked);
  }

  void operator()(const subtask_unblocked& fact) {
    const auto position = data_.active->position(fact.subtask);
    data_.active->edit(position).error.clear();
    set_status(position, subtask_status::pending);
  }

  void operator()(const subtask_retried& fact) {
    const auto position = data_.active->position(fact.subtask);
    // A deadline that has passed would fail it again before it starts.
    if (const auto deadline = data_.active->subtasks()[position].deadline;
        deadline && *deadline <= at_)
      data_.active->set_deadline(position, std::nullopt);
    set_status(position, subtask_status::pending);
  }

  void operator()(const subtask_skipped& fact) {
    const auto position = data_.active->position(fact.subtask);
    if (!fact.reason.empty())
      data_.active->edit(position).error = fact.reason;
    set_status(position, subtask_status::skipped);
  }

  void operator()(const agent_said& fact) { add_text(entry_source::agent, fact.text); }

  void operator()(const step_restarted&) {}

  void operator()(call_proposed&& fact) {
    call_record call;
    call.number = fact.call;
    call.revision = data_.active->record.revision;
    call.subtask = std::move(fact.subtask);
    call.tool = std::move(fact.tool);
    call.kind = fact.kind;
    call.tool_version = fact.tool_version;
    call.idempotent = fact.idempotent;
    call.arguments = std::move(fact.arguments);
    call.status = fact.status;
    call.digest = std::move(fact.digest);
    call.fingerprint = std::move(fact.fingerprint);
    call.expires_at = fact.expires_at;
    call.prompt = std::move(fact.prompt);
    call.ruled_by = std::move(fact.ruled_by);
    call.since = at_;
    data_.count_call(call, true);
    data_.changed.insert(call_key(fact.call));
    data_.calls[fact.call] = std::move(call);
    data_.head.calls = fact.call;
    auto& subtask = edit_running();
    ++subtask.calls;
    ++subtask.open_calls;
    note_step_call(fact);
  }

  void operator()(const call_decided& fact) {
    auto& call = data_.calls.at(fact.call);
    call.verdict = fact.verdict;
    call.decision_event = number_;
    call.feedback = fact.feedback;
    call.by = fact.by;
    if (fact.verdict == call_verdict::edit) {
      if (call.proposed_arguments.is_null())
        call.proposed_arguments = call.arguments;
      call.arguments = fact.arguments;
    }
    call.digest = fact.digest;
    call.fingerprint = fact.fingerprint;
    data_.changed.insert(call_key(fact.call));
    if (fact.verdict == call_verdict::reject || fact.verdict == call_verdict::respond)
      return; // `call_answered` follows
    call.since = at_;
    data_.set_call_status(call, fact.status);
  }

  void operator()(const decision_remembered& fact) {
    remembered_record record;
    record.number = fact.decision;
    record.call = fact.call;
    record.verdict = fact.verdict;
    record.scope = fact.scope;
    record.tool = fact.tool;
    record.tool_version = fact.tool_version;
    record.declaration = fact.declaration;
    record.arguments_digest = fact.arguments_digest;
    record.arguments = fact.arguments;
    record.feedback = fact.feedback;
    record.by = fact.by;
    record.at = at_;
    data_.head.decisions = fact.decision;
    data_.calls.at(fact.call).remembered = fact.scope;
    data_.changed.insert(call_key(fact.call));
    data_.remembered[fact.decision] = std::move(record);
    data_.changed.insert(remembered_key(fact.decision));
  }

  void operator()(const decision_forgotten& fact) {
    data_.remembered.erase(fact.decision);
    data_.changed.insert(remembered_key(fact.decision));
  }

  void operator()(const call_claimed& fact) {
    auto& call = data_.calls.at(fact.call);
    call.runs = fact.run;
    data_.set_call_status(call, call_status::claimed);
  }

  void operator()(const call_backed_off& fact) {
    auto& call = data_.calls.at(fact.call);
    call.may_have_happened |= fact.may_have_happened;
    data_.set_call_status(call, call_status::backing_off, fact.retry_at);
  }

  void operator()(const call_requeued& fact) {
    data_.set_call_status(data_.calls.at(fact.call), call_status::queued);
  }

  void operator()(const call_asked_again& fact) {
    auto& call = data_.calls.at(fact.call);
    call.verdict.reset();
    call.decision_event = 0;
    call.tool_version = fact.tool_version;
    call.digest = fact.digest;
    call.fingerprint = fact.fingerprint;
    call.since = at_;
    data_.set_call_status(call, call_status::awaiting_decision);
  }

  void operator()(const outcome_unknown& fact) {
    auto& call = data_.calls.at(fact.call);
    call.since = at_;
    data_.set_call_status(call, call_status::awaiting_outcome);
  }

  void operator()(const outcome_resolved& fact) {
    auto& call = data_.calls.at(fact.call);
    if (fact.resolution != outcome_resolution::rerun)
      return;
    // An idempotent tool's claim that was found open at recovery: nobody was asked.
    call.may_have_happened |= call.status == call_status::claimed && call.idempotent;
    data_.set_call_status(call, call_status::queued);
  }

  void operator()(call_answered&& fact) {
    auto& call = data_.calls.at(fact.call);
    call.answer = std::move(fact.answer);
    call.answer_digest = std::move(fact.digest);
    call.answer_event = number_;
    if (!fact.by.empty())
      call.by = std::move(fact.by);
    // What cannot or must not run is answered from the beginning.
    if (call.status != call_status::answered)
      data_.set_call_status(call, call_status::answered);
    --edit_running().open_calls;
  }

  void operator()(const late_result& fact) {
    ++data_.calls.at(fact.call).late;
    data_.changed.insert(call_key(fact.call));
  }

  void operator()(const state_changed& fact) { data_.head.state = fact.to; }

  void operator()(const session_activated&) {}

private:
  /// Changes a subtask's status; `next_step` is when it goes on by itself.
  void set_status(std::uint32_t position, subtask_status status,
                  std::optional<timestamp> next_step = {}) {
    set_status(*data_.active, position, status, next_step);
  }

  void set_status(plan_data& plan, std::uint32_t position, subtask_status status,
                  std::optional<timestamp> next_step = {}) {
    data_.head.waiting.backoff -= waits_for_timer(plan, position);
    plan.set_next_step(position, next_step);
    plan.set_status(position, status);
    data_.head.waiting.backoff += waits_for_timer(plan, position);
    data_.changed.insert(subtask_key(plan.record.revision, position));
  }

  /// The running subtask sleeps until then, or does not sleep any more.
  void set_next_step(std::optional<timestamp> at) {
    const auto position = *data_.head.running;
    data_.head.waiting.backoff -= waits_for_timer(*data_.active, position);
    data_.active->set_next_step(position, at);
    data_.head.waiting.backoff += waits_for_timer(*data_.active, position);
    data_.changed.insert(subtask_key(data_.active->record.revision, position));
  }

  static std::uint32_t waits_for_timer(const plan_data& plan, std::uint32_t position) {
    const auto& subtask = plan.subtasks()[position];
    return subtask.status == subtask_status::backing_off
                   || (subtask.status == subtask_status::running && subtask.next_step)
               ? 1
               : 0;
  }

  void end_suspension() {
    data_.head.suspended = false;
    data_.head.suspended_until.reset();
  }

  /// A session with no live plan has nothing to hold.
  void end_suspension_if_over() {
    if (!data_.draft && !data_.has_plan_in_force())
      end_suspension();
  }

  /// What became of the plan that the running subtask's agent has proposed.
  void tell_proposer(std::uint32_t revision, const std::string& what) {
    add_text(entry_source::runtime,
             "The proposed plan, revision " + std::to_string(revision) + ", " + what);
  }

  /// Of a subtask of the plan in force. Most events are about the one that runs, or that is next;
  /// to search all others means to look at parts of memory that nothing else looks at.
  [[nodiscard]] std::uint32_t position_of(const subtask_id& id) const {
    const auto& plan = *data_.active;
    for (const auto likely : {data_.head.running, plan.first_ready()})
      if (likely && plan.specs()[*likely].id == id)
        return *likely;
    return plan.position(id);
  }

  subtask_record& edit_running() {
    const auto position = *data_.head.running;
    data_.changed.insert(subtask_key(data_.active->record.revision, position));
    return data_.active->edit(position);
  }

  /// The subtask's attempt is over, if there is one. Returns its position.
  std::uint32_t end_running(const subtask_id& id) {
    const auto position = position_of(id);
    if (data_.head.running == position) {
      data_.head.running.reset();
      forget_attempt();
    }
    return position;
  }

  void forget_attempt() {
    // The changed calls stay until they are written; `session_data::calls` is trimmed after the
    // commit.
    data_.entries.clear();
  }

  void add_text(entry_source source, std::string text) {
    entry_record entry;
    entry.source = source;
    entry.text = std::move(text);
    add_entry(std::move(entry));
  }

  void add_entry(entry_record entry) {
    ++edit_running().entries;
    ++data_.head.entries;
    data_.changed.insert(entry_key(data_.head.entries));
    data_.unwritten_entries[data_.head.entries] = entry;
    data_.entries.push_back(std::move(entry));
  }

  /// The calls of one step are consecutive and share one transcript entry.
  void note_step_call(const call_proposed& fact) {
    if (fact.first_of_step) {
      entry_record entry;
      entry.first_call = fact.call;
      entry.calls = 1;
      add_entry(std::move(entry));
      return;
    }
    ++data_.entries.back().calls;
    data_.changed.insert(entry_key(data_.head.entries));
    data_.unwritten_entries[data_.head.entries] = data_.entries.back();
  }

  void cancel_open_subtasks(plan_data& plan) {
    for (std::uint32_t i = 0; i < plan.subtasks().size(); ++i) {
      const auto status = plan.subtasks()[i].status;
      if (status != subtask_status::done && status != subtask_status::skipped
          && status != subtask_status::cancelled)
        set_status(plan, i, subtask_status::cancelled);
    }
    end_attempt_of(plan);
  }

  /// Those that run or back off; the others show how far a failed plan came.
  void cancel_subtasks_under_way(plan_data& plan) {
    for (std::uint32_t i = 0; i < plan.subtasks().size(); ++i) {
      const auto status = plan.subtasks()[i].status;
      if (status == subtask_status::running || status == subtask_status::backing_off)
        set_status(plan, i, subtask_status::cancelled);
    }
    end_attempt_of(plan);
  }

  void end_attempt_of(const plan_data& plan) {
    if (!data_.active || &plan != &*data_.active)
      return;
    data_.head.running.reset();
    forget_attempt();
  }

  /// The draft takes the place of the plan in progress, and keeps what `compare_plans` says.
  /// Returns the position of the running subtask, if it goes on.
  std::optional<std::uint32_t> take_over() {
    auto& next = *data_.draft;
    auto& before = *data_.active;
    const auto statuses = before.statuses();
    std::optional<std::uint32_t> running;
    for (const auto& change : compare_plans(before.specs(), statuses, next.specs())) {
      if (change.fate == subtask_fate::added || change.fate == subtask_fate::dropped)
        continue;
      const auto position = next.position(change.subtask);
      const auto old = before.position(change.subtask);
      if (change.fate == subtask_fate::kept || change.fate == subtask_fate::continued) {
        next.edit(position) = before.subtasks()[old];
        next.edit(position).status = subtask_status::pending;
        set_status(next, position, statuses[old], before.subtasks()[old].next_step);
      }
      // Deadlines are for the work, not for one revision of the plan.
      next.set_deadline(position, before.subtasks()[old].deadline);
      data_.changed.insert(subtask_key(next.record.revision, position));
      if (change.fate == subtask_fate::continued && data_.head.running == old)
        running = position;
    }
    // The plan that is replaced stays as it stood: that is what a diff compares with.
    for (std::uint32_t i = 0; i < before.subtasks().size(); ++i)
      data_.head.waiting.backoff -= waits_for_timer(before, i);
    before.record.feedback = "replaced by revision " + std::to_string(next.record.revision);
    before.set_plan_status(plan_status::cancelled);
    data_.changed.insert(plan_key(before.record.revision));
    next.record.deadline = before.record.deadline;
    return running;
  }

  /// A draft that is over becomes the session's last plan, or is only remembered where another one
  /// is in force.
  void retire_draft() {
    if (data_.draft->record.replaces == 0)
      activate_draft();
    else
      drop_draft();
  }

  void activate_draft() {
    if (data_.active)
      retire(std::move(*data_.active));
    data_.active = std::move(data_.draft);
    data_.draft.reset();
    data_.head.active_revision = data_.active->record.revision;
    data_.head.draft_revision = 0;
    data_.head.running.reset();
    forget_messages_before(data_.active->record.first_message);
  }

  void forget_messages_before(std::uint64_t first) {
    std::erase_if(data_.messages,
                  [&](const message_record& message) { return message.number < first; });
  }

  /// The plan leaves memory, once it is written.
  void retire(plan_data plan) {
    const auto revision = plan.record.revision;
    data_.retired.insert_or_assign(revision, std::move(plan));
  }

  void drop_draft() {
    if (!data_.draft)
      return;
    auto& record = data_.draft->record;
    if (record.status == plan_status::draft && !record.sent_back)
      --data_.head.waiting.decision; // a new revision takes its place
    data_.changed.insert(plan_key(record.revision));
    retire(std::move(*data_.draft));
    data_.draft.reset();
    data_.head.draft_revision = 0;
  }

  session_data& data_;
  std::uint64_t number_;
  timestamp at_;
};

} // namespace

void apply(session_data& data, event fact) {
  assert(fact.number == data.head.events + 1);
  std::visit(applier{data, fact}, std::move(fact.body));
  data.head.events = fact.number;
  if (!std::holds_alternative<deletion_scheduled>(fact.body))
    data.last_change = fact.at;
  data.changed.insert(head_key());
}

} // namespace fermata::core
