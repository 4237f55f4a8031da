#pragma once

#include <fermata/actors/observer.hpp>
#include <fermata/actors/seams.hpp>
#include <fermata/messages/redaction.hpp>

#include <cstddef>
#include <memory>
#include <string_view>

namespace spdlog {
class logger;
}

namespace fermata {

struct event_log_options {
  redactor redaction; ///< Hides secrets in all that is logged.
  /// How large what a line says of an event may be, as JSON; more is left out, and its size said.
  /// Each text in it, and each `message`, is cut off behind 1,000 bytes.
  std::size_t body_size_bytes = 8'192;
  /// For the time of what is no event; null: the system's.
  std::shared_ptr<wall_clock> clock;

  event_log_options() = default;
};

/// Logs what happens in a runtime: a line for each event that is committed, and for what becomes no
/// event. Part of `fermata::observability`.
///
/// A message is one JSON object on one line, in ASCII: whatever a text from outside holds, it
/// cannot end the line, nor colour or reorder it. The logger's pattern is `%v` for JSON lines; the
/// object says the time and the level itself:
///
///     {"time":"2026-11-25T17:00:00.000Z","level":"info","event":"call_decided","session":"s1",
///      "number":12,"revision":1,"subtask":"first","call":"s1:c1","tool":"write_file",
///      "waited_ms":5000,"body":{"verdict":"approve","by":"ann","status":"queued",...}}
///
/// (in one line). `number`, `revision`, `subtask`, `call`, `tool` and `waited_ms` are there where
/// they mean something; `body` is the rest of the event as `fermata events --json` has it. What is
/// no event has no `number`:
///
/// | level | lines |
/// | --- | --- |
/// | error | `commit_failed`, `activation_failed`, and without a session `damage_found`,
/// `reclaim_failed`; with `error` and `message` |
/// | warn | a failed subtask, plan or call, a call that is tried again or has expired, an unknown
/// outcome, a late result, a refused proposal; `command_refused` with `command`, `error` and
/// `message` | | info | a session's state, decisions, plans, subtasks that end, suspensions,
/// deadlines | | debug | all other events; `session_resident`, `session_left`, `step_ended`,
/// `run_ended` |
///
/// Writes on the runtime's threads: give it an asynchronous logger, or sinks that do not block. A
/// sink that fails is the logger's error handler's to report.
class event_log final : public runtime_observer {
public:
  /// `to` must not be null.
  explicit event_log(std::shared_ptr<spdlog::logger> to, event_log_options options = {});

  /// Logs something of the host's own, which is about no session: `event` is `what`, and the
  /// members of the object `fields` follow; texts in it are cut off and redacted as everywhere.
  void note(std::string_view what, bool is_warning, const json& fields) const;

  void committed(const session_id& session, std::span<const event> events,
                 std::span<const event_note> notes) override;
  void commit_failed(const session_id& session, const caf::error& why) override;
  void answered(const answered_command& what) override;
  void activated(const session_id& session, std::size_t resident) override;
  void passivated(const session_id& session, std::size_t resident) override;
  void activation_failed(const session_id& session, const caf::error& why) override;
  void reclaimed(const reclaimed_space& what) override;
  void damage_found(const caf::error& damage) override;
  void step_ended(const ended_step& what) override;
  void run_ended(const ended_run& what) override;

private:
  void write_event(const session_id& session, const event& fact, const event_note& note) const;
  void write_error(std::string_view what, const caf::error& why,
                   const std::optional<session_id>& session = {}) const;
  [[nodiscard]] timestamp now() const;

  std::shared_ptr<spdlog::logger> to_;
  event_log_options options_;
};

} // namespace fermata
