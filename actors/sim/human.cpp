#include <fermata/actors/sim/human.hpp>

#include <fermata/actors/sim/sample.hpp>

#include <algorithm>

namespace fermata::sim {

using milliseconds = std::chrono::milliseconds;

namespace {

/// What somebody with a stale view was shown is so much older than what others decide on.
constexpr milliseconds longest_staleness = std::chrono::hours{8};
/// How long after a decision its consequences are thought of: a second click, a revocation.
constexpr milliseconds longest_afterthought = std::chrono::minutes{30};

/// Another value of the same type.
json altered(const json& value, bool to_more) {
  if (value.is_boolean())
    return !value.get<bool>();
  if (value.is_number_integer())
    return to_more ? 2 * value.get<std::int64_t>() : value.get<std::int64_t>() - 1;
  if (value.is_number())
    return value.get<double>() / 2;
  if (value.is_string())
    return value.get<std::string>() + " indeed";
  return value;
}

json guess_edit(const pending_item& call, seeded_random& random) {
  auto edited = call.arguments;
  if (!edited.is_object() || edited.empty())
    return edited;
  const auto chosen =
      std::next(edited.begin(), static_cast<std::ptrdiff_t>(random.below(edited.size())));
  *chosen = altered(*chosen, random.chance(0.5));
  return edited;
}

bool is_call_decision(const pending_item& item) {
  return item.kind == pending_kind::call && item.waiting_for == wait_cause::decision;
}

} // namespace

/// What a person is going to do about one thing. The default is what everybody expects.
struct human::whim {
  milliseconds thought{0};
  bool forgets = false;
  bool last_moment = false;
  bool stale = false;
  bool double_clicks = false;
  bool contradicts = false;
  bool decides_at_once = false;
  bool badly = false;
  bool shows_digest = true;
  bool sends_back = false;
  call_verdict verdict = call_verdict::approve;
  decision_scope remember = decision_scope::once;
  milliseconds afterthought{0}; ///< Until the second click; 0: at once.

