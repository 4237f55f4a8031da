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
/// The names, each with `fermata_` in front, their types and labels:
///
///     commands_total                counter    type, result: accepted, duplicate, late or an error
///     command_duration_seconds      histogram
///     events_total                  counter    type
///     commits_total                 counter
///     commit_failures_total         counter    error
///     transactions_total            counter
///     transaction_duration_seconds  histogram
///     transaction_commits           histogram
///     written_bytes_total           counter
///     steps_total                   counter    agent, result: returned, failed, cancelled
///     step_duration_seconds         histogram  agent
///     tool_runs_total               counter    tool, result: succeeded, failed, unknown, cancelled
///     tool_run_duration_seconds     histogram  tool
///     wait_seconds                  histogram  item: plan, call, input;
///                                              cause: decision, result, answer, outcome
///     pauses_total                  counter    state
///     plans_total                   counter    result: completed, failed, cancelled, rejected
///     subtasks_total                counter    result: done, failed, skipped, cancelled
///     model_requests_total          counter
///     model_tokens_total            counter    direction: input, output
///     activations_total             counter
///     activation_failures_total     counter
///     passivations_total            counter
///     observer_failures_total       counter
///     resident_sessions             gauge
///     packed_sessions               gauge
///     commands_under_way            gauge
///     parked_messages               gauge
///     tool_runs_under_way           gauge
///     build_info                    gauge      version; always 1
///
/// What a node of a cluster counts beyond that is in cluster/metrics_text.hpp.
///
/// A wait counts when what was waited for comes; cancellations, expiries, and what nobody was asked
/// for do not count. A pause counts when a session that ran comes to a state that waits and in
/// which it was not before. Subtasks that end with their plan are not counted one by one, and a
/// plan that another one replaces has not ended. Observer failures are those of runtimes that were
/// still there when `text` was called. The number of series is bounded: agents and tools are the
/// first 100 by name, and the others are `other` together.
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
  void reclaimed(const reclaimed_space& what) override;
  void activated(const session_id& session, std::size_t resident) override;
  void passivated(const session_id& session, std::size_t resident) override;
  void activation_failed(const session_id& session, const caf::error& why) override;
  void damage_found(const caf::error& damage) override;
  void step_ended(const ended_step& what) override;
  void run_ended(const ended_run& what) override;

private:
  struct implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata
