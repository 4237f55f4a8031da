#pragma once

#include <fermata/actors/coro/task.hpp>
#include <fermata/messages/plan.hpp>
#include <fermata/messages/tool_call.hpp>
#include <fermata/storage/records.hpp>

#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fermata {

class model_registry;
class tool_registry;

/// What happens next in a subtask, as its agent says. A step that cannot be recorded (a tool name
/// that is none, JSON nested too deeply) becomes one that fails, and says why.
class step {
public:
  /// Says something; the agent's next step follows at once.
  [[nodiscard]] static step say(std::string text);
  /// Calls one tool; the agent's next step starts when its result is there. `arguments` is an
  /// object.
  [[nodiscard]] static step call(std::string_view tool, json arguments);
  /// Calls several tools at once; they are decided and answered in any order, and the agent's next
  /// step starts when the last has its result.
  [[nodiscard]] static step calls(std::vector<tool_request> requests);
  /// Ends the subtask as done.
  [[nodiscard]] static step finish(json result);
  /// Says something and calls tools, as a model does.
  [[nodiscard]] static step calls(std::string text, std::vector<tool_request> requests);
  /// Asks a person; the agent's next step starts when the answer is there, as the result of a call
  /// of `question_tool`. `schema` is the JSON Schema (draft 7) that the answer has to fit; null:
  /// any answer. `expires_after` 0: the question waits for ever.
  [[nodiscard]] static step ask(std::string question, json schema = nullptr,
                                std::chrono::milliseconds expires_after = {});
  /// Takes the next step after a while, or at a point in time (one that has passed: at once).
  /// Durable: until then nothing but the timer exists. At most `limits::timer_horizon` ahead.
  [[nodiscard]] static step sleep(std::chrono::milliseconds duration);
  [[nodiscard]] static step sleep_until(timestamp when);
  /// Ends the subtask as failed; the reason is for people. It is not tried again by itself.
  [[nodiscard]] static step fail(std::string reason);
  /// The same for a failure that may pass by itself: tried again as the subtask's `retry` says.
  [[nodiscard]] static step fail_retryable(std::string reason);
  /// Proposes a plan. The planner's subtask ends with it. Any other's replaces the plan in progress
  /// once it is approved; if it is rejected or sent back, the agent takes another step and is told.
  [[nodiscard]] static step propose(plan_spec plan);
  /// Gives the subtask to another agent, which goes on from the same transcript.
  [[nodiscard]] static step hand_over(std::string_view agent, std::string note = {});

  struct said {
    std::string text;
  };
  struct called {
    std::string text; ///< Empty: nothing is said.
    std::vector<tool_request> requests;
  };
  struct finished {
    json result;
  };
  struct failed {
    std::string reason;
    bool retryable = false;
  };
  struct slept {
    std::chrono::milliseconds duration{0};
    std::optional<timestamp> until; ///< Instead of `duration`.
  };
  struct proposed {
    plan_spec plan;
  };
  struct handed_over {
    agent_name agent;
    std::string note;
  };
  using variant = std::variant<said, called, finished, failed, slept, proposed, handed_over>;

  [[nodiscard]] const variant& what() const& noexcept { return what_; }
  [[nodiscard]] variant&& what() && noexcept { return std::move(what_); }

private:
  explicit step(variant what) : what_{std::move(what)} {}
  variant what_;
};

/// A tool call as its agent sees it afterwards: what it asked for, what ran, and the one result.
struct answered_call {
  call_id id;
  tool_name tool;
  json proposed; ///< The arguments that the agent asked for.
  json ran;      ///< The arguments that a person approved; the same unless they were edited.
  tool_answer answer;
  /// A person answered in place of the tool, which did not run.
  bool by_person = false;

  answered_call() = default;
};

/// One entry of a subtask's transcript: a text, or the calls of one step with their results.
struct transcript_entry {
  entry_source source = entry_source::agent;
  std::string text;
  std::optional<timestamp> until; ///< Of a sleep.
  std::vector<answered_call> calls;

  transcript_entry() = default;
};

/// What a dependency left behind.
struct dependency_result {
  subtask_id subtask;
  subtask_status status = subtask_status::done; ///< done or skipped.
  json result;                                  ///< Null for a skipped one.

  dependency_result() = default;
};

/// What an agent is given for one step: everything that is recorded and concerns it. If the process
/// dies inside a step, the step runs again with an equal context (P7). Lives as long as the step's
/// coroutine.
class step_context {
public:
  /// `of` must outlive the context: a test that makes one by hand keeps a spec beside it.
  explicit step_context(const subtask_spec& of) : subtask{of} {}
  explicit step_context(subtask_spec&& of) = delete;
  step_context(const step_context&) = delete;
  step_context& operator=(const step_context&) = delete;

  session_id session;
  std::string goal; ///< The plan's.
  std::uint32_t revision = 0;
  /// The one to work on. Borrowed from the runtime, as long as the step lasts.
  const subtask_spec& subtask;
  std::uint32_t attempt = 0;
  std::vector<dependency_result> dependencies; ///< In the order of `subtask.depends_on`.
  /// Users' messages to this plan from before this attempt, oldest first; those since are in the
  /// transcript. Borrowed from the runtime, as long as the step lasts.
  std::span<const message_record> earlier_messages;
  /// Of this attempt, oldest first. Borrowed from the runtime, as long as the step lasts.
  std::span<const transcript_entry> transcript;
  /// When the step began, on the runtime's clock.
  timestamp now;
  caf::event_based_actor* self =
      nullptr; ///< The session's actor: for `coro::ask` and `coro::delay`.

  /// What the runtime's agents may call; null in a test that makes a context by hand.
  const tool_registry* tools = nullptr;
  /// The plan's own tools, by name.
  const std::map<std::string, tool_declaration>* declared_tools = nullptr;
  const model_registry* models = nullptr;
  /// Shows a part of what the agent is about to say to whoever watches: not recorded, not numbered.
  /// If the step runs again, watchers are told to forget it. Absent: nobody watches.
  std::function<void(std::string_view)> show_text;
  /// What models were asked for in this step; recorded with its outcome.
  model_usage usage;

  /// The calls of the last step with their results; empty when the last step called nothing. Users'
  /// messages that came since do not count.
  [[nodiscard]] const std::vector<answered_call>& tool_results() const noexcept;
};

/// A coroutine that is given what is recorded and says what happens next. It runs on the session's
/// actor and must not block; it may await models, other actors and delays. What it throws fails the
/// subtask (`agent_failed`).
using agent_function = std::function<coro::task<step>(step_context&)>;

/// An agent and how its subtasks are checked.
struct agent {
  agent_function run;
  /// Checks a proposed subtask before anybody is asked to approve its plan. Absent: `steps` and
  /// `result`, which are for agent `script`, are refused, and `parameters` are accepted as they
  /// are.
  std::function<caf::error(const subtask_spec&)> check;
  /// The tools that a subtask is known to call before it runs, so that a plan that names an unknown
  /// tool is refused when it is proposed. Called after `check` has passed. Absent: none are known.
  std::function<std::vector<tool_name>(const subtask_spec&)> tools_of;

  agent() = default;
};

/// The agents of a runtime. Filled before the runtime starts, read-only and shared by all its
/// threads afterwards.
class agent_registry {
public:
  /// Errors: `invalid_id`, `invalid_field` for a second agent of one name.
  [[nodiscard]] caf::error add(std::string_view name, agent_function run);
  [[nodiscard]] caf::error add(std::string_view name, agent added);

  /// Nothing when there is none of that name; the empty name is the default agent's. Valid as long
  /// as the registry.
  [[nodiscard]] const agent* find(const agent_name& name) const noexcept;

  /// Checks a subtask with its agent's check. Errors: `unknown_agent`, naming those there are; the
  /// check's own; `agent_failed` if it throws.
  [[nodiscard]] caf::error check(const subtask_spec& subtask) const;

  /// The tools that a subtask is known to call; the subtask has passed `check`. Errors:
  /// `agent_failed` if the agent's function throws.
  [[nodiscard]] result<std::vector<tool_name>> tools_of(const subtask_spec& subtask) const;

private:
  std::map<agent_name, agent> agents_;
};

/// The agent of subtasks that name none.
[[nodiscard]] const agent_name& default_agent();

} // namespace fermata
