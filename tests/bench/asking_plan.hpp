#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/messages/plan.hpp>

#include <stdexcept>
#include <string>

/// The work of benchmarks: subtasks whose agent asks one client tool again and again.
namespace fermata::bench {

inline constexpr std::size_t calls_per_subtask = 20;

inline coro::task<step> asker(step_context& context) {
  if (context.transcript.size() >= calls_per_subtask)
    co_return step::finish("enough");
  co_return step::call("ask", json{{"question", "what is next?"}});
}

template <class T>
T must(result<T> value) {
  if (!value)
    throw std::runtime_error{message_of(value.error())};
  return std::move(*value);
}

/// So many subtasks for the agent `asker`.
inline plan_spec asking_plan(std::size_t subtasks) {
  auto plan = must(
      parse_plan(R"({"goal": "ask on", "tools": {"ask": {"kind": "client"}}, "subtasks": []})"));
  for (std::size_t i = 0; i < subtasks; ++i) {
    subtask_spec subtask;
    subtask.id = must(subtask_id::parse("t" + std::to_string(i)));
    subtask.agent = must(agent_name::parse("asker"));
    plan.subtasks.push_back(std::move(subtask));
  }
  return plan;
}

} // namespace fermata::bench
