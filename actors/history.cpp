// What queries.hpp says of the past: a session's states, and who decided what.
#include <fermata/actors/queries.hpp>

#include <fermata/actors/core/current_view.hpp>
#include <fermata/actors/core/note.hpp>
#include <fermata/actors/core/persistence.hpp>

#include <algorithm>
#include <map>
#include <unordered_map>

namespace fermata {

namespace {

/// How much one page looks at: events of a session, or commits of the journal.
constexpr std::size_t looked_at_per_page = 10'000;
constexpr std::uint64_t passed_over_at_once = 1'024; // by `store::view::journal`
constexpr std::size_t page_size_bytes = 4'000'000;
constexpr std::size_t max_details_bytes = 65'536;

result<event> read_event(const stored_event& stored) {
  auto parsed = from_record<event>(stored.value);
  if (!parsed)
    return make_error(errc::store_corrupt, "event " + std::to_string(stored.number)
                                               + " of the store's session "
                                               + std::to_string(stored.session)
                                               + " is not readable: " + message_of(parsed.error()));
  return parsed;
}

result<session_anchor> find_anchor(store::view& view, const session_id& session) {
  auto anchor = view.find(session);
  if (!anchor)
    return std::move(anchor.error());
  if (!*anchor)
    return make_error(errc::unknown_session, "there is no session " + session.str());
  return std::move(**anchor);
}

// -- history

/// True for what the runtime does by itself because of the event before it, or what is part of one
/// decision with it.
bool is_consequence(const event_body& body) {
  return std::holds_alternative<call_claimed>(body) || std::holds_alternative<model_used>(body)
         || std::holds_alternative<plan_started>(body)
         || std::holds_alternative<subtask_started>(body)
         || std::holds_alternative<subtask_blocked>(body)
         || std::holds_alternative<subtask_unblocked>(body)
         || std::holds_alternative<decision_remembered>(body)
         || std::holds_alternative<decision_forgotten>(body);
}

void add_cause(const event_body& body, state_transition& to) {
  to.cause = name_of(body);
  std::visit(
      [&](const auto& one) {
        if constexpr (requires { std::string{one.by}; })
          to.by = one.by;
        if constexpr (requires { std::string{one.reason}; })
          to.reason = one.reason;
        else if constexpr (requires { std::string{one.feedback}; })
          to.reason = one.feedback;
      },
      body);
}

/// Goes through a session's events in order and keeps its moves from event `first` on.
class historian {
public:
  /// `knows`: nothing before the first event that it takes matters.
  historian(std::uint64_t first, std::size_t limit, bool knows)
      : first_{first}, limit_{limit}, knows_{knows}, next_{first} {}

  /// False: it needs no more, or cannot go on.
  bool take(const event& next) {
    const bool is_asked_for = next.number >= first_;
    if (is_asked_for && (!knows_ || is_full()))
      return false;
    if (const auto* change = std::get_if<state_changed>(&next.body))
      note_move(next, *change, is_asked_for);
    else
      note_cause(next.body);
    next_ = std::max(first_, next.number + 1);
    return true;
  }

  /// False: what brought the first move about may be before the first event that it has taken.
  [[nodiscard]] bool knows() const noexcept { return knows_; }

  /// `events`: how many the session has.
  [[nodiscard]] history_page page(std::uint64_t events) && {
    if (next_ <= events)
      page_.next = next_;
    return std::move(page_);
  }

private:
  [[nodiscard]] bool is_full() const {
    return page_.moves.size() >= limit_ || size_bytes_ >= page_size_bytes;
  }

  void note_move(const event& at, const state_changed& change, bool is_asked_for) {
    auto moved = std::exchange(cause_, std::nullopt).value_or(state_transition{});
    decided_call_ = 0;
    knows_ = true;
    if (!is_asked_for)
      return;
    moved.number = at.number;
    moved.at = at.at;
    moved.from = change.from;
    moved.to = change.to;
    size_bytes_ += sizeof moved + moved.by.size() + moved.reason.size();
    page_.moves.push_back(std::move(moved));
  }

