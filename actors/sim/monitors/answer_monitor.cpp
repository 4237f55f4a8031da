#include <fermata/actors/sim/monitors/answer_monitor.hpp>

#include <algorithm>
#include <utility>

namespace fermata::sim {

namespace {

/// More of one session are not followed: those of a broken connection are never answered.
constexpr std::size_t max_unanswered = 512;

template <class Fact, class... Facts>
std::uint8_t index_in(std::variant<Facts...>* /*of*/) {
  std::uint8_t index = 0;
  std::uint8_t found = 0;
  ((std::is_same_v<Fact, Facts> ? void(found = index) : void(), ++index), ...);
  return found;
}

/// True if the event is of one of these types.
template <class... Facts>
bool is_any_of(const noted_event& noted) {
  return ((noted.type == index_in<Facts>(static_cast<event_body*>(nullptr))) || ...);
}

std::string shown_type(const noted_event& noted) {
  static const auto names = []<class... Facts>(std::variant<Facts...>*) {
    return std::vector<std::string>{std::string{Facts::type}...};
  }(static_cast<event_body*>(nullptr));
  return names[noted.type] + (noted.subject == 0 ? "" : " " + std::to_string(noted.subject));
}

/// Whether a command can have become the event, and what must be recorded then; an overload for
/// each. Empty: it fits.
class comparison {
public:
  comparison(const known_session& at, std::uint64_t event)
      : model_{at.model}, noted_{*at.find_event(event)}, event_{event} {}

  std::string operator()(const propose_plan&) const {
    return expect<session_created, plan_proposed>();
  }
  std::string operator()(const revise_plan&) const {
    return expect<plan_proposed, call_answered, call_asked_again>();
  }
  std::string operator()(const decide_plan& body) const {
    if (auto text = expect<plan_decided, call_answered, call_asked_again>(); !text.empty())
      return text;
    const auto found = model_.revisions.find(body.revision);
    if (found == model_.revisions.end() || found->second.decision_event < event_)
      return "no decision on revision " + std::to_string(body.revision) + " is recorded";
    return found->second.verdict == body.verdict
               ? ""
               : "recorded of revision " + std::to_string(body.revision) + " is "
                     + enum_name(*found->second.verdict);
  }
  std::string operator()(const decide_call& body) const {
    if (auto text = expect<call_decided, decision_remembered, decision_forgotten>(); !text.empty())
      return text;
    return is_any_of<call_decided>(noted_) ? compare_decision(body) : "";
  }
  std::string operator()(const decide_calls& body) const {
    if (auto text = expect<call_decided, decision_remembered, decision_forgotten>(); !text.empty())
      return text;
    for (const auto& one : body.decisions)
      if (auto text = compare_decision(one); !text.empty())
        return text;
    return {};
  }
  std::string operator()(const tool_result& body) const {
    return compare_answer(
        body.call, {body.is_error ? call_outcome::failed : call_outcome::succeeded, body.content});
  }
  std::string operator()(const answer_question& body) const {
    return compare_answer(body.call, {call_outcome::succeeded, body.content});
  }
  std::string operator()(const cancel_call& body) const {
    if (auto text = expect<call_answered>(body.call.number()); !text.empty())
      return text;
    const auto* call = model_.find_call(body.call.number());
    return call->answer->outcome == call_outcome::cancelled
               ? ""
               : "recorded is that the call " + enum_name(call->answer->outcome);
  }
  std::string operator()(const resolve_outcome& body) const {
    return expect<outcome_resolved>(body.call.number());
  }
  std::string operator()(const retry_subtask&) const { return expect<subtask_retried>(); }
  std::string operator()(const skip_subtask&) const { return expect<subtask_skipped>(); }
  std::string operator()(const cancel_subtask&) const {
    return expect<subtask_cancelled, call_answered>();
  }
  std::string operator()(const fail_plan&) const { return expect<plan_ended, call_answered>(); }
  std::string operator()(const cancel_plan&) const { return expect<plan_ended, call_answered>(); }
  std::string operator()(const suspend_session&) const { return expect<session_suspended>(); }
  std::string operator()(const resume_session&) const { return expect<session_resumed>(); }
  std::string operator()(const set_deadline&) const { return expect<deadline_set>(); }
  std::string operator()(const delete_session&) const { return expect<session_deleted>(); }
  std::string operator()(const trim_history&) const { return expect<history_trimmed>(); }
  std::string operator()(const post_message&) const {
    return expect<session_created, message_received>();
  }
  std::string operator()(const forget_decision& body) const {
    return expect<decision_forgotten>(body.decision);
  }

private:
  /// `subject` 0: any.
  template <class... Facts>
  [[nodiscard]] std::string expect(std::uint64_t subject = 0) const {
    if (is_any_of<Facts...>(noted_) && (subject == 0 || subject == noted_.subject))
      return {};
    return "that event is " + shown_type(noted_);
  }

