#include <fermata/actors/sim/workload.hpp>

#include <fermata/actors/sim/sample.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

using milliseconds = std::chrono::milliseconds;

constexpr milliseconds longest_sleep = std::chrono::hours{48};
constexpr milliseconds longest_wait = std::chrono::hours{24};
constexpr milliseconds longest_attempt = std::chrono::hours{12};

json order_schema() {
  return {{"type", "object"},
          {"properties",
           {{"item", {{"enum", {"tea", "coffee", "cake"}}}},
            {"amount", {{"type", "integer"}, {"minimum", 1}, {"maximum", 20}}}}},
          {"required", {"item"}},
          {"additionalProperties", false}};
}

json answer_schema(seeded_random& random) {
  switch (random.below(4)) {
  case 0:
    return nullptr;
  case 1:
    return {{"type", "boolean"}};
  case 2:
    return {{"type", "integer"}, {"minimum", 1}, {"maximum", 5}};
  default:
    return {{"type", "object"},
            {"properties", {{"size", {{"enum", {"small", "large"}}}}}},
            {"required", {"size"}}};
  }
}

/// Draws one plan.
class plan_drawer {
public:
  plan_drawer(const session_id& session, std::size_t place, const workload_options& options,
              seeded_random& random)
      : session_{session}, place_{place}, options_{options}, random_{random} {}

  plan_spec draw() {
    plan_spec plan;
    plan.goal = session_.str() + ", plan " + std::to_string(place_ + 1);
    plan.tools["order"].schema = order_schema();
    plan.tools["notify"] = tool_declaration{};
    // Mostly small plans: they have all that large ones have, in less time.
    const auto count = 1 + random_.below(random_.chance(0.2) ? 8 : 3);
    for (std::uint64_t i = 0; i < count; ++i)
      plan.subtasks.push_back(draw_subtask(plan));
    return plan;
  }

private:
  subtask_spec draw_subtask(const plan_spec& plan) {
    subtask_spec one;
    one.id = *subtask_id::parse("t" + std::to_string(plan.subtasks.size() + 1));
    one.description = "a part of " + plan.goal;
    for (const auto& earlier : plan.subtasks)
      if (random_.chance(0.35))
        one.depends_on.push_back(earlier.id);
    if (random_.chance(0.4))
      one.retry = retry_policy{2 + static_cast<std::uint32_t>(random_.below(2)),
                               random_.between(milliseconds{1'000}, milliseconds{600'000}),
                               std::chrono::hours{1}};
    if (random_.chance(0.15))
      one.time_limit = random_.between(milliseconds{60'000}, longest_attempt);
    if (!options_.agents.empty() && random_.chance(0.4))
      one.agent = *agent_name::parse(options_.agents[random_.below(options_.agents.size())]);
    else
      draw_script(one);
    return one;
  }

  void draw_script(subtask_spec& one) {
    one.steps = json::array();
    for (auto left = random_.below(4); left > 0; --left)
      one.steps.push_back(draw_step());
    if (one.depends_on.empty() || !random_.chance(0.5))
      return;
    const auto& dependency = one.depends_on[random_.below(one.depends_on.size())];
    one.result = {{"after", {{"$ref", "/results/" + dependency.str()}}}};
  }

  json draw_step() {
    if (random_.chance(0.1))
      return {{"sleep_ms", random_.between(milliseconds{1}, longest_sleep).count()}};
    json drawn;
    if (random_.chance(0.25)) {
      auto calls = json::array();
      for (auto left = 2 + random_.below(3); left > 0; --left)
        calls.push_back(draw_call());
      drawn["calls"] = std::move(calls);
    } else {
      drawn = draw_call();
    }
    if (random_.chance(0.6))
      drawn["on_error"] = "continue";
    if (random_.chance(0.2))
      drawn["on_rejected"] = "fail";
    return drawn;
  }

  json draw_call() {
    const auto kinds = options_.tools.size() + 3;
    const auto chosen = random_.below(kinds);
    json drawn;
    if (chosen < options_.tools.size())
      drawn = draw_call_of(options_.tools[chosen].name.str(), options_.tools[chosen].schema);
    else if (chosen == options_.tools.size())
      drawn = draw_call_of("order", order_schema());
    else if (chosen == options_.tools.size() + 1)
      drawn = {{"tool", "notify"}, {"arguments", {{"text", {{"$ref", "/goal"}}}}}};
    else
      drawn = draw_question();
    if (random_.chance(0.2))
      drawn["expires_after_ms"] = random_.between(milliseconds{1'000}, longest_wait).count();
    return drawn;
  }

  json draw_call_of(const std::string& tool, const json& schema) {
    auto arguments = sample(schema, random_);
    // Each session has documents of its own, so that what others do does not matter to it.
    if (arguments.contains("document"))
      arguments["document"] = session_.str() + "/page";
    if (random_.chance(0.05))
      arguments["nobody-asked-for"] = "this";
    return {{"tool", tool}, {"arguments", std::move(arguments)}};
  }

  json draw_question() {
    json arguments = {{"question", "what would you like?"}};
    if (auto schema = answer_schema(random_); !schema.is_null())
      arguments["schema"] = std::move(schema);
    return {{"tool", question_tool().str()}, {"arguments", std::move(arguments)}};
  }

  const session_id& session_;
  std::size_t place_;
  const workload_options& options_;
  seeded_random& random_;
};

planned_session draw_session(std::uint64_t seed, const std::string& name,
                             const workload_options& options) {
  seeded_random random{seed, "session/" + name};
  planned_session drawn;
  drawn.id = *session_id::parse(name);
  drawn.begins = random.between(milliseconds{0}, options.begin_within);
  const bool begins_with_message = options.planner && random.chance(0.2);
  const auto plans = begins_with_message ? 0 : 1 + random.below(3);
  for (std::size_t i = 0; i < plans; ++i) {
    seeded_random own{seed, name + "/plan/" + std::to_string(i)};
    drawn.plans.push_back(plan_drawer{drawn.id, i, options, own}.draw());
  }
  if (begins_with_message || (options.planner && random.chance(0.2)))
    drawn.messages.push_back("please see to " + name);
  return drawn;
}

} // namespace

std::vector<planned_session> draw_sessions(std::uint64_t seed, const workload_options& options) {
  std::vector<planned_session> drawn;
  for (std::size_t i = 1; drawn.size() < options.sessions; ++i)
    if (const auto name = "s" + std::to_string(i);
        !options.taken.contains(*session_id::parse(name)))
      drawn.push_back(draw_session(seed, name, options));
  return drawn;
}

} // namespace fermata::sim
