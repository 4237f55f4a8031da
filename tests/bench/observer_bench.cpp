// What observing costs: resumes per second with nobody, with an observer that does nothing, with
// metrics, and with metrics and a log, in turns and in one run, so that their ratios can be
// believed where the figures themselves cannot.
//
// The store is in memory: with a disk, what is measured here disappears behind it. N sessions wait
// for a client tool's result, and a driver answers each as soon as its last receipt has come; each
// resume is one commit of some 4 events.

#include "asking_plan.hpp"

#include <fermata/actors/coro/task.hpp>
#include <fermata/actors/event_log.hpp>
#include <fermata/actors/metrics.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/memory_store.hpp>

#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <stdexcept>

using namespace fermata;
using namespace fermata::bench;

namespace {

constexpr std::size_t sessions = 100;

/// Of all threads of this process, in seconds.
double processor_time() {
  timespec now{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
    throw std::runtime_error{"the processor's time cannot be read"};
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// A runtime of its own, which resumes its sessions as fast as it can.
class contestant {
public:
  contestant(std::shared_ptr<runtime_observer> observer, const plan_spec& plan) {
    runtime_options options;
    options.store = std::make_shared<memory_store>();
    options.policy = approval_policy::allow_everything();
    options.observer = std::move(observer);
    runtime_ = std::make_unique<runtime>(std::move(options));
    if (auto error = runtime_->agents().add("asker", asker))
      throw std::runtime_error{message_of(error)};
    runtime_->start();
    next_call_.assign(sessions, 1);
    for (std::size_t i = 0; i < sessions; ++i) {
      sessions_.push_back(runtime_->session(runtime_->generate_id()));
      must(sessions_.back().send(propose_plan{plan}).get());
    }
  }

  /// Resumes so often, over all sessions; returns the processor time of one, in microseconds.
  double run(std::size_t resumes) {
    left_ = static_cast<std::ptrdiff_t>(resumes);
    under_way_ = sessions_.size();
    const auto begin = processor_time();
    for (std::size_t i = 0; i < sessions_.size(); ++i)
      resume(i);
    std::unique_lock lock{mutex_};
    done_.wait(lock, [this] { return under_way_ == 0; });
    if (failed_)
      throw std::runtime_error{message_of(failed_)};
    return (processor_time() - begin) * 1e6 / static_cast<double>(resumes);
  }

private:
  void resume(std::size_t i) {
    if (--left_ < 0)
      return end({});
    sessions_[i].send(tool_result{call_id{sessions_[i].id(), next_call_[i]++}, "go on"},
                      [this, i](const result<receipt>& given) {
                        if (given)
                          resume(i);
                        else
                          end(given.error());
                      });
  }

  void end(const caf::error& why) {
    const std::lock_guard lock{mutex_};
    if (why)
      failed_ = why;
    --under_way_;
    done_.notify_all();
  }

  std::unique_ptr<runtime> runtime_;
  std::vector<session_handle> sessions_;
  std::vector<std::uint64_t> next_call_;
  std::atomic<std::ptrdiff_t> left_{0};
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t under_way_ = 0;
  caf::error failed_;
};

std::shared_ptr<runtime_observer> log_to_nowhere() {
  auto logger =
      std::make_shared<spdlog::logger>("bench", std::make_shared<spdlog::sinks::null_sink_mt>());
  logger->set_level(spdlog::level::debug);
  return std::make_shared<event_log>(std::move(logger));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(std::size_t rounds, std::size_t resumes) {
  const std::vector<std::pair<const char*, std::shared_ptr<runtime_observer>>> observers{
      {"nobody", nullptr},
      {"nobody again", nullptr}, // how far two of the same are apart
      {"does nothing", std::make_shared<runtime_observer>()},
      {"metrics", std::make_shared<metrics>()},
      {"metrics and log", observe_with({std::make_shared<metrics>(), log_to_nowhere()})}};
  // Many more than are needed: on a busy machine some sessions are answered far more often.
  const auto plan = asking_plan((rounds + 1) * resumes / (sessions * calls_per_subtask) * 4 + 20);
  std::vector<std::unique_ptr<contestant>> contestants;
  for (const auto& [name, observer] : observers)
    contestants.push_back(std::make_unique<contestant>(observer, plan));
  std::vector<std::vector<double>> times(observers.size());
  std::vector<std::vector<double>> ratios(observers.size());
  for (std::size_t round = 0; round <= rounds; ++round) {
    std::vector<double> of_round(contestants.size());
    for (std::size_t turn = 0; turn < contestants.size(); ++turn) {
      const auto i = (round + turn) % contestants.size(); // so that none is always the first
      of_round[i] = contestants[i]->run(resumes);
    }
    if (round == 0)
      continue; // warm
    const auto nobody = (of_round[0] + of_round[1]) / 2;
    for (std::size_t i = 0; i < of_round.size(); ++i) {
      times[i].push_back(of_round[i]);
      ratios[i].push_back(of_round[i] / nobody);
    }
  }
  std::printf(
      "microseconds of processor time per resume, %zu sessions, medians of %zu rounds of %zu\n\n",
      sessions, rounds, resumes);
  for (std::size_t i = 0; i < observers.size(); ++i)
    std::printf("%-16s | %8.1f | %5.3f of nobody's\n", observers[i].first, median(times[i]),
                median(ratios[i]));
}

} // namespace

/// fermata_bench_observer [ROUNDS] [RESUMES]
int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return static_cast<std::size_t>(std::max(1, argc > index ? std::atoi(argv[index]) : otherwise));
  };
  try {
    measure(argument(1, 9), argument(2, 10'000));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return EXIT_FAILURE;
  }
}
