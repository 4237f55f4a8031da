#include <fermata/actors/sim/reference_session.hpp>

#include <fermata/messages/digest.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

using finding = std::optional<contradiction>;

finding wrong(std::string promise, std::string text) {
  contradiction found;
  found.promise = std::move(promise);
  found.text = std::move(text);
  return found;
}

std::string named(const subtask_id& id) {
  return "subtask \"" + id.str() + "\"";
}

std::string named(const reference_call& call) {
  return "call " + std::to_string(call.number) + " (" + call.tool.str() + ")";
}

std::string revision(std::uint32_t number) {
  return "revision " + std::to_string(number);
}

template <class Value>
bool is_one_of(Value value, std::initializer_list<Value> accepted) {
  return std::find(accepted.begin(), accepted.end(), value) != accepted.end();
}

bool is_due(std::optional<timestamp> at, timestamp now) {
  return at && *at <= now;
}

/// Where a call goes that nobody has to decide on any more.
call_status granted(tool_kind kind) {
  switch (kind) {
  case tool_kind::client:
    return call_status::awaiting_result;
  case tool_kind::server:
    return call_status::queued;
  case tool_kind::person:
    break;
  }
  return call_status::awaiting_answer;
}

/// Replays one event; an overload for each. Nothing is changed where something is wrong.
class replay {
public:
  replay(reference_session& session, const event& fact)
      : s_{session}, number_{fact.number}, at_{fact.at} {}

  // -- the session and its plans
  // --------------------------------------------------------------------

  finding operator()(const session_created& fact) {
    if (number_ != 1)
      return wrong("P1", "the session is created, which it was before");
    s_.incarnation = fact.incarnation;
    s_.workspace = fact.workspace;
    return {};
  }

  finding operator()(const plan_proposed& fact) {
    const auto last = s_.revisions.empty() ? 0 : s_.revisions.rbegin()->first;
    if (fact.revision != last + 1)
      return wrong("P1", revision(fact.revision) + " follows " + revision(last));
    if (fact.plan.subtasks.size() != fact.subtasks || fact.subtasks == 0)
      return wrong("P1", revision(fact.revision) + " is said to have "
                             + std::to_string(fact.subtasks) + " subtasks, its records have "
                             + std::to_string(fact.plan.subtasks.size()));
    const auto in_force = s_.has_plan_in_force() ? s_.active->revision() : 0;
    if (fact.replaces != in_force)
      return wrong("reference", revision(fact.revision) + " is to replace "
                                    + std::to_string(fact.replaces) + ", but in force is "
                                    + std::to_string(in_force));
    if (s_.running && !fact.planner.empty())
      if (auto found = has_heard("proposes a plan"))
        return found;
    if (s_.awaits_own_proposal())
      ++s_.entries; // its agent is told that it is superseded
    auto& added = s_.revisions[fact.revision];
    added.goal = fact.goal;
    added.digest = fact.digest;
    added.prompt = fact.prompt;
    added.planner = fact.planner;
    added.planning = fact.planning;
    added.replaces = fact.replaces;
    added.first_message = fact.first_message;
    added.proposed = at_;
    added.expires_at = fact.expires_at;
    s_.delete_at.reset();
    s_.draft.emplace(fact.revision, fact.plan.subtasks);
    return {};
  }

  finding operator()(const plan_decided& fact) {
    if (!s_.draft || s_.draft->revision() != fact.revision)
      return wrong("P4", revision(fact.revision) + " is decided on, but "
                             + (s_.draft ? revision(s_.draft->revision()) : "no revision")
                             + " awaits a decision");
    auto& facts = s_.revisions.at(fact.revision);
    if (facts.sent_back)
      return wrong("P4", revision(fact.revision) + " is decided on, but it was sent back before");
    if (is_due(facts.expires_at, at_))
      return wrong("P4", revision(fact.revision) + " is decided on although it had expired before");
    const bool own = s_.awaits_own_proposal();
    switch (fact.verdict) {
    case plan_verdict::approve:
      if (auto found = take_over(own))
        return found;
      facts.status = plan_status::approved;
      break;
    case plan_verdict::reject:
      s_.entries += own;
      facts.status = plan_status::rejected;
      retire_draft();
      break;
    case plan_verdict::modify:
      s_.entries += own;
      facts.sent_back = facts.planner.empty();
      if (!facts.sent_back) { // whoever proposed it is asked for another one
        facts.status = plan_status::cancelled;
        retire_draft();
      }
      break;
    }
    facts.verdict = fact.verdict;
    facts.decision_event = number_;
    if (fact.verdict == plan_verdict::reject)
      end_suspension_if_over();
    return {};
  }

  finding operator()(const plan_started& fact) {
    if (!s_.active || s_.active->revision() != fact.revision
        || facts().status != plan_status::approved)
      return wrong("reference",
                   revision(fact.revision) + " starts, but it is not an approved plan");
    if (auto found = nothing_may_start("the plan"))
      return found;
    facts().status = plan_status::in_progress;
    return {};
  }

  finding operator()(const plan_ended& fact) {
    const bool of_draft = s_.draft && s_.draft->revision() == fact.revision;
    if (!of_draft && (!s_.has_plan_in_force() || s_.active->revision() != fact.revision))
      return wrong("reference", revision(fact.revision) + " ends as " + enum_name(fact.status)
                                    + ", but it is neither a draft nor in force");
    auto found = of_draft ? end_draft(fact) : end_active(fact);
    if (!found)
      end_suspension_if_over();
    return found;
  }

  finding operator()(const deadline_set& fact) {
    if (!s_.has_plan_in_force())
      return wrong("reference", "a deadline is set, but no plan is in force");
    if (!fact.subtask) {
      facts().deadline = fact.at;
      return {};
    }
    const auto position = s_.active->find(*fact.subtask);
    if (!position)
      return unknown(*fact.subtask);
    s_.active->set_deadline(*position, fact.at);
    return {};
  }

