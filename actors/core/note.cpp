#include <fermata/actors/core/note.hpp>

namespace fermata::core {

namespace {

std::chrono::milliseconds between(timestamp begin, timestamp end) {
  // A clock that was set back makes no wait shorter than none.
  return std::max(end - begin, timestamp::duration::zero());
}

std::optional<wait_cause> cause_of(const call_record& call, const event_body& ended_by) {
  if (std::holds_alternative<call_decided>(ended_by))
    return call.status == call_status::awaiting_decision ? std::optional{wait_cause::decision}
                                                         : std::nullopt;
  if (const auto* resolved = std::get_if<outcome_resolved>(&ended_by))
    return call.status == call_status::awaiting_outcome && !is_automatic(*resolved)
               ? std::optional{wait_cause::outcome}
               : std::nullopt;
  const auto* answered = std::get_if<call_answered>(&ended_by);
  // A cancellation and an expiry end a wait without what was waited for.
  if (answered == nullptr
      || (answered->answer.outcome != call_outcome::succeeded
          && answered->answer.outcome != call_outcome::failed))
    return std::nullopt;
  if (call.status == call_status::awaiting_result)
    return wait_cause::result;
  if (call.status == call_status::awaiting_answer)
    return wait_cause::answer;
  return std::nullopt;
}

class noter {
public:
  noter(const session_data& data, const event& fact, event_note& note)
      : data_{data}, fact_{fact}, note_{note} {}

  void operator()(const call_proposed& body) {
    note_.subtask = body.subtask;
    note_.tool = body.tool;
  }

  void operator()(const plan_decided& body) {
    const auto* plan = data_.find_plan(body.revision);
    note_.revision = body.revision;
    if (plan != nullptr && !is_automatic(body))
      note_.waited = wait(wait_cause::decision, pending_kind::plan, plan->record.proposed);
  }

  template <class Body>
  void operator()(const Body& body) {
    if constexpr (requires { std::uint32_t{body.revision}; })
      note_.revision = body.revision;
    if constexpr (requires { std::optional<subtask_id>{body.subtask}; })
      note_.subtask = body.subtask;
    if constexpr (requires { std::uint64_t{body.call}; })
      note_call(body.call);
  }

private:
  void note_call(std::uint64_t number) {
    const auto* call = data_.find_call(number);
    if (call == nullptr)
      return;
    note_.revision = call->revision;
    note_.subtask = call->subtask;
    note_.tool = call->tool;
    if (const auto cause = cause_of(*call, fact_.body))
      note_.waited =
          wait(*cause, call->kind == tool_kind::person ? pending_kind::input : pending_kind::call,
               call->since);
  }

  [[nodiscard]] ended_wait wait(wait_cause cause, pending_kind item, timestamp since) const {
    ended_wait made;
    made.cause = cause;
    made.item = item;
    made.duration = between(since, fact_.at);
    return made;
  }

  const session_data& data_;
  const event& fact_;
  event_note& note_;
};

} // namespace

bool is_automatic(const plan_decided& fact) {
  return fact.by == "policy" || fact.by == "planning";
}

bool is_automatic(const outcome_resolved& fact) {
  return fact.by == "tool" || fact.by == "reconcile" || fact.by == "idempotent";
}

event_note note_of(const session_data& data, const event& fact) {
  event_note note;
  if (data.active)
    note.revision = data.active->record.revision;
  else if (data.draft)
    note.revision = data.draft->record.revision;
  std::visit(noter{data, fact, note}, fact.body);
  return note;
}

} // namespace fermata::core