  void note_cause(const event_body& body) {
    const auto* answered = std::get_if<call_answered>(&body);
    const bool follows_decision = answered != nullptr && answered->call == decided_call_;
    if (cause_ && (follows_decision || is_consequence(body)))
      return;
    cause_.emplace();
    add_cause(body, *cause_);
    decided_call_ = 0;
    if (const auto* decided = std::get_if<call_decided>(&body))
      decided_call_ = decided->call;
    if (const auto* resolved = std::get_if<outcome_resolved>(&body))
      decided_call_ = resolved->call;
  }

  std::uint64_t first_;
  std::size_t limit_;
  bool knows_;
  std::uint64_t next_;
  history_page page_;
  std::size_t size_bytes_ = 0;
  std::optional<state_transition> cause_; ///< Since the last move; only what is said of it.
  std::uint64_t decided_call_ = 0;        ///< By the cause, whose answer follows.
};

// -- audit

void mark_damaged(audit_entry& entry, const caf::error& why) {
  entry.details = json{{"damage", message_of(why)}};
  if (!entry.action.empty())
    entry.details["event"] = entry.action;
  entry.action = "damaged";
}

/// The arguments that calls had at some time of the past. Their records only have the first and the
/// last ones.
class past_arguments {
public:
  explicit past_arguments(store::view& view) : view_{view} {}

  /// Sees the events of each session in order.
  void take(session_number session, const event& fact) {
    if (const auto* proposed = std::get_if<call_proposed>(&fact.body))
      edits_[{session, proposed->call}].reset();
    else if (const auto* answered = std::get_if<call_answered>(&fact.body))
      edits_.erase({session, answered->call});
    else if (const auto* decided = std::get_if<call_decided>(&fact.body);
             decided != nullptr && decided->verdict == call_verdict::edit)
      edits_[{session, decided->call}] = decided->arguments;
  }

  /// Those of `call` before event `number`: the last edit's, else what the agent asked for.
  result<json> before(session_number session, const call_record& call, std::uint64_t number) {
    if (call.proposed_arguments.is_null())
      return call.arguments; // nobody has edited it
    if (!edits_.contains({session, call.number}))
      if (auto error = look_back(session, number))
        return error;
    // An edit that is further back than that is not found; then a call that was edited twice is
    // shown as it was proposed.
    const auto& edit = edits_.try_emplace({session, call.number}).first->second;
    return edit ? *edit : call.proposed_arguments;
  }

  /// How many events were looked at for it.
  [[nodiscard]] std::size_t looked_at() const noexcept { return looked_at_; }

private:
  caf::error look_back(session_number session, std::uint64_t to) {
    const auto first = to > looked_at_per_page ? to - looked_at_per_page : 1;
    return view_.visit_events(session, first, to - first, [&](stored_event stored) -> result<bool> {
      if (stored.number >= to)
        return false; // those before it were dropped
      const auto fact = read_event(stored);
      if (!fact)
        return fact.error();
      take(session, *fact);
      ++looked_at_;
      return true;
    });
  }

  store::view& view_;
  std::size_t looked_at_ = 0;
  /// Of calls without an answer; nothing: as they were proposed.
  std::map<std::pair<session_number, std::uint64_t>, std::optional<json>> edits_;
};

/// Makes entries of events. Reads what they do not say themselves from the records.
class auditor {
public:
  explicit auditor(store::view& view) : view_{view}, arguments_{view} {}

  /// Nothing for what nobody decided. An event, or what is read for it, that is damaged makes an
  /// entry that says so.
  result<std::optional<audit_entry>> entry_of(const session_anchor& session,
                                              const stored_event& stored) {
    entry_ = audit_entry{};
    entry_.session = session.id;
    entry_.number = stored.number;
    number_ = session.number;
    error_ = caf::none;
    bool is_decision = false;
    if (const auto fact = read_event(stored))
      is_decision = take_event(*fact);
    else
      error_ = fact.error();
    if (error_ && !is_damage(error_))
      return std::move(error_);
    if (error_)
      mark_damaged(entry_, error_);
    else if (!is_decision)
      return std::optional<audit_entry>{};
    if (const auto size = to_text(entry_.details).size(); size > max_details_bytes)
      entry_.details = {{"omitted_bytes", size}};
    return std::optional{std::move(entry_)};
  }

