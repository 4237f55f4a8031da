#include "escape.hpp"
#include "render.hpp"
#include "tree.hpp"

#include <ctime>

namespace fermata::command_line {

namespace {

/// What a remembered decision says, of its event or its record.
template <class Decision>
std::string what_holds(const Decision& one) {
  const auto text = std::string{one.verdict == call_verdict::reject ? "rejected: " : "approved: "}
                    + one.tool.str();
  if (one.scope == decision_scope::tool)
    return text + ", whatever its arguments";
  return text + " "
         + (one.arguments.is_null() ? "with the arguments of c" + std::to_string(one.call)
                                    : brief(one.arguments));
}

/// Says in a few words what an event is about; everything in it that is free text is escaped.
class describer {
public:
  explicit describer(const session_id& session) : session_{session} {}

  std::string operator()(const session_created& one) const {
    return "session " + session_.str() + " created"
           + (one.workspace.empty() ? "" : " in " + escape_line(one.workspace));
  }
  std::string operator()(const plan_proposed& one) const {
    return plan(one.revision) + (one.planning ? " is to be made: " : " proposed: ")
           + escape_line(one.goal)
           + (one.replaces != 0 ? ", in the place of revision " + std::to_string(one.replaces) : "")
           + by(one.planner.str()) + expires(one.expires_at);
  }
  std::string operator()(const plan_decided& one) const {
    constexpr std::array<std::string_view, 3> words{" approved", " rejected", " sent back"};
    return plan(one.revision) + std::string{words.at(static_cast<std::size_t>(one.verdict))}
           + by(one.by) + because(one.feedback);
  }
  std::string operator()(const plan_started& one) const { return plan(one.revision) + " started"; }
  std::string operator()(const plan_ended& one) const {
    return plan(one.revision) + " " + name(one.status) + by(one.by) + because(one.reason);
  }
  std::string operator()(const subtask_started& one) const {
    return one.subtask.str() + " started"
           + (one.attempt > 1 ? ", attempt " + std::to_string(one.attempt) : "")
           + (one.deadline ? ", with the deadline " + show_time(*one.deadline) : "");
  }
  std::string operator()(const subtask_finished& one) const {
    return one.subtask.str() + " done: " + brief(one.result);
  }
  std::string operator()(const subtask_failed& one) const {
    return one.subtask.str() + " failed"
           + (one.retry_at ? ", to be tried again at " + show_time(*one.retry_at) : "")
           + because(one.reason);
  }
  std::string operator()(const subtask_blocked& one) const {
    return one.subtask.str() + " blocked by " + one.by.str();
  }
  std::string operator()(const subtask_unblocked& one) const {
    return one.subtask.str() + " no longer blocked";
  }
  std::string operator()(const subtask_retried& one) const {
    return one.subtask.str() + " to be tried again" + by(one.by);
  }
  std::string operator()(const subtask_skipped& one) const {
    return one.subtask.str() + " skipped" + by(one.by) + because(one.reason);
  }
  std::string operator()(const subtask_cancelled& one) const {
    return one.subtask.str() + " cancelled" + by(one.by) + because(one.reason);
  }
  std::string operator()(const subtask_slept& one) const {
    return one.subtask.str() + " sleeps until " + show_time(one.until);
  }
  std::string operator()(const subtask_woke& one) const { return one.subtask.str() + " wakes up"; }
  std::string operator()(const subtask_handed_over& one) const {
    return one.subtask.str() + " is handed over to " + one.agent.str() + because(one.note);
  }
  std::string operator()(const proposal_refused& one) const {
    return one.subtask.str() + " proposed a plan that is refused" + because(one.reason);
  }
  std::string operator()(const model_used& one) const {
    return one.subtask.str() + " asked models " + std::to_string(one.usage.requests) + " times, "
           + std::to_string(one.usage.input_tokens) + " tokens in, "
           + std::to_string(one.usage.output_tokens) + " out";
  }
  std::string operator()(const message_received& one) const {
    return "message " + std::to_string(one.number) + by(one.by) + ": " + escape_line(one.text);
  }
  std::string operator()(const deadline_set& one) const {
    const auto whose = one.subtask ? one.subtask->str() : "the plan";
    return "the deadline of " + whose
           + (one.at ? " is " + show_time(*one.at) : std::string{" is cleared"}) + by(one.by);
  }
  std::string operator()(const session_suspended& one) const {
    return "session suspended" + (one.until ? " until " + show_time(*one.until) : "") + by(one.by)
           + because(one.reason);
  }
  std::string operator()(const session_resumed& one) const {
    return "session resumed" + by(one.by);
  }
  std::string operator()(const session_deleted& one) const {
    return "session deleted" + by(one.by) + because(one.reason);
  }
  std::string operator()(const history_trimmed& one) const {
    return "events before " + std::to_string(one.first_event) + " dropped" + by(one.by);
  }
  std::string operator()(const deletion_scheduled& one) const {
    return one.at ? "session to be deleted at " + show_time(*one.at)
                  : "session not to be deleted any more";
  }
  std::string operator()(const agent_said& one) const {
    return one.subtask.str() + " says: " + escape_line(one.text);
  }
  std::string operator()(const step_restarted& one) const {
    return one.subtask.str() + " runs its last step again";
  }
  std::string operator()(const call_proposed& one) const {
    return call(one.call) + " " + one.tool.str() + " " + brief(one.arguments) + " "
           + where(one.status) + expires(one.expires_at);
  }
  std::string operator()(const call_decided& one) const {
    constexpr std::array<std::string_view, 4> words{" approved", " edited", " rejected",
                                                    " answered in place of its tool"};
    const auto edited = one.verdict == call_verdict::edit ? " to " + brief(one.arguments) : "";
    return call(one.call) + std::string{words.at(static_cast<std::size_t>(one.verdict))} + edited
           + by(one.by) + because(one.feedback);
  }
  std::string operator()(const decision_remembered& one) const {
    return "from now on " + what_holds(one) + by(one.by) + " (remembered as "
           + std::to_string(one.decision) + ")";
  }
  std::string operator()(const decision_forgotten& one) const {
    return "the remembered decision " + std::to_string(one.decision) + " holds no more"
           + by(one.by);
  }
  std::string operator()(const call_claimed& one) const {
    return call(one.call) + " runs"
           + (one.run > 1 ? ", for the " + std::to_string(one.run) + ". time" : "");
  }
  std::string operator()(const call_backed_off& one) const {
    return call(one.call)
           + (one.may_have_happened ? " was cut off, and is to be tried again at "
                                    : " failed, to be tried again at ")
           + show_time(one.retry_at) + because(one.reason);
  }
  std::string operator()(const call_requeued& one) const {
    return call(one.call) + " is tried again";
  }
  std::string operator()(const call_asked_again& one) const {
    return call(one.call) + " waits for a decision again" + because(one.reason);
  }
  std::string operator()(const outcome_unknown& one) const {
    return call(one.call) + " was cut off: nobody knows whether it happened" + because(one.reason);
  }
  std::string operator()(const outcome_resolved& one) const {
    constexpr std::array<std::string_view, 3> words{" has happened", " is to run again",
                                                    " has failed"};
    return call(one.call) + std::string{words.at(static_cast<std::size_t>(one.resolution))}
           + by(one.by) + because(one.reason);
  }
  std::string operator()(const call_answered& one) const {
    return call(one.call) + " " + name(one.answer.outcome) + ": " + brief(one.answer.content);
  }
  std::string operator()(const late_result& one) const {
    return call(one.call) + " got a result too late";
  }
  std::string operator()(const state_changed& one) const {
    return "session " + name(one.from) + " -> " + name(one.to);
  }
  std::string operator()(const session_activated&) const { return "session activated"; }

private:
  std::string call(std::uint64_t number) const { return call_id{session_, number}.str(); }
  std::string plan(std::uint32_t revision) const { return plan_id{session_, revision}.str(); }
  static std::string by(const std::string& who) {
    return who.empty() ? "" : " by " + escape_line(who);
  }
  static std::string because(const std::string& why) {
    return why.empty() ? "" : ": " + escape_line(why);
  }
  static std::string expires(const std::optional<timestamp>& at) {
    return at ? ", expires at " + show_time(*at) : std::string{};
  }
  static std::string where(call_status status) {
    switch (status) {
    case call_status::awaiting_decision:
      return "(waits for a decision)";
    case call_status::awaiting_result:
      return "(waits for its result)";
    case call_status::awaiting_outcome:
      return "(waits for its outcome)";
    case call_status::awaiting_answer:
      return "(waits for an answer)";
    default:
      return "(" + std::string{name(status)} + ")";
    }
  }

  const session_id& session_;
};

} // namespace

std::string describe(const event& happened, const session_id& session) {
  return std::visit(describer{session}, happened.body);
}

std::string describe_remembered(const remembered_record& decision) {
  return what_holds(decision) + (decision.by.empty() ? "" : " by " + escape_line(decision.by))
         + (decision.feedback.empty() ? "" : ": " + escape_line(decision.feedback));
}

std::string show_time(timestamp at) {
  const auto seconds = static_cast<std::time_t>(
      std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count());
  std::tm local{};
  std::array<char, 32> text{};
  if (::localtime_r(&seconds, &local) == nullptr
      || std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S %z", &local) == 0)
    return std::to_string(at.time_since_epoch().count());
  return text.data();
}

} // namespace fermata::command_line