  /// A call that was asked again later does not show the decision any more.
  [[nodiscard]] std::string compare_decision(const decide_call& body) const {
    const auto* call = model_.find_call(body.call.number());
    if (call == nullptr)
      return "there is no call " + body.call.str();
    if (call->decision_event < event_ || call->verdict != body.verdict)
      return call->asked_again_event > event_ || call->decision_event < event_
                 ? ""
                 : "recorded of " + body.call.str() + " is "
                       + (call->verdict ? enum_name(*call->verdict) : std::string{"no decision"});
    if (body.verdict == call_verdict::edit && call->arguments != body.arguments)
      return "the arguments that will run are " + fermata::to_text(call->arguments);
    if (body.verdict == call_verdict::approve && !body.digest.empty()
        && body.digest != call->digest)
      return "it was shown with the digest " + body.digest + ", and what is approved is "
             + call->digest;
    return {};
  }

  [[nodiscard]] std::string compare_answer(const call_id& id, const tool_answer& given) const {
    if (auto text = expect<call_answered>(id.number()); !text.empty())
      return text;
    const auto& recorded = *model_.find_call(id.number())->answer;
    return recorded == given ? "" : "the recorded answer is " + fermata::to_text(to_json(recorded));
  }

  const reference_session& model_;
  const noted_event& noted_;
  std::uint64_t event_;
};

/// The promise that a wrong answer breaks.
std::string promise_of(const command& body) {
  const bool about_call = std::visit(
      [](const auto& one) {
        return requires {
          one.call;
        }
        || requires {
          one.decisions;
        };
      },
      body);
  return about_call || std::holds_alternative<decide_plan>(body) ? "P4" : "P6";
}

std::string told(const command_answer& what) {
  return about(what.session) + std::string{name_of(what.body)}
         + " was answered: " + describe(what.answer);
}

} // namespace

answer_monitor::answer_monitor(ledger_ptr known) : known_{std::move(known)} {
  known_->on_boundary([this](const known_session& at) { look(at); });
}

void answer_monitor::sent(world& in, const sent_command& what) {
  notice_clock(in);
  const auto* known = known_->find(in, what.session);
  if (known != nullptr && known->flaw)
    return;
  auto& all = unanswered_[what.session];
  if (all.size() >= max_unanswered)
    all.erase(all.begin());
  auto& added = all.emplace_back();
  added.number = what.number;
  added.from = what.node;
  added.body = what.body;
  added.life = known != nullptr ? known->life : 1;
  const auto model = known != nullptr ? nullptr : std::make_unique<reference_session>(what.session);
  const auto& at = known != nullptr ? known->model : *model;
  added.moments.push_back({at.events, at.recorded, expect(at, added.body)});
}

void answer_monitor::look(const known_session& at) {
  const auto found = unanswered_.find(at.model.id);
  if (found == unanswered_.end())
    return;
  for (auto& asked : found->second) {
    moment now{at.model.events, at.model.recorded, expect(at.model, asked.body)};
    const auto& last = asked.moments.back();
    if (last.state != now.state || !(last.right == now.right))
      asked.moments.push_back(std::move(now));
  }
}

void answer_monitor::notice_clock(const world& in) {
  std::vector<std::chrono::milliseconds> offsets;
  for (const auto& node : in.nodes())
    offsets.push_back(in.now(node).time_since_epoch() - in.elapsed());
  if (offsets == clock_offsets_)
    return;
  clock_offsets_ = std::move(offsets);
  for (auto& [session, all] : unanswered_)
    for (auto& one : all)
      one.clock_was_set = true;
}

void answer_monitor::node_down(world& in, const std::string& node) {
  for (auto& [session, all] : unanswered_) {
    const bool is_home = in.home(session) == node;
    std::erase_if(all, [&](const unanswered& one) { return is_home || one.from == node; });
  }
  std::erase_if(unanswered_, [](const auto& one) { return one.second.empty(); });
}

std::optional<answer_monitor::unanswered> answer_monitor::take(const command_answer& what) {
  const auto found = unanswered_.find(what.session);
  if (found == unanswered_.end())
    return std::nullopt;
  auto& all = found->second;
  const auto one = std::find_if(
      all.begin(), all.end(), [&](const unanswered& asked) { return asked.number == what.number; });
  if (one == all.end())
    return std::nullopt;
  auto taken = std::move(*one);
  all.erase(one);
  if (all.empty())
    unanswered_.erase(found);
  return taken;
}

void answer_monitor::answered(world& in, const command_answer& what) {
  notice_clock(in);
  const auto asked = take(what);
  const auto* known = known_->find(in, what.session);
  if (!asked || (known != nullptr && known->flaw))
    return;
  if (known != nullptr && known->life != asked->life)
    return; // which of the two sessions it is about cannot be told
  if (!what.answer)
    return judge_error(in, known, *asked, what);
  const auto& given = *what.answer;
  const auto stored = known == nullptr ? 0 : known->model.events;
  if (given.session != what.session || given.event == 0 || given.event > stored)
    return violate(in, "P1",
                   told(what) + " of session " + given.session.str() + ", but only "
                       + std::to_string(stored) + " events are stored");
  judge_receipt(in, *known, *asked, what);
}

void answer_monitor::judge_error(world& in, const known_session* at, const unanswered& asked,
                                 const command_answer& what) {
  const auto code = code_of(what.answer.error());
  if (is_environmental(code))
    return;
  if (code == errc::internal || code == errc::conflict)
    return violate(in, promise_of(what.body), told(what) + ": a defect");
  for (const auto& one : asked.moments)
    if (one.right.allows(code))
      return;
  const bool is_about_input = code == errc::invalid_field || code == errc::invalid_json
                              || code == errc::invalid_id || code == errc::limit_exceeded;
  const auto& limits = known_->node(in.home(what.session)).limits;
  if (is_about_input && is_malformed(what.body, limits))
    return;
  // A session fires its timers before it looks at a command, and may say what it makes of that
  // before it is stored.
  const auto timer = at == nullptr ? std::nullopt : at->model.next_timer();
  const auto latest = in.shares_store() ? in.latest_now() : in.now(in.home(what.session));
  if (asked.clock_was_set || (timer && *timer <= latest))
    return;
  violate(in, promise_of(what.body),
          told(what) + "; right was " + asked.moments.back().right.text());
}

void answer_monitor::judge_receipt(world& in, const known_session& at, const unanswered& asked,
                                   const command_answer& what) {
  const auto& given = *what.answer;
  if (given.kind == receipt_kind::accepted)
    return judge_accepted(in, at, asked, what);
  if (std::none_of(asked.moments.begin(), asked.moments.end(),
                   [&](const moment& one) { return one.right.allows(what.answer); }))
    return violate(in, promise_of(what.body),
                   told(what) + "; right was " + asked.moments.back().right.text());
  if (std::none_of(asked.moments.begin(), asked.moments.end(),
                   [&](const moment& one) { return one.state == given.state; }))
    violate(in, "P5",
            told(what) + ", and the state " + enum_name(given.state) + ", but it is "
                + enum_name(at.model.recorded));
}

void answer_monitor::judge_accepted(world& in, const known_session& at, const unanswered& asked,
                                    const command_answer& what) {
  const auto& given = *what.answer;
  auto& acknowledged = acknowledged_[what.session];
  if (std::exchange(acknowledged.life, at.life) != at.life)
    acknowledged.numbers.clear();
  if (!acknowledged.numbers.insert(given.event).second)
    return violate(in, "P4", told(what) + ", but another command was accepted as that event");
  const moment* before = nullptr;
  for (const auto& one : asked.moments)
    if (one.events < given.event)
      before = &one;
  if (before == nullptr)
    return violate(in, "P1", told(what) + ", but that event was stored before it was sent");
  if (!before->right.accepted)
    return violate(in, promise_of(what.body), told(what) + "; right was " + before->right.text());
  if (const auto text = std::visit(comparison{at, given.event}, what.body); !text.empty())
    return violate(in, std::holds_alternative<decide_call>(what.body) ? "P9" : "P1",
                   told(what) + ", but " + text);
  if (const auto state = at.find_event(given.event)->state; state != given.state)
    violate(in, "P5",
            told(what) + ", and the state " + enum_name(given.state) + ", but it was "
                + enum_name(state) + " then");
}

} // namespace fermata::sim
