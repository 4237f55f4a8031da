#include <fermata/actors/core/apply.hpp>

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
    drop_draft();
    plan_record record;
    record.revision = fact.revision;
    record.goal = fact.goal;
    record.subtasks = fact.subtasks;
    record.digest = fact.digest;
    record.replaces = fact.replaces;
    record.proposed = at_;
    record.tools = fact.plan.tools;
    data_.draft.emplace(std::move(record), fact.plan.subtasks,
                        std::vector<subtask_record>(fact.plan.subtasks.size()));
    data_.head.draft_revision = fact.revision;
    data_.head.last_revision = fact.revision;
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
      record.sent_back = true;
      return;
    case plan_verdict::approve:
      data_.draft->set_plan_status(plan_status::approved);
      if (record.replaces != 0)
        take_over_results();
      activate_draft();
      return;
    case plan_verdict::reject:
      data_.draft->set_plan_status(plan_status::rejected);
      if (record.replaces == 0)
        activate_draft();
      else
        drop_draft();
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
    if (of_draft && !plan.record.sent_back)
      --data_.head.waiting.decision;
    plan.set_plan_status(fact.status);
    if (!fact.reason.empty())
      plan.record.feedback = fact.reason;
    if (!fact.by.empty())
      plan.record.by = fact.by;
    data_.changed.insert(plan_key(fact.revision));
    if (!of_draft)
      return;
    if (plan.record.replaces == 0)
      activate_draft();
    else
      drop_draft();
  }

  void operator()(const subtask_started& fact) {
    const auto position = data_.active->position(fact.subtask);
    auto& subtask = data_.active->edit(position);
    subtask.attempts = fact.attempt;
    subtask.error.clear();
    subtask.result = nullptr;
    subtask.first_call = data_.head.calls + 1;
    subtask.calls = 0;
    subtask.open_calls = 0;
    subtask.first_entry = data_.head.entries + 1;
    subtask.entries = 0;
    set_status(position, subtask_status::running);
    data_.head.running = position;
    forget_attempt();
  }

  void operator()(const subtask_finished& fact) {
    const auto position = end_running(fact.subtask);
    data_.active->edit(position).result = fact.result;
    set_status(position, subtask_status::done);
  }

  void operator()(const subtask_failed& fact) {
    const auto position = end_running(fact.subtask);
    data_.active->edit(position).error = fact.reason;
    set_status(position, subtask_status::failed);
  }

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
    set_status(data_.active->position(fact.subtask), subtask_status::pending);
  }

  void operator()(const subtask_skipped& fact) {
    const auto position = data_.active->position(fact.subtask);
    if (!fact.reason.empty())
      data_.active->edit(position).error = fact.reason;
    set_status(position, subtask_status::skipped);
  }

  void operator()(const agent_said& fact) {
    entry_record entry;
    entry.text = fact.text;
    add_entry(std::move(entry));
  }

  void operator()(const step_restarted&) {}

  void operator()(const call_proposed& fact) {
    call_record call;
    call.number = fact.call;
    call.revision = data_.active->record.revision;
    call.subtask = fact.subtask;
    call.tool = fact.tool;
    call.kind = fact.kind;
    call.tool_version = fact.tool_version;
    call.idempotent = fact.idempotent;
    call.arguments = fact.arguments;
    call.status = fact.status;
    call.digest = fact.digest;
    call.fingerprint = fact.fingerprint;
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
    if (fact.verdict == call_verdict::reject)
      return; // `call_answered` follows
    call.since = at_;
    data_.set_call_status(call, fact.status);
  }

  void operator()(const call_claimed& fact) {
    auto& call = data_.calls.at(fact.call);
    call.runs = fact.run;
    data_.set_call_status(call, call_status::claimed);
  }

  void operator()(const call_asked_again& fact) {
    auto& call = data_.calls.at(fact.call);
    call.verdict.reset();
    call.decision_event = 0;
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
    if (fact.resolution == outcome_resolution::rerun)
      data_.set_call_status(call, call_status::queued);
  }

  void operator()(const call_answered& fact) {
    auto& call = data_.calls.at(fact.call);
    call.answer = fact.answer;
    call.answer_digest = fact.digest;
    call.answer_event = number_;
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
  void set_status(std::uint32_t position, subtask_status status) {
    data_.active->set_status(position, status);
    data_.changed.insert(subtask_key(data_.active->record.revision, position));
  }

  subtask_record& edit_running() {
    const auto position = *data_.head.running;
    data_.changed.insert(subtask_key(data_.active->record.revision, position));
    return data_.active->edit(position);
  }

  std::uint32_t end_running(const subtask_id& id) {
    const auto position = data_.active->position(id);
    assert(data_.head.running == position);
    data_.head.running.reset();
    forget_attempt();
    return position;
  }

  void forget_attempt() {
    // The changed calls stay until they are written; `session_data::calls` is trimmed after the
    // commit.
    data_.entries.clear();
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
      if (status == subtask_status::done || status == subtask_status::skipped
          || status == subtask_status::cancelled)
        continue;
      plan.set_status(i, subtask_status::cancelled);
      data_.changed.insert(subtask_key(plan.record.revision, i));
    }
    if (data_.active && &plan == &*data_.active) {
      data_.head.running.reset();
      forget_attempt();
    }
  }

  /// Keeps done subtasks of the plan that is replaced: those that are unchanged, with all that they
  /// depend on.
  void take_over_results() {
    auto& next = *data_.draft;
    auto& before = *data_.active;
    // In the order of dependencies: a subtask becomes ready when all it depends on are done.
    std::vector<std::uint32_t> candidates(next.ready().begin(), next.ready().end());
    while (!candidates.empty()) {
      const auto position = candidates.back();
      candidates.pop_back();
      const auto& spec = next.specs[position];
      const auto old = before.find(spec.id);
      if (!old || before.subtasks()[*old].status != subtask_status::done
          || before.specs[*old] != spec)
        continue;
      next.edit(position) = before.subtasks()[*old];
      next.edit(position).status = subtask_status::pending;
      next.set_status(position, subtask_status::done);
      data_.changed.insert(subtask_key(next.record.revision, position));
      for (const auto dependent : next.dependents(position))
        if (next.ready().contains(dependent))
          candidates.push_back(dependent);
    }
    before.record.feedback = "replaced by revision " + std::to_string(next.record.revision);
    cancel_open_subtasks(before);
    before.set_plan_status(plan_status::cancelled);
    data_.changed.insert(plan_key(before.record.revision));
  }

  void activate_draft() {
    if (data_.active)
      data_.past_plans[data_.active->record.revision] = data_.active->record;
    data_.active = std::move(data_.draft);
    data_.draft.reset();
    data_.head.active_revision = data_.active->record.revision;
    data_.head.draft_revision = 0;
    data_.head.running.reset();
  }

  void drop_draft() {
    if (!data_.draft)
      return;
    auto& record = data_.draft->record;
    if (record.status == plan_status::draft && !record.sent_back)
      --data_.head.waiting.decision; // a new revision takes its place
    data_.past_plans[record.revision] = record;
    data_.changed.insert(plan_key(record.revision));
    data_.draft.reset();
    data_.head.draft_revision = 0;
  }

  session_data& data_;
  std::uint64_t number_;
  timestamp at_;
};

} // namespace

void apply(session_data& data, const event& fact) {
  assert(fact.number == data.head.events + 1);
  std::visit(applier{data, fact}, fact.body);
  data.head.events = fact.number;
  data.changed.insert(head_key());
}

} // namespace fermata::core