  finding operator()(const session_suspended& fact) {
    if (!s_.is_live())
      return wrong("P5", "the session is suspended, but no plan is live");
    s_.suspended = true;
    s_.suspended_until = fact.until;
    take_back_step(); // which is given up; the one after the suspension sees all that there is
    return {};
  }

  finding operator()(const session_resumed& fact) {
    if (!s_.suspended)
      return wrong("P5", "the session is resumed, but it is not suspended");
    if (fact.by == "timer" && !is_due(s_.suspended_until, at_))
      return wrong("P5", "the session is resumed by its timer before its time");
    s_.suspended = false;
    s_.suspended_until.reset();
    return {};
  }

  finding operator()(const session_deleted& fact) {
    if (s_.is_live())
      return wrong("P6", "the session is deleted, but a plan is live");
    if (fact.by == "retention" && !is_due(s_.delete_at, at_))
      return wrong("reference", "the session is deleted by its timer before its time");
    s_.deleted = true;
    s_.delete_at.reset();
    return {};
  }

  finding operator()(const history_trimmed& fact) {
    if (s_.is_live())
      return wrong("reference", "events are dropped, but a plan is live");
    if (fact.first_event <= s_.first_event || fact.first_event > number_)
      return wrong("reference", "events before " + std::to_string(fact.first_event)
                                    + " are dropped, but those before "
                                    + std::to_string(s_.first_event) + " were before");
    s_.first_event = fact.first_event;
    return {};
  }

  finding operator()(const deletion_scheduled& fact) {
    if (s_.is_live())
      return wrong("reference", "a deletion is scheduled, but a plan is live");
    s_.delete_at = fact.at;
    return {};
  }

  finding operator()(const state_changed& fact) {
    if (fact.from != s_.recorded)
      return wrong("P5", "the state changes from " + enum_name(fact.from) + ", but it was "
                             + enum_name(s_.recorded));
    if (fact.to != s_.state())
      return wrong("P5", "the state changes to " + enum_name(fact.to)
                             + ", but what was recorded before comes to " + enum_name(s_.state()));
    s_.recorded = fact.to;
    return {};
  }

  finding operator()(const session_activated&) {
    take_back_step();
    return {};
  }

  finding operator()(const message_received& fact) {
    if (fact.number != s_.messages + 1)
      return wrong("P1", "message " + std::to_string(fact.number) + " follows message "
                             + std::to_string(s_.messages));
    if (s_.is_live()) {
      const auto& live = s_.facts_of(s_.draft ? *s_.draft : *s_.active);
      if (auto found = check_room("plan_messages", fact.number - live.first_message,
                                  s_.limits.plan_messages))
        return found;
    }
    s_.messages = fact.number;
    s_.entries += s_.running.has_value();
    s_.attempt.unheard = s_.attempt.unheard || (s_.running && s_.attempt.step_under_way);
    return {};
  }

  // -- subtasks
  // -------------------------------------------------------------------------------------

  finding operator()(const subtask_started& fact) {
    if (!s_.active || facts().status != plan_status::in_progress)
      return wrong("P3", named(fact.subtask) + " starts, but no plan is in progress");
    const auto position = s_.active->find(fact.subtask);
    if (!position)
      return unknown(fact.subtask);
    if (s_.running)
      return wrong("P3", named(fact.subtask) + " starts while " + named(running_id())
                             + " is running: one subtask at a time");
    if (auto found = nothing_may_start(named(fact.subtask)))
      return found;
    if (s_.active->first_ready() != position)
      return wrong("P3", named(fact.subtask) + " starts, but "
                             + (s_.active->first_ready()
                                    ? named((*s_.active)[*s_.active->first_ready()].spec.id)
                                    : std::string{"nothing"})
                             + " is the first that is pending and has all it depends on");
    auto& subtask = (*s_.active)[*position];
    if (fact.attempt != subtask.attempts + 1)
      return wrong("P3", named(fact.subtask) + " starts attempt " + std::to_string(fact.attempt)
                             + " after " + std::to_string(subtask.attempts));
    subtask.attempts = fact.attempt;
    subtask.result = nullptr;
    subtask.handed_to = {};
    s_.active->set_attempt_ends(*position, fact.deadline);
    s_.active->set_status(*position, subtask_status::running);
    s_.running = position;
    s_.attempt = {};
    s_.attempt.first_call = s_.calls.size() + 1;
    s_.attempt.first_entry = s_.entries;
    return {};
  }

  finding operator()(const subtask_finished& fact) {
    if (auto found = step_of(fact.subtask, "finishes"))
      return found;
    if (auto found = check_script(fact))
      return found;
    if (auto found = has_heard("finishes"))
      return found;
    const auto position = *s_.running;
    end_attempt();
    s_.active->set_status(position, subtask_status::done);
    (*s_.active)[position].result = fact.result;
    return {};
  }

  finding operator()(const subtask_failed& fact) {
    const auto position = find(fact.subtask);
    if (!position)
      return unknown(fact.subtask);
    const auto status = s_.active->status(*position);
    const auto& subtask = (*s_.active)[*position];
    const bool by_deadline = is_due(subtask.deadline, at_);
    if (status != subtask_status::running
        && !(by_deadline
             && is_one_of(status, {subtask_status::pending, subtask_status::blocked,
                                   subtask_status::backing_off})))
      return wrong("P3", named(fact.subtask) + " fails, but it is " + enum_name(status));
    if (s_.running == position && !s_.open.empty())
      return wrong("P3", named(fact.subtask) + " fails with " + open_calls());
    if (fact.retry_at && subtask.attempts >= subtask.spec.retry.max_attempts)
      return wrong("P6", named(fact.subtask) + " is to be tried again after "
                             + std::to_string(subtask.attempts) + " attempts of "
                             + std::to_string(subtask.spec.retry.max_attempts));
    if (fact.retry_at && s_.running == position && s_.attempt.cut_off != 0)
      return wrong("P8", named(fact.subtask) + " is to be tried again by itself, although call "
                             + std::to_string(s_.attempt.cut_off)
                             + " may have taken effect unseen");
    if (s_.running == position)
      end_attempt();
    s_.active->set_status(*position,
                          fact.retry_at ? subtask_status::backing_off : subtask_status::failed,
                          fact.retry_at);
    return {};
  }

