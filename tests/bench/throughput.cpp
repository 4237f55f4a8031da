#include "plain_lmdb.hpp"
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
    work_->run(resumes); // warm
    for (std::size_t i = 0; i < in.rounds; ++i)
      round();
  }

  std::vector<double> ours; ///< Resumes per second, as are the others.
  std::vector<double> plain;
  std::vector<double> bare; ///< With nothing but fdatasync after the same bytes.
  std::vector<double> processor_microseconds;
  std::vector<double> batches;

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
    plain.push_back(count / plain_.run(counted_->shapes, transactions, work_->size()));
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

std::vector<measurement> run_no_fsync(const context& in) {
  const auto sessions = in.sessions_or(1'000);
  const contest of{in, sessions, in.scaled(sessions * 10 + 2'000), false};
  return {measurement{in_flight(sessions), "resumes/s", of.ours}.against(
              of.ours, of.plain, "plain LMDB without fsync; >= 100,000/s"),
          measurement{"  processor time a resume", "us", of.processor_microseconds}.against(
              15, "<= 15 us"),
          measurement{"  sessions a transaction", "", of.batches}};
}

} // namespace

const subject throughput{"throughput",
                         "Durable resumes per second, with many sessions in flight, beside plain "
                         "LMDB and a bare fdatasync of the same bytes.",
                         run_throughput};
const subject no_fsync{"no-fsync", "The same without waiting for the disk.", run_no_fsync};

} // namespace fermata::bench