  /// How many events were looked at beyond those that it was given.
  [[nodiscard]] std::size_t looked_at() const noexcept { return arguments_.looked_at(); }

private:
  bool take_event(const event& fact) {
    entry_.at = fact.at;
    entry_.action = name_of(fact.body);
    const bool is_decision = std::visit([this](const auto& body) { return take(body); }, fact.body);
    arguments_.take(number_, fact);
    return is_decision;
  }

  bool take(const plan_decided& body) {
    set_plan(body.revision);
    entry_.verdict = name(body.verdict);
    say(body.by, body.feedback);
    if (auto plan = core::read_record<plan_record>(view_, number_, plan_key(body.revision), "plan"))
      entry_.digest = plan->digest;
    else
      error_ = std::move(plan.error());
    return true;
  }

  /// One that a remembered decision let run, without asking again. Where one rejected it,
  /// `call_answered` says so.
  bool take(const call_proposed& body) {
    if (!core::is_remembered(body.ruled_by) || body.status == call_status::awaiting_decision
        || body.status == call_status::answered)
      return false;
    set_call(body.call);
    entry_.verdict = name(call_verdict::approve);
    entry_.digest = body.digest;
    entry_.details = {
        {"tool", body.tool.str()}, {"arguments", body.arguments}, {"ruled_by", body.ruled_by}};
    return true;
  }

  bool take(const call_decided& body) {
    entry_.verdict = name(body.verdict);
    say(body.by, body.feedback);
    entry_.digest = body.digest;
    const auto call = describe_call(body.call);
    if (body.verdict == call_verdict::edit)
      entry_.details["edited_to"] = body.arguments;
    else if (body.verdict == call_verdict::respond && call && call->answer)
      entry_.details["answer"] = call->answer->content;
    return true;
  }

  bool take(const outcome_resolved& body) {
    if (core::is_automatic(body))
      return false;
    entry_.verdict = name(body.resolution);
    say(body.by, body.reason);
    const auto call = describe_call(body.call);
    if (body.resolution != outcome_resolution::rerun && call && call->answer)
      entry_.details["answer"] = call->answer->content;
    return true;
  }

  /// A question's answer, a cancellation, and a call that a rule or a remembered decision rejected.
  /// Other answers are results of tools, or follow a decision that has its own entry.
  bool take(const call_answered& body) {
    const auto outcome = body.answer.outcome;
    if (outcome != call_outcome::rejected && outcome != call_outcome::succeeded
        && outcome != call_outcome::cancelled)
      return false;
    const auto call = describe_call(body.call);
    if (!call)
      return true;
    const bool is_answer = outcome == call_outcome::succeeded;
    if ((is_answer && call->kind != tool_kind::person)
        || (outcome == call_outcome::rejected && call->verdict))
      return false;
    entry_.verdict = name(outcome);
    entry_.by = body.by;
    entry_.digest = call->digest;
    if (is_answer)
      entry_.details["answer"] = body.answer.content;
    else
      entry_.reason = told_in(body.answer.content);
    if (outcome == call_outcome::rejected && !call->ruled_by.empty())
      entry_.details["ruled_by"] = call->ruled_by;
    return true;
  }

  bool take(const late_result& body) {
    describe_call(body.call);
    entry_.details["result_digest"] = body.digest;
    return true;
  }

  bool take(const plan_ended& body) {
    if (body.status == plan_status::completed)
      return false;
    set_plan(body.revision);
    entry_.verdict = name(body.status);
    say(body.by, body.reason);
    return true;
  }

  bool take(const subtask_retried& body) {
    entry_.subject = body.subtask.str();
    entry_.by = body.by;
    return body.by != "backoff";
  }
  bool take(const subtask_skipped& body) { return take_subtask(body); }
  bool take(const subtask_cancelled& body) { return take_subtask(body); }

  bool take(const deadline_set& body) {
    if (body.subtask)
      entry_.subject = body.subtask->str();
    entry_.by = body.by;
    entry_.details = {{"deadline", to_json(body.at)}};
    return true;
  }