  finding operator()(const subtask_cancelled& fact) {
    const auto position = find(fact.subtask);
    if (!position)
      return unknown(fact.subtask);
    const auto status = s_.active->status(*position);
    if (is_one_of(status,
                  {subtask_status::done, subtask_status::skipped, subtask_status::cancelled}))
      return wrong("P6", named(fact.subtask) + " is cancelled, but it is " + enum_name(status));
    if (s_.running == position && !s_.open.empty())
      return wrong("P4", named(fact.subtask) + " is cancelled with " + open_calls());
    if (s_.running == position)
      end_attempt();
    s_.active->set_status(*position, subtask_status::cancelled);
    return {};
  }

  finding operator()(const subtask_blocked& fact) {
    const auto position = find(fact.subtask);
    if (!position)
      return unknown(fact.subtask);
    if (s_.active->status(*position) != subtask_status::pending
        || !s_.active->is_held_up(*position))
      return wrong("P6", named(fact.subtask) + " is blocked, but it is "
                             + enum_name(s_.active->status(*position))
                             + (s_.active->is_held_up(*position)
                                    ? ""
                                    : ", and nothing that it depends on holds it up"));
    s_.active->set_status(*position, subtask_status::blocked);
    return {};
  }

  finding operator()(const subtask_unblocked& fact) {
    return make_pending(fact.subtask, {subtask_status::blocked});
  }

  finding operator()(const subtask_retried& fact) {
    const auto position = find(fact.subtask);
    if (!position)
      return unknown(fact.subtask);
    const auto& subtask = (*s_.active)[*position];
    if (fact.by == "backoff" && s_.active->status(*position) == subtask_status::backing_off
        && !is_due(subtask.next_step, at_))
      return wrong("P6", named(fact.subtask) + " is tried again before its backoff is over");
    if (is_due(subtask.deadline, at_))
      s_.active->set_deadline(*position, std::nullopt);
    return make_pending(fact.subtask, {subtask_status::failed, subtask_status::cancelled,
                                       subtask_status::backing_off});
  }

  finding operator()(const subtask_skipped& fact) {
    const auto position = find(fact.subtask);
    if (!position)
      return unknown(fact.subtask);
    const auto status = s_.active->status(*position);
    if (!is_one_of(status, {subtask_status::failed, subtask_status::cancelled}))
      return wrong("P3", named(fact.subtask) + " is skipped, but it is " + enum_name(status));
    s_.active->set_status(*position, subtask_status::skipped);
    return {};
  }

  finding operator()(const subtask_slept& fact) {
    if (auto found = step_of(fact.subtask, "sleeps"))
      return found;
    if (auto found = has_heard("sleeps"))
      return found;
    if (auto found = check_calls_of_script())
      return found;
    if (auto found = check_entries())
      return found;
    s_.active->set_next_step(*s_.running, fact.until);
    ++s_.entries;
    ++s_.attempt.steps;
    s_.attempt.said = false;
    s_.attempt.slept = true;
    return {};
  }

  finding operator()(const subtask_woke& fact) {
    if (!s_.running || running_id() != fact.subtask || !(*s_.active)[*s_.running].next_step)
      return wrong("P6", named(fact.subtask) + " wakes, but it does not sleep");
    if (!is_due((*s_.active)[*s_.running].next_step, at_))
      return wrong("P6", named(fact.subtask) + " wakes before its time");
    s_.active->set_next_step(*s_.running, std::nullopt);
    return {};
  }

  finding operator()(const subtask_handed_over& fact) {
    if (auto found = step_of(fact.subtask, "is handed over"))
      return found;
    if (auto found = check_entries())
      return found;
    take_back_step();
    (*s_.active)[*s_.running].handed_to = fact.agent;
    ++s_.entries;
    return {};
  }

  finding operator()(const proposal_refused& fact) {
    if (auto found = step_of(fact.subtask, "proposes a plan"))
      return found;
    take_back_step();
    ++s_.entries;
    return {};
  }

  finding operator()(const agent_said& fact) {
    if (auto found = step_of(fact.subtask, "says something"))
      return found;
    if (auto found = check_entries())
      return found;
    take_back_step();
    ++s_.entries;
    s_.attempt.said = true;
    return {};
  }

  finding operator()(const model_used& fact) {
    s_.usage += fact.usage;
    return {};
  }

  finding operator()(const step_restarted& fact) {
    if (!s_.running || running_id() != fact.subtask)
      return wrong("P7",
                   "a step of " + named(fact.subtask) + " begins again, but it is not running");
    take_back_step();
    return {};
  }

  // -- calls
  // ----------------------------------------------------------------------------------------

  finding operator()(const call_proposed& fact) {
    if (fact.call != s_.calls.size() + 1)
      return wrong("P1", "call " + std::to_string(fact.call) + " follows call "
                             + std::to_string(s_.calls.size()));
    const bool same_step = !fact.first_of_step && s_.attempt.last_step_calls > 0;
    if (!same_step) {
      if (auto found = step_of(fact.subtask, "calls " + fact.tool.str()))
        return found;
      if (auto found = check_calls_of_script())
        return found;
      if (auto found = check_entries(s_.attempt.said)) // what it has said with its calls
        return found;
    } else if (auto found = check_room("calls_per_step", s_.attempt.last_step_calls,
                                       s_.limits.calls_per_step))
      return found;
    if (!s_.running || running_id() != fact.subtask)
      return wrong("P3", named(fact.subtask) + " calls a tool, but it is not running");
    if (!is_one_of(fact.status, {call_status::answered, granted(fact.kind)})
        && !(fact.status == call_status::awaiting_decision && fact.kind != tool_kind::person))
      return wrong("P5", "the call of " + fact.tool.str() + ", a " + enum_name(fact.kind)
                             + " tool, begins as " + enum_name(fact.status));
    if (auto found = check_rule(fact))
      return found;
    if (auto found = note_digest(fact.digest, fact.call))
      return found;
    take_back_step();
    add_call(fact);
    return {};
  }

