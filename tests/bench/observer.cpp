#include "subjects.hpp"
#include "workload.hpp"

#include <fermata/actors/event_log.hpp>
#include <fermata/actors/metrics.hpp>
#include <fermata/storage/memory_store.hpp>

#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <array>

namespace fermata::bench {

namespace {

/// A runtime of its own over a store in memory: with a disk, what is measured disappears behind it.
class contestant {
public:
  contestant(std::shared_ptr<runtime_observer> observer, std::size_t sessions,
             std::size_t subtasks) {
    auto options = options_over(std::make_shared<memory_store>());
    options.observer = std::move(observer);
    runtime_.emplace(std::move(options));
    runtime_->start();
    work_.emplace(*runtime_, numbered_ids("s-", sessions), subtasks);
  }

  /// Processor time of a resume, in microseconds.
  double run(std::size_t resumes) {
    return work_->run(resumes).processor * 1e6 / static_cast<double>(resumes);
  }

private:
  std::optional<runtime> runtime_;
  std::optional<workload> work_;
};

std::shared_ptr<runtime_observer> log_to_nowhere() {
  auto logger =
      std::make_shared<spdlog::logger>("bench", std::make_shared<spdlog::sinks::null_sink_mt>());
  logger->set_level(spdlog::level::debug);
  return std::make_shared<event_log>(std::move(logger));
}

std::vector<measurement> run_observer(const context& in) {
  const std::array<std::pair<const char*, std::shared_ptr<runtime_observer>>, 5> observers{
      {{"nobody", nullptr},
       {"nobody again", nullptr}, // how far two of the same are apart
       {"does nothing", std::make_shared<runtime_observer>()},
       {"metrics", std::make_shared<metrics>()},
       {"metrics and log", observe_with({std::make_shared<metrics>(), log_to_nowhere()})}}};
  const auto sessions = in.sessions_or(100);
  const auto resumes = in.scaled(5'000);
  const auto needed = (in.rounds + 1) * resumes / sessions;
  std::vector<std::unique_ptr<contestant>> contestants;
  for (const auto& [name, observer] : observers)
    // Many more than are needed: on a busy machine some sessions are answered far more often.
    contestants.push_back(std::make_unique<contestant>(observer, sessions, 4 * needed + 20));
  std::array<std::vector<double>, observers.size()> times;
  std::vector<double> nobody;
  for (std::size_t round = 0; round <= in.rounds; ++round) {
    std::array<double, observers.size()> of_round{};
    for (std::size_t turn = 0; turn < contestants.size(); ++turn) {
      const auto i = (round + turn) % contestants.size(); // so that none is always the first
      of_round[i] = contestants[i]->run(resumes);
    }
    if (round == 0)
      continue; // to warm up
    for (std::size_t i = 0; i < of_round.size(); ++i)
      times[i].push_back(of_round[i]);
    nobody.push_back((of_round[0] + of_round[1]) / 2);
  }
  std::vector<measurement> lines;
  for (std::size_t i = 0; i < observers.size(); ++i)
    lines.push_back(measurement{observers[i].first, "us", times[i]}.against(
        times[i], nobody, "nobody, both together"));
  return lines;
}

} // namespace

const subject observer{"observer",
                       "Processor time of a resume, by who observes; the store is in memory.",
                       run_observer};

} // namespace fermata::bench
