#include <fermata/actors/sim/monitors/effect_monitor.hpp>

#include <fermata/actors/sim/reference_policy.hpp>
#include <fermata/actors/tools/schema.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

std::string named(const tool_run& run) {
  return about(run.context.call.session()) + "run " + std::to_string(run.context.run) + " of "
         + run.context.call.str() + " (" + run.what.name.str() + ") begins on " + run.node;
}

/// Why a run must not begin, with the promise that it breaks; empty: it may.
std::pair<std::string, std::string> check_claim(const reference_call* call,
                                                const tool_context& context) {
  if (call == nullptr)
    return {"P1", "but no such call is stored"};
  if (call->runs != context.run)
    return {"P1", "but the last run whose claim is stored is " + std::to_string(call->runs)};
  // A cancellation that crosses the start of a run makes it late.
  if (call->status != call_status::claimed && !call->cut_off)
    return {"P8", "but the call is " + enum_name(call->status)};
  return {};
}

/// What runs must be what was approved.
std::string check_approval(const reference_call& call, const tool_run& run) {
  const auto& context = run.context;
  if (run.what.name != call.tool)
    return "but the call is of " + call.tool.str();
  if (context.arguments != call.arguments)
    return "with the arguments " + fermata::to_text(context.arguments) + "; approved were "
           + fermata::to_text(call.arguments);
  if (call.verdict && run.what.version != call.tool_version)
    return "in version " + std::to_string(run.what.version) + " of the tool; approved was "
           + std::to_string(call.tool_version);
  if (call.verdict == call_verdict::edit)
    if (const auto error = check_schema(run.what.schema, context.arguments))
      return "with edited arguments that it does not accept: " + message_of(error);
  if (call.verdict && run.what.fingerprint && context.approved_fingerprint != call.fingerprint)
    return "and is not told the fingerprint that was approved";
  return {};
}

} // namespace

void effect_monitor::run_began(world& in, const tool_run& run) {
  const auto& context = run.context;
  const auto* known = known_->find(in, context.call.session());
  if (known == nullptr)
    return violate(in, "P1", named(run) + ", but no such session is stored");
  if (known->flaw)
    return;
  if (known->model.deleted)
    return violate(in, "P8", named(run) + ", but its session is deleted");
  const auto* call = known->model.find_call(context.call.number());
  if (const auto [promise, text] = check_claim(call, context); !text.empty())
    return violate(in, promise, named(run) + ", " + text);
  auto& last = runs_[context.call];
  if (last.number >= context.run)
    return violate(in, "P8",
                   named(run) + ", but run " + std::to_string(last.number) + " has begun before");
  last.number = context.run;
  last.result.reset();
  last.node = run.node;
  last.moves = known->moves;
  last.lost = false;
  if (const auto text = check_approval(*call, run); !text.empty())
    return violate(in, "P9", named(run) + " " + text);
  if (const auto key = known->model.incarnation + "/" + context.call.str();
      context.idempotency_key != key)
    violate(in, "P8",
            named(run) + " with the key " + context.idempotency_key + "; that of all its runs is "
                + key);
}

void effect_monitor::run_ended(world&, const ended_tool_run& run) {
  const auto found = runs_.find(run.context.call);
  if (found != runs_.end() && found->second.number == run.context.run && run.content != nullptr
      && !check_depth(*run.content)) // what is too deep cannot even be copied
    found->second.result = *run.content;
}

void effect_monitor::node_down(world&, const std::string& node) {
  for (auto& [call, run] : runs_)
    run.lost = run.lost || run.node == node;
}

void effect_monitor::stored(world& in, const stored_commit& what) {
  const auto& known = *known_->find(in, what.session);
  if (known.flaw)
    return;
  for (std::size_t i = 0; i < what.events.size(); ++i) {
    const auto& body = what.events[i].body;
    if (std::holds_alternative<call_answered>(body))
      check_answer(in, known, what, i);
    else if (std::holds_alternative<call_proposed>(body))
      check_proposal(in, known, what, i);
    else if (std::holds_alternative<call_decided>(body))
      check_decision(in, known, what, i);
    else if (std::holds_alternative<session_deleted>(body))
      std::erase_if(runs_, [&](const auto& run) { return run.first.session() == what.session; });
    else if (const auto* proposed = std::get_if<plan_proposed>(&body))
      check_plan(in, what, i, *proposed);
    else if (const auto* retried = std::get_if<call_backed_off>(&body)) {
      if (known_->running.contains({call_id{what.session, retried->call}, retried->run}))
        violate(in, "P8",
                about(what.session, what.events[i].number) + "call " + std::to_string(retried->call)
                    + " backs off, but its run " + std::to_string(retried->run) + " has not ended");
    }
  }
}