  finding operator()(const call_decided& fact) {
    auto* call = find(fact.call);
    if (call == nullptr)
      return unknown(fact.call);
    if (call->status != call_status::awaiting_decision || call->verdict)
      return wrong("P4", named(*call) + " is decided on, but it is " + enum_name(call->status)
                             + (call->verdict ? ", and was decided on before" : ""));
    if (has_expired(*call))
      return wrong("P4", named(*call) + " is decided on although it had expired before");
    const bool grants = is_one_of(fact.verdict, {call_verdict::approve, call_verdict::edit});
    if (fact.status != (grants ? granted(call->kind) : call_status::answered))
      return wrong("P5", named(*call) + " is " + enum_name(fact.status) + " after "
                             + enum_name(fact.verdict));
    const bool edited = fact.verdict == call_verdict::edit && fact.arguments != call->arguments;
    const bool covers_other = edited || fact.fingerprint != call->fingerprint;
    if ((fact.digest != call->digest) != covers_other)
      return wrong("P9", named(*call) + " was shown with the digest " + call->digest
                             + ", and is approved with " + fact.digest
                             + (covers_other ? ", although other things are approved"
                                             : ", although the same things are"));
    if (covers_other)
      if (auto found = note_digest(fact.digest, fact.call))
        return found;
    if (fact.verdict == call_verdict::edit) {
      if (call->proposed_arguments.is_null())
        call->proposed_arguments = call->arguments;
      call->arguments = fact.arguments;
    }
    call->digest = fact.digest;
    call->fingerprint = fact.fingerprint;
    call->verdict = fact.verdict;
    call->decision_event = number_;
    if (!grants) {
      s_.owes_answer = call->number;
      return {};
    }
    call->status = fact.status;
    call->since = at_;
    return {};
  }

  finding operator()(const decision_remembered& fact) {
    auto* call = find(fact.call);
    if (call == nullptr)
      return unknown(fact.call);
    if (fact.decision != s_.decisions + 1)
      return wrong("P1", "decision " + std::to_string(fact.decision) + " follows decision "
                             + std::to_string(s_.decisions));
    if (fact.tool != call->tool || fact.tool_version != call->tool_version)
      return wrong("P9", "a decision on " + named(*call) + " is remembered for " + fact.tool.str()
                             + ", version " + std::to_string(fact.tool_version));
    if (auto found = check_room("remembered_decisions", s_.remembered.size(),
                                s_.limits.remembered_decisions))
      return found;
    call->remembered = fact.scope;
    s_.decisions = fact.decision;
    s_.remembered.emplace(fact.decision, fact);
    return {};
  }

  finding operator()(const decision_forgotten& fact) {
    if (s_.remembered.erase(fact.decision) == 0)
      return wrong("P9", "decision " + std::to_string(fact.decision)
                             + " is forgotten, which is not remembered");
    return {};
  }

  finding operator()(const call_claimed& fact) {
    auto* call = find(fact.call);
    if (call == nullptr)
      return unknown(fact.call);
    if (call->status != call_status::queued)
      return wrong(call->status == call_status::awaiting_decision ? "P9" : "P8",
                   named(*call) + " is claimed for run " + std::to_string(fact.run) + ", but it is "
                       + enum_name(call->status));
    if (fact.run != call->runs + 1)
      return wrong("P8", "run " + std::to_string(fact.run) + " of " + named(*call)
                             + " is claimed after run " + std::to_string(call->runs));
    if (s_.suspended)
      return wrong("P5", named(*call) + " is claimed while the session is suspended");
    if (call->verdict && call->shown_revision != s_.active->revision())
      return wrong("P9", named(*call) + " is claimed under " + revision(s_.active->revision())
                             + ", but was approved under " + revision(call->shown_revision));
    call->runs = fact.run;
    call->status = call_status::claimed;
    return {};
  }

  finding operator()(const call_backed_off& fact) {
    return move(fact.call, {call_status::claimed}, "backs off", [&](reference_call& call) {
      if (fact.run != call.runs)
        return wrong("P8", "run " + std::to_string(fact.run) + " of " + named(call)
                               + " backs off, but run " + std::to_string(call.runs)
                               + " is the last");
      call.may_have_happened |= fact.may_have_happened;
      call.status = call_status::backing_off;
      call.retry_at = fact.retry_at;
      return finding{};
    });
  }

  finding operator()(const call_requeued& fact) {
    return move(fact.call, {call_status::backing_off}, "is queued again",
                [&](reference_call& call) {
                  if (!is_due(call.retry_at, at_))
                    return wrong("P8", named(call) + " is tried again before its backoff is over");
                  call.status = call_status::queued;
                  call.retry_at.reset();
                  return finding{};
                });
  }

  finding operator()(const call_asked_again& fact) {
    return move(
        fact.call, {call_status::awaiting_decision, call_status::queued, call_status::claimed},
        "is asked again", [&](reference_call& call) {
          if (call.verdict && call.status == call_status::awaiting_decision)
            return wrong("P4", named(call) + " is asked again after " + enum_name(*call.verdict));
          const bool covers_other =
              fact.fingerprint != call.fingerprint || fact.tool_version != call.tool_version;
          if (covers_other && fact.digest == call.digest)
            return wrong("P9", named(call) + " is asked again about other things with the digest "
                                   + fact.digest);
          if (fact.digest != call.digest)
            if (auto found = note_digest(fact.digest, fact.call))
              return found;
          call.verdict.reset();
          call.decision_event = 0;
          call.tool_version = fact.tool_version;
          call.digest = fact.digest;
          call.fingerprint = fact.fingerprint;
          call.shown_revision = s_.active->revision();
          call.asked_again_event = number_;
          call.status = call_status::awaiting_decision;
          call.since = at_;
          return finding{};
        });
  }

