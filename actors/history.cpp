// What queries.hpp says of the past: a session's states, and who decided what.
#include <fermata/actors/queries.hpp>

#include <fermata/actors/core/persistence.hpp>

#include <algorithm>
#include <unordered_map>

namespace fermata {

namespace {

/// How many events are read at a time.
constexpr std::size_t events_at_once = 256;
constexpr std::size_t commits_per_page = 10'000;
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

/// True for what the runtime does by itself because of the event before it.
bool is_consequence(const event_body& body) {
  return std::holds_alternative<call_claimed>(body) || std::holds_alternative<model_used>(body)
         || std::holds_alternative<plan_started>(body)
         || std::holds_alternative<subtask_started>(body)
         || std::holds_alternative<subtask_blocked>(body)
         || std::holds_alternative<subtask_unblocked>(body);
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

/// Goes through a session's events in order and keeps its moves.
class historian {
public:
  void take(const event& next, bool is_asked_for) {
    const auto* change = std::get_if<state_changed>(&next.body);
    if (change == nullptr)
      return note_cause(next.body);
    auto moved = std::exchange(cause_, std::nullopt).value_or(state_transition{});
    decided_call_ = 0;
    if (!is_asked_for)
      return;
    moved.number = next.number;
    moved.at = next.at;
    moved.from = change->from;
    moved.to = change->to;
    found.push_back(std::move(moved));
  }

  std::vector<state_transition> found;

private:
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

  std::optional<state_transition> cause_; ///< Since the last move; only what is said of it.
  std::uint64_t decided_call_ = 0;        ///< By the cause, whose answer follows.
};

// -- audit

/// Makes entries of events. Reads what they do not say themselves from the records.
class auditor {
public:
  explicit auditor(store::view& view) : view_{view} {}

  /// Nothing for what nobody decided.
  result<std::optional<audit_entry>> entry_of(const session_anchor& session, const event& fact) {
    entry_ = audit_entry{};
    entry_.session = session.id;
    entry_.number = fact.number;
    entry_.at = fact.at;
    entry_.action = name_of(fact.body);
    number_ = session.number;
    error_ = caf::none;
    const bool is_decision = std::visit([this](const auto& body) { return take(body); }, fact.body);
    if (error_)
      return std::move(error_);
    if (!is_decision)
      return std::optional<audit_entry>{};
    if (const auto size = to_text(entry_.details).size(); size > max_details_bytes)
      entry_.details = {{"omitted_bytes", size}};
    return std::optional{std::move(entry_)};
  }

private:
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

  bool take(const call_decided& body) {
    set_call(body.call);
    entry_.verdict = name(body.verdict);
    say(body.by, body.feedback);
    entry_.digest = body.digest;
    const auto call = read_call(body.call);
    if (!call)
      return true;
    entry_.details["tool"] = call->tool.str();
    if (body.verdict == call_verdict::edit) {
      entry_.details["proposed"] =
          call->proposed_arguments.is_null() ? call->arguments : call->proposed_arguments;
      entry_.details["ran"] = body.arguments;
    } else {
      entry_.details["arguments"] = call->arguments;
    }
    return true;
  }

  bool take(const outcome_resolved& body) {
    set_call(body.call);
    entry_.verdict = name(body.resolution);
    say(body.by, body.reason);
    return true;
  }

  /// A question's answer, a cancellation, and a call that a rule rejected. Other answers are
  /// results of tools, or follow a decision that has its own entry.
  bool take(const call_answered& body) {
    const auto outcome = body.answer.outcome;
    const bool is_ruled = outcome == call_outcome::rejected && !body.by.empty();
    const bool may_be_answer = outcome == call_outcome::succeeded && !body.by.empty();
    if (!is_ruled && !may_be_answer && outcome != call_outcome::cancelled)
      return false;
    const auto call = read_call(body.call);
    if (!call || (may_be_answer && call->kind != tool_kind::person))
      return false;
    set_call(body.call);
    entry_.verdict = name(outcome);
    entry_.by = body.by;
    entry_.digest = call->digest;
    entry_.details = {{"tool", call->tool.str()}, {"arguments", call->arguments}};
    if (may_be_answer)
      entry_.details["answer"] = body.answer.content;
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

  std::optional<call_record> read_call(std::uint64_t call) {
    auto read = core::read_record<call_record>(view_, number_, call_key(call), "call");
    if (read)
      return std::move(*read);
    error_ = std::move(read.error());
    return std::nullopt;
  }

  store::view& view_;
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
    while (!is_full()) {
      auto events = view_.events(session.number, at_.position + 1, events_at_once);
      if (!events)
        return std::move(events.error());
      for (std::size_t i = 0; i < events->size() && !is_full(); ++i) {
        if (auto error = take(session, (*events)[i], 0))
          return error;
        at_.position = (*events)[i].number;
      }
      looked_at_ += events->size();
      if (at_.position >= session.events)
        return std::move(page_);
    }
    return cut_off();
  }

  /// From the journal, commit by commit.
  result<audit_page> read() {
    while (!is_full()) {
      auto position = at_.position;
      auto events = view_.journal(position, 1);
      if (!events)
        return std::move(events.error());
      if (position == at_.position)
        return std::move(page_);
      if (auto error = take_commit(*events))
        return error;
      if (at_.entries == 0)
        at_.position = position;
      ++looked_at_;
    }
    return cut_off();
  }

private:
  [[nodiscard]] bool is_full() const {
    return page_.entries.size() >= limit_ || size_bytes_ >= page_size_bytes
           || looked_at_ >= commits_per_page;
  }

  result<audit_page> cut_off() {
    page_.next = at_;
    return std::move(page_);
  }

  /// Goes on behind what the page before had of it, and notes how far it came if it has more.
  caf::error take_commit(const std::vector<stored_event>& events) {
    const auto skipped = std::exchange(at_.entries, 0);
    std::uint32_t seen = 0;
    for (const auto& stored : events) {
      auto session = session_of(stored.session);
      if (!session)
        return std::move(session.error());
      if (!*session)
        continue; // it was deleted
      if (is_full()) {
        at_.entries = seen;
        return caf::none;
      }
      const auto before = page_.entries.size();
      if (auto error = take(**session, stored, seen < skipped))
        return error;
      seen += static_cast<std::uint32_t>(page_.entries.size() - before) + (was_skipped_ ? 1 : 0);
    }
    return caf::none;
  }

  caf::error take(const session_anchor& session, const stored_event& stored, bool skips) {
    was_skipped_ = false;
    auto fact = read_event(stored);
    if (!fact)
      return std::move(fact.error());
    auto entry = auditor_.entry_of(session, *fact);
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

  /// Nothing for one that is not there any more.
  result<std::optional<session_anchor>> session_of(session_number number) {
    if (const auto found = known_.find(number); found != known_.end())
      return found->second;
    auto found = view_.sessions(std::nullopt, number - 1, 1);
    if (!found)
      return std::move(found.error());
    std::optional<session_anchor> anchor;
    if (!found->empty() && found->front().number == number)
      anchor = std::move(found->front());
    return known_.emplace(number, std::move(anchor)).first->second;
  }

  store::view& view_;
  auditor auditor_;
  audit_cursor at_;
  std::size_t limit_;
  audit_page page_;
  std::size_t size_bytes_ = 0;
  std::size_t looked_at_ = 0;
  bool was_skipped_ = false;
  std::unordered_map<session_number, std::optional<session_anchor>> known_;
};

} // namespace

result<std::vector<state_transition>> query_history(store& from, const session_id& session,
                                                    std::uint64_t first, std::size_t limit) {
  auto view = from.read();
  if (!view)
    return std::move(view.error());
  const auto anchor = find_anchor(**view, session);
  if (!anchor)
    return anchor.error();
  historian told;
  // The cause of the first move is some events before it, of one fold at most.
  constexpr std::uint64_t fold = 64;
  for (auto next = first > fold ? first - fold : 1;
       next <= anchor->events && told.found.size() < limit;) {
    const auto events = (*view)->events(anchor->number, next, events_at_once);
    if (!events)
      return events.error();
    for (const auto& stored : *events) {
      const auto fact = read_event(stored);
      if (!fact)
        return fact.error();
      told.take(*fact, fact->number >= first && told.found.size() < limit);
    }
    next += events_at_once;
  }
  return std::move(told.found);
}

result<audit_page> query_audit(store& from, const std::optional<session_id>& session,
                               const audit_cursor& after, std::size_t limit) {
  auto view = from.read();
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
