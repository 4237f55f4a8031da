#include "request.hpp"

#include "inputs.hpp"

#include <map>
#include <utility>

namespace fermata::command_line {

namespace {

result<request> to_session(const arguments& given, std::optional<command> body) {
  auto session = session_id::parse(given.session);
  if (!session)
    return std::move(session.error());
  request made;
  made.session = std::move(*session);
  made.body = std::move(body);
  return made;
}

template <class Command>
request to_call(const call_id& call, Command body) {
  request made;
  made.session = call.session();
  made.body = std::move(body);
  return made;
}

result<request> make_run(const arguments& given) {
  auto plan = read_plan(given.plan_file);
  if (!plan)
    return std::move(plan.error());
  auto folder = read_folder(given.workspace);
  if (!folder)
    return std::move(folder.error());
  request made;
  if (!given.session.empty()) {
    auto session = session_id::parse(given.session);
    if (!session)
      return std::move(session.error());
    made.session = std::move(*session);
  }
  made.body = propose_plan{std::move(*plan), std::move(*folder)};
  made.may_create = true;
  made.asks_at_pauses = true;
  return made;
}

result<request> make_resume(const arguments& given) {
  auto made = to_session(given, std::nullopt);
  if (made) {
    made->asks_at_pauses = true;
    made->ends_suspension = true;
  }
  return made;
}

result<request> make_revise(const arguments& given) {
  auto plan = read_plan(given.plan_file);
  if (!plan)
    return std::move(plan.error());
  auto made = to_session(given, revise_plan{std::move(*plan)});
  if (made)
    made->asks_at_pauses = true;
  return made;
}

result<request> make_plan_decision(const arguments& given, const plan_id& plan) {
  if (!given.digest.empty())
    return make_error(errc::invalid_field,
                      "--digest is for calls; a plan's revision never changes");
  if (given.remember != decision_scope::once)
    return make_error(errc::invalid_field, "--remember is for calls; each plan is decided on");
  decide_plan decision{plan.revision(), plan_verdict::approve};
  if (given.command == "reject")
    decision.verdict = given.modify ? plan_verdict::modify : plan_verdict::reject;
  decision.feedback = given.reason;
  decision.by = user_name();
  request made;
  made.session = plan.session();
  made.body = std::move(decision);
  made.ends_plans = given.command == "reject";
  return made;
}

decide_call decision_on(const arguments& given, const call_id& call) {
  const bool rejects = given.command == "reject";
  decide_call decision{call, rejects ? call_verdict::reject : call_verdict::approve};
  decision.feedback = given.reason;
  decision.digest = given.digest;
  decision.remember = given.remember;
  decision.by = user_name();
  return decision;
}

/// On several calls of one session.
result<request> make_decisions(const arguments& given) {
  decide_calls all;
  for (const auto& text : given.ids) {
    const auto call = call_id::parse(text);
    if (!call)
      return make_error(errc::invalid_id,
                        "several are decided on at once: " + message_of(call.error()));
    if (!all.decisions.empty() && call->session() != all.decisions.front().call.session())
      return make_error(errc::invalid_id,
                        "several are decided on at once: they are of one session");
    all.decisions.push_back(decision_on(given, *call));
  }
  auto made = to_call(all.decisions.front().call, all);
  made.ends_plans = given.command == "reject";
  return made;
}

result<request> make_decision(const arguments& given) {
  if (given.ids.size() > 1)
    return make_decisions(given);
  const auto id = parse_approval_id(given.ids.front());
  if (!id)
    return id.error();
  if (const auto* plan = std::get_if<plan_id>(&*id))
    return make_plan_decision(given, *plan);
  if (given.modify)
    return make_error(errc::invalid_field,
                      "--modify is for plans; a call is rejected, or edited with `fermata edit`");
  const auto& call = std::get<call_id>(*id);
  auto made = to_call(call, decision_on(given, call));
  made.ends_plans = given.command == "reject";
  return made;
}

result<request> make_forgetting(const arguments& given) {
  forget_decision forgotten{given.decision};
  forgotten.by = user_name();
  return to_session(given, std::move(forgotten));
}

result<request> make_edit(const arguments& given) {
  if (plan_id::parse(given.id))
    return make_error(errc::invalid_id, given.id
                                            + " is a plan: a new revision of it is proposed with "
                                              "`fermata revise SESSION PLAN.json`");
  const auto call = call_id::parse(given.id);
  if (!call)
    return call.error();
  auto edited = read_json(given.new_arguments, "--arguments");
  if (!edited)
    return std::move(edited.error());
  decide_call decision{*call, call_verdict::edit};
  decision.arguments = std::move(*edited);
  decision.digest = given.digest;
  decision.by = user_name();
  return to_call(*call, std::move(decision));
}

result<request> make_response(const arguments& given) {
  const auto call = call_id::parse(given.id);
  if (!call)
    return call.error();
  auto content = read_json(given.content, "response");
  if (!content)
    return std::move(content.error());
  decide_call decision{*call, call_verdict::respond};
  decision.content = std::move(*content);
  decision.by = user_name();
  return to_call(*call, std::move(decision));
}

result<request> make_answer(const arguments& given) {
  const auto call = call_id::parse(given.id);
  if (!call)
    return call.error();
  auto content = read_json(given.content, "answer");
  if (!content)
    return std::move(content.error());
  answer_question answered{*call, std::move(*content)};
  answered.by = user_name();
  return to_call(*call, std::move(answered));
}

result<request> make_result(const arguments& given) {
  const auto call = call_id::parse(given.id);
  if (!call)
    return call.error();
  auto content = read_json(given.content, "result");
  if (!content)
    return std::move(content.error());
  return to_call(*call, tool_result{*call, std::move(*content), given.is_error});
}

result<request> make_outcome(const arguments& given) {
  const auto call = call_id::parse(given.id);
  if (!call)
    return call.error();
  resolve_outcome resolved{*call, outcome_resolution::rerun};
  resolved.by = user_name();
  if (given.resolution == "failed") {
    resolved.resolution = outcome_resolution::failed;
    resolved.reason = given.reason;
  } else if (given.resolution == "happened") {
    auto content = read_json(given.content, "outcome");
    if (!content)
      return std::move(content.error());
    resolved.resolution = outcome_resolution::happened;
    resolved.content = std::move(*content);
  }
  return to_call(*call, std::move(resolved));
}

result<request> make_subtask_command(const arguments& given) {
  const auto subtask = subtask_id::parse(given.subtask);
  if (!subtask)
    return subtask.error();
  if (given.command == "retry") {
    retry_subtask retried{*subtask};
    retried.by = user_name();
    return to_session(given, std::move(retried));
  }
  skip_subtask skipped{*subtask};
  skipped.reason = given.reason;
  skipped.by = user_name();
  return to_session(given, std::move(skipped));
}

result<request> make_fail(const arguments& given) {
  fail_plan failed{given.reason};
  failed.by = user_name();
  return to_session(given, std::move(failed));
}

result<request> make_subtask_cancellation(const arguments& given, const session_id& session) {
  auto subtask = subtask_id::parse(given.subtask);
  if (!subtask)
    return std::move(subtask.error());
  cancel_subtask cancelled{std::move(*subtask), given.reason};
  cancelled.by = user_name();
  request made;
  made.session = session;
  made.body = std::move(cancelled);
  return made;
}

result<request> make_call_cancellation(const arguments& given) {
  const auto call = call_id::parse(given.id);
  if (!call)
    return make_error(errc::invalid_id,
                      quoted_excerpt(given.id)
                          + " cannot be cancelled; accepted is the id of a session, or of a call "
                            "as in release-42:c1. A plan is cancelled by its session's id");
  if (!given.subtask.empty())
    return make_error(errc::invalid_field, "--subtask goes with a session's id, not with a call's");
  cancel_call cancelled{*call, given.reason};
  cancelled.by = user_name();
  return to_call(*call, std::move(cancelled));
}

result<request> make_cancel(const arguments& given) {
  const auto session = session_id::parse(given.id);
  if (!session)
    return make_call_cancellation(given);
  if (!given.subtask.empty())
    return make_subtask_cancellation(given, *session);
  cancel_plan cancelled{given.reason};
  cancelled.by = user_name();
  request made;
  made.session = *session;
  made.body = std::move(cancelled);
  made.ends_plans = true;
  return made;
}

/// The time that was given, or that is so long from now.
std::optional<timestamp> time_of(const arguments& given) {
  if (!given.after)
    return given.at;
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())
         + *given.after;
}

result<request> make_suspension(const arguments& given) {
  suspend_session suspended{given.reason};
  suspended.until = time_of(given);
  suspended.by = user_name();
  return to_session(given, std::move(suspended));
}

result<request> make_deadline(const arguments& given) {
  set_deadline changed{time_of(given)};
  if (!given.subtask.empty()) {
    auto subtask = subtask_id::parse(given.subtask);
    if (!subtask)
      return std::move(subtask.error());
    changed.subtask = std::move(*subtask);
  }
  changed.by = user_name();
  return to_session(given, std::move(changed));
}

result<request> make_message(const arguments& given) {
  post_message posted{given.text};
  posted.by = user_name();
  auto folder = read_folder(given.workspace);
  if (!folder)
    return std::move(folder.error());
  posted.workspace = std::move(*folder);
  auto made = to_session(given, std::move(posted));
  if (made) {
    made->may_create = true;
    made->asks_at_pauses = true;
  }
  return made;
}

} // namespace

result<request> make_request(const arguments& given) {
  static const std::map<std::string, result<request> (*)(const arguments&)> makers{
      {"run", make_run},           {"resume", make_resume},         {"revise", make_revise},
      {"approve", make_decision},  {"reject", make_decision},       {"edit", make_edit},
      {"respond", make_response},  {"answer", make_answer},         {"result", make_result},
      {"outcome", make_outcome},   {"retry", make_subtask_command}, {"skip", make_subtask_command},
      {"fail", make_fail},         {"cancel", make_cancel},         {"suspend", make_suspension},
      {"deadline", make_deadline}, {"message", make_message},       {"forget", make_forgetting}};
  return makers.at(given.command)(given);
}

} // namespace fermata::command_line
