#pragma once

#include "faults.hpp"

#include <fermata/actors/core/persistence.hpp>
#include <fermata/actors/observer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// Stories of a session that come by all of its states, and how its store looked meanwhile.
namespace fermata::test {

/// Keeps what the store held after each commit.
class commit_keeper final : public runtime_observer {
public:
  void committed(const session_id&, std::span<const event>, std::span<const event_note>) override {
    stores.push_back(store->clone());
  }

  const memory_store* store = nullptr; ///< Of the world that is observed.
  std::vector<std::shared_ptr<memory_store>> stores;
};

/// Each in its own way: a step that fails for good, and a planner.
inline coro::task<step> quitter(step_context& ctx) {
  if (ctx.attempt == 1)
    co_return step::fail("for good");
  co_return step::finish("after all");
}

inline coro::task<step> stumbler(step_context& ctx) {
  if (ctx.attempt == 1)
    co_return step::fail_retryable("stumbled");
  co_return step::finish("risen");
}

inline coro::task<step> planner(step_context& ctx) {
  auto made = agent_plan(R"({"id": "w", "steps": [{"tool": "ask"}]})");
  made.goal = ctx.subtask.parameters.is_null() ? "first" : "second";
  co_return step::propose(std::move(made));
}

/// A server tool whose first run may be tried again.
inline tool flaky_tool(effects& counted) {
  tool flaky;
  flaky.name = tid("flaky");
  flaky.retry = retry_policy{3, std::chrono::minutes{1}, std::chrono::minutes{10}};
  flaky.run = blocking_tool{[&counted](const tool_context& context) -> result<json> {
    count_effect(counted, context);
    if (context.run == 1)
      return make_error(errc::tool_unavailable, "not now");
    return json(context.run);
  }};
  return flaky;
}

inline sim::world_options options_of(const std::shared_ptr<effects>& counted) {
  return options_with([counted](agent_registry& agents, tool_registry& tools) {
    must(agents.add("quitter", quitter));
    must(agents.add("stumbler", stumbler));
    must(agents.add("planner", planner));
    must(tools.add(flaky_tool(*counted)));
  });
}

/// Calls of each kind, sleeps, failures, and an operator who suspends it in the middle.
inline scenario long_story() {
  scenario story;
  story.counted = std::make_shared<effects>();
  story.options = options_of(story.counted);
  story.first = propose_plan{agent_plan(R"(
      {"id": "a", "steps": [{"tool": "ask", "arguments": {"n": 1}, "expires_after_ms": 86400000}]},
      {"id": "b", "steps": [{"calls": [{"tool": "flaky"}, {"tool": "ask", "arguments": {"n": 2}}]}]},
      {"id": "c", "steps": [{"tool": "ask_human", "arguments": {"question": "how?"}}, {"sleep_ms": 7200000}]},
      {"id": "d", "agent": "stumbler", "retry": {"max_attempts": 2, "initial_backoff_ms": 3600000,
                                                 "max_backoff_ms": 3600000}},
      {"id": "e", "agent": "quitter"},
      {"id": "f", "depends_on": ["a", "b", "c", "d", "e"], "result": {"a": {"$ref": "/results/a"}}})")};
  story.act = [](sim::world& world) -> std::optional<command> {
    const auto status = status_of(world);
    if (status.state == session_state::needs_attention)
      return retry_subtask{stid("e")};
    if (status.state == session_state::suspended)
      return resume_session{};
    if (status.state == session_state::waiting && status.waiting.result == 1
        && facts<session_suspended>(world).empty())
      return suspend_session{"lunch"};
    return std::nullopt;
  };
  story.answer = [](const pending_item& item) -> std::optional<command> {
    if (item.tool != tid("ask") || item.waiting_for != wait_cause::decision)
      return default_answer(item);
    decide_call decision{*call_id::parse(item.id), call_verdict::approve};
    decision.remember = decision_scope::tool;
    return decision;
  };
  story.end = "completed";
  story.calls = 4;
  story.check = [](sim::world& world) {
    CHECK(subtask_of(world, "f").result.at("a") == 1);
    CHECK(subtask_of(world, "d").attempts == 2);
    CHECK(call_of(world, 1).answer->content == 1);
  };
  return story;
}

/// A person talks to a planner, and sends its first plan back.
inline scenario planners_story() {
  scenario story;
  story.counted = std::make_shared<effects>();
  story.options = options_of(story.counted);
  story.options.planner = agent_called("planner");
  story.first = post_message{"make tea"};
  story.answer = [](const pending_item& item) -> std::optional<command> {
    if (item.kind == pending_kind::plan && item.goal == "first")
      return decide_plan{plan_id::parse(item.id)->revision(), plan_verdict::modify};
    return default_answer(item);
  };
  story.act = [](sim::world& world) -> std::optional<command> {
    if (status_of(world).state == session_state::waiting
        && facts<message_received>(world).size() < 2)
      return post_message{"with milk"};
    return std::nullopt;
  };
  story.end = "completed";
  story.calls = 1;
  return story;
}

/// A host's plan is sent back, and changed again while it is in progress.
inline scenario revised_story() {
  scenario story;
  story.counted = std::make_shared<effects>();
  story.options = options_of(story.counted);
  const auto revision = [](std::string_view call) {
    return agent_plan(R"({"id": "w", "steps": [{"tool": "ask"}]}, {"id": "v", "steps": [)"
                      + std::string{call} + "]}");
  };
  story.first = propose_plan{revision("")};
  story.answer = [](const pending_item& item) -> std::optional<command> {
    if (item.id == plan_id{sid(), 1}.str())
      return decide_plan{1, plan_verdict::modify};
    return default_answer(item);
  };
  story.act = [revision](sim::world& world) -> std::optional<command> {
    const auto status = status_of(world);
    if (status.state == session_state::planning)
      return revise_plan{revision("")};
    if (status.waiting.result == 1 && facts<plan_proposed>(world).size() < 3)
      return revise_plan{revision(R"({"tool": "ask", "arguments": {"n": 2}})")};
    return std::nullopt;
  };
  story.end = "completed";
  story.calls = 2;
  return story;
}

/// A plan that ends as somebody decides, when its first call waits.
inline scenario ended_story(std::string end, command by) {
  scenario story;
  story.counted = std::make_shared<effects>();
  story.options = options_of(story.counted);
  story.first =
      propose_plan{agent_plan(end == "failed" ? R"({"id": "e", "agent": "quitter"})"
                                              : R"({"id": "w", "steps": [{"tool": "ask"}]})")};
  if (end == "rejected")
    story.answer = [by](const pending_item&) { return std::optional{by}; };
  else
    story.act = [by](sim::world& world) -> std::optional<command> {
      const auto state = status_of(world).state;
      if (state == session_state::waiting || state == session_state::needs_attention)
        return by;
      return std::nullopt;
    };
  story.end = std::move(end);
  story.calls = story.end == "cancelled" ? 1 : 0;
  return story;
}

using make_story = std::function<scenario()>;

inline std::vector<make_story> all_stories() {
  return {long_story,
          planners_story,
          revised_story,
          [] { return ended_story("cancelled", cancel_plan{"enough"}); },
          [] { return ended_story("failed", fail_plan{"enough"}); },
          [] {
            return ended_story("rejected", decide_plan{1, plan_verdict::reject});
          }};
}

/// The stores behind each commit of a story.
inline std::vector<std::shared_ptr<memory_store>>
stores_of(const make_story& make, std::uint32_t tail_events = limits{}.tail_events) {
  auto story = make();
  const auto kept = std::make_shared<commit_keeper>();
  story.options.observer = kept;
  story.options.limits.tail_events = tail_events;
  sim::world world{1, story.options};
  kept->store = &world.store();
  test::check_end(world, story, test::drive(world, story));
  return kept->stores;
}

/// The session of a story, as it is loaded.
inline core::session_data loaded_from(store& from) {
  const auto view = must(from.read());
  return must(core::load(*view, sid())).value().data;
}

} // namespace fermata::test