  bool take(const session_suspended& body) {
    say(body.by, body.reason);
    if (body.until)
      entry_.details = {{"until", to_json(body.until)}};
    return true;
  }
  bool take(const session_resumed& body) {
    entry_.by = body.by;
    return body.by != "timer";
  }

  bool take(const history_trimmed& body) {
    entry_.by = body.by;
    entry_.details = {{"first_event", body.first_event}};
    return body.by != "retention";
  }

  bool take(const decision_remembered& body) {
    set_call(body.call);
    entry_.verdict = name(body.verdict);
    say(body.by, body.feedback);
    entry_.details = {
        {"decision", body.decision}, {"scope", name(body.scope)}, {"tool", body.tool.str()}};
    if (!body.arguments.is_null())
      entry_.details["arguments"] = body.arguments;
    return true;
  }
  bool take(const decision_forgotten& body) {
    entry_.by = body.by;
    entry_.details = {{"decision", body.decision}};
    return true;
  }

  template <class Body>
  bool take(const Body&) {
    return false;
  }

  template <class Body>
  bool take_subtask(const Body& body) {
    entry_.subject = body.subtask.str();
    say(body.by, body.reason);
    return true;
  }

  template <class Enum>
  static std::string name(Enum value) {
    return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
  }
  void say(const std::string& by, const std::string& reason) {
    entry_.by = by;
    entry_.reason = reason;
  }
  void set_plan(std::uint32_t revision) {
    entry_.subject = plan_id{entry_.session, revision}.str();
  }
  void set_call(std::uint64_t call) { entry_.subject = call_id{entry_.session, call}.str(); }

  /// Why, in the answer that the runtime makes for a call that is rejected or cancelled.
  static std::string told_in(const json& content) {
    for (const auto* name : {"reason", "feedback"})
      if (content.is_object() && content.contains(name) && content[name].is_string())
        return content[name].get<std::string>();
    return {};
  }

  /// Makes the call the entry's subject and says what it was then. Nothing: `error_` says why.
  std::optional<call_record> describe_call(std::uint64_t number) {
    set_call(number);
    auto call = core::read_record<call_record>(view_, number_, call_key(number), "call");
    if (!call) {
      error_ = std::move(call.error());
      return std::nullopt;
    }
    auto arguments = arguments_.before(number_, *call, entry_.number);
    if (!arguments) {
      error_ = std::move(arguments.error());
      return std::nullopt;
    }
    entry_.details = {{"tool", call->tool.str()}, {"arguments", std::move(*arguments)}};
    return std::move(*call);
  }

  store::view& view_;
  past_arguments arguments_;
  session_number number_ = 0;
  audit_entry entry_;
  caf::error error_;
};

/// Fills one page.
class audit_reader {
public:
  audit_reader(store::view& view, const audit_cursor& after, std::size_t limit)
      : view_{view}, auditor_{view}, at_{after}, limit_{limit} {}

  /// From one session's events.
  result<audit_page> read(const session_anchor& session) {
    const auto visit = [&](stored_event stored) -> result<bool> {
      if (is_full())
        return false;
      if (auto error = take(session, stored, false))
        return error;
      at_.position = stored.number;
      ++looked_at_;
      return true;
    };
    if (auto error =
            view_.visit_events(session.number, at_.position + 1, looked_at_per_page, visit))
      return error;
    if (at_.position >= session.events)
      return std::move(page_);
    return cut_off();
  }

  /// From the journal, commit by commit.
  result<audit_page> read() {
    while (!is_full()) {
      auto position = at_.position;
      auto events = view_.journal(position, 1);
      if (position == at_.position) { // the end, or nothing behind can be read
        if (!events)
          return std::move(events.error());
        return std::move(page_);
      }
      if (!events)
        add_damaged_commit(events.error());
      else if (auto error = take_commit(*events))
        return error;
      // What it has passed over is looked at as well.
      looked_at_ += std::min(position - at_.position, passed_over_at_once);
      if (at_.entries == 0)
        at_.position = position;
    }
    return cut_off();
  }

private:
  /// What is known of a session; nothing: it was deleted.
  using known_session = std::optional<session_anchor>;