  finding operator()(const outcome_unknown& fact) {
    return move(fact.call, {call_status::claimed}, "has an unknown outcome",
                [&](reference_call& call) {
                  call.status = call_status::awaiting_outcome;
                  call.since = at_;
                  return finding{};
                });
  }

  finding operator()(const outcome_resolved& fact) {
    return move(fact.call, {call_status::claimed, call_status::awaiting_outcome}, "is resolved",
                [&](reference_call& call) {
                  if (call.status == call_status::claimed && fact.by != "reconcile"
                      && !(fact.by == "idempotent" && call.idempotent))
                    return wrong("P8", named(call) + " is resolved as " + enum_name(fact.resolution)
                                           + " by \"" + fact.by
                                           + "\", but nobody has said that its outcome is unknown"
                                           + (fact.by == "idempotent"
                                                  ? ", and its tool is not declared idempotent"
                                                  : ""));
                  call.may_have_happened |= call.status == call_status::claimed && call.idempotent;
                  if (fact.resolution == outcome_resolution::rerun)
                    call.status = call_status::queued;
                  else
                    s_.owes_answer = call.number;
                  return finding{};
                });
  }

  finding operator()(const call_answered& fact) {
    auto* call = find(fact.call);
    if (call == nullptr)
      return unknown(fact.call);
    if (call->answer)
      return wrong("P4", named(*call) + " is answered twice: " + enum_name(call->answer->outcome)
                             + " at event " + std::to_string(call->answer_event) + ", and now "
                             + enum_name(fact.answer.outcome));
    if (auto found = check_answer(*call, fact.answer.outcome))
      return found;
    if (fact.answer.outcome != call_outcome::expired && has_expired(*call))
      return wrong("P4", named(*call) + " is answered although it had expired before: "
                             + enum_name(fact.answer.outcome));
    const bool runs =
        is_one_of(call->status, {call_status::claimed, call_status::awaiting_outcome});
    if (runs && is_one_of(fact.answer.outcome, {call_outcome::cancelled, call_outcome::expired}))
      call->cut_off = true;
    const bool is_between_runs =
        call->may_have_happened
        && is_one_of(call->status, {call_status::queued, call_status::backing_off});
    if ((runs || is_between_runs) && fact.answer.outcome == call_outcome::expired)
      s_.attempt.cut_off = call->number;
    call->answer = fact.answer;
    call->answer_event = number_;
    call->status = call_status::answered;
    call->retry_at.reset();
    std::erase(s_.open, call->number);
    s_.owes_answer = 0;
    return {};
  }

  finding operator()(const late_result& fact) {
    auto* call = find(fact.call);
    if (call == nullptr)
      return unknown(fact.call);
    if (!call->answer)
      return wrong("P4", "a result of " + named(*call) + " is late, but it has no answer yet");
    if (auto found = check_room("late_results", call->late, s_.limits.late_results))
      return found;
    ++call->late;
    return {};
  }

private:
  // -- what several have in common
  // ------------------------------------------------------------------

  [[nodiscard]] reference_revision& facts() { return s_.revisions.at(s_.active->revision()); }
  [[nodiscard]] const subtask_id& running_id() const { return (*s_.active)[*s_.running].spec.id; }

  [[nodiscard]] std::optional<std::uint32_t> find(const subtask_id& id) const {
    return s_.has_plan_in_force() ? s_.active->find(id) : std::nullopt;
  }
  [[nodiscard]] reference_call* find(std::uint64_t number) {
    return s_.find_call(number) == nullptr ? nullptr : &s_.calls[number - 1];
  }

  static finding unknown(const subtask_id& id) {
    return wrong("reference", named(id) + " is not in a plan that is in force");
  }
  static finding unknown(std::uint64_t call) {
    return wrong("P4", "there is no call " + std::to_string(call));
  }

  /// P10: there is room for one more.
  static finding check_room(std::string_view limit_name, std::size_t count, std::size_t limit) {
    if (count < limit)
      return {};
    return wrong("P10", "there are " + std::to_string(count) + " already; "
                            + std::string{limit_name} + " is " + std::to_string(limit));
  }

  /// An agent may take one more step of its attempt: what it says and does in it is recorded, and
  /// `more` entries were recorded in that step already.
  [[nodiscard]] finding check_entries(std::size_t more = 0) const {
    return check_room("subtask_entries", s_.entries - s_.attempt.first_entry,
                      s_.limits.subtask_entries + more);
  }

  [[nodiscard]] std::string open_calls() const {
    std::string numbers;
    for (const auto number : s_.open)
      numbers += (numbers.empty() ? "" : ", ") + std::to_string(number);
    return "calls that have no answer: " + numbers;
  }

  /// While a session is suspended, or a revision awaits its decision, nothing new starts.
  [[nodiscard]] finding nothing_may_start(const std::string& what) const {
    if (s_.suspended)
      return wrong("P5", what + " starts while the session is suspended");
    if (s_.draft)
      return wrong("P5", what + " starts while " + revision(s_.draft->revision())
                             + " awaits a decision or was sent back");
    return {};
  }

