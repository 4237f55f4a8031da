#include <fermata/actors/core/decide.hpp>

#include <fermata/actors/core/call_rules.hpp>
#include <fermata/actors/core/plan_rules.hpp>
#include <fermata/actors/core/transitions.hpp>
#include <fermata/actors/tools/schema.hpp>
#include <fermata/messages/digest.hpp>
#include <fermata/messages/plan_diff.hpp>

#include <algorithm>

namespace fermata::core {

namespace {

/// Arguments of a remembered decision that are kept beside their digest, for people: all decisions
/// of a session are in memory while it is.
constexpr std::size_t shown_arguments_bytes = 4'096;

std::string in_quotes(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

/// Decides on one command; one overload for each.
class decider {
public:
  decider(const session_data& data, const environment& env) : data_{data}, env_{env} {}

  result<verdict> operator()(const propose_plan& body) const {
    if (auto error = check_proposal(body.plan, {}, env_))
      return error;
    verdict decided;
    if (auto error = enter_workspace(body.workspace, decided.events))
      return error;
    proposal how;
    how.first_message = data_.head.messages + 1;
    propose(data_, body.plan, how, env_, decided.events);
    return decided;
  }

  result<verdict> operator()(const revise_plan& body) const {
    if (auto error = check_proposal(body.plan, {}, env_))
      return error;
    proposal how;
    if (data_.draft)
      how.replaces = data_.draft->record.replaces;
    else if (data_.active)
      how.replaces = data_.active->record.revision;
    how.first_message =
        data_.draft ? data_.draft->record.first_message : data_.active->record.first_message;
    verdict decided;
    // What runs ends first where nobody will be asked: the revision takes its place at once.
    if (env_.policy.rule_on_plan({}).action == policy_action::allow)
      make_way(body.plan.subtasks, how.replaces, data_.head.last_revision + 1, decided.events);
    propose(data_, body.plan, how, env_, decided.events);
    return decided;
  }

  result<verdict> operator()(const decide_plan& body) const {
    if (auto error = check_text(body.feedback))
      return error;
    if (data_.draft && data_.draft->record.revision == body.revision
        && !data_.draft->record.sent_back)
      return decide_on_draft(body);
    return decide_again(body);
  }

  result<verdict> operator()(const decide_call& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_text(body.feedback))
      return error;
    auto decided = decide_on_call(body, *call);
    if (decided && body.remember != decision_scope::once)
      if (auto error = remember(body, *call, *decided))
        return error;
    return decided;
  }

  result<verdict> operator()(const decide_calls& body) const {
    if (body.decisions.empty())
      return make_error(errc::invalid_field, "decisions refused: there is none among them");
    if (auto error =
            check_limit("calls_per_step", body.decisions.size(), env_.limits.calls_per_step))
      return error;
    verdict all;
    all.kind = receipt_kind::duplicate;
    std::set<call_id> seen;
    for (std::size_t i = 0; i < body.decisions.size(); ++i) {
      const auto& decision = body.decisions[i];
      const auto where = "decisions[" + std::to_string(i) + "]: ";
      if (!seen.insert(decision.call).second)
        return make_error(errc::invalid_field, where + "the call " + decision.call.str()
                                                   + " is decided on twice; once is accepted");
      if (auto error = decide_also(decision, all))
        return make_error(code_of(error), where + message_of(error));
    }
    if (all.kind == receipt_kind::accepted)
      all.first_event = 0;
    return all;
  }

  result<verdict> operator()(const forget_decision& body) const {
    if (!data_.remembered.contains(body.decision)) {
      std::string numbers;
      for (const auto& [number, unused] : data_.remembered)
        numbers += (numbers.empty() ? "" : ", ") + std::to_string(number);
      return make_error(errc::unknown_decision,
                        "session " + data_.head.id.str() + " remembers no decision "
                            + std::to_string(body.decision)
                            + "; it remembers: " + (numbers.empty() ? "none" : numbers));
    }
    decision_forgotten fact;
    fact.decision = body.decision;
    fact.by = body.by;
    return just(std::move(fact));
  }

  result<verdict> operator()(const delete_session& body) const {
    if (auto error = check_text(body.reason))
      return error;
    if (env_.runs_tools)
      return make_error(
          errc::not_allowed,
          "delete_session refused: a run of one of the session's tools has not ended, "
          "although nobody waits for it; delete it when that is over");
    session_deleted fact;
    fact.reason = body.reason;
    fact.by = body.by;
    return just(std::move(fact));
  }

  result<verdict> operator()(const trim_history& body) const {
    if (body.keep == 0)
      return make_error(errc::invalid_field, "keep: expected 1 or more, got 0: the last event of a "
                                             "session is never dropped");
    if (auto fact = trimmed_to(data_, body.keep, body.by))
      return just(std::move(*fact));
    verdict nothing;
    nothing.kind = receipt_kind::duplicate;
    nothing.first_event = data_.head.events;
    return nothing;
  }

  result<verdict> operator()(const answer_question& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (call->kind != tool_kind::person)
      return make_error(errc::not_allowed,
                        "answer refused: the call " + body.call.str() + " is no question");
    if (auto error = check_result(body.content, env_))
      return error;
    const tool_answer answer{call_outcome::succeeded, body.content};
    if (call->status == call_status::answered)
      return answer_again(*call, answer);
    if (call->arguments.contains("schema"))
      if (auto error = check_schema(call->arguments.at("schema"), body.content))
        return make_error(errc::invalid_answer, "answer refused: " + message_of(error));
    return just(answered(call->number, answer, body.by));
  }

  result<verdict> operator()(const cancel_call& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_text(body.reason))
      return error;
    verdict decided;
    if (call->status != call_status::answered) {
      decided.events.push_back(answered(
          call->number,
          {call_outcome::cancelled, synthetic_content(call_outcome::cancelled, body.reason)},
          body.by));
      return decided;
    }
    if (call->answer->outcome != call_outcome::cancelled)
      return make_error(errc::already_answered,
                        "cancellation refused: the call " + body.call.str()
                            + " has its result: " + enum_name(call->answer->outcome));
    decided.kind = receipt_kind::duplicate;
    decided.first_event = call->answer_event;
    return decided;
  }

