#include <fermata/actors/sim/expectation.hpp>

#include <algorithm>
#include <set>

namespace fermata::sim {

namespace {

expectation accept() {
  expectation made;
  made.accepted = true;
  return made;
}

expectation refuse(errc code) {
  expectation made;
  return made.or_fail({code});
}

expectation duplicate(std::uint64_t event) {
  expectation made;
  made.duplicate_of = event;
  return made;
}

expectation accept_if(bool fits, errc otherwise) {
  return fits ? accept() : refuse(otherwise);
}

/// What a plan can be refused for, whatever the state; which of it is not predicted.
expectation accept_plan() {
  return accept().or_fail({errc::empty_plan, errc::duplicate_subtask, errc::unknown_dependency,
                           errc::self_dependency, errc::dependency_cycle, errc::unknown_agent,
                           errc::unknown_tool, errc::invalid_arguments, errc::denied_by_policy,
                           errc::invalid_field, errc::invalid_id, errc::invalid_json,
                           errc::limit_exceeded});
}

/// What the right answers are; an overload for each command.
class predictor {
public:
  explicit predictor(const reference_session& session) : s_{session} {}

  expectation operator()(const propose_plan&) const {
    return s_.is_live() ? refuse(errc::session_busy) : accept_plan();
  }

  expectation operator()(const revise_plan&) const {
    return s_.is_live() ? accept_plan() : refuse(errc::not_allowed);
  }

  expectation operator()(const decide_plan& body) const {
    const auto found = s_.revisions.find(body.revision);
    if (found == s_.revisions.end())
      return refuse(errc::unknown_approval);
    const auto& facts = found->second;
    if (s_.draft && s_.draft->revision() == body.revision && !facts.sent_back)
      return accept();
    if (!facts.verdict)
      return refuse(errc::superseded);
    return *facts.verdict == body.verdict ? duplicate(facts.decision_event)
                                          : refuse(errc::already_decided);
  }

  expectation operator()(const decide_call& body) const {
    const auto* call = find(body.call);
    if (call == nullptr)
      return refuse(errc::unknown_call);
    auto right =
        call->status == call_status::awaiting_decision ? decide(body, *call) : again(body, *call);
    if (body.remember != decision_scope::once && !right.only_fails()) {
      // A decision that was made before can still become one that is remembered.
      right.accepted = right.accepted || call->remembered != body.remember;
      right.or_fail({errc::invalid_field, errc::not_allowed, errc::limit_exceeded});
    }
    return right;
  }

  /// One error refuses all.
  expectation operator()(const decide_calls& body) const {
    if (body.decisions.empty())
      return refuse(errc::invalid_field);
    if (body.decisions.size() > s_.limits.calls_per_step)
      return refuse(errc::limit_exceeded);
    expectation all;
    std::set<call_id> seen;
    bool any_accepted = false;
    for (const auto& decision : body.decisions) {
      const auto one =
          seen.insert(decision.call).second ? (*this)(decision) : refuse(errc::invalid_field);
      all.errors |= one.errors;
      if (one.only_fails()) {
        all.accepted = false;
        all.duplicate_of = 0;
        return all;
      }
      any_accepted = any_accepted || one.accepted;
      if (all.duplicate_of == 0)
        all.duplicate_of = one.duplicate_of;
    }
    all.accepted = any_accepted;
    if (any_accepted)
      all.duplicate_of = 0;
    return all;
  }

  expectation operator()(const tool_result& body) const {
    const auto* call = find(body.call);
    if (call == nullptr)
      return refuse(errc::unknown_call);
    switch (call->status) {
    case call_status::answered: {
      auto right = answer_again(
          *call, {body.is_error ? call_outcome::failed : call_outcome::succeeded, body.content});
      return call->kind == tool_kind::client ? right : right.or_fail({errc::not_allowed});
    }
    case call_status::awaiting_result:
      return accept();
    case call_status::awaiting_decision:
      return refuse(errc::not_approved);
    default:
      return refuse(errc::not_allowed);
    }
  }

  expectation operator()(const answer_question& body) const {
    const auto* call = find(body.call);
    if (call == nullptr)
      return refuse(errc::unknown_call);
    if (call->kind != tool_kind::person)
      return refuse(errc::not_allowed);
    if (call->answer)
      return answer_again(*call, {call_outcome::succeeded, body.content});
    auto right = accept();
    return call->arguments.contains("schema") ? right.or_fail({errc::invalid_answer}) : right;
  }

  expectation operator()(const resolve_outcome& body) const {
    const auto* call = find(body.call);
    if (call == nullptr)
      return refuse(errc::unknown_call);
    if (call->status == call_status::awaiting_outcome)
      return accept();
    if (!call->answer || body.resolution == outcome_resolution::rerun)
      return refuse(errc::not_allowed);
    if (body.resolution == outcome_resolution::happened)
      return answer_again(*call, {call_outcome::succeeded, body.content});
    // How the reason of a failure becomes the call's result is not documented.
    auto right = answer_again(*call, {call_outcome::failed, nullptr});
    if (call->answer->outcome == call_outcome::failed)
      right.duplicate_of = call->answer_event;
    return right;
  }

