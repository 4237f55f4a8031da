#include <fermata/actors/sim/tool_host.hpp>

namespace fermata::sim {

namespace {

using milliseconds = std::chrono::milliseconds;

/// How long after its first result a call may get another one, or after its end its first.
constexpr milliseconds longest_afterthought = std::chrono::hours{1};

/// A call that no session gets to.
constexpr std::uint64_t unheard_of = 1'000'000'000;

tool_result result_for(const call_id& call, bool fails) {
  if (fails)
    return {call, json{{"message", "the host could not do it"}}, true};
  return {call, json{{"done", call.str()}}};
}

} // namespace

struct tool_host::whim {
  milliseconds time{0};
  milliseconds afterthought{0}; ///< 0: at once.
  bool fails = false;
  bool hangs = false;
  bool answers_twice = false;
  bool contradicts = false;
  bool answers_late = false;
  bool answers_early = false;
  bool answers_strangers = false;

  whim() = default;
};

tool_host::tool_host(std::string name, host_character character, std::string node)
    : participant{std::move(name), std::move(node), {wait_cause::result}}, character_{character} {}

tool_host::whim tool_host::whim_about(const world& in, const std::string& call) const {
  auto random = whims(in, call);
  whim drawn;
  drawn.time = random.between(character_.least_time, character_.most_time);
  drawn.fails = random.chance(character_.fails);
  drawn.hangs = random.chance(character_.hangs);
  drawn.answers_twice = random.chance(character_.answers_twice);
  drawn.contradicts = random.chance(character_.contradicts);
  drawn.answers_late = random.chance(character_.answers_late);
  drawn.answers_early = random.chance(character_.answers_early);
  drawn.answers_strangers = random.chance(character_.answers_strangers);
  if (random.chance(0.5))
    drawn.afterthought = random.between(milliseconds{1}, longest_afterthought);
  return drawn;
}

std::optional<participant::milliseconds> tool_host::came_up(world& in, const task& what) {
  const auto how = whim_about(in, what.item.id);
  return how.hangs ? std::nullopt : std::optional{how.time};
}

std::optional<ticket> tool_host::act(world& in, const task& what, const caf::error& refused) {
  if (refused && !may_pass(refused) && what.attempts > 0 && !settled())
    return std::nullopt; // it was told that this is over
  const auto& session = what.item.session;
  const auto call = *call_id::parse(what.item.id);
  auto how = whim_about(in, what.item.id);
  if (settled())
    how = whim{};
  const auto body = result_for(call, how.fails);
  auto said = say(in, session, body);
  if (what.attempts > 0)
    return said;
  if (how.answers_twice && how.afterthought.count() == 0)
    std::ignore = say(in, session, body);
  else if (how.answers_twice)
    in.after(how.afterthought,
             [this, &in, session, body] { std::ignore = say(in, session, body); });
  if (how.contradicts)
    std::ignore = say(in, session, result_for(call, !how.fails));
  if (how.answers_strangers)
    post_to_strangers(in, call);
  return said;
}

void tool_host::went(world& in, const task& what) {
  if (what.attempts > 0 || settled())
    return;
  const auto how = whim_about(in, what.item.id);
  if (!how.answers_late)
    return;
  // It was at work all the while, and nobody told it that the result is not wanted any more.
  in.after(how.afterthought, [this, &in, session = what.item.session,
                              body = result_for(*call_id::parse(what.item.id), how.fails)] {
    std::ignore = say(in, session, body);
  });
}

void tool_host::stored(world& in, const stored_commit& what) {
  participant::stored(in, what);
  if (settled() || (character_.answers_early == 0 && character_.answers_strangers == 0))
    return;
  for (const auto& one : what.events) {
    const auto* proposed = std::get_if<call_proposed>(&one.body);
    if (proposed == nullptr || proposed->status == call_status::answered)
      continue;
    const call_id call{what.session, proposed->call};
    const auto how = whim_about(in, call.str());
    const bool is_mine = proposed->kind == tool_kind::client;
    if (is_mine ? how.answers_early && proposed->status == call_status::awaiting_decision
                : how.answers_strangers)
      std::ignore = say(in, what.session, result_for(call, how.fails));
  }
}

void tool_host::post_to_strangers(world& in, const call_id& call) const {
  std::ignore = say(in, call.session(),
                    result_for(call_id{call.session(), call.number() + unheard_of}, false));
  const auto nobody = *session_id::parse("nobody");
  std::ignore = say(in, call.session(), result_for(call_id{nobody, call.number()}, false));
  std::ignore = say(in, nobody, result_for(call_id{nobody, call.number()}, false));
}

} // namespace fermata::sim
