#include <fermata/actors/core/applicable.hpp>

#include <fermata/actors/core/persistence.hpp>
#include <fermata/actors/core/transitions.hpp>

#include <concepts>
#include <string>

namespace fermata::core {

namespace {

/// Says why an event cannot be applied; empty: it can. There is an overload for each event that
/// needs more than the call that it is about.
class objector {
public:
  explicit objector(const session_data& data) : data_{data} {}

  template <class Fact>
  std::string operator()(const Fact& fact) const {
    if constexpr (requires { fact.call; } && !std::same_as<Fact, call_proposed>)
      if (!data_.calls.contains(fact.call))
        return "there is no call " + std::to_string(fact.call);
    return against(fact);
  }

private:
  template <class Fact>
  std::string against(const Fact&) const {
    return {};
  }

  std::string against(const plan_decided& fact) const {
    if (!is_draft(fact.revision))
      return "revision " + std::to_string(fact.revision) + " awaits no decision";
    const auto& record = data_.draft->record;
    if (record.sent_back)
      return "revision " + std::to_string(fact.revision) + " was sent back";
    if (record.replaces != 0 && fact.verdict == plan_verdict::approve)
      return "the records of the plan that it replaces are written with it";
    switch (fact.verdict) {
    case plan_verdict::modify:
      return record.planner.empty() ? std::string{} : against_move(record, plan_status::cancelled);
    case plan_verdict::approve:
      return against_move(record, plan_status::approved);
    case plan_verdict::reject:
      return against_move(record, plan_status::rejected);
    }
    return {};
  }

  std::string against(const plan_started& fact) const {
    return is_active(fact.revision)
               ? against_move(data_.active->record, plan_status::in_progress)
               : "revision " + std::to_string(fact.revision) + " is not in force";
  }

  std::string against(const plan_ended& fact) const {
    if (is_draft(fact.revision))
      return against_move(data_.draft->record, fact.status);
    return is_active(fact.revision) ? against_move(data_.active->record, fact.status)
                                    : "revision " + std::to_string(fact.revision) + " is not there";
  }

  std::string against(const subtask_started& fact) const {
    return against_move(fact.subtask, subtask_status::running);
  }
  std::string against(const subtask_finished& fact) const {
    return against_move(fact.subtask, subtask_status::done);
  }
  std::string against(const subtask_failed& fact) const {
    return against_move(fact.subtask,
                        fact.retry_at ? subtask_status::backing_off : subtask_status::failed);
  }
  std::string against(const subtask_cancelled& fact) const {
    return against_move(fact.subtask, subtask_status::cancelled);
  }
  std::string against(const subtask_blocked& fact) const {
    return against_move(fact.subtask, subtask_status::blocked);
  }
  std::string against(const subtask_unblocked& fact) const {
    return against_move(fact.subtask, subtask_status::pending);
  }
  std::string against(const subtask_retried& fact) const {
    return against_move(fact.subtask, subtask_status::pending);
  }
  std::string against(const subtask_skipped& fact) const {
    return against_move(fact.subtask, subtask_status::skipped);
  }

  // What the running subtask's agent does.
  std::string against(const subtask_slept&) const { return against_attempt(); }
  std::string against(const subtask_woke&) const { return against_attempt(); }
  std::string against(const subtask_handed_over&) const { return against_attempt(); }
  std::string against(const proposal_refused&) const { return against_attempt(); }
  std::string against(const agent_said&) const { return against_attempt(); }
  std::string against(const call_proposed& fact) const {
    if (fact.call != data_.head.calls + 1)
      return "the next call is " + std::to_string(data_.head.calls + 1);
    if (!fact.first_of_step && data_.entries.empty())
      return "there is no step that the call belongs to";
    return against_attempt();
  }

  std::string against(const deadline_set& fact) const {
    if (!data_.active)
      return "there is no plan in force";
    return !fact.subtask || find_subtask(*fact.subtask) ? std::string{} : missing(*fact.subtask);
  }