  whim() = default;
};

human_character prompt_human() {
  return {};
}

human_character slow_human(milliseconds most) {
  human_character made;
  made.most_thought = most;
  return made;
}

human_character silent_human() {
  human_character made;
  made.forgets = 1;
  return made;
}

human_character double_clicking_human() {
  human_character made;
  made.double_clicks = 1;
  return made;
}

human_character contradictory_human() {
  human_character made;
  made.contradicts = 1;
  return made;
}

human_character editing_human() {
  human_character made;
  made.edits = 1;
  return made;
}

human_character badly_editing_human() {
  human_character made;
  made.edits_badly = 1;
  return made;
}

human_character stale_human() {
  human_character made;
  made.stale_view = 1;
  return made;
}

human_character last_moment_human() {
  human_character made;
  made.last_moment = 1;
  return made;
}

human_character difficult_human() {
  human_character made;
  made.most_thought = std::chrono::hours{2};
  made.rejects = made.edits = made.responds = made.sends_back = 0.1;
  made.edits_badly = made.decides_at_once = 0.1;
  made.remembers = made.stale_view = made.double_clicks = made.contradicts = 0.2;
  made.takes_back = 0.4;
  made.last_moment = 0.2;
  made.forgets = 0.03;
  return made;
}

human::human(std::string name, human_character character, std::string node)
    : participant{std::move(name), std::move(node), {wait_cause::decision, wait_cause::answer}},
      character_{character}, editor_{guess_edit} {}

/// All of it is drawn, whatever is used, so that one trait of a character does not shift another.
human::whim human::whim_about(const world& in, const pending_item& item) const {
  auto random = whims(in, item.id);
  whim drawn;
  drawn.thought = random.between(character_.least_thought, character_.most_thought);
  drawn.forgets = random.chance(character_.forgets);
  drawn.stale = random.chance(character_.stale_view);
  drawn.double_clicks = random.chance(character_.double_clicks);
  drawn.contradicts = random.chance(character_.contradicts);
  drawn.decides_at_once = random.chance(character_.decides_at_once);
  drawn.sends_back = random.chance(character_.sends_back);
  const bool rejects = random.chance(character_.rejects);
  const bool responds = random.chance(character_.responds);
  const bool edits = random.chance(character_.edits);
  drawn.badly = random.chance(character_.edits_badly);
  drawn.shows_digest = random.chance(0.8);
  const bool remembers = random.chance(character_.remembers);
  const auto scope = random.chance(0.5) ? decision_scope::tool : decision_scope::call;
  if (random.chance(0.5))
    drawn.afterthought = random.between(milliseconds{1}, longest_afterthought);
  drawn.last_moment = random.chance(character_.last_moment);
  if (rejects)
    drawn.verdict = call_verdict::reject;
  else if (responds)
    drawn.verdict = call_verdict::respond;
  else if (edits || drawn.badly)
    drawn.verdict = call_verdict::edit;
  if (remembers && drawn.verdict <= call_verdict::reject && drawn.verdict != call_verdict::edit)
    drawn.remember = scope;
  return drawn;
}

std::optional<participant::milliseconds> human::came_up(world& in, const task& what) {
  auto how = whim_about(in, what.item);
  if (how.forgets)
    return std::nullopt;
  if (how.last_moment && what.item.expires_at)
    return std::max(milliseconds{0}, *what.item.expires_at - in.now());
  if (!how.stale)
    return how.thought;
  // Somebody else may decide, change or cancel it in the meantime. What is said then is about what
  // was shown the first time; only when that is refused does this person look again.
  const auto& shown = first_shown_.try_emplace(what.item.id, what.item).first->second;
  const auto staleness =
      how.thought + whims(in, what.item.id + "/stale").between(milliseconds{0}, longest_staleness);
  how.shows_digest = true;
  in.after(staleness, [this, &in, item = shown, how] {
    if (!settled())
      std::ignore = say(in, item.session, decision_on(in, item, how));
  });
  return staleness + patience(0);
}

std::optional<ticket> human::act(world& in, const task& what, const caf::error& refused) {
  const auto& item = what.item;
  const bool is_final = refused && !may_pass(refused);
  whim how;
  if (is_final && (is(refused, errc::denied_by_policy) || is(refused, errc::unknown_tool)))
    how.verdict = call_verdict::reject; // it must not, or cannot, run
  else if (!settled() && !is_final)
    how = whim_about(in, item);
  if (what.attempts > 0)
    return say(in, item.session, decision_on(in, item, how));
  if (how.decides_at_once && is_call_decision(item))
    if (auto all = decision_on_all(item.session))
      return say(in, item.session, std::move(*all));
  const auto body = decision_on(in, item, how);
  auto said = say(in, item.session, body);
  if (how.double_clicks && how.afterthought.count() == 0)
    std::ignore = say(in, item.session, body);
  else if (how.double_clicks)
    in.after(how.afterthought,
             [this, &in, session = item.session, body] { std::ignore = say(in, session, body); });
  if (how.contradicts) {
    auto opposite = how;
    opposite.sends_back = false;
    opposite.badly = false;
    opposite.remember = decision_scope::once;
    opposite.verdict =
        how.verdict == call_verdict::reject ? call_verdict::approve : call_verdict::reject;
    std::ignore = say(in, item.session, decision_on(in, item, opposite));
  }
  return said;
}

void human::stored(world& in, const stored_commit& what) {
  participant::stored(in, what);
  if (character_.takes_back == 0)
    return;
  for (const auto& one : what.events) {
    const auto* fact = std::get_if<decision_remembered>(&one.body);
    if (fact == nullptr || fact->by != name() || settled())
      continue;
    auto random = whims(in, what.session.str() + "/remembered/" + std::to_string(fact->decision));
    if (!random.chance(character_.takes_back))
      continue;
    forget_decision body{fact->decision};
    body.by = name();
    in.after(random.between(milliseconds{1}, longest_afterthought),
             [this, &in, session = what.session, body] { std::ignore = say(in, session, body); });
  }
}

command human::decision_on(const world& in, const pending_item& item, const whim& how) const {
  if (item.waiting_for == wait_cause::answer)
    return answer_to(in, item, how);
  if (item.kind != pending_kind::plan)
    return decision_on_call(in, item, how);
  decide_plan body{plan_id::parse(item.id)->revision(), plan_verdict::approve};
  if (how.sends_back)
    body.verdict = plan_verdict::modify;
  else if (how.verdict == call_verdict::reject)
    body.verdict = plan_verdict::reject;
  if (body.verdict != plan_verdict::approve)
    body.feedback = "not like this";
  body.by = name();
  return body;
}

command human::decision_on_call(const world& in, const pending_item& item, const whim& how) const {
  decide_call body{*call_id::parse(item.id), how.verdict};
  auto random = whims(in, item.id + "/edit");
  switch (how.verdict) {
  case call_verdict::approve:
    break;
  case call_verdict::reject:
    body.feedback = "rather not";
    break;
  case call_verdict::edit:
    body.arguments = how.badly ? misfit(nullptr, random) : editor_(item, random);
    break;
  case call_verdict::respond:
    body.content = {{"says", name()}};
    break;
  }
  if (how.shows_digest)
    body.digest = item.digest;
  body.remember = how.remember;
  body.by = name();
  return body;
}

command human::answer_to(const world& in, const pending_item& item, const whim& how) const {
  const auto schema =
      item.arguments.is_object() ? item.arguments.value("schema", json::object()) : json::object();
  // Nobody can reject a question: who contradicts himself answers otherwise.
  auto random = whims(in, item.id + (how.verdict == call_verdict::reject ? "/other" : "/answer"));
  answer_question body{*call_id::parse(item.id),
                       how.badly ? misfit(schema, random) : sample(schema, random)};
  body.by = name();
  return body;
}

std::optional<command> human::decision_on_all(const session_id& session) const {
  decide_calls all;
  for (const auto& [number, one] : tasks_of(session)) {
    if (!is_call_decision(one.item))
      continue;
    decide_call decision{*call_id::parse(one.item.id), call_verdict::approve};
    decision.digest = one.item.digest;
    decision.by = name();
    all.decisions.push_back(std::move(decision));
  }
  if (all.decisions.size() < 2)
    return std::nullopt;
  return all;
}

} // namespace fermata::sim