  /// An agent takes a step only if its subtask runs, and it has seen all answers.
  [[nodiscard]] finding step_of(const subtask_id& id, const std::string& does) const {
    if (!s_.running || running_id() != id)
      return wrong("P3", named(id) + " " + does + ", but it is not running");
    if (!s_.open.empty())
      return wrong("P3", named(id) + " " + does + " with " + open_calls());
    if ((*s_.active)[*s_.running].next_step)
      return wrong("P6", named(id) + " " + does + ", but it sleeps");
    if (s_.awaits_own_proposal())
      return wrong("P5", named(id) + " " + does + ", but the plan that its agent has proposed, "
                             + revision(s_.draft->revision()) + ", is not decided on");
    return {};
  }

  /// P3: the agent `script` is done only when each of its steps was taken and answered, and then
  /// says what the last of them brought.
  [[nodiscard]] finding check_script(const subtask_finished& fact) const {
    const auto& subtask = (*s_.active)[*s_.running];
    if (s_.agent_of(*s_.running).str() != "script" || !subtask.handed_to.empty())
      return {};
    const auto& spec = subtask.spec;
    if (auto found = check_calls_of_script())
      return found;
    if (s_.attempt.steps < spec.steps.size())
      return wrong("P3", named(fact.subtask) + " is done after " + std::to_string(s_.attempt.steps)
                             + " of its " + std::to_string(spec.steps.size()) + " steps");
    if (!spec.result.is_null() || spec.steps.empty())
      return {};
    const auto expected = last_script_result(spec.steps.back());
    if (expected != fact.result)
      return wrong("P3", named(fact.subtask) + " is done with the result "
                             + fermata::to_text(fact.result) + ", but its last step brought "
                             + fermata::to_text(expected) + ": its agent has not seen it");
    return {};
  }

  /// P4: what the last step of the agent `script` was to call, it has called.
  [[nodiscard]] finding check_calls_of_script() const {
    const auto& subtask = (*s_.active)[*s_.running];
    const auto& steps = subtask.spec.steps;
    if (s_.agent_of(*s_.running).str() != "script" || !subtask.handed_to.empty()
        || s_.attempt.steps == 0 || s_.attempt.steps > steps.size())
      return {};
    const auto& written = steps[s_.attempt.steps - 1];
    const auto expected = written.contains("calls")  ? written.at("calls").size()
                          : written.contains("tool") ? 1
                                                     : 0;
    const auto called = s_.attempt.slept ? 0 : s_.attempt.last_step_calls;
    if (called == expected)
      return {};
    return wrong("P4", named(running_id()) + " was to make " + std::to_string(expected)
                           + " calls in its step " + std::to_string(s_.attempt.steps)
                           + ", but has made " + std::to_string(called));
  }

  /// P7: an agent does not end its subtask, sleep or propose in a step that a message has come
  /// into: it would not hear of it. That step is taken again.
  [[nodiscard]] finding has_heard(const std::string& does) const {
    if (!s_.attempt.unheard)
      return {};
    return wrong("P7", named(running_id()) + " " + does
                           + " in a step that had begun before the last message came, which its "
                             "agent has not seen");
  }

  [[nodiscard]] json last_script_result(const json& written) const {
    if (s_.attempt.slept)
      return nullptr;
    auto results = json::array();
    for (auto i = s_.attempt.last_step_call;
         i < s_.attempt.last_step_call + s_.attempt.last_step_calls; ++i) {
      const auto& answer = *s_.find_call(i)->answer;
      switch (answer.outcome) {
      case call_outcome::succeeded:
        results.push_back(answer.content);
        break;
      case call_outcome::rejected:
        results.push_back(answer.content.is_object()
                              ? answer.content
                              : json{{"rejected", true}, {"feedback", answer.content}});
        break;
      default:
        results.push_back(json{{"error", answer.content}});
      }
    }
    return written.contains("calls") ? results : results.at(0);
  }

  /// Its agent's next step sees all that there is.
  void take_back_step() {
    s_.attempt.step_under_way = false;
    s_.attempt.unheard = false;
  }

  void end_attempt() {
    s_.running.reset();
    s_.attempt = {};
  }

  finding make_pending(const subtask_id& id, std::initializer_list<subtask_status> from) {
    const auto position = find(id);
    if (!position)
      return unknown(id);
    const auto status = s_.active->status(*position);
    if (!is_one_of(status, from))
      return wrong("P6", named(id) + " becomes pending, but it is " + enum_name(status));
    s_.active->set_status(*position, subtask_status::pending);
    return {};
  }

  void end_suspension_if_over() {
    if (s_.is_live())
      return;
    s_.suspended = false; // there is nothing to hold
    s_.suspended_until.reset();
  }

  /// A draft that is over is the session's last plan, unless it was to replace one.
  void retire_draft() {
    if (s_.facts_of(*s_.draft).replaces == 0)
      s_.active = std::move(s_.draft);
    s_.draft.reset();
  }

  /// The draft is in force from now on, with what it keeps of the plan that it replaces.
  finding take_over(bool own_proposal) {
    if (s_.facts_of(*s_.draft).replaces == 0) {
      s_.active = std::move(s_.draft);
      s_.draft.reset();
      return {};
    }
    auto& before = *s_.active;
    auto& next = *s_.draft;
    const auto fates = before.compare(next);
    std::optional<std::uint32_t> goes_on;
    for (std::uint32_t i = 0; i < next.size(); ++i)
      if (const auto old = before.find(next[i].spec.id))
        if (keep(before, *old, next, i, fates[i]) && s_.running == *old)
          goes_on = i;
    if (auto found = check_replaced_calls(goes_on.has_value(), next.revision()))
      return found;
    auto& old_facts = facts();
    old_facts.status = plan_status::cancelled;
    s_.revisions.at(next.revision()).deadline = old_facts.deadline;
    s_.entries += own_proposal && goes_on;
    s_.active = std::move(s_.draft);
    s_.draft.reset();
    s_.running = goes_on;
    if (!goes_on)
      s_.attempt = {};
    return {};
  }

