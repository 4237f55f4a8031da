#include "stored_sessions.hpp"
#include "subjects.hpp"

#include <fermata/storage/lmdb_store.hpp>

namespace fermata::bench {

namespace {

/// DIRECTORY SESSION BEGIN: milliseconds from BEGIN, the steady clock's nanoseconds just before
/// this process was started, until the receipt of a resume.
std::vector<double> milliseconds_to_resume(std::span<const std::string> arguments) {
  const clock_type::time_point begin{std::chrono::nanoseconds{std::stoll(arguments[2])}};
  runtime rt{options_over(must(lmdb_store::open(arguments[0])))};
  rt.start();
  const auto session = rt.session(must(session_id::parse(arguments[1])));
  must(session.send(tool_result{call_id{session.id(), 1}, sample_json()}).get());
  return {seconds_since(begin) * 1e3};
}

} // namespace

const child_task start_child{"start", milliseconds_to_resume};

namespace {

/// Adds a session to be resumed; then the first resume of a new process.
double start_once(const paused_store& store, const std::string& id) {
  const auto session = must(session_id::parse(id));
  {
    const auto kept = must(lmdb_store::open(store.directory));
    bulk_writer writer{*kept};
    writer.add(template_session{calling_plan(10)}.copy(session));
    writer.flush();
  }
  const auto begin = clock_type::now().time_since_epoch();
  return in_child(start_child, {store.directory, id, std::to_string(begin.count())})[0];
}

std::vector<measurement> run_start(const context& in) {
  const auto full = paused_sessions(in, in.stored);
  const auto few = few_paused_sessions(in);
  std::vector<double> with_many;
  std::vector<double> with_few;
  const auto stamp = std::to_string(clock_type::now().time_since_epoch().count());
  for (std::size_t i = 0; i < in.rounds; ++i) {
    const auto id = "started-" + stamp + "-" + std::to_string(i);
    with_few.push_back(start_once(few, id));
    with_many.push_back(start_once(full, id));
  }
  return {measurement{std::to_string(full.count) + " paused sessions", "ms", with_many}.against(
      with_many, with_few, "with " + std::to_string(few.count) + "; <= 100 ms")};
}

/// The times of the first and of the second wake of sessions that are on disk, in microseconds.
struct wakes {
  std::vector<double> cold;
  std::vector<double> resident;

  wakes(const paused_store& store, const std::vector<session_id>& sessions) {
    runtime rt{options_over(must(lmdb_store::open(store.directory)))};
    rt.start();
    must(rt.session(numbered("small-", 1)).wake().get());
    for (const auto& id : sessions) {
      const auto session = rt.session(id);
      for (auto* times : {&cold, &resident}) {
        const auto begin = clock_type::now();
        must(session.wake().get());
        times->push_back(microseconds_since(begin));
      }
    }
  }
};

std::vector<measurement> run_activation(const context& in) {
  const auto full = paused_sessions(in, in.stored);
  const auto few = few_paused_sessions(in);
  std::vector<double> with_many;
  std::vector<double> with_few;
  std::vector<double> with_tails;
  std::vector<double> resident;
  for (std::size_t i = 0; i < in.rounds; ++i) {
    with_few.push_back(median(wakes{few, few.cold()}.cold));
    const wakes of{full, full.cold()};
    with_many.push_back(median(of.cold));
    resident.push_back(median(of.resident));
    with_tails.push_back(median(wakes{full, full.tailed()}.cold));
  }
  const auto stored = std::to_string(full.count);
  return {
      measurement{"p50, " + stored + " sessions stored", "us", with_many}.against(200, "<= 200 us"),
      measurement{"  the same", "us", with_many}.against(with_many, with_few,
                                                         std::to_string(few.count) + " stored"),
      measurement{"  with a tail of 36 events", "us", with_tails}.against(200, "<= 200 us"),
      measurement{"  the same message to a resident one", "us", resident}};
}

} // namespace

const subject start{"start", "From the start of a process to the receipt of its first resume.",
                    run_start};
const subject activation{"activation",
                         "A message to a session of 10 subtasks that is on disk, in the system's "
                         "cache.",
                         run_activation};

} // namespace fermata::bench
