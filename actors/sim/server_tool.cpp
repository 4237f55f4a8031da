#include <fermata/actors/sim/server_tool.hpp>

#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/coro/failure.hpp>
#include <fermata/actors/sim/random.hpp>

#include <caf/event_based_actor.hpp>

#include <coroutine>
#include <string>

namespace fermata::sim {

namespace {

using milliseconds = std::chrono::milliseconds;

enum class ending : std::uint8_t { succeeds, fails, fails_after_effect, unavailable, hangs };

/// What one run is going to do.
struct course {
  milliseconds before{0}; ///< Its effect.
  milliseconds after{0};
  ending end = ending::succeeds;
  bool hangs_first = false; ///< Before its effect.

  course() = default;
};

/// What a tool's functions share.
struct workings {
  tool_name name;
  server_tool_character character;
  std::shared_ptr<outside> effects;
  std::uint64_t seed = 0;

  workings() = default;

  [[nodiscard]] seeded_random random_for(const tool_context& context, std::string_view what) const {
    return seeded_random{seed, name.str() + "/" + context.call.str() + "/"
                                   + std::to_string(context.run) + std::string{what}};
  }

  [[nodiscard]] course course_of(const tool_context& context) const {
    auto random = random_for(context, {});
    course drawn;
    const auto time = random.between(character.least_time, character.most_time);
    drawn.before = random.between(milliseconds{0}, time);
    drawn.after = time - drawn.before;
    drawn.hangs_first = random.chance(0.5);
    const std::pair<double, ending> chances[] = {
        {character.hangs, ending::hangs},
        {character.unavailable, ending::unavailable},
        {character.fails, ending::fails},
        {character.fails_after_effect, ending::fails_after_effect}};
    for (const auto& [chance, end] : chances)
      if (random.chance(chance) && drawn.end == ending::succeeds)
        drawn.end = end;
    if (effects->settled())
      drawn.end = ending::succeeds;
    return drawn;
  }

  /// What keeps the run from having its effect.
  [[nodiscard]] caf::error hindrance(const course& how, const tool_context& context) const {
    if (context.approved_fingerprint && character.changes_document
        && *context.approved_fingerprint != effects->fingerprint_of(document_of(context.arguments)))
      return make_error(errc::stale_approval, "the document has changed since it was approved");
    if (how.end == ending::unavailable)
      return make_error(errc::tool_unavailable, name.str() + " is busy");
    if (how.end == ending::fails)
      return make_error(errc::tool_failed, name.str() + " refused to do it");
    return caf::none;
  }

  json have_effect(const tool_context& context) const {
    if (character.changes_document)
      effects->change(document_of(context.arguments));
    return effects->happen(context.call, context.idempotency_key,
                           {{"did", name.str()}, {"for", context.call.str()}},
                           character.idempotent);
  }

  static std::string document_of(const json& arguments) {
    return arguments.is_object() ? arguments.value("document", std::string{}) : std::string{};
  }
};

coro::task<json> run_coroutine(std::shared_ptr<const workings> tool, caf::event_based_actor* self,
                               const tool_context& context) {
  const auto how = tool->course_of(context);
  co_await coro::delay(self, how.before);
  if (how.end == ending::hangs && how.hangs_first)
    co_await std::suspend_always{};
  if (auto why = tool->hindrance(how, context))
    throw coro::failure{std::move(why)};
  auto result = tool->have_effect(context);
  if (context.progress)
    context.progress("it is done, all but the paperwork");
  if (how.end == ending::hangs)
    co_await std::suspend_always{};
  co_await coro::delay(self, how.after);
  if (how.end == ending::fails_after_effect)
    throw coro::failure{make_error(errc::tool_failed, "it was done, but the paperwork failed")};
  co_return result;
}

result<json> run_blocking(const workings& tool, const tool_context& context) {
  const auto how = tool.course_of(context);
  if (auto why = tool.hindrance(how, context))
    return why;
  auto result = tool.have_effect(context);
  if (how.end == ending::fails_after_effect)
    return make_error(errc::tool_failed, "it was done, but the paperwork failed");
  return result;
}

result<reconciliation> reconcile(const workings& tool, const tool_context& context) {
  auto random = tool.random_for(context, "/reconcile");
  if (random.chance(tool.character.is_unsure) && !tool.effects->settled())
    return reconciliation{};
  if (auto done = tool.effects->result_of(context.call))
    return reconciliation::happened(std::move(*done));
  return reconciliation::did_not_happen();
}

} // namespace

tool make_server_tool(tool_name name, json schema, server_tool_character character,
                      std::shared_ptr<outside> effects, std::uint64_t seed) {
  auto shared = std::make_shared<workings>();
  shared->name = name;
  shared->character = character;
  shared->effects = std::move(effects);
  shared->seed = seed;
  tool made;
  made.name = std::move(name);
  made.description = "A simulated tool";
  made.schema = std::move(schema);
  made.idempotent = character.idempotent;
  made.time_limit = character.time_limit;
  made.retry = character.retry;
  if (character.blocking)
    made.run = blocking_tool{
        [shared](const tool_context& context) { return run_blocking(*shared, context); }};
  else
    made.run = coroutine_tool{[shared](caf::event_based_actor* self, const tool_context& context) {
      return run_coroutine(shared, self, context);
    }};
  if (character.reconciles)
    made.reconcile = [shared](const tool_context& context) { return reconcile(*shared, context); };
  if (character.changes_document)
    made.fingerprint = [shared](const json& arguments,
                                const std::filesystem::path&) -> result<std::string> {
      return shared->effects->fingerprint_of(workings::document_of(arguments));
    };
  return made;
}

} // namespace fermata::sim
