#include "bare_loop.hpp"
#include "plain_lmdb.hpp"
#include "recording.hpp"
#include "subjects.hpp"
#include "workload.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <temporary_directory.hpp>

namespace fermata::bench {

namespace {

/// One runtime with its sessions, and plain LMDB beside it, which writes what was counted.
class contest {
public:
  contest(const context& in, std::size_t sessions, std::size_t resumes, bool sync)
      : resumes_{resumes}, folder_{in.directory}, counted_{std::make_shared<counting_store>(
                                                      open(folder_.path() / "store", sync))},
        runtime_{options_over(counted_)}, plain_{folder_.path() / "plain", sync} {
    runtime_.start();
    const auto needed = resumes * (in.rounds + 1) / sessions;
    work_.emplace(runtime_, numbered_ids("s-", sessions),
                  in.subtasks != 0 ? in.subtasks : needed + needed / 4 + 5);
    if (!sync)
      actors_.emplace(plain_, sessions);
    work_->run(resumes); // warm
    static_cast<void>(work_->take_latencies());
    for (std::size_t i = 0; i < in.rounds; ++i)
      round();
  }

  std::vector<double> ours; ///< Resumes per second, as are the others.
  std::vector<double> plain;
  std::vector<double> bare; ///< With nothing but fdatasync after the same bytes.
  std::vector<double> processor_microseconds;
  std::vector<double> loop; ///< Of nothing but actors and plain LMDB; measured without sync.
  std::vector<double> loop_processor_microseconds;
  std::vector<double> batches;
  std::vector<double> median_latency; ///< Microseconds from the result to the receipt.
  std::vector<double> p99_latency;

private:
  static std::shared_ptr<store> open(const std::filesystem::path& directory, bool sync) {
    lmdb_options options;
    options.sync = sync;
    return must(lmdb_store::open(directory, options));
  }

  void round() {
    const auto count = static_cast<double>(resumes_);
    counted_->begin();
    const auto took = work_->run(resumes_);
    counted_->end();
    const auto transactions = counted_->transactions;
    ours.push_back(count / took.wall);
    processor_microseconds.push_back(took.processor * 1e6 / count);
    batches.push_back(counted_->commits_per_transaction());
    const auto latencies = work_->take_latencies();
    median_latency.push_back(median(latencies));
    p99_latency.push_back(percentile(latencies, 0.99));
    plain.push_back(count / plain_.run(counted_->shapes, transactions, work_->size()));
    if (actors_) {
      const auto loop_took = actors_->run(counted_->shapes);
      loop.push_back(count / loop_took.wall);
      loop_processor_microseconds.push_back(loop_took.processor * 1e6 / count);
    }
    double bare_time = 0;
    for (const auto time :
         fdatasync_loop(folder_, counted_->size_bytes() / transactions, transactions))
      bare_time += time;
    bare.push_back(count / bare_time);
  }