  expectation operator()(const cancel_call& body) const {
    const auto* call = find(body.call);
    if (call == nullptr)
      return refuse(errc::unknown_call);
    if (!call->answer)
      return accept();
    return call->answer->outcome == call_outcome::cancelled ? duplicate(call->answer_event)
                                                            : refuse(errc::already_answered);
  }

  expectation operator()(const forget_decision& body) const {
    return accept_if(s_.remembered.contains(body.decision), errc::unknown_decision);
  }

  expectation operator()(const retry_subtask& body) const {
    auto right = of_subtask(body.subtask, {subtask_status::failed, subtask_status::cancelled,
                                           subtask_status::backing_off});
    if (right.accepted
        && (*s_.active)[*s_.active->find(body.subtask)].attempts >= s_.limits.subtask_attempts)
      return refuse(errc::limit_exceeded);
    return right;
  }

  expectation operator()(const skip_subtask& body) const {
    return of_subtask(body.subtask, {subtask_status::failed, subtask_status::cancelled});
  }

  expectation operator()(const cancel_subtask& body) const {
    return of_subtask(body.subtask,
                      {subtask_status::pending, subtask_status::blocked, subtask_status::running,
                       subtask_status::backing_off, subtask_status::failed});
  }

  expectation operator()(const fail_plan&) const {
    return accept_if(s_.state() == session_state::needs_attention, errc::not_allowed);
  }

  expectation operator()(const cancel_plan&) const {
    return accept_if(s_.is_live(), errc::not_allowed);
  }

  expectation operator()(const suspend_session& body) const {
    auto right = accept_if(s_.is_live(), errc::not_allowed);
    return body.until ? right.or_fail({errc::invalid_field, errc::limit_exceeded}) : right;
  }

  expectation operator()(const resume_session&) const {
    return accept_if(s_.suspended, errc::not_allowed);
  }

  expectation operator()(const set_deadline& body) const {
    expectation right;
    if (body.subtask)
      right = of_subtask(*body.subtask, {subtask_status::pending, subtask_status::blocked,
                                         subtask_status::running, subtask_status::backing_off});
    else
      right = accept_if(s_.has_plan_in_force(), errc::not_allowed);
    return body.at ? right.or_fail({errc::invalid_field, errc::limit_exceeded}) : right;
  }

  expectation operator()(const delete_session&) const {
    if (s_.is_live())
      return refuse(errc::not_allowed);
    // A run that was cut off may not have ended.
    const bool may_run = std::any_of(s_.calls.begin(), s_.calls.end(),
                                     [](const auto& call) { return call.runs > 0; });
    return may_run ? accept().or_fail({errc::not_allowed}) : accept();
  }

  expectation operator()(const trim_history& body) const {
    if (s_.is_live())
      return refuse(errc::not_allowed);
    if (body.keep == 0)
      return refuse(errc::invalid_field);
    return s_.events >= body.keep && s_.events - body.keep >= s_.first_event ? accept()
                                                                             : duplicate(s_.events);
  }

  expectation operator()(const post_message& body) const {
    if (body.text.empty())
      return refuse(errc::invalid_field);
    auto right = accept();
    return s_.is_live() ? right.or_fail({errc::limit_exceeded})
                        : right.or_fail({errc::not_allowed, errc::invalid_field});
  }

private:
  [[nodiscard]] const reference_call* find(const call_id& id) const {
    return id.session() == s_.id ? s_.find_call(id.number()) : nullptr;
  }

  /// A decision that is awaited.
  static expectation decide(const decide_call& body, const reference_call& call) {
    auto right = accept();
    if (body.verdict == call_verdict::reject || body.verdict == call_verdict::respond)
      return right;
    right.or_fail({errc::denied_by_policy, errc::unknown_tool});
    if (!call.fingerprint.empty() || body.verdict == call_verdict::edit)
      right.or_fail({errc::tool_failed, errc::io_error, errc::outside_workspace});
    if (body.verdict == call_verdict::edit)
      right.or_fail({errc::invalid_arguments, errc::limit_exceeded, errc::invalid_json});
    if (body.digest.empty() || body.digest == call.digest)
      return right;
    // What was shown may be the thing as it is now, if it is one that can change.
    right.accepted = !call.fingerprint.empty();
    return right.or_fail({errc::stale_approval});
  }

  /// A decision that is not awaited any more.
  static expectation again(const decide_call& body, const reference_call& call) {
    const auto* content = call.answer ? &call.answer->content : nullptr;
    if (call.verdict == body.verdict
        && (body.verdict != call_verdict::edit || call.arguments == body.arguments)
        && (body.verdict != call_verdict::respond || (content && *content == body.content)))
      return duplicate(call.decision_event);
    if (call.answer
        && (call.answer->outcome == call_outcome::cancelled
            || call.answer->outcome == call_outcome::expired))
      return refuse(errc::superseded);
    if (!call.verdict && call.kind == tool_kind::person)
      return refuse(errc::not_allowed); // a question is answered, not decided on
    return refuse(errc::already_decided);
  }