  result<verdict> operator()(tool_result body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_result(body.content, env_))
      return error;
    tool_answer answer{body.is_error ? call_outcome::failed : call_outcome::succeeded,
                       std::move(body.content)};
    switch (call->status) {
    case call_status::answered:
      return answer_again(*call, answer);
    case call_status::awaiting_decision:
      return make_error(errc::not_approved, "result refused: nobody has approved the call "
                                                + body.call.str() + " yet; decide on it first");
    case call_status::awaiting_outcome:
      return make_error(errc::not_allowed,
                        "result refused: the runtime ran " + body.call.str()
                            + " and its outcome is unknown; resolve the outcome instead");
    case call_status::queued:
    case call_status::claimed:
    case call_status::backing_off:
      return make_error(errc::not_allowed,
                        "result refused: the runtime itself runs " + body.call.str());
    case call_status::awaiting_answer:
      return make_error(errc::not_allowed, "result refused: " + body.call.str()
                                               + " is a question to a person; answer_question "
                                                 "answers it");
    case call_status::awaiting_result:
      break;
    }
    return just(answered(call->number, std::move(answer)));
  }

  result<verdict> operator()(const resolve_outcome& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_text(body.reason))
      return error;
    if (auto error = check_result(body.content, env_, env_.tools.find(call->tool)))
      return error;
    if (call->status == call_status::answered && body.resolution != outcome_resolution::rerun)
      return answer_again(*call, resolution_answer(body));
    if (call->status != call_status::awaiting_outcome)
      return make_error(errc::not_allowed,
                        "outcome refused: the call " + body.call.str() + " is "
                            + enum_name(call->status)
                            + "; only one that is awaiting_outcome can be resolved");
    verdict decided;
    outcome_resolved fact;
    fact.call = call->number;
    fact.resolution = body.resolution;
    fact.reason = body.reason;
    fact.by = body.by;
    decided.events.emplace_back(std::move(fact));
    if (body.resolution != outcome_resolution::rerun)
      decided.events.push_back(answered(call->number, resolution_answer(body)));
    return decided;
  }

  result<verdict> operator()(const retry_subtask& body) const {
    const auto position = subtask_in(
        body.subtask, "retried",
        {subtask_status::failed, subtask_status::cancelled, subtask_status::backing_off});
    if (!position)
      return position.error();
    if (auto error =
            check_limit("subtask_attempts", data_.active->subtasks()[*position].attempts + 1,
                        env_.limits.subtask_attempts))
      return error;
    verdict decided;
    subtask_retried fact;
    fact.subtask = body.subtask;
    fact.by = body.by;
    decided.events.emplace_back(std::move(fact));
    if (const auto cause = blocking_dependency(*data_.active, *position)) {
      subtask_blocked blocked;
      blocked.subtask = body.subtask;
      blocked.by = *cause;
      decided.events.emplace_back(std::move(blocked));
    } else {
      unblock_dependents(*data_.active, *position, decided.events);
    }
    return decided;
  }

  result<verdict> operator()(const skip_subtask& body) const {
    if (auto error = check_text(body.reason))
      return error;
    const auto position =
        subtask_in(body.subtask, "skipped", {subtask_status::failed, subtask_status::cancelled});
    if (!position)
      return position.error();
    verdict decided;
    subtask_skipped fact;
    fact.subtask = body.subtask;
    fact.reason = body.reason;
    fact.by = body.by;
    decided.events.emplace_back(std::move(fact));
    unblock_dependents(*data_.active, *position, decided.events);
    return decided;
  }

  result<verdict> operator()(const cancel_subtask& body) const {
    if (auto error = check_text(body.reason))
      return error;
    const auto position =
        subtask_in(body.subtask, "cancelled",
                   {subtask_status::pending, subtask_status::blocked, subtask_status::running,
                    subtask_status::backing_off, subtask_status::failed});
    if (!position)
      return position.error();
    verdict decided;
    if (data_.head.running == *position)
      end_open_calls(data_, call_outcome::cancelled, body.reason, decided.events);
    subtask_cancelled fact;
    fact.subtask = body.subtask;
    fact.reason = body.reason;
    fact.by = body.by;
    decided.events.emplace_back(std::move(fact));
    block_dependents(*data_.active, *position, decided.events);
    return decided;
  }

  result<verdict> operator()(const suspend_session& body) const {
    if (auto error = check_text(body.reason))
      return error;
    if (body.until)
      if (auto error = check_time("until", *body.until, env_))
        return error;
    session_suspended fact;
    fact.until = body.until;
    fact.reason = body.reason;
    fact.by = body.by;
    return just(std::move(fact));
  }

  result<verdict> operator()(const resume_session& body) const {
    session_resumed fact;
    fact.by = body.by;
    return just(std::move(fact));
  }

  result<verdict> operator()(const set_deadline& body) const {
    if (body.at)
      if (auto error = check_time("at", *body.at, env_))
        return error;
    if (!data_.has_plan_in_force())
      return make_error(errc::not_allowed,
                        "deadline refused: no plan is in progress; one that is, and its subtasks, "
                        "have deadlines");
    if (body.subtask) {
      const auto position = subtask_in(*body.subtask, "given a deadline",
                                       {subtask_status::pending, subtask_status::blocked,
                                        subtask_status::running, subtask_status::backing_off});
      if (!position)
        return position.error();
    }
    deadline_set fact;
    fact.subtask = body.subtask;
    fact.at = body.at;
    fact.by = body.by;
    return just(std::move(fact));
  }

  result<verdict> operator()(const post_message& body) const {
    if (body.text.empty())
      return make_error(errc::invalid_field, "message refused: text: it is empty");
    if (auto error = check_text(body.text))
      return error;
    verdict decided;
    message_received fact;
    fact.number = data_.head.messages + 1;
    fact.text = body.text;
    fact.by = body.by;
    if (!is_over()) {
      const auto first = (data_.draft ? data_.draft : data_.active)->record.first_message;
      if (auto error =
              check_limit("plan_messages", fact.number - first + 1, env_.limits.plan_messages))
        return error;
      decided.events.emplace_back(std::move(fact));
      return decided;
    }
    if (env_.planner.empty())
      return make_error(errc::not_allowed,
                        "message refused: no plan is live, and this runtime has no planner to make "
                        "one of it; propose a plan");
    if (auto error = enter_workspace(body.workspace, decided.events))
      return error;
    proposal how;
    how.planning = true;
    how.first_message = fact.number;
    decided.events.emplace_back(std::move(fact));
    propose(data_, planning_plan(body.text, nullptr, env_), how, env_, decided.events);
    return decided;
  }

  result<verdict> operator()(const fail_plan& body) const {
    return end_plan(plan_status::failed, body.reason, body.by);
  }

  result<verdict> operator()(const cancel_plan& body) const {
    return end_plan(plan_status::cancelled, body.reason, body.by);
  }