  [[nodiscard]] bool has_enough() const {
    return page_.entries.size() >= limit_ || size_bytes_ >= page_size_bytes;
  }
  [[nodiscard]] bool is_full() const {
    return has_enough() || looked_at_ + auditor_.looked_at() >= looked_at_per_page;
  }

  result<audit_page> cut_off() {
    page_.next = at_;
    return std::move(page_);
  }

  void add_damaged_commit(const caf::error& why) {
    at_.entries = 0;
    mark_damaged(page_.entries.emplace_back(), why);
  }

  /// Goes on behind what the page before had of it, and notes how far it came if it has more.
  caf::error take_commit(const std::vector<stored_event>& events) {
    const auto skipped = std::exchange(at_.entries, 0);
    std::uint32_t seen = 0;
    for (const auto& stored : events) {
      const auto session = find_session(stored.session);
      if (!session)
        return session.error();
      const auto& anchor = **session;
      if (!anchor)
        continue; // it was deleted
      // However much was looked at for it, a page goes on behind the one before.
      if (has_enough()) {
        at_.entries = seen;
        return caf::none;
      }
      const auto before = page_.entries.size();
      if (auto error = take(*anchor, stored, seen < skipped))
        return error;
      seen += static_cast<std::uint32_t>(page_.entries.size() - before) + (was_skipped_ ? 1 : 0);
      if (anchor->damage && page_.entries.size() > before)
        mark_damaged(page_.entries.back(), anchor->damage);
    }
    return caf::none;
  }

  caf::error take(const session_anchor& session, const stored_event& stored, bool skips) {
    was_skipped_ = false;
    auto entry = auditor_.entry_of(session, stored);
    if (!entry)
      return std::move(entry.error());
    if (!*entry)
      return caf::none;
    was_skipped_ = skips;
    if (!skips) {
      size_bytes_ += stored.value.size() + to_text((*entry)->details).size();
      page_.entries.push_back(std::move(**entry));
    }
    return caf::none;
  }

  result<const known_session*> find_session(session_number number) {
    if (const auto found = known_.find(number); found != known_.end())
      return &found->second;
    known_session known;
    auto found = view_.sessions(std::nullopt, number - 1, 1);
    if (!found)
      return std::move(found.error());
    if (!found->empty() && found->front().number == number)
      known = std::move(found->front());
    return &known_.emplace(number, std::move(known)).first->second;
  }

  store::view& view_;
  auditor auditor_;
  audit_cursor at_;
  std::size_t limit_;
  audit_page page_;
  std::size_t size_bytes_ = 0;
  std::size_t looked_at_ = 0;
  bool was_skipped_ = false;
  std::unordered_map<session_number, known_session> known_;
};

} // namespace

result<history_page> query_history(store& from, const session_id& session, std::uint64_t first,
                                   std::size_t limit) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  const auto anchor = find_anchor(**view, session);
  if (!anchor)
    return anchor.error();
  first = std::max<std::uint64_t>(first, 1);
  // What brought the first move about comes behind the move before it, which is mostly near.
  for (std::uint64_t back = 64;; back = std::min<std::uint64_t>(back * 16, looked_at_per_page)) {
    const auto begin = std::max(first > back ? first - back : 1, anchor->first_event);
    const bool is_last = begin == anchor->first_event || back == looked_at_per_page;
    historian told{first, limit, is_last};
    const auto visit = [&](const stored_event& stored) -> result<bool> {
      const auto fact = read_event(stored);
      if (!fact)
        return fact.error();
      return told.take(*fact);
    };
    if (auto error = (*view)->visit_events(
            anchor->number, begin, std::max(first, begin) - begin + looked_at_per_page, visit))
      return error;
    if (told.knows() || is_last)
      return std::move(told).page(anchor->events);
  }
}

result<audit_page> query_audit(store& from, const std::optional<session_id>& session,
                               const audit_cursor& after, std::size_t limit) {
  auto view = core::read_current(from);
  if (!view)
    return std::move(view.error());
  audit_reader reader{**view, after, limit};
  if (!session)
    return reader.read();
  const auto anchor = find_anchor(**view, *session);
  if (!anchor)
    return anchor.error();
  return reader.read(*anchor);
}

} // namespace fermata