  std::size_t resumes_;
  test::temporary_directory folder_;
  std::shared_ptr<counting_store> counted_;
  runtime runtime_;
  plain_lmdb plain_;
  std::optional<bare_loop> actors_;
  std::optional<workload> work_;
};

std::string in_flight(std::size_t sessions) {
  return std::to_string(sessions) + " in flight";
}

std::vector<measurement> run_throughput(const context& in) {
  std::vector<measurement> lines;
  const auto most = in.sessions_or(1'000);
  for (const auto sessions : {most / 100, most / 10, most}) {
    if (sessions == 0)
      continue;
    const contest of{in, sessions, in.scaled(sessions * 10 + 2'000), true};
    const auto reach = sessions == most ? "plain LMDB; >= 0.60, aim 55,000/s" : "plain LMDB";
    lines.push_back(
        measurement{in_flight(sessions), "resumes/s", of.ours}.against(of.ours, of.plain, reach));
    lines.push_back(measurement{"  the bytes of it", "resumes/s", of.ours}.against(
        of.ours, of.bare, "bare fdatasync"));
    lines.push_back({"  sessions a transaction", "", of.batches});
    lines.push_back({"  processor time a resume", "us", of.processor_microseconds});
  }
  return lines;
}

// -- sweep ----------------------------------------------------------------------------------------

void by_sessions(const context& in, std::vector<measurement>& lines) {
  for (const std::size_t sessions : {1, 3, 10, 30, 100, 300, 1'000, 3'000}) {
    if (sessions > in.sessions_or(3'000))
      break;
    const contest of{in, sessions, in.scaled(sessions * 5 + 500), true};
    const auto name = in_flight(sessions);
    lines.push_back(measurement{name + ": throughput", "resumes/s", of.ours}.against(
        of.ours, of.plain, "plain LMDB"));
    lines.push_back({name + ": sessions a transaction", "", of.batches});
    lines.push_back({name + ": median latency", "us", of.median_latency});
    lines.push_back({name + ": p99 latency", "us", of.p99_latency});
  }
}

/// The store alone, with a recording that is written again.
void by_batch(const context& in, std::vector<measurement>& lines) {
  constexpr std::size_t rounds = 4;
  constexpr auto resumes_of_each = rounds * usual_period;
  const auto most = in.scaled(1'024);
  for (const std::size_t batch : {1, 4, 16, 64, 256, 1'024}) {
    if (batch > most)
      break;
    // Some hundred transactions are enough of the small ones, and each session is to write its
    // records now and then.
    const recording made{std::clamp<std::size_t>(batch * 400 / resumes_of_each, batch, most),
                         resumes_of_each};
    const test::temporary_directory folder{in.directory};
    const auto kept = must(lmdb_store::open(folder.path() / "store"));
    plain_lmdb plain{folder.path() / "plain"};
    write(*kept, made.proposals, made.proposals.size());
    const std::span resumes{made.resumes};
    std::vector<double> ours;
    std::vector<double> theirs;
    std::vector<double> times;
    const auto part = std::max(batch, resumes.size() / rounds / batch * batch);
    for (auto left = resumes; left.size() >= part; left = left.subspan(part)) {
      const auto begin = clock_type::now();
      for (std::size_t at = 0; at < part; at += batch) {
        const auto before = clock_type::now();
        write(*kept, left.subspan(at, batch), batch);
        times.push_back(microseconds_since(before));
      }
      const auto count = static_cast<double>(part);
      ours.push_back(count / seconds_since(begin));
      const std::vector<commit_shape> shapes(left.begin(),
                                             left.begin() + static_cast<std::ptrdiff_t>(part));
      theirs.push_back(count / plain.run(shapes, part / batch, made.proposals.size()));
    }
    const auto name = "transactions of " + std::to_string(batch);
    lines.push_back(
        measurement{name + ": throughput", "commits/s", ours}.against(ours, theirs, "plain LMDB"));
    lines.push_back({name + ": latency", "us", times});
  }
}

std::vector<measurement> run_sweep(const context& in) {
  std::vector<measurement> lines;
  by_sessions(in, lines);
  by_batch(in, lines);
  return lines;
}

// -- without fsync --------------------------------------------------------------------------------

std::vector<measurement> run_no_fsync(const context& in) {
  const auto sessions = in.sessions_or(1'000);
  const contest of{in, sessions, in.scaled(sessions * 10 + 2'000), false};
  return {measurement{in_flight(sessions), "resumes/s", of.ours}.against(
              of.ours, of.plain, "plain LMDB without fsync; >= 100,000/s"),
          measurement{"  the same", "resumes/s", of.ours}.against(
              of.ours, of.loop, "nothing but actors and plain LMDB"),
          measurement{"  processor time a resume", "us", of.processor_microseconds}.against(
              15, "<= 15 us"),
          measurement{"  the same", "us", of.processor_microseconds}.against(
              of.processor_microseconds, of.loop_processor_microseconds,
              "nothing but actors and plain LMDB"),
          measurement{"  sessions a transaction", "", of.batches}};
}

} // namespace

const subject throughput{"throughput",
                         "Durable resumes per second, with many sessions in flight, beside plain "
                         "LMDB and a bare fdatasync of the same bytes.",
                         run_throughput};
const subject sweep{"sweep",
                    "Throughput and latency by sessions in flight, and of the store alone by "
                    "commits in a transaction.",
                    run_sweep};
const subject no_fsync{"no-fsync", "The same without waiting for the disk.", run_no_fsync};

} // namespace fermata::bench