  /// True for a subtask that goes on.
  static bool keep(const reference_plan& before, std::uint32_t old, reference_plan& next,
                   std::uint32_t position, replanned fate) {
    if (fate != replanned::anew) {
      const auto& kept = before[old];
      next[position].attempts = kept.attempts;
      next[position].result = kept.result;
      next[position].handed_to = kept.handed_to;
      next.set_attempt_ends(position, kept.attempt_ends);
      next.set_status(position, before.status(old), kept.next_step);
    }
    // Deadlines are for the work, not for one revision of the plan.
    next.set_deadline(position, before[old].deadline);
    return fate == replanned::continues;
  }

  /// P9: what waits for a decision is asked again where its plan is replaced; P4: what does not go
  /// on is closed.
  finding check_replaced_calls(bool goes_on, std::uint32_t next) {
    if (!goes_on && !s_.open.empty())
      return wrong("P4", revision(next) + " takes the place of a plan with " + open_calls());
    for (const auto number : s_.open) {
      auto& call = s_.calls[number - 1];
      if (call.status != call_status::awaiting_decision)
        continue;
      if (call.asked_again_event <= s_.transaction)
        return wrong("P9", named(call) + " was shown under " + revision(call.shown_revision)
                               + ", and is not asked again under " + revision(next));
      call.shown_revision = next;
    }
    return {};
  }

  finding end_draft(const plan_ended& fact) {
    auto& draft = s_.revisions.at(fact.revision);
    if (fact.status != plan_status::cancelled)
      return wrong("reference", "the draft " + revision(fact.revision) + " ends as "
                                    + enum_name(fact.status) + "; it can only be cancelled");
    if (fact.by == "timer" && !is_due(draft.expires_at, at_) && !is_deadline_of_plan())
      return wrong("P6", "the draft " + revision(fact.revision) + " expires before its time");
    s_.entries += s_.awaits_own_proposal();
    for (std::uint32_t i = 0; i < s_.draft->size(); ++i)
      s_.draft->set_status(i, subtask_status::cancelled);
    draft.status = plan_status::cancelled;
    retire_draft();
    return {};
  }

  [[nodiscard]] bool is_deadline_of_plan() {
    return s_.has_plan_in_force() && is_due(facts().deadline, at_);
  }

  finding end_active(const plan_ended& fact) {
    auto& plan = *s_.active;
    if (!s_.open.empty())
      return wrong("P4", "the plan ends as " + enum_name(fact.status) + " with " + open_calls());
    switch (fact.status) {
    case plan_status::completed:
      if (!plan.is_complete())
        return wrong("P3",
                     "the plan is completed, but not all of its subtasks are done or skipped");
      break;
    case plan_status::failed:
      if (fact.by == "timer" && !is_deadline_of_plan())
        return wrong("P6", "the plan fails at a deadline that has not passed");
      cancel_subtasks({subtask_status::running, subtask_status::backing_off});
      break;
    case plan_status::cancelled:
      cancel_subtasks({subtask_status::pending, subtask_status::blocked, subtask_status::running,
                       subtask_status::backing_off, subtask_status::failed});
      break;
    default:
      return wrong("reference", "a plan in force ends as " + enum_name(fact.status));
    }
    facts().status = fact.status;
    end_attempt();
    return {};
  }

  void cancel_subtasks(std::initializer_list<subtask_status> which) {
    for (std::uint32_t i = 0; i < s_.active->size(); ++i)
      if (is_one_of(s_.active->status(i), which))
        s_.active->set_status(i, subtask_status::cancelled);
  }

  /// Changes a call's status, if it has one of those that it may have.
  template <class Change>
  finding move(std::uint64_t number, std::initializer_list<call_status> from, std::string_view does,
               Change change) {
    auto* call = find(number);
    if (call == nullptr)
      return unknown(number);
    if (!is_one_of(call->status, from))
      return wrong("P5", named(*call) + " " + std::string{does} + ", but it is "
                             + enum_name(call->status));
    return change(*call);
  }

  /// P9: a digest is of one call only, and of one thing that was shown of it.
  finding note_digest(const std::string& digest, std::uint64_t call) {
    const auto [found, added] = s_.digests.emplace(digest, call);
    if (digest.empty() || (!added && found->second != call))
      return wrong("P9", "call " + std::to_string(call) + " is shown with the digest \"" + digest
                             + "\" of call " + std::to_string(found->second));
    return {};
  }

  /// P9: what a remembered decision lets run, or rejects, is what it was made on.
  [[nodiscard]] finding check_rule(const call_proposed& fact) const {
    constexpr std::string_view prefix = "decision ";
    if (fact.ruled_by.empty() && fact.status != call_status::answered)
      return wrong("P9", "the call of " + fact.tool.str() + " is " + enum_name(fact.status)
                             + ", but no rule says so");
    if (!fact.ruled_by.starts_with(prefix))
      return {};
    const auto found = s_.remembered.find(std::stoull(fact.ruled_by.substr(prefix.size())));
    if (found == s_.remembered.end())
      return wrong("P9", "the call of " + fact.tool.str() + " is ruled by " + fact.ruled_by
                             + ", which the session does not remember");
    const auto& decision = found->second;
    const bool fits = decision.tool == fact.tool && decision.tool_version == fact.tool_version
                      && (decision.scope == decision_scope::tool
                          || decision.arguments_digest == digest_of(fact.arguments));
    const auto status =
        decision.verdict == call_verdict::reject ? call_status::answered : granted(fact.kind);
    if (!fits || fact.status != status)
      return wrong("P9", "the call of " + fact.tool.str() + " is " + enum_name(fact.status) + " by "
                             + fact.ruled_by
                             + (fits ? ", which says otherwise" : ", which is about another"));
    return {};
  }