private:
  /// A command that becomes one event.
  static verdict just(event_body fact) {
    verdict decided;
    decided.events.push_back(std::move(fact));
    return decided;
  }

  [[nodiscard]] const call_record* find_call(const call_id& id) const {
    return id.session() == data_.head.id ? data_.find_call(id.number()) : nullptr;
  }

  caf::error check_text(std::string_view text) const {
    if (!is_utf8(text))
      return make_error(errc::invalid_field, "refused: a text of it is not UTF-8");
    return check_limit("text_size_bytes", text.size(), env_.limits.text_size_bytes);
  }

  /// True when no plan is live: neither a draft nor one in force.
  [[nodiscard]] bool is_over() const { return !data_.draft && !data_.has_plan_in_force(); }

  /// A new session is created in the workspace; an old one keeps its own.
  caf::error enter_workspace(const std::string& folder, std::vector<event_body>& events) const {
    if (!folder.empty() && folder.front() != '/')
      return make_error(errc::invalid_field, "workspace: an absolute path is needed");
    if (data_.exists()) {
      if (!folder.empty() && folder != data_.head.workspace)
        return make_error(errc::invalid_field, "workspace: the session's is " + data_.head.workspace
                                                   + "; a session keeps its workspace");
      return caf::none;
    }
    session_created created;
    created.incarnation = env_.new_incarnation;
    created.workspace = folder;
    events.emplace_back(std::move(created));
    return caf::none;
  }

  result<verdict> decide_on_draft(const decide_plan& body) const {
    const auto& draft = *data_.draft;
    verdict decided;
    if (body.verdict == plan_verdict::approve)
      make_way(draft.specs(), draft.record.replaces, body.revision, decided.events);
    plan_decided fact;
    fact.revision = body.revision;
    fact.verdict = body.verdict;
    fact.feedback = body.feedback;
    fact.by = body.by;
    decided.events.emplace_back(std::move(fact));
    // A plan that the planner made goes back to it; an agent that is in the middle of its subtask
    // hears of it there.
    if (body.verdict == plan_verdict::modify && !draft.record.planner.empty()
        && draft.record.replaces == 0)
      plan_again(body.feedback, decided.events);
    return decided;
  }

  /// A revision is about to take the place of the plan in progress. If the running subtask does not
  /// go on in it, its open calls are cancelled; if it does, those that wait for a decision are
  /// asked again, since what is approved includes the revision (P9).
  void make_way(std::span<const subtask_spec> next, std::uint32_t replaces, std::uint32_t revision,
                std::vector<event_body>& events) const {
    if (replaces == 0 || !data_.head.running)
      return;
    const auto& running = data_.running_spec().id;
    const auto changes = compare_plans(data_.active->specs(), data_.active->statuses(), next);
    const auto reason = "replaced by revision " + std::to_string(revision);
    if (std::none_of(changes.begin(), changes.end(), [&](const subtask_change& change) {
          return change.subtask == running && change.fate == subtask_fate::continued;
        }))
      return end_open_calls(data_, call_outcome::cancelled, reason, events);
    const auto& subtask = data_.running_subtask();
    for (auto number = subtask.first_call; number < subtask.first_call + subtask.calls; ++number)
      if (const auto& call = data_.calls.at(number); call.status == call_status::awaiting_decision)
        events.push_back(asked_again(data_, call, revision, reason, env_));
  }

  /// The planner makes another plan of what the user said, knowing what was wrong with this one.
  void plan_again(const std::string& feedback, std::vector<event_body>& events) const {
    const auto& draft = *data_.draft;
    plan_spec refused;
    refused.goal = draft.record.goal;
    refused.subtasks = draft.specs();
    refused.tools = draft.record.tools;
    auto made = planning_plan(data_.messages.empty() ? refused.goal : data_.messages.front().text,
                              {{"revises", to_json(refused)}, {"feedback", feedback}}, env_);
    made.subtasks.front().agent = draft.record.planner;
    proposal how;
    how.planning = true;
    how.first_message = draft.record.first_message;
    propose(data_, made, how, env_, events);
  }

  /// A decision on a revision that is not waiting for one.
  result<verdict> decide_again(const decide_plan& body) const {
    const auto* record = find_plan(body.revision);
    const auto text = "revision " + std::to_string(body.revision);
    if (record == nullptr)
      return make_error(errc::unknown_approval, "decision refused: there is no plan " + text
                                                    + "; the last is "
                                                    + std::to_string(data_.head.last_revision));
    if (!record->verdict)
      return make_error(errc::superseded, record->status == plan_status::cancelled
                                              ? "decision refused: plan " + text
                                                    + " was cancelled before anybody decided on it"
                                              : "decision refused: plan " + text
                                                    + " was superseded by revision "
                                                    + std::to_string(data_.head.last_revision));
    if (*record->verdict == body.verdict) {
      verdict again;
      again.kind = receipt_kind::duplicate;
      again.first_event = record->decision_event;
      return again;
    }
    return make_error(errc::already_decided,
                      "decision refused: plan " + text + " was decided before: "
                          + std::string{enum_names(
                              *record->verdict)[static_cast<std::size_t>(*record->verdict)]});
  }

  [[nodiscard]] const plan_record* find_plan(std::uint32_t revision) const {
    if (const auto* plan = data_.find_plan(revision))
      return &plan->record;
    const auto found = data_.past_plans.find(revision);
    return found == data_.past_plans.end() ? nullptr : &found->second;
  }

  caf::error unknown(const call_id& id) const {
    if (id.session() != data_.head.id)
      return make_error(errc::unknown_call,
                        "the call " + id.str() + " is not one of session " + data_.head.id.str());
    return make_error(errc::unknown_call, "session " + data_.head.id.str() + " has no call "
                                              + id.str() + "; it has had "
                                              + std::to_string(data_.head.calls) + " calls");
  }

  result<verdict> decide_on_call(const decide_call& body, const call_record& call) const {
    if (call.status != call_status::awaiting_decision)
      return decide_again(body, call);
    if (body.verdict == call_verdict::reject)
      return reject(body, call);
    if (body.verdict == call_verdict::respond)
      return respond(body, call);
    return grant(body, call);
  }

  /// Adds one decision to those that are made with it.
  caf::error decide_also(const decide_call& body, verdict& all) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    for (const auto* text : {&body.feedback, &body.by})
      if (auto error = check_text(*text))
        return error;
    auto one = decide_on_call(body, *call);
    if (!one)
      return std::move(one.error());
    if (one->kind == receipt_kind::accepted)
      all.kind = receipt_kind::accepted;
    else if (all.first_event == 0)
      all.first_event = one->first_event;
    std::move(one->events.begin(), one->events.end(), std::back_inserter(all.events));
    return body.remember == decision_scope::once ? caf::error{} : remember(body, *call, all);
  }

  /// The declaration of a call's tool by the call's plan; empty where the runtime has the tool.
  result<std::string> declaration_of(const call_record& call) const {
    if (env_.tools.find(call.tool) != nullptr)
      return std::string{};
    if (!data_.active || data_.active->record.revision != call.revision)
      return make_error(errc::not_allowed, "remember: the plan that declares " + call.tool.str()
                                               + " is not in force any more");
    const auto tool = find_tool(data_.active->record.tools, call.tool, env_.tools);
    return tool ? result<std::string>{tool->declaration()} : no_such_tool(call.tool);
  }

  /// Makes a decision on a call hold for later ones; also where the call itself was decided before
  /// in the same way.
  caf::error remember(const decide_call& body, const call_record& call, verdict& decided) const {
    if (call.remembered == body.remember)
      return caf::none; // the same was said before, and others may have said something since
    if (body.verdict != call_verdict::approve && body.verdict != call_verdict::reject)
      return make_error(errc::invalid_field, "remember: only approve and reject can be remembered, "
                                             "not "
                                                 + enum_name(body.verdict));
    if (const auto ruling =
            env_.policy.rule_on_call(call.tool, current_agent(data_), call.arguments);
        !ruling.may_remember)
      return make_error(errc::not_allowed, "remember: the policy's " + ruling.name()
                                               + " wants each call decided by itself");
    decision_remembered fact;
    fact.decision = data_.head.decisions + 1;
    fact.call = call.number;
    fact.verdict = body.verdict;
    fact.scope = body.remember;
    fact.tool = call.tool;
    fact.tool_version = call.tool_version;
    const auto declaration = declaration_of(call);
    if (!declaration)
      return declaration.error();
    fact.declaration = *declaration;
    if (body.remember == decision_scope::call) {
      fact.arguments_digest = digest_of(call.arguments);
      if (to_text(call.arguments).size() <= shown_arguments_bytes)
        fact.arguments = call.arguments;
    }
    if (body.verdict == call_verdict::reject)
      fact.feedback = body.feedback;
    fact.by = body.by;
    const auto is_about_same = [&](const auto& other) {
      return other.scope == fact.scope && other.tool == fact.tool
             && other.tool_version == fact.tool_version && other.declaration == fact.declaration
             && other.arguments_digest == fact.arguments_digest;
    };
    std::size_t more = 1;
    for (const auto& event : decided.events) {
      if (std::holds_alternative<decision_forgotten>(event))
        --more;
      const auto* other = std::get_if<decision_remembered>(&event);
      if (other == nullptr)
        continue;
      ++fact.decision;
      ++more;
      if (!is_about_same(*other))
        continue;
      if (other->verdict == fact.verdict)
        return caf::none;
      return make_error(errc::invalid_field,
                        "remember: another of these decisions says the contrary for "
                            + fact.tool.str());
    }
    for (const auto& [number, other] : data_.remembered) {
      if (!is_about_same(other))
        continue;
      if (other.verdict == fact.verdict && other.feedback == fact.feedback)
        return caf::none;
      decision_forgotten forgotten;
      forgotten.decision = number;
      forgotten.by = "decision " + std::to_string(fact.decision);
      decided.events.emplace_back(std::move(forgotten));
      --more;
    }
    if (auto error = check_limit("remembered_decisions", data_.remembered.size() + more,
                                 env_.limits.remembered_decisions))
      return error;
    decided.events.emplace_back(std::move(fact));
    decided.kind = receipt_kind::accepted;
    decided.first_event = 0; // the decision itself may be an old one
    return caf::none;
  }

  /// A decision on a call that is not waiting for one.
  result<verdict> decide_again(const decide_call& body, const call_record& call) const {
    const bool same = call.verdict == body.verdict
                      && (body.verdict != call_verdict::edit || call.arguments == body.arguments)
                      && (body.verdict != call_verdict::respond
                          || (call.answer && call.answer->content == body.content));
    if (same) {
      verdict again;
      again.kind = receipt_kind::duplicate;
      again.first_event = call.decision_event;
      return again;
    }
    const auto text = "decision refused: the call " + body.call.str() + " ";
    if (call.answer && call.answer->outcome == call_outcome::cancelled)
      return make_error(errc::superseded, text + "was cancelled");
    if (call.answer && call.answer->outcome == call_outcome::expired)
      return make_error(errc::superseded, text + "has expired");
    if (call.verdict)
      return make_error(errc::already_decided,
                        text + "was decided before: " + enum_name(*call.verdict));
    if (call.kind == tool_kind::person)
      return make_error(errc::not_allowed, text + "is a question; answer_question answers it");
    const auto ruling = is_remembered(call.ruled_by) ? "the remembered " + call.ruled_by
                                                     : "the policy's " + call.ruled_by;
    if (call.answer && call.answer->outcome == call_outcome::rejected)
      return make_error(errc::already_decided, text + "is rejected already, by " + ruling);
    if (call.ruled_by.empty())
      return make_error(errc::already_decided, text + "cannot run, and its agent was told why");
    return make_error(errc::already_decided, text + "needed no decision: allowed by " + ruling);
  }

  result<verdict> reject(const decide_call& body, const call_record& call) const {
    verdict decided;
    call_decided fact;
    fact.call = call.number;
    fact.verdict = call_verdict::reject;
    fact.feedback = body.feedback;
    fact.by = body.by;
    fact.digest = call.digest;
    fact.fingerprint = call.fingerprint;
    fact.status = call_status::answered;
    decided.events.emplace_back(std::move(fact));
    decided.events.push_back(answered(call.number, rejection(body.feedback)));
    return decided;
  }

  /// The person answers in place of the tool, which does not run.
  result<verdict> respond(const decide_call& body, const call_record& call) const {
    if (auto error = check_result(body.content, env_))
      return error;
    verdict decided;
    call_decided fact;
    fact.call = call.number;
    fact.verdict = call_verdict::respond;
    fact.by = body.by;
    fact.digest = call.digest;
    fact.fingerprint = call.fingerprint;
    fact.status = call_status::answered;
    decided.events.emplace_back(std::move(fact));
    decided.events.push_back(
        answered(call.number, {call_outcome::succeeded, body.content}, body.by));
    return decided;
  }

  /// Approves a call, with its arguments or with new ones.
  result<verdict> grant(const decide_call& body, const call_record& call) const {
    const auto tool = find_tool(data_.active->record.tools, call.tool, env_.tools);
    if (!tool)
      return no_such_tool(call.tool);
    const bool edits = body.verdict == call_verdict::edit;
    const auto& arguments = edits ? body.arguments : call.arguments;
    call_decided fact;
    fact.call = call.number;
    fact.verdict = body.verdict;
    fact.by = body.by;
    fact.feedback = body.feedback;
    fact.status = granted_status(call.kind);
    fact.digest = call.digest;
    fact.fingerprint = call.fingerprint;
    if (edits) {
      if (auto error = check_arguments(*tool, arguments, env_))
        return error;
      fact.arguments = arguments;
    }
    // An approval does not overrule the policy; nor do edited arguments slip past it.
    if (const auto ruling = env_.policy.rule_on_call(call.tool, current_agent(data_), arguments);
        ruling.action == policy_action::deny)
      return denied(edits ? "edit refused: the new arguments are denied"
                          : "approval refused: the call is denied",
                    ruling);
    // What the person saw is either the recorded proposal, or the thing as it is now.
    const bool shown_is_recorded = body.digest.empty() || body.digest == call.digest;
    if (edits || !shown_is_recorded) {
      auto fingerprint = fingerprint_of(*tool, arguments, data_);
      if (!fingerprint)
        return std::move(fingerprint.error());
      const auto present = edits ? current_fingerprint(*tool, call) : *fingerprint;
      const auto shown_now = approval_digest(data_, call.number, data_.active->record.revision,
                                             call.tool, tool->version(), call.arguments, present);
      if (!shown_is_recorded && body.digest != shown_now)
        return make_error(errc::stale_approval,
                          "decision refused: what was shown of " + body.call.str()
                              + " is not what would run now; look at it again");
      // If the thing has changed since it was shown, the tool finds that out, and it is asked
      // again.
      if (!shown_is_recorded || present == call.fingerprint)
        fact.fingerprint = std::move(*fingerprint);
      fact.digest = approval_digest(data_, call.number, data_.active->record.revision, call.tool,
                                    tool->version(), arguments, fact.fingerprint);
    }
    verdict decided;
    decided.events.emplace_back(std::move(fact));
    return decided;
  }

  std::string current_fingerprint(const known_tool& tool, const call_record& call) const {
    auto fingerprint = fingerprint_of(tool, call.arguments, data_);
    return fingerprint ? std::move(*fingerprint) : std::string{};
  }

  static tool_answer resolution_answer(const resolve_outcome& body) {
    if (body.resolution == outcome_resolution::happened)
      return {call_outcome::succeeded, body.content};
    return {call_outcome::failed, json{{"error", "outcome_failed"}, {"message", body.reason}}};
  }

  /// An answer to a call that has one.
  result<verdict> answer_again(const call_record& call, const tool_answer& answer) const {
    const auto digest = digest_of_answer(answer);
    verdict again;
    if (call.answer->outcome == call_outcome::cancelled
        || call.answer->outcome == call_outcome::expired) {
      again.kind = receipt_kind::late;
      again.first_event = call.answer_event;
      if (call.late < env_.limits.late_results) {
        late_result fact;
        fact.call = call.number;
        fact.digest = digest;
        again.events.emplace_back(std::move(fact));
      }
      return again;
    }
    if (digest != call.answer_digest)
      return make_error(errc::already_answered, "result refused: the call "
                                                    + call_id{data_.head.id, call.number}.str()
                                                    + " has another result already");
    again.kind = receipt_kind::duplicate;
    again.first_event = call.answer_event;
    return again;
  }

  /// A subtask that has one of these statuses.
  result<std::uint32_t> subtask_in(const subtask_id& id, std::string_view to_be,
                                   std::initializer_list<subtask_status> accepted) const {
    if (!data_.has_plan_in_force())
      return make_error(errc::not_allowed, "refused: no plan is in progress, so no subtask can be "
                                               + std::string{to_be});
    const auto position = data_.active->find(id);
    if (!position)
      return make_error(errc::unknown_subtask, "the plan has no subtask " + in_quotes(id.str()));
    const auto status = data_.active->subtasks()[*position].status;
    if (std::find(accepted.begin(), accepted.end(), status) != accepted.end())
      return *position;
    std::string names;
    for (const auto one : accepted)
      names += (names.empty() ? "" : ", ") + enum_name(one);
    return make_error(errc::not_allowed, "refused: the subtask " + in_quotes(id.str()) + " is "
                                             + enum_name(status) + "; to be " + std::string{to_be}
                                             + " it must be one of " + names);
  }

  result<verdict> end_plan(plan_status status, const std::string& reason,
                           const std::string& by) const {
    if (auto error = check_text(reason))
      return error;
    verdict decided;
    end_open_calls(data_, call_outcome::cancelled, reason, decided.events);
    end_plans(data_, status, reason, by, decided.events);
    return decided;
  }

  const session_data& data_;
  const environment& env_;
};

/// Checks the texts that every command may carry: who says it, and where.
caf::error check_texts(const command& body, const environment& env) {
  return std::visit(
      [&](const auto& one) -> caf::error {
        const auto limit = env.limits.text_size_bytes;
        caf::error error;
        const auto check = [&](std::string_view field, const std::string& text) {
          if (!error && !is_utf8(text))
            error = make_error(errc::invalid_field, std::string{field} + ": it is not UTF-8");
          if (!error)
            error = check_limit("text_size_bytes", text.size(), limit);
        };
        if constexpr (requires { one.by; })
          check("by", one.by);
        if constexpr (requires { one.workspace; })
          check("workspace", one.workspace);
        return error;
      },
      body);
}

} // namespace

result<verdict> decide(const session_data& data, command body, const environment& env) {
  // A timer that was due may have changed it in the same transaction.
  if (auto error = check_command(derive_state(data), body))
    return error;
  if (auto error = check_texts(body, env))
    return error;
  return std::visit(decider{data, env}, std::move(body));
}

} // namespace fermata::core
