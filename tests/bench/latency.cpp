#include "plain_lmdb.hpp"
#include "subjects.hpp"
#include "workload.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <temporary_directory.hpp>

#include <thread>

namespace fermata::bench {

namespace {

/// One session, resumed again and again, and after each resume plain LMDB commits the same bytes.
struct lone_session {
  std::vector<double> ours; ///< Microseconds, as is the other.
  std::vector<double> plain;

  lone_session(const context& in, std::size_t resumes, std::chrono::milliseconds rest) {
    const test::temporary_directory folder{in.directory};
    const auto counted =
        std::make_shared<counting_store>(must(lmdb_store::open(folder.path() / "store")));
    runtime rt{options_over(counted)};
    rt.start();
    workload work{rt, numbered_ids("s-", 1), resumes + 20};
    plain_lmdb peer{folder.path() / "plain"};
    work.run(10); // warm
    for (std::size_t i = 0; i < resumes; ++i) {
      counted->begin();
      std::this_thread::sleep_for(rest);
      ours.push_back(work.resume_one());
      counted->end();
      expect(counted->shapes.size() == 1 && counted->transactions == 1,
             "a resume is exactly one commit");
      std::this_thread::sleep_for(rest);
      plain.push_back(peer.run(counted->shapes, 1, 1) * 1e6);
    }
  }
};

std::vector<measurement> run_alone(const context& in) {
  const lone_session of{in, in.scaled(100) * in.rounds, 0ms};
  return {measurement{"a resume", "us", of.ours}.against(1.25 * median(of.plain) + 100,
                                                         "1.25 x one LMDB commit + 100 us; <= 1"),
          measurement{"  the same", "us", of.ours}.against(median(of.plain), "one LMDB commit"),
          measurement{"  commits a resume", "", {1}}};
}

/// A percentile of each round.
std::vector<double> by_round(const std::vector<double>& values, std::size_t rounds, double share) {
  std::vector<double> found;
  const auto each = static_cast<std::ptrdiff_t>(values.size() / rounds);
  for (auto at = values.begin(); std::distance(at, values.end()) >= each; at += each)
    found.push_back(percentile({at, at + each}, share));
  return found;
}

std::vector<measurement> run_idle(const context& in) {
  const lone_session of{in, in.scaled(60) * in.rounds, 15ms};
  const auto ours = by_round(of.ours, in.rounds, 0.99);
  auto limits = by_round(of.plain, in.rounds, 0.99);
  for (auto& one : limits)
    one += 500;
  return {measurement{"p99 of a resume", "us", ours}.against(ours, limits,
                                                             "p99 of a commit + 500 us; <= 1"),
          measurement{"  each resume", "us", of.ours}.against(median(of.plain), "one LMDB commit")};
}

} // namespace

const subject alone{"alone", "A resume of the only session there is, beside one LMDB commit.",
                    run_alone};
const subject idle{"idle", "A resume in a process that has done nothing for 15 ms.", run_idle};

} // namespace fermata::bench
