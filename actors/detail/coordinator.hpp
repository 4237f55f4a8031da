#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/core/boxed.hpp>
#include <fermata/actors/core/session_data.hpp>
#include <fermata/actors/coro/scope.hpp>
#include <fermata/actors/detail/services.hpp>

#include <caf/event_based_actor.hpp>

#include <atomic>
#include <cstdint>
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

  coordinator(caf::event_based_actor* self, services_ptr shared)
      : self_{self}, shared_{std::move(shared)}, scope_{self} {}

  /// Starts the step that is due. Calls `done` once with what the agent returned, unless `cancel`
  /// comes first: inside this call if the agent awaits nothing, else in a later message.
  void start(const core::session_data& data, timestamp now, std::function<void(step_outcome)> done);

  /// Destroys the step's frames.
  void cancel();

  /// Gives back the memory of what the next step finds in the session's data as well.
  void forget_transcript() noexcept;

  /// The session's events up to `number` are committed: live updates come behind them.
  void committed(std::uint64_t number) noexcept { *committed_ = number; }
  /// What others read, on any thread, who make live updates of the session.
  [[nodiscard]] std::shared_ptr<const std::atomic<std::uint64_t>> committed() const {
    return committed_;
  }

  /// Tells whoever watches that what was shown of the subtask's step is void.
  void void_shown_text(const session_id& session, const subtask_id& subtask) const;

  [[nodiscard]] bool busy() const noexcept { return busy_; }

  /// The attempt that the last step belongs to, by the event that started it.
  [[nodiscard]] std::uint64_t attempt() const noexcept { return memory_ ? memory_->started : 0; }
  /// How long the attempt's transcript was when the last step began.
  [[nodiscard]] std::size_t entries_seen() const noexcept {
    return memory_ ? memory_->transcript.size() : 0;
  }
  /// What models were asked for in the last step, so far and since this was called last.
  [[nodiscard]] model_usage take_usage() noexcept;
  /// Whose the last step is.
  [[nodiscard]] const subtask_id& subtask() const noexcept { return memory_->subtask; }

private:
  /// What an agent is given for its next step.
  [[nodiscard]] std::unique_ptr<step_context> make_context(const core::session_data& data,
                                                           timestamp now);
  void extend_transcript(const core::session_data& data);
  void end(step_ending ending);
  void observe_end(const session_id& session, step_ending ending) const;

  /// Of the attempt that ran last, kept between its steps: a step costs what is new, not what is
  /// past (P11).
  struct attempt_memory {
    std::uint64_t started = 0; ///< By which event.
    std::vector<transcript_entry> transcript;
    std::vector<message_record> messages; ///< Of users, from before the attempt.
    std::map<std::string, tool_declaration> declared_tools;
    std::uint32_t revision = 0; ///< Whose tools they are.
    subtask_id subtask;
    agent_name agent; ///< Who takes its last step.
    attempt_memory() = default;
  };

  caf::event_based_actor* self_;
  services_ptr shared_;
  std::shared_ptr<std::atomic<std::uint64_t>> committed_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
  core::boxed<attempt_memory> memory_;
  model_usage usage_;                           ///< Of the last step, once it is over.
  std::chrono::steady_clock::time_point begin_; ///< For observers.
  std::shared_ptr<const subtask_spec> spec_;    ///< What the context borrows.
  std::unique_ptr<step_context> context_;
  bool busy_ = false;
  coro::actor_scope scope_; // last: frames refer to the context
};

} // namespace fermata::detail
