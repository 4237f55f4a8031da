#include <fermata/actors/sim/chance_agent.hpp>

#include <fermata/actors/coro/delay.hpp>
#include <fermata/actors/sim/random.hpp>
#include <fermata/actors/sim/sample.hpp>
#include <fermata/actors/tool.hpp>

#include <caf/event_based_actor.hpp>

#include <memory>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace fermata::sim {

namespace {

using milliseconds = std::chrono::milliseconds;

/// A subtask does not get longer than that.
constexpr std::size_t most_entries = 12;
/// How the goals of the plans end that it proposes.
constexpr std::string_view own_ending = ", as I see it";
constexpr milliseconds longest_sleep = std::chrono::hours{48};
constexpr milliseconds longest_question = std::chrono::hours{24};

struct improviser {
  std::uint64_t seed = 0;
  agent_character character;

  improviser() = default;
};

/// One step of it.
class improvisation {
public:
  improvisation(const improviser& who, const step_context& ctx, seeded_random& random)
      : who_{who}, ctx_{ctx}, random_{random} {}

  step next() {
    const auto length = ctx_.transcript.size();
    if (length >= most_entries)
      return step::finish({{"steps", length}});
    const auto& weights = who_.character;
    const auto finishes = weights.finishes * static_cast<double>(1 + length);
    switch (choose({weights.says, weights.calls, weights.asks, weights.sleeps, weights.hands_over,
                    weights.proposes, weights.fails, weights.fails_retryably, weights.misbehaves,
                    finishes})) {
    case 0:
      return step::say("on step " + std::to_string(length));
    case 1:
      return call();
    case 2:
      return ask();
    case 3:
      return sleep();
    case 4:
      return hand_over();
    case 5:
      return propose();
    case 6:
      return step::fail("it cannot be done");
    case 7:
      return step::fail_retryable("it cannot be done now");
    case 8:
      return misbehave();
    default:
      return step::finish({{"steps", length}});
    }
  }

private:
  std::size_t choose(std::initializer_list<double> weights) {
    const auto sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    auto left = sum * static_cast<double>(random_.below(1'000'000)) / 1'000'000;
    std::size_t index = 0;
    for (const auto weight : weights) {
      if (left < weight)
        return index;
      left -= weight;
      ++index;
    }
    return weights.size() - 1;
  }

  step call() {
    const auto tools = tools_there_are();
    if (tools.empty())
      return step::say("there is nothing to call");
    std::vector<tool_request> requests;
    for (auto left = 1 + random_.below(random_.chance(0.5) ? 1 : 4); left > 0; --left) {
      const auto& [name, schema] = tools[random_.below(tools.size())];
      auto arguments = sample(*schema, random_);
      // Each session has documents of its own, so that what others do does not matter to it.
      if (arguments.contains("document"))
        arguments["document"] = ctx_.session.str() + "/page";
      auto& request = requests.emplace_back(name, std::move(arguments));
      if (random_.chance(0.2))
        request.expires_after = random_.between(milliseconds{1'000}, longest_question);
    }
    return step::calls(random_.chance(0.2) ? "let us see" : "", std::move(requests));
  }

  [[nodiscard]] std::vector<std::pair<tool_name, const json*>> tools_there_are() const {
    std::vector<std::pair<tool_name, const json*>> tools;
    if (ctx_.tools != nullptr)
      for (const auto& [name, one] : ctx_.tools->all())
        tools.emplace_back(name, &one.schema);
    if (ctx_.declared_tools != nullptr)
      for (const auto& [name, one] : *ctx_.declared_tools)
        tools.emplace_back(*tool_name::parse(name), &one.schema);
    return tools;
  }

  step ask() {
    const json schema = {{"type", "object"},
                         {"properties", {{"choice", {{"enum", {"left", "right"}}}}}},
                         {"required", {"choice"}}};
    return step::ask("which way?", random_.chance(0.6) ? schema : json(nullptr),
                     random_.chance(0.3) ? random_.between(milliseconds{1'000}, longest_question)
                                         : milliseconds{0});
  }

  step sleep() {
    if (random_.chance(0.2))
      return step::sleep_until(ctx_.now - std::chrono::hours{1});
    return step::sleep(random_.between(milliseconds{1}, longest_sleep));
  }

  step hand_over() {
    const auto& names = who_.character.successors;
    if (names.empty())
      return step::say("there is nobody to go on");
    return step::hand_over(names[random_.below(names.size())], "go on from here");
  }

  /// Keeps its own subtask, and adds one behind it. Not in a plan of its own, or plans would follow
  /// each other for ever.
  step propose() {
    if (ctx_.goal.ends_with(own_ending))
      return step::say("this is as I see it");
    plan_spec plan;
    plan.goal = ctx_.goal + std::string{own_ending};
    plan.subtasks.push_back(ctx_.subtask);
    plan.subtasks.front().depends_on.clear();
    subtask_spec more;
    more.id = *subtask_id::parse("afterwards");
    more.depends_on.push_back(random_.chance(0.8) ? ctx_.subtask.id
                                                  : *subtask_id::parse("nothing"));
    if (more.id != ctx_.subtask.id)
      plan.subtasks.push_back(std::move(more));
    if (ctx_.declared_tools != nullptr)
      plan.tools = *ctx_.declared_tools;
    return step::propose(std::move(plan));
  }

  step misbehave() {
    switch (random_.below(5)) {
    case 0:
      throw std::runtime_error{"the agent has a defect"};
    case 1:
      return step::calls({});
    case 2:
      return step::call("no_such_tool", json::object());
    case 3: {
      const auto tools = tools_there_are();
      if (tools.empty())
        return step::say("\xff\xfe");
      const auto& [name, schema] = tools[random_.below(tools.size())];
      return step::call(name.str(), misfit(*schema, random_));
    }
    default:
      return step::say("\xff\xfe");
    }
  }

  const improviser& who_;
  const step_context& ctx_;
  seeded_random& random_;
};

coro::task<step> improvise(std::shared_ptr<const improviser> who, step_context& ctx) {
  seeded_random random{who->seed, ctx.session.str() + "/" + ctx.subtask.id.str() + "/"
                                      + std::to_string(ctx.attempt) + "/"
                                      + std::to_string(ctx.transcript.size())};
  const bool takes_time = random.chance(0.5);
  const auto time = random.between(milliseconds{1}, who->character.most_time);
  if (takes_time)
    co_await coro::delay(ctx.self, time);
  improvisation now{*who, ctx, random};
  co_return now.next();
}

} // namespace

agent_function chance_agent(std::uint64_t seed, agent_character character) {
  auto shared = std::make_shared<improviser>();
  shared->seed = seed;
  shared->character = std::move(character);
  return [shared](step_context& ctx) { return improvise(shared, ctx); };
}

} // namespace fermata::sim
