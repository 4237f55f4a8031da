#include <fermata/actors/core/decide.hpp>

#include <fermata/actors/core/transitions.hpp>
#include <fermata/actors/tools/schema.hpp>
#include <fermata/messages/digest.hpp>

#include <algorithm>
#include <cassert>

namespace fermata::core {

namespace {

std::string in_quotes(std::string_view text) {
  return "\"" + std::string{text} + "\"";
}

/// A tool as a session sees it: registered with the runtime, or declared by the plan.
struct known_tool {
  const tool* registered = nullptr;
  const tool_declaration* declared = nullptr;

  [[nodiscard]] tool_kind kind() const {
    return registered ? registered->kind() : tool_kind::client;
  }
  [[nodiscard]] std::uint32_t version() const { return registered ? registered->version : 1; }
  [[nodiscard]] bool idempotent() const { return registered && registered->idempotent; }
  [[nodiscard]] const json& schema() const {
    return registered ? registered->schema : declared->schema;
  }
};

std::optional<known_tool> find_tool(const plan_record& plan, const tool_name& name,
                                    const environment& env) {
  known_tool found;
  found.registered = env.tools.find(name);
  if (found.registered)
    return found;
  const auto declared = plan.tools.find(name.str());
  if (declared == plan.tools.end())
    return std::nullopt;
  found.declared = &declared->second;
  return found;
}

caf::error no_such_tool(const tool_name& name) {
  return make_error(errc::unknown_tool,
                    "no tool is called " + in_quotes(name.str())
                        + "; tools are registered with the runtime or declared by the plan");
}

result<std::string> fingerprint_of(const known_tool& tool, const json& arguments,
                                   const session_data& data) {
  if (!tool.registered || !tool.registered->fingerprint)
    return std::string{};
  try {
    return tool.registered->fingerprint(arguments, data.head.workspace);
  } catch (const std::exception& thrown) {
    return make_error(errc::tool_failed,
                      std::string{"the tool's fingerprint threw: "} + thrown.what());
  }
}

/// Checks a result before it becomes part of a record: how deep it is nested, and how large it is.
caf::error check_result(const json& content, const environment& env) {
  // The depth first, since writing recurses as deep as the value is nested.
  if (auto error = check_depth(content))
    return error;
  return check_limit("result_size_bytes", to_text(content).size(), env.limits.result_size_bytes);
}

/// Cuts what a program says in a message of its own to the limit of texts.
std::string shortened(std::string text, const environment& env) {
  if (text.size() > env.limits.text_size_bytes)
    text.resize(env.limits.text_size_bytes);
  return text;
}

/// Checks arguments as they would run: an object, within the limit, fitting the schema.
caf::error check_arguments(const known_tool& tool, const json& arguments, const environment& env) {
  if (!arguments.is_object())
    return make_error(errc::invalid_arguments,
                      std::string{"arguments must be an object, not "} + arguments.type_name());
  if (auto error = check_depth(arguments))
    return error;
  if (auto error = check_limit("arguments_size_bytes", to_text(arguments).size(),
                               env.limits.arguments_size_bytes))
    return error;
  return check_schema(tool.schema(), arguments);
}

json error_content(const caf::error& error, const environment& env) {
  return {{"error", std::string{name_of(code_of(error))}},
          {"message", shortened(message_of(error), env)}};
}

event_body answered(std::uint64_t call, tool_answer answer) {
  call_answered fact;
  fact.call = call;
  fact.digest = digest_of(to_json(answer));
  fact.answer = std::move(answer);
  return fact;
}

call_status granted_status(tool_kind kind) {
  return kind == tool_kind::client ? call_status::awaiting_result : call_status::queued;
}

/// Those that depend on `failed`, directly or not, and are still pending, become blocked.
void block_dependents(const plan_data& plan, std::uint32_t failed,
                      std::vector<event_body>& events) {
  std::vector<std::uint32_t> causes{failed};
  std::set<std::uint32_t> seen;
  for (std::size_t i = 0; i < causes.size(); ++i) {
    for (const auto dependent : plan.dependents(causes[i])) {
      if (plan.subtasks()[dependent].status != subtask_status::pending
          || !seen.insert(dependent).second)
        continue;
      subtask_blocked fact;
      fact.subtask = plan.specs[dependent].id;
      fact.by = plan.specs[causes[i]].id;
      events.emplace_back(std::move(fact));
      causes.push_back(dependent);
    }
  }
}

/// Those that were blocked by `cleared` alone become pending again.
void unblock_dependents(const plan_data& plan, std::uint32_t cleared,
                        std::vector<event_body>& events) {
  std::set<std::uint32_t> free{cleared};
  std::vector<std::uint32_t> causes{cleared};
  for (std::size_t i = 0; i < causes.size(); ++i) {
    for (const auto dependent : plan.dependents(causes[i])) {
      if (plan.subtasks()[dependent].status != subtask_status::blocked || free.contains(dependent))
        continue;
      const auto& dependencies = plan.specs[dependent].depends_on;
      const bool still =
          std::any_of(dependencies.begin(), dependencies.end(), [&](const subtask_id& id) {
            const auto on = plan.position(id);
            const auto status = plan.subtasks()[on].status;
            return !free.contains(on)
                   && (status == subtask_status::failed || status == subtask_status::blocked);
          });
      // A dependency that is itself about to be freed is in `free`, or will look at this one again
      // when it is.
      if (still)
        continue;
      free.insert(dependent);
      causes.push_back(dependent);
      subtask_unblocked fact;
      fact.subtask = plan.specs[dependent].id;
      events.emplace_back(std::move(fact));
    }
  }
}

/// Decides on one command; one overload for each.
class decider {
public:
  decider(const session_data& data, const environment& env) : data_{data}, env_{env} {}

