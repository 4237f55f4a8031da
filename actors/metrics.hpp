#pragma once

#include <fermata/actors/observer.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace fermata {

/// Counts what runtimes do, for Prometheus. Part of `fermata::observability`.
///
///     runtime_options options;
///     auto counted = std::make_shared<fermata::metrics>();
///     options.observer = counted;
///     ...
///     answer_with(fermata::metrics::content_type, counted->text()); // GET /metrics
///
/// One may observe several runtimes of a process; then they are added up. Counters begin at 0 with
/// the process. All calls from any thread; the work of `text` is linear in the number of series.
///
/// | name | type | labels |
/// | --- | --- | --- |
/// | fermata_commands_total | counter | type, result: accepted, duplicate, late, or an error's name
/// | | fermata_command_duration_seconds | histogram | | | fermata_events_total | counter | type |
/// | fermata_commits_total | counter | |
/// | fermata_commit_failures_total | counter | error |
/// | fermata_transactions_total | counter | |
/// | fermata_transaction_duration_seconds | histogram | |
/// | fermata_transaction_commits | histogram | |
/// | fermata_written_bytes_total | counter | |
/// | fermata_steps_total | counter | agent, result: returned, failed, cancelled |
/// | fermata_step_duration_seconds | histogram | agent |
/// | fermata_tool_runs_total | counter | tool, result: succeeded, failed, unknown, cancelled |
/// | fermata_tool_run_duration_seconds | histogram | tool |
/// | fermata_wait_seconds | histogram | item: plan, call, input; cause: decision, result, answer,
/// outcome | | fermata_pauses_total | counter | state | | fermata_plans_total | counter | result:
/// completed, failed, cancelled, rejected | | fermata_subtasks_total | counter | result: done,
/// failed, skipped, cancelled | | fermata_model_requests_total | counter | | |
/// fermata_model_tokens_total | counter | direction: input, output | | fermata_activations_total,
/// fermata_activation_failures_total | counter | | | fermata_passivations_total | counter | | |
/// fermata_resident_sessions | gauge | | | fermata_commands_under_way, fermata_parked_messages,
/// fermata_tool_runs_under_way | gauge | | | fermata_observer_failures | gauge | | |
/// fermata_build_info | gauge, 1 | version |
///
/// A wait counts when what was waited for comes; cancellations and expiries do not count. The
/// number of series is bounded: agents and tools are the first 100 by name, and the others are
/// `other` together.
class metrics final : public runtime_observer {
public:
  /// The type of `text`, for HTTP.
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

  metrics();
  ~metrics() override;
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;

  /// All of them in Prometheus' text form, version 0.0.4.
  [[nodiscard]] std::string text() const;

  void started(const std::function<std::optional<runtime_load>()>& load) override;
  void committed(const session_id& session, std::span<const event> events,
                 std::span<const event_note> notes) override;
  void answered(const answered_command& what) override;
  void written(const written_transaction& what) override;
  void activated(const session_id& session, std::size_t resident) override;
  void passivated(const session_id& session, std::size_t resident) override;
  void activation_failed(const session_id& session, const caf::error& why) override;
  void step_ended(const ended_step& what) override;
  void run_ended(const ended_run& what) override;

private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata
