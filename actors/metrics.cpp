#include <fermata/actors/metrics.hpp>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace fermata {

namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::Registry;
using buckets = Histogram::BucketBoundaries;

/// Names beyond so many are `other`: each is a series, which monitoring keeps for ever.
constexpr std::size_t max_names = 100;

/// From a commit to memory to a disk that is busy, in seconds.
const buckets quick{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
/// From a function that only computes to a command that builds something, in seconds.
const buckets work{0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1'800, 3'600};
/// From a person at a terminal to one on holiday, in seconds.
const buckets patience{1, 10, 60, 300, 900, 3'600, 14'400, 86'400, 259'200, 604'800, 2'592'000};
const buckets batches{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1'024};

template <class Duration>
double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

template <class Enum>
std::string label_of(Enum value) {
  return std::string{enum_names(value).at(static_cast<std::size_t>(value))};
}

/// A counter for each of some values of an enum, there from the beginning.
template <class Enum>
class enum_counters {
public:
  enum_counters(Family<Counter>& family, const char* label, const std::vector<Enum>& values,
                Labels others = {}) {
    for (const auto value : values) {
      others[label] = label_of(value);
      counters_[static_cast<std::size_t>(value)] = &family.Add(others);
    }
  }
  void count(Enum value) const {
    if (auto* counter = counters_[static_cast<std::size_t>(value)])
      counter->Increment();
  }

private:
  std::array<Counter*, enum_names(Enum{}).size()> counters_{};
};

template <class... Bodies>
std::array<Counter*, sizeof...(Bodies)> counters_of(Family<Counter>& family,
                                                    std::variant<Bodies...>*) {
  return {&family.Add({{"type", std::string{Bodies::type}}})...};
}

const std::vector<step_ending> step_endings{step_ending::returned, step_ending::failed,
                                            step_ending::cancelled};
const std::vector<run_ending> run_endings{run_ending::succeeded, run_ending::failed,
                                          run_ending::unknown, run_ending::cancelled};

/// What is counted of one agent or one tool.
template <class Ending>
struct work_series {
  work_series(Family<Counter>& endings, Family<Histogram>& durations, const char* label,
              const std::string& name, const std::vector<Ending>& values)
      : ended{endings, "result", values, {{label, name}}}, duration{&durations.Add({{label, name}},
                                                                                   work)} {}
  enum_counters<Ending> ended;
  Histogram* duration;
};

/// Work by the name of who did it, with a bounded number of names.
template <class Ending>
class work_by_name {
public:
  work_by_name(Family<Counter>& endings, Family<Histogram>& durations, const char* label,
               const std::vector<Ending>& values)
      : endings_{endings}, durations_{durations}, label_{label}, values_{values} {}

  void count(const std::string& name, Ending ending, std::chrono::nanoseconds duration) {
    const auto& series = series_of(name);
    series.ended.count(ending);
    series.duration->Observe(seconds(duration));
  }

private:
  /// Stays where it is.
  const work_series<Ending>& series_of(const std::string& name) {
    const std::lock_guard lock{mutex_};
    if (const auto found = series_.find(name); found != series_.end())
      return found->second;
    const auto& counted_as = series_.size() < max_names ? name : other_;
    return series_.try_emplace(counted_as, endings_, durations_, label_, counted_as, values_)
        .first->second;
  }

  Family<Counter>& endings_;
  Family<Histogram>& durations_;
  const char* label_;
  const std::vector<Ending>& values_;
  const std::string other_ = "other";
  std::mutex mutex_;
  std::map<std::string, work_series<Ending>> series_;
};

/// Counters by labels that only show when they are needed: all of them are our own words.
class counters_by_words {
public:
  explicit counters_by_words(Family<Counter>& family) : family_{family} {}

  Counter& find(std::string_view type, std::string_view result) {
    const std::lock_guard lock{mutex_};
    auto& counter = counters_[{type, result}];
    if (counter == nullptr)
      counter = &family_.Add({{"type", std::string{type}}, {"result", std::string{result}}});
    return *counter;
  }

private:
  Family<Counter>& family_;
  std::mutex mutex_;
  std::map<std::pair<std::string_view, std::string_view>, Counter*> counters_;
};

} // namespace

struct metrics::implementation {
  Family<Counter>& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Counter& counter(const char* name, const char* help) { return counters(name, help).Add({}); }
  Family<Histogram>& histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  Histogram& histogram(const char* name, const char* help, const buckets& bounds) {
    return histograms(name, help).Add({}, bounds);
  }
  Gauge& gauge(const char* name, const char* help, const Labels& labels = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
  }

  Histogram& wait_of(const ended_wait& wait) {
    return waits.Add({{"item", label_of(wait.item)}, {"cause", label_of(wait.cause)}}, patience);
  }

  void count(const event_body& body);
  void count_pause(std::span<const event> commit);
  void read_loads();

  // Everything below lives in the registry, which therefore goes last.
  Registry registry;
  counters_by_words commands{
      counters("fermata_commands_total", "Commands that were answered, by type and result")};
  Histogram& command_duration = histogram("fermata_command_duration_seconds",
                                          "From a command's admission to its answer", quick);
  std::array<Counter*, std::variant_size_v<event_body>> events =
      counters_of(counters("fermata_events_total", "Events that were committed, by type"),
                  static_cast<event_body*>(nullptr));
  Counter& commits = counter("fermata_commits_total", "Commits of sessions that became durable");
  Family<Counter>& commit_failures =
      counters("fermata_commit_failures_total", "Commits of sessions that did not, by error");
  Counter& transactions =
      counter("fermata_transactions_total", "Transactions of the journal, also failed ones");
  Histogram& transaction_duration = histogram("fermata_transaction_duration_seconds",
                                              "How long the journal's transactions took", quick);
  Histogram& transaction_commits =
      histogram("fermata_transaction_commits", "Commits that shared a transaction", batches);
  Counter& reclaimed =
      counter("fermata_reclaimed_total",
              "Records and entries of the journal that were erased after a deletion");
  Counter& reclaim_failures =
      counter("fermata_reclaim_failures_total",
              "Times that erasing after a deletion failed, or met with damage");
  Counter& written_bytes =
      counter("fermata_written_bytes_total", "Events, records and pending entries of all commits");
  work_by_name<step_ending> steps{
      counters("fermata_steps_total", "Steps of agents, by agent and result"),
      histograms("fermata_step_duration_seconds", "How long steps took, by agent"), "agent",
      step_endings};
  work_by_name<run_ending> runs{
      counters("fermata_tool_runs_total", "Runs of server tools, by tool and result"),
      histograms("fermata_tool_run_duration_seconds", "How long runs took, by tool"), "tool",
      run_endings};
  Family<Histogram>& waits = histograms(
      "fermata_wait_seconds", "How long decisions, results, answers and outcomes were waited for");
  enum_counters<session_state> pauses{
      counters("fermata_pauses_total",
               "Times that a session that ran came to another state that waits, by that state"),
      "state",
      {session_state::waiting, session_state::awaiting_plan_decision,
       session_state::needs_attention, session_state::suspended, session_state::planning}};
  enum_counters<plan_status> plans{
      counters("fermata_plans_total", "Plans that ended by themselves or by a command, by result"),
      "result",
      {plan_status::completed, plan_status::failed, plan_status::cancelled, plan_status::rejected}};
  enum_counters<subtask_status> subtasks{
      counters("fermata_subtasks_total", "Subtasks that ended before their plan, by result"),
      "result",
      {subtask_status::done, subtask_status::failed, subtask_status::skipped,
       subtask_status::cancelled}};
  Counter& model_requests = counter("fermata_model_requests_total", "Requests to language models");
  Family<Counter>& model_tokens =
      counters("fermata_model_tokens_total", "Tokens of language models, as they count them");
  Counter& input_tokens = model_tokens.Add({{"direction", "input"}});
  Counter& output_tokens = model_tokens.Add({{"direction", "output"}});
  Counter& activations = counter("fermata_activations_total", "Sessions that came to memory");
  Counter& passivations = counter("fermata_passivations_total", "Sessions that left memory");
  Counter& activation_failures =
      counter("fermata_activation_failures_total", "Sessions that could not be loaded");
  Counter& damage_found =
      counter("fermata_damage_found_total",
              "Damaged entries of timers and sessions that the runtime has met with");
  Gauge& resident = gauge("fermata_resident_sessions", "Sessions in memory");
  Gauge& packed = gauge("fermata_packed_sessions", "Sessions in memory whose data is packed");
  Gauge& under_way = gauge("fermata_commands_under_way", "Commands between admission and answer");
  Gauge& parked =
      gauge("fermata_parked_messages", "Messages for sessions that there is no room for yet");
  Gauge& runs_under_way = gauge("fermata_tool_runs_under_way", "Runs of tools that have not ended");
  Counter& observer_failures =
      counter("fermata_observer_failures_total", "Exceptions that came out of observers");

  struct observed_runtime {
    std::function<std::optional<runtime_load>()> load;
    std::uint64_t failures = 0; ///< So many are counted.
  };
  std::mutex mutex; ///< For `runtimes`.
  std::vector<observed_runtime> runtimes;
};

namespace {

/// True for what only happens while a session runs.
bool is_progress(const event_body& body) {
  return std::holds_alternative<plan_started>(body) || std::holds_alternative<subtask_started>(body)
         || std::holds_alternative<call_proposed>(body) || std::holds_alternative<agent_said>(body)
         || std::holds_alternative<call_claimed>(body) || std::holds_alternative<subtask_woke>(body)
         || std::holds_alternative<subtask_finished>(body)
         || std::holds_alternative<subtask_failed>(body);
}

} // namespace

void metrics::implementation::count_pause(std::span<const event> commit) {
  // A session that ran from one pause to the next within one commit never says that it ran.
  bool ran = false;
  for (const auto& one : commit) {
    ran = ran || is_progress(one.body);
    if (const auto* change = std::get_if<state_changed>(&one.body))
      if (ran || is_running(change->from))
        pauses.count(change->to);
  }
}

void metrics::implementation::count(const event_body& body) {
  events[body.index()]->Increment();
  if (std::holds_alternative<subtask_finished>(body)) {
    subtasks.count(subtask_status::done);
  } else if (const auto* failed = std::get_if<subtask_failed>(&body)) {
    if (!failed->retry_at) // else it goes on by itself
      subtasks.count(subtask_status::failed);
  } else if (std::holds_alternative<subtask_skipped>(body)) {
    subtasks.count(subtask_status::skipped);
  } else if (std::holds_alternative<subtask_cancelled>(body)) {
    subtasks.count(subtask_status::cancelled);
  } else if (const auto* ended = std::get_if<plan_ended>(&body)) {
    plans.count(ended->status);
  } else if (const auto* decided = std::get_if<plan_decided>(&body)) {
    if (decided->verdict == plan_verdict::reject)
      plans.count(plan_status::rejected);
  } else if (const auto* used = std::get_if<model_used>(&body)) {
    model_requests.Increment(static_cast<double>(used->usage.requests));
    input_tokens.Increment(static_cast<double>(used->usage.input_tokens));
    output_tokens.Increment(static_cast<double>(used->usage.output_tokens));
  }
}

void metrics::implementation::read_loads() {
  runtime_load sum;
  const std::lock_guard lock{mutex};
  std::erase_if(runtimes, [&](auto& one) {
    const auto now = one.load();
    if (!now)
      return true;
    sum.commands_under_way += now->commands_under_way;
    sum.resident_sessions += now->resident_sessions;
    sum.packed_sessions += now->packed_sessions;
    sum.parked_messages += now->parked_messages;
    sum.runs_under_way += now->runs_under_way;
    observer_failures.Increment(static_cast<double>(
        now->observer_failures - std::exchange(one.failures, now->observer_failures)));
    return false;
  });
  under_way.Set(sum.commands_under_way);
  resident.Set(sum.resident_sessions);
  packed.Set(sum.packed_sessions);
  parked.Set(sum.parked_messages);
  runs_under_way.Set(sum.runs_under_way);
}

metrics::metrics() : implementation_{std::make_unique<implementation>()} {
  implementation_
      ->gauge("fermata_build_info", "The version of Fermata", {{"version", FERMATA_VERSION}})
      .Set(1);
}

metrics::~metrics() = default;

std::string metrics::text() const {
  implementation_->read_loads();
  return prometheus::TextSerializer{}.Serialize(implementation_->registry.Collect());
}

void metrics::started(const std::function<std::optional<runtime_load>()>& load) {
  const std::lock_guard lock{implementation_->mutex};
  implementation_->runtimes.push_back({load, 0});
}

void metrics::committed(const session_id&, std::span<const event> events,
                        std::span<const event_note> notes) {
  auto& self = *implementation_;
  for (const auto& one : events)
    self.count(one.body);
  self.count_pause(events);
  for (const auto& note : notes)
    if (note.waited)
      self.wait_of(*note.waited).Observe(seconds(note.waited->duration));
}

void metrics::answered(const answered_command& what) {
  auto& self = *implementation_;
  const auto result =
      what.answer ? enum_names(what.answer->kind).at(static_cast<std::size_t>(what.answer->kind))
                  : name_of(code_of(what.answer.error()));
  self.commands.find(what.type, result).Increment();
  self.command_duration.Observe(seconds(what.duration));
}

void metrics::reclaimed(const reclaimed_space& what) {
  implementation_->reclaimed.Increment(static_cast<double>(what.erased));
  if (what.error)
    implementation_->reclaim_failures.Increment();
}

void metrics::written(const written_transaction& what) {
  auto& self = *implementation_;
  self.transactions.Increment();
  self.commits.Increment(static_cast<double>(what.commits - what.failed));
  if (what.failed > 0)
    self.commit_failures.Add({{"error", std::string{name_of(code_of(what.error))}}})
        .Increment(static_cast<double>(what.failed));
  self.transaction_duration.Observe(seconds(what.duration));
  self.transaction_commits.Observe(static_cast<double>(what.commits));
  self.written_bytes.Increment(static_cast<double>(what.size_bytes));
}

void metrics::activated(const session_id&, std::size_t) {
  implementation_->activations.Increment();
}

void metrics::passivated(const session_id&, std::size_t) {
  implementation_->passivations.Increment();
}

void metrics::activation_failed(const session_id&, const caf::error&) {
  implementation_->activation_failures.Increment();
}

void metrics::damage_found(const caf::error&) {
  implementation_->damage_found.Increment();
}

void metrics::step_ended(const ended_step& what) {
  implementation_->steps.count(what.agent.str(), what.ending, what.duration);
}

void metrics::run_ended(const ended_run& what) {
  implementation_->runs.count(what.tool.str(), what.ending, what.duration);
}

} // namespace fermata
