#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/core/session_data.hpp>
#include <fermata/actors/coro/scope.hpp>

#include <caf/event_based_actor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace fermata::detail {

/// Gives the running subtask's agent one step at a time. It owns the step's coroutine; between
/// steps it has no frame and no context. Lives on its session's actor.
class coordinator {
public:
  using step_outcome = caf::expected<step>;

  explicit coordinator(caf::event_based_actor* self) : self_{self}, scope_{self} {}

  /// Starts the step that is due. Calls `done` once with what the agent returned, unless `cancel`
  /// comes first: inside this call if the agent awaits nothing, else in a later message.
  void start(const core::session_data& data, const agent_registry& agents,
             std::function<void(step_outcome)> done);

  /// Destroys the step's frames.
  void cancel();

  [[nodiscard]] bool busy() const noexcept { return busy_; }

private:
  /// Which attempt at which subtask.
  struct attempt {
    std::uint32_t revision = 0;
    std::uint32_t position = 0;
    std::uint32_t number = 0;
    friend bool operator==(const attempt&, const attempt&) = default;
  };

  /// What an agent is given for its next step.
  [[nodiscard]] std::unique_ptr<step_context> make_context(const core::session_data& data);
  void extend_transcript(const core::session_data& data);

  caf::event_based_actor* self_;
  /// Of the attempt that ran last, kept between its steps: a step costs what is new, not what is
  /// past (P11).
  std::vector<transcript_entry> transcript_;
  attempt seen_;
  std::unique_ptr<step_context> context_;
  bool busy_ = false;
  coro::actor_scope scope_; // last: frames refer to the context
};

} // namespace fermata::detail