  /// P4: an answer to a call that has one.
  static expectation answer_again(const reference_call& call, const tool_answer& answer) {
    if (call.answer->outcome == call_outcome::cancelled
        || call.answer->outcome == call_outcome::expired) {
      expectation right;
      right.late_after = call.answer_event;
      return right;
    }
    return *call.answer == answer ? duplicate(call.answer_event) : refuse(errc::already_answered);
  }

  [[nodiscard]] expectation of_subtask(const subtask_id& id,
                                       std::initializer_list<subtask_status> accepted) const {
    if (!s_.has_plan_in_force())
      return refuse(errc::not_allowed);
    const auto position = s_.active->find(id);
    if (!position)
      return refuse(errc::unknown_subtask);
    const auto status = s_.active->status(*position);
    return accept_if(std::find(accepted.begin(), accepted.end(), status) != accepted.end(),
                     errc::not_allowed);
  }

  const reference_session& s_;
};

} // namespace

expectation& expectation::or_fail(std::initializer_list<errc> codes) {
  for (const auto code : codes)
    errors.set(static_cast<std::size_t>(code));
  return *this;
}

bool expectation::allows(const result<receipt>& answer) const {
  if (!answer)
    return allows(code_of(answer.error()));
  switch (answer->kind) {
  case receipt_kind::accepted:
    return accepted;
  case receipt_kind::duplicate:
    return duplicate_of != 0 && duplicate_of == answer->event;
  case receipt_kind::late:
    return late_after != 0 && late_after == answer->event;
  }
  return false;
}

std::string expectation::text() const {
  std::string text;
  const auto add = [&](const std::string& one) { text += (text.empty() ? "" : ", or ") + one; };
  if (accepted)
    add("accepted");
  if (duplicate_of != 0)
    add("duplicate of event " + std::to_string(duplicate_of));
  if (late_after != 0)
    add("late after event " + std::to_string(late_after));
  for (std::size_t code = 0; code < errors.size(); ++code)
    if (errors[code])
      add(std::string{name_of(static_cast<errc>(code))});
  return text;
}

expectation expect(const reference_session& of, const command& body) {
  if (of.exists() && !of.deleted)
    return std::visit(predictor{of}, body);
  if (std::holds_alternative<propose_plan>(body))
    return accept_plan();
  auto right = refuse(errc::unknown_session);
  if (std::holds_alternative<post_message>(body)) {
    right.accepted = true; // if there is a planner
    right.or_fail({errc::invalid_field});
  }
  return right;
}

bool is_environmental(errc code) {
  switch (code) {
  case errc::overloaded:
  case errc::shutting_down:
  case errc::timed_out:
  case errc::store_busy:
  case errc::store_unavailable:
  case errc::store_corrupt:
  case errc::store_too_new:
  case errc::disk_full:
  case errc::io_error:
  case errc::node_unavailable:
    return true;
  default:
    return false;
  }
}

namespace {

bool is_bad(const std::string& text, const limits& limits) {
  return text.size() > limits.text_size_bytes || !is_utf8(text);
}

bool is_bad(const json& value, std::size_t limit) {
  return check_depth(value) || check_utf8(value) || fermata::to_text(value).size() > limit;
}

template <class Body>
bool is_malformed(const Body& body, const limits& limits) {
  bool bad = false;
  if constexpr (requires { body.by; })
    bad = bad || is_bad(body.by, limits);
  if constexpr (requires { body.feedback; })
    bad = bad || is_bad(body.feedback, limits);
  if constexpr (requires { body.reason; })
    bad = bad || is_bad(body.reason, limits);
  if constexpr (requires { body.text; })
    bad = bad || is_bad(body.text, limits);
  if constexpr (requires { body.workspace; })
    bad = bad || is_bad(body.workspace, limits);
  if constexpr (requires { body.arguments; })
    bad = bad || is_bad(body.arguments, limits.arguments_size_bytes);
  if constexpr (requires { body.content; })
    bad = bad || is_bad(body.content, limits.result_size_bytes);
  if constexpr (requires { body.decisions; })
    bad = bad || std::any_of(body.decisions.begin(), body.decisions.end(), [&](const auto& one) {
            return is_malformed(one, limits);
          });
  return bad;
}

} // namespace

bool is_malformed(const command& body, const limits& limits) {
  return std::visit([&](const auto& one) { return is_malformed(one, limits); }, body);
}

std::string describe(const result<receipt>& answer) {
  if (!answer)
    return std::string{name_of(code_of(answer.error()))} + " (" + message_of(answer.error()) + ")";
  return enum_name(answer->kind) + ", event " + std::to_string(answer->event);
}

} // namespace fermata::sim