  std::string against(const call_decided& fact) const {
    // An answer follows these.
    return fact.verdict == call_verdict::reject || fact.verdict == call_verdict::respond
               ? std::string{}
               : against_move(fact.call, fact.status);
  }
  std::string against(const call_claimed& fact) const {
    return against_move(fact.call, call_status::claimed);
  }
  std::string against(const call_backed_off& fact) const {
    return against_move(fact.call, call_status::backing_off);
  }
  std::string against(const call_requeued& fact) const {
    return against_move(fact.call, call_status::queued);
  }
  std::string against(const call_asked_again& fact) const {
    return against_move(fact.call, call_status::awaiting_decision);
  }
  std::string against(const outcome_unknown& fact) const {
    return against_move(fact.call, call_status::awaiting_outcome);
  }
  std::string against(const outcome_resolved& fact) const {
    return fact.resolution == outcome_resolution::rerun
               ? against_move(fact.call, call_status::queued)
               : std::string{};
  }
  std::string against(const call_answered& fact) const {
    if (auto why = against_attempt(); !why.empty())
      return why;
    const auto& subtask = data_.running_subtask();
    if (fact.call < subtask.first_call || fact.call - subtask.first_call >= subtask.calls
        || subtask.open_calls == 0 || data_.calls.at(fact.call).answer)
      return "call " + std::to_string(fact.call) + " has an answer, or belongs to another attempt";
    // What cannot or must not run is answered from the beginning.
    return status_of(fact.call) == call_status::answered
               ? std::string{}
               : against_move(fact.call, call_status::answered);
  }

  std::string against(const session_deleted&) const { return "it is not stored"; }

  [[nodiscard]] std::optional<std::uint32_t> find_subtask(const subtask_id& id) const {
    return data_.active ? data_.active->find(id) : std::nullopt;
  }
  static std::string missing(const subtask_id& id) {
    return "there is no subtask " + id.str() + " in the plan in force";
  }
  [[nodiscard]] call_status status_of(std::uint64_t call) const {
    return data_.calls.at(call).status;
  }
  [[nodiscard]] bool is_draft(std::uint32_t revision) const {
    return data_.draft && data_.draft->record.revision == revision;
  }
  [[nodiscard]] bool is_active(std::uint32_t revision) const {
    return data_.active && data_.active->record.revision == revision;
  }

  [[nodiscard]] std::string against_attempt() const {
    return data_.active && data_.head.running ? std::string{} : "no subtask runs";
  }

  template <class Table, class Status>
  static std::string against_move(const Table& table, const std::string& what, Status from,
                                  Status to) {
    return allows(table, from, to)
               ? std::string{}
               : what + " is " + enum_name(from) + ", and cannot be " + enum_name(to);
  }
  static std::string against_move(const plan_record& plan, plan_status to) {
    return against_move(plan_transitions, "revision " + std::to_string(plan.revision), plan.status,
                        to);
  }
  [[nodiscard]] std::string against_move(const subtask_id& id, subtask_status to) const {
    const auto position = find_subtask(id);
    return position ? against_move(subtask_transitions, "subtask " + id.str(),
                                   data_.active->subtasks()[*position].status, to)
                    : missing(id);
  }
  [[nodiscard]] std::string against_move(std::uint64_t call, call_status to) const {
    return against_move(call_transitions, "call " + std::to_string(call), status_of(call), to);
  }

  const session_data& data_;
};

} // namespace

caf::error check_applicable(const session_data& data, const event& fact) {
  if (fact.number != data.head.events + 1)
    return make_error(errc::store_corrupt, "the next event is "
                                               + std::to_string(data.head.events + 1) + ", not "
                                               + std::to_string(fact.number));
  if (needs_records(fact.body))
    return make_error(errc::store_corrupt, "records are written with such an event");
  auto why = std::visit(objector{data}, fact.body);
  return why.empty() ? caf::error{} : make_error(errc::store_corrupt, std::move(why));
}

} // namespace fermata::core