  void add_call(const call_proposed& fact) {
    auto& call = s_.calls.emplace_back();
    call.number = fact.call;
    call.revision = s_.active->revision();
    call.shown_revision = call.revision;
    call.subtask = fact.subtask;
    call.tool = fact.tool;
    call.kind = fact.kind;
    call.tool_version = fact.tool_version;
    call.idempotent = fact.idempotent;
    call.arguments = fact.arguments;
    call.status = fact.status;
    call.digest = fact.digest;
    call.fingerprint = fact.fingerprint;
    call.prompt = fact.prompt;
    call.ruled_by = fact.ruled_by;
    call.since = at_;
    call.expires_at = fact.expires_at;
    s_.open.push_back(fact.call);
    if (fact.status == call_status::answered)
      s_.owes_answer = fact.call;
    if (!fact.first_of_step) {
      ++s_.attempt.last_step_calls;
      return;
    }
    ++s_.entries;
    ++s_.attempt.steps;
    s_.attempt.said = false;
    s_.attempt.slept = false;
    s_.attempt.last_step_call = fact.call;
    s_.attempt.last_step_calls = 1;
  }

  /// Where an answer may come from, by what it says.
  [[nodiscard]] finding check_answer(const reference_call& call, call_outcome outcome) const {
    const bool owed = s_.owes_answer == call.number;
    const auto refuse = [&](const char* promise, const std::string& why) {
      return wrong(promise, named(call) + " is answered as " + enum_name(outcome) + ", but " + why);
    };
    switch (outcome) {
    case call_outcome::cancelled:
      return owed ? refuse("P4", "something else was to follow") : finding{};
    case call_outcome::expired:
      return check_expiry(call);
    case call_outcome::rejected:
      if (!owed || (call.verdict && call.verdict != call_verdict::reject))
        return refuse("P4", "nobody has rejected it");
      return {};
    case call_outcome::succeeded:
    case call_outcome::failed:
      break;
    }
    if (owed)
      return call.verdict == call_verdict::reject ? refuse("P4", "it was rejected") : finding{};
    switch (call.status) {
    case call_status::awaiting_result:
    case call_status::awaiting_answer:
    case call_status::claimed:
      return {};
    case call_status::awaiting_outcome:
      return refuse("P8", "nobody has said what became of its run");
    case call_status::awaiting_decision:
      return refuse("P9", "nobody has decided on it");
    case call_status::queued:
    case call_status::backing_off:
      return refuse("P8", "no run of it is claimed");
    case call_status::answered:
      break;
    }
    return {};
  }

  /// What is due comes before whatever somebody says.
  [[nodiscard]] bool has_expired(const reference_call& call) const {
    return is_due(call.expires_at, at_)
           && is_one_of(call.status, {call_status::awaiting_decision, call_status::awaiting_result,
                                      call_status::awaiting_answer});
  }

  [[nodiscard]] finding check_expiry(const reference_call& call) const {
    const auto& subtask = (*s_.active)[*s_.running];
    if (has_expired(call) || is_due(subtask.deadline, at_) || is_due(subtask.attempt_ends, at_)
        || is_due(s_.facts_of(*s_.active).deadline, at_))
      return {};
    return wrong("P6", named(call) + " expires before its time");
  }

  reference_session& s_;
  std::uint64_t number_;
  timestamp at_;
};

/// What must be so before anything of an event is looked at.
finding check_place(const reference_session& session, const event& fact) {
  if (fact.number != session.events + 1)
    return wrong("P1", "it follows event " + std::to_string(session.events));
  if (fact.number == 1 && !std::holds_alternative<session_created>(fact.body))
    return wrong("P1", "it is the first one, but creates no session");
  if (session.owes_answer == 0)
    return {};
  const auto* answer = std::get_if<call_answered>(&fact.body);
  if (answer == nullptr || answer->call != session.owes_answer)
    return wrong("P4", "it stands where call " + std::to_string(session.owes_answer)
                           + " was to be answered");
  return {};
}

/// Nothing is blocked without a cause.
finding check_blocked(const reference_plan& plan) {
  for (std::uint32_t i = 0; i < plan.size(); ++i)
    if (plan.status(i) == subtask_status::blocked && !plan.is_held_up(i))
      return wrong("P6", named(plan[i].spec.id)
                             + " is blocked, but nothing that it depends on holds it up");
  return {};
}

finding check_between(const reference_session& session) {
  if (session.owes_answer != 0)
    return wrong("P4", "call " + std::to_string(session.owes_answer)
                           + " was to be answered in the same transaction");
  if (session.recorded != session.state())
    return wrong("P5", "the session is said to be " + enum_name(session.recorded)
                           + ", but what is recorded comes to " + enum_name(session.state()));
  if (session.recorded == session_state::waiting && session.waiting().total() == 0)
    return wrong("P6", "the session waits, but for nobody and nothing");
  if (session.has_plan_in_force() && session.active->count(subtask_status::blocked) > 0)
    return check_blocked(*session.active);
  return {};
}

} // namespace

std::optional<contradiction> apply(reference_session& to, const event& fact) {
  auto found = check_place(to, fact);
  if (!found && to.deleted)
    found = wrong("P1", "it follows the deletion of the session");
  if (!found)
    found = std::visit(replay{to, fact}, fact.body);
  if (!found) {
    to.events = fact.number;
    return {};
  }
  found->event = fact.number;
  found->text = std::string{name_of(fact.body)} + ": " + found->text;
  return found;
}

void begin_transaction(reference_session& of) {
  // Where a fold has become too long, the next step begins in a later transaction.
  constexpr std::uint64_t longest_fold = 64;
  of.attempt.step_under_way = of.is_step_due() && of.events - of.transaction < longest_fold;
  of.transaction = of.events;
}

std::optional<contradiction> end_transaction(const reference_session& of) {
  auto found = of.events > of.transaction ? check_between(of) : finding{};
  if (found)
    found->event = of.events;
  return found;
}

std::optional<contradiction> apply(reference_session& to, std::span<const event> facts) {
  begin_transaction(to);
  for (const auto& fact : facts)
    if (auto found = apply(to, fact))
      return found;
  return end_transaction(to);
}

} // namespace fermata::sim
