#include "plain_lmdb.hpp"
#include "recording.hpp"
#include "stored_sessions.hpp"
#include "subjects.hpp"

#include <fermata/storage/lmdb_store.hpp>
#include <fermata/storage/memory_store.hpp>

#include <temporary_directory.hpp>

#include <fstream>

namespace fermata::bench {

namespace {

std::shared_ptr<store> open_without_sync(const std::filesystem::path& directory) {
  lmdb_options options;
  options.sync = false;
  return must(lmdb_store::open(directory, options));
}

/// Processor time of a resume near the beginning and near the end of plans.
measurement along_a_plan(const context& in) {
  const test::temporary_directory folder{in.directory};
  runtime rt{options_over(open_without_sync(folder.path() / "store"))};
  rt.start();
  const auto sessions = in.scaled(20);
  const auto subtasks = in.subtasks != 0 ? in.subtasks : in.scaled(1'000);
  std::vector<double> early;
  std::vector<double> late;
  for (std::size_t round = 0; round < in.rounds; ++round) {
    workload work{rt, numbered_ids("r" + std::to_string(round) + "-", sessions), subtasks};
    const auto share = [&](double part) {
      const auto resumes = std::max(1.0, static_cast<double>(sessions * subtasks) * part);
      return work.run(static_cast<std::size_t>(resumes)).processor * 1e6 / resumes;
    };
    share(0.005);
    early.push_back(share(0.05)); // around subtask 10 of 1,000, and up to 55
    share(0.82);
    late.push_back(share(0.05)); // 875 to 925
  }
  const auto count = std::to_string(subtasks);
  return measurement{"late in a plan of " + count + " subtasks", "us", late}.against(
      late, early, "early in it; <= 1.1");
}

/// Some of the sessions of a store, 256 of them in flight at a time.
class active_sessions {
public:
  active_sessions(const paused_store& of, std::shared_ptr<store> kept)
      : runtime_{options_over(std::move(kept))}, special_{of.special} {
    runtime_.start();
    together_.emplace(runtime_, of.together(), active_subtasks);
    spread_.emplace(runtime_, of.spread(), active_subtasks);
  }

  /// Microseconds of a resume.
  double together() { return run(*together_); }
  double spread() { return run(*spread_); }

private:
  double run(workload& work) const {
    const auto resumes = special_ * 4;
    return work.run(resumes, 256).wall * 1e6 / static_cast<double>(resumes);
  }

  runtime runtime_;
  std::size_t special_;
  std::optional<workload> together_;
  std::optional<workload> spread_;
};

void with_many_stored(const context& in, std::vector<measurement>& lines) {
  const auto full = paused_sessions(in, in.stored);
  const auto few = few_paused_sessions(in);
  const auto counted = std::make_shared<counting_store>(must(lmdb_store::open(full.directory)));
  active_sessions in_full{full, counted};
  active_sessions in_few{few, must(lmdb_store::open(few.directory))};
  std::vector<double> together_full;
  std::vector<double> together_few;
  std::vector<double> spread_full;
  std::vector<double> spread_few;
  std::vector<double> batches;
  for (std::size_t round = 0; round <= in.rounds; ++round) {
    if (round == 1) // the first was to warm up
      for (auto* times : {&together_full, &together_few, &spread_full, &spread_few})
        times->clear();
    counted->begin();
    together_full.push_back(in_full.together());
    counted->end();
    batches.push_back(counted->commits_per_transaction());
    together_few.push_back(in_few.together());
    spread_full.push_back(in_full.spread());
    spread_few.push_back(in_few.spread());
  }
  const auto active = std::to_string(full.special) + " active of " + std::to_string(full.count);
  const auto beside = std::to_string(few.count) + " stored";
  lines.push_back(measurement{active + ", created together", "us", together_full}.against(
      together_full, together_few, beside + "; <= 1.5"));
  lines.push_back(measurement{active + ", at random", "us", spread_full}.against(
      spread_full, spread_few, beside));
  lines.push_back({"  sessions a transaction", "", batches});
}

std::vector<measurement> run_growth(const context& in) {
  std::vector<measurement> lines{along_a_plan(in)};
  with_many_stored(in, lines);
  return lines;
}

// -- bytes ----------------------------------------------------------------------------------------

/// What this process has handed to the system to write so far, in bytes.
double written_bytes() {
  std::ifstream counters{"/proc/self/io"};
  for (std::string line; std::getline(counters, line);)
    if (line.starts_with("wchar:"))
      return std::stod(line.substr(6));
  throw std::runtime_error{"/proc/self/io has no wchar"};
}

/// Writes a recording again in transactions of so many commits, and with plain LMDB.
void amplification(const context& in, std::size_t batch, std::vector<measurement>& lines) {
  constexpr std::size_t rounds = 4;
  const recording made{batch, (rounds + 1) * usual_period};
  const test::temporary_directory folder{in.directory};
  const auto kept = open_without_sync(folder.path() / "store");
  plain_lmdb plain{folder.path() / "plain", false};
  write(*kept, made.proposals, batch);
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> payloads;
  const auto period = made.period();
  expect(rounds * period * batch <= made.resumes.size(), "the recording has all rounds");
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto part = std::span{made.resumes}.subspan(round * period * batch, period * batch);
    const std::vector<commit_shape> shapes(part.begin(), part.end());
    double payload = 0;
    for (const auto& one : shapes)
      payload += static_cast<double>(one.size_bytes());
    const auto begin = written_bytes();
    write(*kept, part, batch);
    const auto middle = written_bytes();
    plain.run(shapes, period, batch);
    if (round == 0)
      continue; // the first fills plain LMDB's heads
    ours.push_back((middle - begin) / payload);
    theirs.push_back((written_bytes() - middle) / payload);
    payloads.push_back(payload / static_cast<double>(part.size()));
  }
  lines.push_back(measurement{"at batch " + std::to_string(batch), "x payload", ours}.against(
      ours, theirs, batch > 1 ? "plain LMDB; <= 2.5 x payload" : "plain LMDB"));
  lines.push_back({"  payload of a resume", "bytes", payloads});
}

/// What a session that waits takes in the file.
measurement stored_bytes(const context& in, std::size_t subtasks) {
  const test::temporary_directory folder{in.directory};
  const auto kept = open_without_sync(folder.path() / "store");
  const template_session of{calling_plan(subtasks)};
  const auto size = [&] {
    return static_cast<double>(std::filesystem::file_size(folder.path() / "store" / "data.mdb"));
  };
  const auto count = in.scaled(5'000);
  bulk_writer writer{*kept};
  const auto before = size();
  for (const auto& id : numbered_ids("s-", count))
    writer.add(of.copy(id));
  writer.flush();
  const auto each = (size() - before) / static_cast<double>(count);
  const commit_shape shape{of.copy(numbered("s-", 1))};
  return measurement{
      "a paused session of " + std::to_string(subtasks) + " subtasks", "bytes", {each}}
      .against(static_cast<double>(shape.size_bytes()), "its payload");
}

std::vector<measurement> run_bytes(const context& in) {
  std::vector<measurement> lines;
  amplification(in, in.sessions_or(1'000), lines);
  amplification(in, 1, lines);
  lines.push_back(stored_bytes(in, 1));
  lines.push_back(stored_bytes(in, 10));
  return lines;
}

} // namespace

const subject growth{"growth",
                     "What a resume costs late in a large plan, and among many stored sessions.",
                     run_growth};
const subject bytes_written{"bytes", "What is written to the disk, by what is to be stored.",
                            run_bytes};

} // namespace fermata::bench