  result<verdict> operator()(const propose_plan& body) const {
    if (auto error = check_proposal(body.plan))
      return error;
    if (!body.workspace.empty() && body.workspace.front() != '/')
      return make_error(errc::invalid_field, "workspace: an absolute path is needed");
    verdict decided;
    if (!data_.exists()) {
      session_created created;
      created.incarnation = env_.new_incarnation;
      created.workspace = body.workspace;
      decided.events.emplace_back(std::move(created));
    } else if (!body.workspace.empty() && body.workspace != data_.head.workspace) {
      return make_error(errc::invalid_field, "workspace: the session's is " + data_.head.workspace
                                                 + "; a session keeps its workspace");
    }
    add_proposal(decided, body.plan, 0);
    return decided;
  }

  result<verdict> operator()(const revise_plan& body) const {
    if (auto error = check_proposal(body.plan))
      return error;
    std::uint32_t replaces = 0;
    if (data_.draft)
      replaces = data_.draft->record.replaces;
    else if (data_.active)
      replaces = data_.active->record.revision;
    verdict decided;
    add_proposal(decided, body.plan, replaces);
    return decided;
  }

  result<verdict> operator()(const decide_plan& body) const {
    if (auto error = check_text(body.feedback))
      return error;
    if (data_.draft && data_.draft->record.revision == body.revision
        && !data_.draft->record.sent_back) {
      verdict decided;
      plan_decided fact;
      fact.revision = body.revision;
      fact.verdict = body.verdict;
      fact.feedback = body.feedback;
      fact.by = body.by;
      decided.events.emplace_back(std::move(fact));
      return decided;
    }
    return decide_again(body);
  }

  result<verdict> operator()(const decide_call& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_text(body.feedback))
      return error;
    if (call->status != call_status::awaiting_decision)
      return decide_again(body, *call);
    if (body.verdict == call_verdict::reject)
      return reject(body, *call);
    return grant(body, *call);
  }