/// P4, P8: a result that nobody has posted is the one that the last run brought.
void effect_monitor::check_answer(world& in, const known_session& known, const stored_commit& what,
                                  std::size_t at) {
  const auto& fact = std::get<call_answered>(what.events[at].body);
  const auto& call = *known.model.find_call(fact.call);
  if (call.kind != tool_kind::server)
    return;
  const call_id id{what.session, fact.call};
  // A run that was cut off may still begin, once.
  const auto run = call.cut_off ? decltype(runs_)::node_type{} : runs_.extract(id);
  const auto* resolved =
      at > 0 ? std::get_if<outcome_resolved>(&what.events[at - 1].body) : nullptr;
  const bool is_told = resolved != nullptr && resolved->by != "tool";
  if (call.verdict == call_verdict::respond || is_told)
    return;
  // A later one that never began may fail by itself: somebody has said what became of the lost one.
  const bool last_is_lost = !run.empty() && run.mapped().number == call.runs
                            && (run.mapped().lost || run.mapped().moves != known.moves);
  if (fact.answer.outcome == call_outcome::failed && last_is_lost)
    violate(in, "P8",
            about(what.session, what.events[at].number) + "call " + std::to_string(fact.call)
                + " has failed by itself, but its run " + std::to_string(run.mapped().number)
                + " was lost with the process, and nobody has said what became of it");
  if (fact.answer.outcome != call_outcome::succeeded)
    return;
  const auto* brought = run.empty() || !run.mapped().result ? nullptr : &*run.mapped().result;
  if (brought == nullptr || *brought != fact.answer.content)
    violate(in, brought == nullptr ? "P8" : "P4",
            about(what.session, what.events[at].number) + "call " + std::to_string(fact.call)
                + " is answered with " + fermata::to_text(fact.answer.content)
                + (brought == nullptr
                       ? ", but no run of it has ended with a result"
                       : ", but its run has ended with " + fermata::to_text(*brought)));
}

namespace {

/// Who called, where that is sure to be the one who has the subtask now.
std::optional<agent_name> caller_of(const known_session& known, const reference_call& call,
                                    const stored_commit& what) {
  const auto& model = known.model;
  const bool moves_on = std::any_of(what.events.begin(), what.events.end(), [](const event& one) {
    return std::holds_alternative<subtask_handed_over>(one.body)
           || std::holds_alternative<subtask_started>(one.body)
           || std::holds_alternative<plan_decided>(one.body);
  });
  if (!model.active || model.active->revision() != call.revision)
    return std::nullopt;
  const auto position = model.active->find(call.subtask);
  if (!position || (moves_on && !(*model.active)[*position].handed_to.empty()))
    return std::nullopt;
  return model.agent_of(*position);
}

} // namespace

void effect_monitor::check_proposal(world& in, const known_session& known,
                                    const stored_commit& what, std::size_t at) {
  const auto& fact = std::get<call_proposed>(what.events[at].body);
  const auto caller = caller_of(known, *known.model.find_call(fact.call), what);
  if (fact.status == call_status::answered || !caller)
    return;
  const auto ruling =
      rule_on_call(known_->node(what.node).policy, fact.tool, *caller, fact.arguments);
  const auto begin = about(what.session, what.events[at].number) + "call "
                     + std::to_string(fact.call) + " (" + fact.tool.str() + ") is "
                     + enum_name(fact.status) + ", but the policy's " + ruling.name();
  if (ruling.action == policy_action::deny)
    violate(in, "P9", begin + " denies it");
  else if (ruling.action == policy_action::ask && fact.kind != tool_kind::person
           && fact.status != call_status::awaiting_decision
           && !(ruling.may_remember && fact.ruled_by.starts_with("decision ")))
    violate(in, "P9", begin + " asks for a decision");
}

/// A plan that nobody has decided on is not approved by itself, but where the policy allows it. One
/// that only plans is not asked for: what its planner proposes is.
void effect_monitor::check_plan(world& in, const stored_commit& what, std::size_t at,
                                const plan_proposed& fact) {
  if (fact.planning)
    return;
  const auto ruling = rule_on_plan(known_->node(what.node).policy, fact.planner);
  const auto* decided =
      at + 1 < what.events.size() ? std::get_if<plan_decided>(&what.events[at + 1].body) : nullptr;
  const bool is_free = decided != nullptr && decided->revision == fact.revision;
  const auto begin = about(what.session, what.events[at].number) + "revision "
                     + std::to_string(fact.revision) + " is ";
  if (ruling.action == policy_action::deny)
    violate(in, "P9", begin + "proposed, but the policy's " + ruling.name() + " denies it");
  else if (ruling.action == policy_action::ask && is_free)
    violate(in, "P9",
            begin + "approved by \"" + decided->by + "\", but the policy's " + ruling.name()
                + " asks for a decision");
}

void effect_monitor::check_decision(world& in, const known_session& known,
                                    const stored_commit& what, std::size_t at) {
  const auto& fact = std::get<call_decided>(what.events[at].body);
  const auto& call = *known.model.find_call(fact.call);
  const auto caller = caller_of(known, call, what);
  if ((fact.verdict != call_verdict::approve && fact.verdict != call_verdict::edit) || !caller)
    return;
  const auto ruling =
      rule_on_call(known_->node(what.node).policy, call.tool, *caller, call.arguments);
  if (ruling.action == policy_action::deny)
    violate(in, "P9",
            about(what.session, what.events[at].number) + "call " + std::to_string(fact.call) + " ("
                + call.tool.str() + ") is allowed with " + fermata::to_text(call.arguments)
                + ", but the policy's " + ruling.name() + " denies it");
}

} // namespace fermata::sim
