#include "counting_store.hpp"
#include "subjects.hpp"
#include "workload.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <temporary_directory.hpp>

#include <array>
#include <atomic>
#include <thread>

namespace fermata::bench {

namespace {

/// So many resumes of one session, in microseconds. It rests between them: longer than a busy one
/// waits for its next turn.
std::vector<double> times_of(workload& quiet, std::size_t resumes) {
  std::vector<double> times;
  for (std::size_t i = 0; i < resumes; ++i) {
    times.push_back(quiet.resume_one());
    std::this_thread::sleep_for(100ms);
  }
  return times;
}

std::vector<measurement> run_fairness(const context& in) {
  constexpr auto without_end = static_cast<std::size_t>(-1);
  const test::temporary_directory folder{in.directory};
  runtime rt{options_over(must(lmdb_store::open(folder.path() / "store")))};
  rt.start();
  workload quiet{rt, numbered_ids("quiet-", 1), 1'000};
  workload busy{rt, numbered_ids("busy-", in.sessions_or(1'000) - 1), in.scaled(1'000)};
  quiet.run(5);
  busy.run(busy.size());
  std::array<std::vector<double>, 2> alone; // of each round the p99 and the median
  std::array<std::vector<double>, 2> among_others;
  const auto note = [&](std::array<std::vector<double>, 2>& of, std::size_t resumes) {
    const auto times = times_of(quiet, resumes);
    of[0].push_back(percentile(times, 0.99));
    of[1].push_back(median(times));
  };
  for (std::size_t i = 0; i < in.rounds; ++i) {
    note(alone, in.scaled(30));
    busy.begin(without_end, busy.size());
    times_of(quiet, 3); // until all that had rested have had a turn
    note(among_others, in.scaled(30));
    busy.stop();
    busy.wait();
  }
  const auto others = std::to_string(busy.size()) + " busy ones";
  return {measurement{"p99 among " + others, "us", among_others[0]}.against(
              among_others[0], alone[0], "p99 alone; <= 3"),
          measurement{"  median", "us", among_others[1]}.against(among_others[1], alone[1],
                                                                 "median alone")};
}

// -- overload -------------------------------------------------------------------------------------

/// Says something to sessions without waiting, so often in a second, and counts the answers.
class flood {
public:
  flood(runtime& rt, const std::vector<session_id>& ids) {
    for (const auto& id : ids)
      sessions_.push_back(rt.session(id));
  }

  void run(double per_second, double for_seconds) {
    const auto begin = clock_type::now();
    const auto before = sent_;
    for (double passed = 0; passed < for_seconds; passed = seconds_since(begin)) {
      const auto due = before + static_cast<std::size_t>(per_second * passed);
      for (; sent_ < due; ++sent_)
        sessions_[sent_ % sessions_.size()].send(
            post_message{"and then?"}, [this](const result<receipt>& given) { count(given); });
      std::this_thread::sleep_for(1ms);
    }
  }

  /// Waits until each has its answer.
  void settle() const {
    while (accepted + overloaded + refused < sent_)
      std::this_thread::sleep_for(1ms);
  }

  [[nodiscard]] std::size_t sent() const noexcept { return sent_; }
  std::atomic<std::size_t> accepted{0};
  std::atomic<std::size_t> overloaded{0};
  std::atomic<std::size_t> refused{0}; ///< For another reason.

private:
  void count(const result<receipt>& given) {
    if (given)
      ++accepted;
    else
      ++(given.error() == errc::overloaded ? overloaded : refused);
  }

  std::vector<session_handle> sessions_;
  std::size_t sent_ = 0;
};

/// A runtime on a disk that takes 2,000 commits a second.
class slow_runtime {
public:
  slow_runtime(const std::filesystem::path& directory, std::size_t sessions)
      : slow_{std::make_shared<counting_store>(must(lmdb_store::open(directory)))},
        runtime_{options_over(slow_)}, ids_{numbered_ids("s-", sessions)} {
    runtime_.start();
    work_.emplace(runtime_, ids_, 100);
    slow_->delay = 500us;
  }

  /// Commits a second when no more is asked for than the disk takes.
  double closed_loop(std::size_t resumes) {
    return static_cast<double>(resumes) / work_->run(resumes).wall;
  }

  runtime& operator*() { return runtime_; }
  [[nodiscard]] const std::vector<session_id>& ids() const noexcept { return ids_; }

private:
  std::shared_ptr<counting_store> slow_;
  runtime runtime_;
  std::vector<session_id> ids_;
  std::optional<workload> work_;
};

/// DIRECTORY SESSIONS SECONDS: resumes a second before; commands accepted a second while ten times
/// as many are offered for so long; resumes a second afterwards; how much was offered, by what the
/// disk takes; the percentage refused as overloaded; and megabytes of memory before, half way and
/// at the end.
std::vector<double> flood_once(std::span<const std::string> arguments) {
  slow_runtime slow{arguments[0], std::stoul(arguments[1])};
  const auto duration = std::stod(arguments[2]);
  const auto resumes = slow.ids().size() * 3;
  const auto before = slow.closed_loop(resumes);
  flood commands{*slow, slow.ids()};
  std::vector<double> memory{own_memory() / 1e6};
  const auto begin = clock_type::now();
  for (auto half = 0; half < 2; ++half) {
    commands.run(10 * before, duration / 2);
    memory.push_back(own_memory() / 1e6);
  }
  commands.settle();
  const auto sent = static_cast<double>(commands.sent());
  const auto during = static_cast<double>(commands.accepted) / seconds_since(begin);
  expect(commands.refused == 0, "nothing is refused but for overload");
  return {before,
          during,
          slow.closed_loop(resumes),
          sent / duration / before,
          100 * static_cast<double>(commands.overloaded) / sent,
          memory[0],
          memory[1],
          memory[2]};
}

} // namespace

const child_task overload_child{"overload", flood_once};

namespace {

std::vector<measurement> run_overload(const context& in) {
  std::array<std::vector<double>, 8> columns;
  for (std::size_t round = 0; round < in.rounds; ++round) {
    const test::temporary_directory folder{in.directory};
    const auto row =
        in_child(overload_child, {folder.path() / "store", std::to_string(in.sessions_or(500)),
                                  in.brief ? "0.5" : "4"});
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns[i].push_back(row.at(i));
  }
  const auto& [before, during, after, offered, refused, at_first, half_way, at_the_end] = columns;
  return {measurement{"accepted meanwhile", "per s", during}.against(during, before,
                                                                     "resumes before; >= 1"),
          measurement{"resumes afterwards", "per s", after}.against(after, before,
                                                                    "resumes before; >= 1"),
          measurement{"memory (RssAnon) at the end", "MB", at_the_end}.against(at_the_end, half_way,
                                                                               "half way; about 1"),
          {"  before", "MB", at_first},
          {"  offered, by what the disk takes", "x", offered},
          {"  refused as overloaded", "%", refused}};
}

} // namespace

const subject fairness{"fairness", "A quiet session's resumes while all others are busy.",
                       run_fairness};
const subject overload{"overload",
                       "Ten times as many commands as a disk takes that is made slow, 2,000 "
                       "commits/s.",
                       run_overload};

} // namespace fermata::bench