  result<verdict> operator()(const tool_result& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_result(body.content, env_))
      return error;
    const tool_answer answer{body.is_error ? call_outcome::failed : call_outcome::succeeded,
                             body.content};
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
      return make_error(errc::not_allowed,
                        "result refused: the runtime itself runs " + body.call.str());
    case call_status::awaiting_result:
      break;
    }
    verdict decided;
    decided.events.push_back(answered(call->number, answer));
    return decided;
  }

  result<verdict> operator()(const resolve_outcome& body) const {
    const auto* call = find_call(body.call);
    if (call == nullptr)
      return unknown(body.call);
    if (auto error = check_text(body.reason))
      return error;
    if (auto error = check_result(body.content, env_))
      return error;
    if (call->status == call_status::answered && body.resolution != outcome_resolution::rerun)
      return answer_again(*call, resolution_answer(body));
    if (call->status != call_status::awaiting_outcome)
      return make_error(
          errc::not_allowed,
          "outcome refused: the call " + body.call.str() + " is "
              + std::string{enum_names(call->status)[static_cast<std::size_t>(call->status)]}
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
    const auto position = failed_subtask(body.subtask);
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
    unblock_dependents(*data_.active, *position, decided.events);
    return decided;
  }

  result<verdict> operator()(const skip_subtask& body) const {
    if (auto error = check_text(body.reason))
      return error;
    const auto position = failed_subtask(body.subtask);
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

  result<verdict> operator()(const fail_plan& body) const {
    return end_plan(plan_status::failed, body.reason, body.by);
  }

  result<verdict> operator()(const cancel_plan& body) const {
    return end_plan(plan_status::cancelled, body.reason, body.by);
  }

private:
  [[nodiscard]] const call_record* find_call(const call_id& id) const {
    return id.session() == data_.head.id ? data_.find_call(id.number()) : nullptr;
  }

  caf::error check_text(std::string_view text) const {
    return check_limit("text_size_bytes", text.size(), env_.limits.text_size_bytes);
  }

  caf::error check_proposal(const plan_spec& plan) const {
    if (auto error = check_plan(plan, env_.limits))
      return error;
    for (const auto& [name, declaration] : plan.tools) {
      if (env_.tools.find(*tool_name::parse(name)) != nullptr)
        return make_error(errc::invalid_field,
                          "tools." + name
                              + ": the runtime has a tool of that name; choose another");
      if (auto error = check_is_schema(declaration.schema))
        return make_error(code_of(error), "tools." + name + ".schema: " + message_of(error));
    }
    for (std::size_t i = 0; i < plan.subtasks.size(); ++i) {
      const auto& subtask = plan.subtasks[i];
      const auto where = "subtasks[" + std::to_string(i) + "] (" + subtask.id.str() + "): ";
      if (auto error = env_.agents.check(subtask))
        return make_error(code_of(error), where + message_of(error));
      for (const auto& name : env_.agents.tools_of(subtask))
        if (env_.tools.find(name) == nullptr && !plan.tools.contains(name.str()))
          return make_error(errc::unknown_tool, where + message_of(no_such_tool(name)));
    }
    return caf::none;
  }

  void add_proposal(verdict& decided, const plan_spec& plan, std::uint32_t replaces) const {
    plan_proposed fact;
    fact.revision = data_.head.last_revision + 1;
    fact.plan = plan;
    fact.goal = plan.goal;
    fact.subtasks = static_cast<std::uint32_t>(plan.subtasks.size());
    fact.digest = digest_of(to_json(plan));
    fact.replaces = replaces;
    const auto revision = fact.revision;
    decided.events.emplace_back(std::move(fact));
    if (env_.policy.ask_for_plans)
      return;
    plan_decided approved;
    approved.revision = revision;
    approved.verdict = plan_verdict::approve;
    approved.by = "policy";
    decided.events.emplace_back(std::move(approved));
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
    if (data_.draft && data_.draft->record.revision == revision)
      return &data_.draft->record;
    if (data_.active && data_.active->record.revision == revision)
      return &data_.active->record;
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

  /// A decision on a call that is not waiting for one.
  result<verdict> decide_again(const decide_call& body, const call_record& call) const {
    const bool same = call.verdict == body.verdict
                      && (body.verdict != call_verdict::edit || call.arguments == body.arguments);
    if (same) {
      verdict again;
      again.kind = receipt_kind::duplicate;
      again.first_event = call.decision_event;
      return again;
    }
    const auto text = "decision refused: the call " + body.call.str() + " ";
    if (call.verdict)
      return make_error(
          errc::already_decided,
          text + "was decided before: "
              + std::string{enum_names(*call.verdict)[static_cast<std::size_t>(*call.verdict)]});
    if (call.answer && call.answer->outcome == call_outcome::cancelled)
      return make_error(errc::superseded, text + "was cancelled with its plan");
    return make_error(errc::already_decided, text + "needed no decision: the policy allowed it");
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
    json content = {{"rejected", true}, {"feedback", body.feedback}};
    decided.events.push_back(answered(call.number, {call_outcome::rejected, std::move(content)}));
    return decided;
  }

  /// Approves a call, with its arguments or with new ones.
  result<verdict> grant(const decide_call& body, const call_record& call) const {
    const auto tool = find_tool(data_.active->record, call.tool, env_);
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
    // What the person saw is either the recorded proposal, or the thing as it is now.
    const bool shown_is_recorded = body.digest.empty() || body.digest == call.digest;
    if (edits || !shown_is_recorded) {
      auto fingerprint = fingerprint_of(*tool, arguments, data_);
      if (!fingerprint)
        return std::move(fingerprint.error());
      const auto shown_now =
          approval_digest(data_, call.number, call.tool, tool->version(), call.arguments,
                          edits ? current_fingerprint(*tool, call) : *fingerprint);
      if (!shown_is_recorded && body.digest != shown_now)
        return make_error(errc::stale_approval,
                          "decision refused: what was shown of " + body.call.str()
                              + " is not what would run now; look at it again");
      fact.fingerprint = std::move(*fingerprint);
      fact.digest = approval_digest(data_, call.number, call.tool, tool->version(), arguments,
                                    fact.fingerprint);
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
    const auto digest = digest_of(to_json(answer));
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

  result<std::uint32_t> failed_subtask(const subtask_id& id) const {
    const auto position = data_.active ? data_.active->find(id) : std::nullopt;
    if (!position)
      return make_error(errc::unknown_subtask, "the plan has no subtask " + in_quotes(id.str()));
    const auto status = data_.active->subtasks()[*position].status;
    if (status != subtask_status::failed)
      return make_error(errc::not_allowed,
                        "refused: the subtask " + in_quotes(id.str()) + " is "
                            + std::string{enum_names(status)[static_cast<std::size_t>(status)]}
                            + "; only a failed one can be retried or skipped");
    return *position;
  }

  result<verdict> end_plan(plan_status status, const std::string& reason,
                           const std::string& by) const {
    if (auto error = check_text(reason))
      return error;
    verdict decided;
    // A draft beside a live plan goes first; the plan's own end is the last word.
    for (const auto* plan : {&data_.draft, &data_.active}) {
      if (!*plan || is_terminal(plan_transitions, (*plan)->record.status))
        continue;
      if (plan == &data_.active)
        cancel_open_calls(decided.events, reason);
      plan_ended fact;
      fact.revision = (*plan)->record.revision;
      fact.status = status;
      fact.reason = reason;
      fact.by = by;
      decided.events.emplace_back(std::move(fact));
    }
    return decided;
  }

  void cancel_open_calls(std::vector<event_body>& events, const std::string& reason) const {
    if (!data_.head.running)
      return;
    const auto& subtask = data_.running_subtask();
    for (std::uint64_t number = subtask.first_call; number < subtask.first_call + subtask.calls;
         ++number)
      if (data_.calls.at(number).status != call_status::answered)
        events.push_back(answered(
            number, {call_outcome::cancelled, json{{"cancelled", true}, {"reason", reason}}}));
  }

  const session_data& data_;
  const environment& env_;
};

/// Checks the texts that every command may carry: who says it, and where.
caf::error check_texts(const command& body, const environment& env) {
  return std::visit(
      [&](const auto& one) -> caf::error {
        const auto limit = env.limits.text_size_bytes;
        if constexpr (requires { one.by; })
          return check_limit("text_size_bytes", one.by.size(), limit);
        else if constexpr (requires { one.workspace; })
          return check_limit("text_size_bytes", one.workspace.size(), limit);
        else
          return caf::none;
      },
      body);
}

/// Proposes one call of a step: asks, grants, or answers it at once when it cannot run.
void propose_call(const session_data& data, const tool_request& request, std::uint64_t number,
                  bool first, const environment& env, std::vector<event_body>& events) {
  call_proposed fact;
  fact.call = number;
  fact.subtask = data.running_spec().id;
  fact.tool = request.tool;
  fact.arguments = request.arguments;
  fact.first_of_step = first;
  const auto tool = find_tool(data.active->record, request.tool, env);
  caf::error refusal =
      tool ? check_arguments(*tool, request.arguments, env) : no_such_tool(request.tool);
  if (tool) {
    fact.kind = tool->kind();
    fact.tool_version = tool->version();
    fact.idempotent = tool->idempotent();
  }
  if (!refusal && env.policy.asks_for(request.tool)) {
    auto fingerprint = fingerprint_of(*tool, request.arguments, data);
    if (fingerprint)
      fact.fingerprint = std::move(*fingerprint);
    else
      refusal = std::move(fingerprint.error());
  }
  fact.digest = approval_digest(data, number, request.tool, fact.tool_version, request.arguments,
                                fact.fingerprint);
  fact.status = refusal || env.policy.asks_for(request.tool) ? call_status::awaiting_decision
                                                             : granted_status(fact.kind);
  events.emplace_back(std::move(fact));
  // The agent sees why its call was refused, as the call's result; nobody is asked about it.
  if (refusal)
    events.push_back(answered(number, {call_outcome::failed, error_content(refusal, env)}));
}

} // namespace

std::string approval_digest(const session_data& data, std::uint64_t call, const tool_name& tool,
                            std::uint32_t tool_version, const json& arguments,
                            const std::string& fingerprint) {
  return digest_of({{"incarnation", data.head.incarnation},
                    {"call", call_id{data.head.id, call}.str()},
                    {"tool", tool.str()},
                    {"tool_version", tool_version},
                    {"arguments", arguments},
                    {"revision", data.active->record.revision},
                    {"fingerprint", fingerprint}});
}

result<verdict> decide(const session_data& data, const command& body, const environment& env) {
  if (auto error = check_command(data.head.state, body))
    return error;
  if (auto error = check_texts(body, env))
    return error;
  return std::visit(decider{data, env}, body);
}

std::vector<event_body> fail_step(const session_data& data, std::string reason,
                                  const environment& env) {
  std::vector<event_body> events;
  subtask_failed fact;
  fact.subtask = data.running_spec().id;
  fact.reason = shortened(std::move(reason), env);
  events.emplace_back(std::move(fact));
  block_dependents(*data.active, *data.head.running, events);
  return events;
}

std::vector<event_body> take_step(const session_data& data, const step& taken,
                                  const environment& env) {
  const auto& what = taken.what();
  if (const auto* failed = std::get_if<step::failed>(&what))
    return fail_step(data, failed->reason, env);
  std::vector<event_body> events;
  if (const auto* finished = std::get_if<step::finished>(&what)) {
    if (auto error = check_result(finished->result, env))
      return fail_step(data, "the subtask's result is refused: " + message_of(error), env);
    subtask_finished fact;
    fact.subtask = data.running_spec().id;
    fact.result = finished->result;
    events.emplace_back(std::move(fact));
    return events;
  }
  if (auto error = check_limit("subtask_entries", data.running_subtask().entries + 1,
                               env.limits.subtask_entries))
    return fail_step(data, "the agent takes too many steps: " + message_of(error), env);
  if (const auto* said = std::get_if<step::said>(&what)) {
    if (auto error = check_limit("text_size_bytes", said->text.size(), env.limits.text_size_bytes))
      return fail_step(data, "the agent said too much: " + message_of(error), env);
    agent_said fact;
    fact.subtask = data.running_spec().id;
    fact.text = said->text;
    events.emplace_back(std::move(fact));
    return events;
  }
  const auto& requests = std::get<step::called>(what).requests;
  if (requests.empty())
    return fail_step(data, "agent_failed: the agent returned a step with no calls", env);
  if (auto error = check_limit("calls_per_step", requests.size(), env.limits.calls_per_step))
    return fail_step(data, "the agent called too many tools at once: " + message_of(error), env);
  auto number = data.head.calls;
  for (const auto& request : requests)
    propose_call(data, request, ++number, &request == &requests.front(), env, events);
  return events;
}

std::optional<event_body> advance(const session_data& data) {
  if (!data.active || data.head.running || data.draft)
    return std::nullopt;
  const auto& plan = *data.active;
  if (plan.record.status == plan_status::approved) {
    plan_started fact;
    fact.revision = plan.record.revision;
    return fact;
  }
  if (plan.record.status != plan_status::in_progress)
    return std::nullopt;
  if (const auto ready = plan.first_ready()) {
    subtask_started fact;
    fact.subtask = plan.specs[*ready].id;
    fact.attempt = plan.subtasks()[*ready].attempts + 1;
    return fact;
  }
  if (plan.count(subtask_status::done) + plan.count(subtask_status::skipped) == plan.specs.size()) {
    plan_ended fact;
    fact.revision = plan.record.revision;
    fact.status = plan_status::completed;
    return fact;
  }
  return std::nullopt;
}

event_body claim(const session_data& data, std::uint64_t call) {
  assert(data.queued.contains(call));
  call_claimed fact;
  fact.call = call;
  fact.run = data.calls.at(call).runs + 1;
  return fact;
}

std::vector<event_body> finish_call(const session_data& data, std::uint64_t number,
                                    std::uint32_t run, result<json> outcome,
                                    const environment& env) {
  std::vector<event_body> events;
  const auto* call = data.find_call(number);
  if (call == nullptr)
    return events;
  if (call->status != call_status::claimed || call->runs != run) {
    if (call->status == call_status::answered && call->late < env.limits.late_results) {
      late_result fact;
      fact.call = number;
      fact.digest = digest_of(outcome ? *outcome : error_content(outcome.error(), env));
      events.emplace_back(std::move(fact));
    }
    return events;
  }
  if (!outcome && is(outcome.error(), errc::stale_approval)) {
    call_asked_again fact;
    fact.call = number;
    fact.reason = shortened(message_of(outcome.error()), env);
    if (const auto tool = find_tool(data.active->record, call->tool, env))
      if (auto fingerprint = fingerprint_of(*tool, call->arguments, data))
        fact.fingerprint = std::move(*fingerprint);
    fact.digest = approval_digest(data, number, call->tool, call->tool_version, call->arguments,
                                  fact.fingerprint);
    events.emplace_back(std::move(fact));
    return events;
  }
  if (outcome)
    if (auto error = check_result(*outcome, env))
      outcome = std::move(error);
  if (outcome)
    events.push_back(answered(number, {call_outcome::succeeded, std::move(*outcome)}));
  else
    events.push_back(answered(number, {call_outcome::failed, error_content(outcome.error(), env)}));
  return events;
}

std::vector<event_body> recover(const session_data& data,
                                const std::function<bool(std::uint64_t)>& is_running) {
  std::vector<event_body> events;
  for (const auto number : data.claimed) {
    if (is_running(number))
      continue;
    if (data.calls.at(number).idempotent) {
      outcome_resolved fact;
      fact.call = number;
      fact.resolution = outcome_resolution::rerun;
      fact.by = "idempotent";
      events.emplace_back(std::move(fact));
    } else {
      outcome_unknown fact;
      fact.call = number;
      events.emplace_back(std::move(fact));
    }
  }
  if (step_due(data)) {
    step_restarted fact;
    fact.subtask = data.running_spec().id;
    events.emplace_back(std::move(fact));
  }
  if (!events.empty() || data.head.state == session_state::running)
    events.insert(events.begin(), session_activated{});
  return events;
}

} // namespace fermata::core
