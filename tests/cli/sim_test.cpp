// `fermata sim`: campaigns of simulated worlds, and one of them again.
#include "captured_output.hpp"
#include "crash_note.hpp"
#include "progress_bar.hpp"
#include "sandbox.hpp"
#include "simulation.hpp"

#include <fermata_catch.hpp>
#include <sanitized.hpp>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <map>
#include <sstream>

namespace sim_test {

using namespace fermata;
using namespace fermata::test;
using namespace fermata::command_line;
using namespace std::chrono_literals;

namespace {

/// The traces in a file of `--trace`, by seed.
std::map<std::uint64_t, std::string> traces_in(const std::string& text) {
  std::map<std::uint64_t, std::string> traces;
  std::istringstream lines{text};
  std::string* current = nullptr;
  constexpr std::string_view heading = "== seed ";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(heading))
      current = &traces[std::stoull(line.substr(heading.size()))];
    else if (current != nullptr)
      *current += line + "\n";
  }
  return traces;
}

/// The first lines in which two traces differ. Empty: they are the same.
std::string first_difference(const std::string& one, const std::string& other) {
  std::istringstream left{one};
  std::istringstream right{other};
  for (std::string a, b; !left.eof() || !right.eof();) {
    std::getline(left, a);
    std::getline(right, b);
    if (a != b)
      return a + " | " + b;
  }
  return {};
}

arguments parsed(std::vector<const char*> words) {
  words.insert(words.begin(), "fermata");
  auto all = parse_arguments(static_cast<int>(words.size()), words.data());
  REQUIRE(all);
  return all->given;
}

/// A campaign that has found something.
sim::campaign_report failed_report() {
  sim::campaign_report report;
  report.first_seed = 1;
  report.last_seed = 413;
  report.worlds = 413;
  report.resumes = 5'000;
  report.took = 2s;
  report.reached["rare/plan_expired"] = 17;
  auto& failure = report.failure.emplace();
  failure.seed = 413;
  failure.promise = "P4";
  failure.text = "call s1:c3 has two results";
  failure.faults = {17};
  failure.faults_before = 143;
  failure.sessions = {2};
  failure.sessions_before = 4;
  failure.runs = 31;
  sim::trace_entry entry;
  entry.at = 61min;
  entry.node = "n1";
  entry.session = "s1";
  entry.text = "says \x1b[2J";
  failure.timeline.push_back(entry);
  return report;
}

std::string shown(const arguments& given, const sim::campaign_report& report) {
  captured_output captured;
  {
    console out{false};
    show_report(out, given, report);
  }
  return captured.take();
}

/// Calls itself until the stack is full.
int deeper(int level) {
  volatile int frame[1024]; // so that it is kept
  frame[0] = level;
  return level == 0 ? 0 : deeper(level + 1) + frame[0];
}

struct death {
  int signal = 0; ///< 0: of none.
  std::string said;
};

/// What a process says on standard error that dies so while it plays a world.
death dying_in_a_world(void (*how)()) {
  int ends[2] = {-1, -1};
  REQUIRE(::pipe(ends) == 0);
  const auto pid = ::fork();
  if (pid == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::dup2(ends[1], STDERR_FILENO);
    // The test framework's handlers, and the stack that it has for them, are not for this.
    for (const auto number : crash_note::signals)
      std::signal(number, SIG_DFL);
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
    crash_note note;
    note.seed(4'130'001);
    how();
    ::_exit(0);
  }
  ::close(ends[1]);
  death seen;
  std::array<char, 256> some{};
  for (ssize_t size = 0; (size = ::read(ends[0], some.data(), some.size())) > 0;)
    seen.said.append(some.data(), static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  seen.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return seen;
}

/// A session that waits for the result of a client tool, exported to a file.
std::string exported(const sandbox& box) {
  REQUIRE(box.run({"run", box.write("plan.json", seed_plan()), "--session", "mine"}).status == 3);
  REQUIRE(box.run({"approve", "mine:p1"}).status == 3);
  const auto file = (box.workspace() / "mine.jsonl").string();
  REQUIRE(box.run({"export", "mine", "--out", file}).status == 0);
  return file;
}

} // namespace

TEST_CASE("a campaign prints its report as one object, and exits with 0 if nothing was found") {
  const sandbox box;
  const auto ended = box.run({"sim", "--seeds", "1-5"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  REQUIRE(ended.lines.size() == 1);
  const auto& report = ended.last();
  CHECK(report.at("worlds") == 5);
  CHECK(report.at("first_seed") == 1);
  CHECK(report.at("last_seed") == 5);
  CHECK(report.at("resumes") > 0);
  CHECK(report.at("simulated_ms") > 0);
  CHECK(report.at("failure").is_null());
  CHECK(report.at("missed").empty());
  CHECK(report.at("reached").at("event/session_created") > 0);
  CHECK(report.at("reached").contains("rare/timer_due_while_down"));
  // No store is opened, not even made.
  CHECK_FALSE(std::filesystem::exists(box.store()));
}

TEST_CASE("a campaign without faults has none") {
  const sandbox box;
  const auto report = box.run({"sim", "--seeds", "1-5", "--no-faults"}).last();
  CHECK(report.at("crashes") == 0);
  CHECK(report.at("reached").at("fault/crash") == 0);
  CHECK(report.at("resumes") > 0);
}

TEST_CASE("P12: a seed's trace is the same in another process, and behind other worlds") {
  const sandbox box;
  const auto traced = [&](const char* seeds) {
    REQUIRE(box.run({"sim", "--seeds", seeds, "--sessions", "2", "--trace", "t"}).status == 0);
    return traces_in(box.read("t"));
  };
  const auto all = traced(test::is_sanitized ? "1-20" : "1-200");
  REQUIRE(all.size() == (test::is_sanitized ? 20 : 200));
  const std::vector<const char*> others =
      test::is_sanitized ? std::vector{"1-10", "11-20"} : std::vector{"1-100", "101-200"};
  for (const auto* seeds : others) {
    const auto some = traced(seeds);
    CHECK(some.size() == all.size() / 2);
    for (const auto& [seed, text] : some) {
      const auto differs = first_difference(text, all.at(seed));
      INFO("seed " << seed << ": " << differs);
      CHECK(differs.empty());
    }
  }
}

TEST_CASE("the numbers of nodes and sessions are those that are given") {
  const sandbox box;
  REQUIRE(box.run({"sim", "--seeds", "3", "--nodes", "2", "--sessions", "1", "--trace", "t"}).status
          == 0);
  const auto text = box.read("t");
  CHECK(contains(text, "  n1  -  up\n"));
  CHECK(contains(text, "  n2  -  up\n"));
  CHECK_FALSE(contains(text, "  n3  "));
  CHECK(contains(text, "  s1  "));
  CHECK_FALSE(contains(text, "  s2  "));
}

TEST_CASE("a campaign for a while ends then, and says which seeds it had") {
  const sandbox box;
  const auto once = box.run({"sim", "--for", "300ms"}).last();
  const auto twice = box.run({"sim", "--for", "300ms"}).last();
  CHECK(once.at("worlds") > 0);
  CHECK(once.at("took_ms") < 60'000);
  CHECK(once.at("first_seed") != twice.at("first_seed"));
  const auto plain = box.run_plainly({"sim", "--for", "100ms"});
  CHECK(plain.status == 0);
  CHECK(plain.out.starts_with("Seeds from "));
  CHECK(contains(plain.out, "Nothing was found."));
}

TEST_CASE("an interrupted campaign prints what it has") {
  const sandbox box;
  child campaign{box.invocation({"sim", "--seeds", "1-1000000"})};
  REQUIRE(campaign.expect("Seeds 1-1000000."));
  campaign.signal(SIGINT);
  CHECK(campaign.wait() == 130);
  CHECK(contains(campaign.output(), "interrupted"));
  CHECK(contains(campaign.output(), " resumes ("));
}

TEST_CASE("the nodes of a world share a store where that is asked for") {
  const sandbox box;
  REQUIRE(box.run({"sim", "--seeds", "3", "--nodes", "2", "--shared-store", "--sessions", "1",
                   "--trace", "t"})
              .status
          == 0);
  CHECK(contains(box.read("t"), "  slots acquired "));
}

TEST_CASE("bad usage of sim is bad input") {
  const sandbox box;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--seeds", "9-1"},
                                             {"--seeds", "all"},
                                             {"--nodes", "0"},
                                             {"--sessions", "0"},
                                             {"--for", "soon"},
                                             {"--for", "0s"},
                                             {"--edited"},
                                             {"--session", "/nonexistent"},
                                             {"--session", "."},
                                             {"--session", ""},
                                             {"--trace", ""},
                                             {"--store", "/nonexistent"},
                                             {"--policy", "/nonexistent"},
                                             {"--models", "/nonexistent"},
                                             {"--log", "-"},
                                             {"--trace", "/nonexistent/trace.txt"}}) {
    auto all = words;
    all.insert(all.begin(), "sim");
    const auto ended = box.run(all);
    INFO(words[0] << " " << ended.err);
    CHECK(ended.status == 2);
    CHECK(ended.error().at("error") == "invalid_field");
  }
}

TEST_CASE("a trace that cannot be written to its end is an error of the environment") {
  const sandbox box;
  const auto ended = box.run({"sim", "--seeds", "1-5", "--trace", "/dev/full"});
  CHECK(ended.status == 4);
  CHECK(ended.error().at("error") == "io_error");
}

TEST_CASE("worlds begin with a session that was exported, and go on with it") {
  const sandbox box;
  const auto file = exported(box);
  const auto ended =
      box.run({"sim", "--seeds", "1-5", "--sessions", "1", "--session", file, "--trace", "t"});
  INFO(ended.out << ended.err);
  CHECK(ended.status == 0);
  for (const auto& [seed, text] : traces_in(box.read("t"))) {
    INFO("seed " << seed << "\n" << text);
    CHECK(contains(text, "  mine  "));
    CHECK(contains(text, "call_answered c1"));
  }
}

TEST_CASE("a trace does not overwrite the session that the worlds begin with") {
  const sandbox box;
  const auto file = exported(box);
  const auto before = box.read("mine.jsonl");
  const auto ended = box.run({"sim", "--seeds", "1", "--session", file, "--trace", "./mine.jsonl"});
  CHECK(ended.status == 2);
  CHECK(box.read("mine.jsonl") == before);
}

TEST_CASE("an exported session that was edited is taken only when that is said") {
  const sandbox box;
  const auto file = exported(box);
  auto text = box.read("mine.jsonl");
  const auto where = text.find("\"question\"");
  REQUIRE(where != std::string::npos);
  text.replace(where, 10, "\"demand\"  ");
  box.write("mine.jsonl", text);
  const auto refused = box.run({"sim", "--seeds", "1", "--session", file});
  CHECK(refused.status == 2);
  CHECK(contains(refused.error().at("message").get<std::string>(), "--edited"));
  const auto taken = box.run({"sim", "--seeds", "1", "--session", file, "--edited"});
  CHECK(taken.lines.size() == 1);
}

TEST_CASE("a failure is told with its timeline, and with the command that runs it again") {
  const auto text =
      shown(parsed({"sim", "--nodes", "2", "--shared-store", "--no-faults"}), failed_report());
  INFO(text);
  CHECK(contains(text, "Seed 413 breaks P4: call s1:c3 has two results"));
  CHECK(contains(text, "1 of 143 faults and 1 of 4 sessions are enough"));
  CHECK(contains(text, "0d 01:01:00.000  n1  s1  says "));
  CHECK_FALSE(contains(text, "\x1b[2J"));
  CHECK(contains(
      text, "fermata sim --seeds 413 --nodes 2 --shared-store --no-faults --trace seed-413.txt"));
  CHECK(contains(text,
                 "fermata sim --seeds 413 --nodes 2 --shared-store --no-faults --only-faults 17 "
                 "--only-sessions 2 --trace seed-413.txt"));
  CHECK_FALSE(contains(text, "Nothing was found."));
}

TEST_CASE("what a long campaign never reached is told") {
  auto report = failed_report();
  report.failure.reset();
  report.missed = {"event/late_result", "fault/freeze"};
  report.reached["rare/denied_call"] = 2;
  report.reached["rare/edited_call_ran"] = 0;
  const auto text = shown(parsed({"sim"}), report);
  CHECK(contains(text, "Never reached: event/late_result, fault/freeze"));
  CHECK(contains(text, "rare: denied_call 2, plan_expired 17\n"));
  CHECK_FALSE(contains(text, "edited_call_ran"));
  CHECK_FALSE(contains(text, "Nothing was found."));
}

TEST_CASE("it is told what became of the session that was given, and who was played") {
  auto report = failed_report();
  report.given = {{"completed", 411}, {"failed", 2}};
  report.stand_ins = {"agent miner", "tool blast"};
  const auto text = shown(parsed({"sim"}), report);
  CHECK(contains(text, "The given session was in the end: completed 411, failed 2\n"));
  CHECK(contains(text, "Played by stand-ins: agent miner, tool blast\n"));
}

TEST_CASE("one seed is named as one, and no faults as none") {
  auto report = failed_report();
  report.first_seed = 413;
  report.failure->faults.clear();
  const auto text = shown(parsed({"sim"}), report);
  CHECK(contains(text, " (seed 413) "));
  CHECK(contains(text, "No fault and 1 of 4 sessions are enough"));
}

TEST_CASE("places are numbers, in any order, or none") {
  const auto some = parsed({"sim", "--only-faults", "17,3,3", "--only-sessions", "none"});
  CHECK(some.simulation.only_faults == std::vector<std::size_t>{3, 17});
  CHECK(some.simulation.only_sessions == std::vector<std::size_t>{});
  CHECK_FALSE(parsed({"sim"}).simulation.only_faults);
  for (const auto* wrong : {"", "3,", "-1", "3;4", "all"}) {
    const char* words[] = {"fermata", "sim", "--only-faults", wrong};
    CAPTURE(wrong);
    CHECK_FALSE(parse_arguments(4, words));
  }
}

TEST_CASE("the progress bar follows seeds or time, whichever ends first") {
  sim::campaign_options options;
  options.seeds = {1, 200};
  sim::campaign_report so_far;
  so_far.worlds = 50;
  so_far.resumes = 9'000;
  so_far.took = 3s;
  const auto by_seeds = progress_bar::line(options, so_far, 51, 200);
  CHECK(contains(by_seeds, "[######------------------] 25%  50 worlds, 3000 resumes a second, "
                           "seed 51"));
  options.at_most = 4s;
  CHECK(contains(progress_bar::line(options, so_far, 51, 200), "75%"));
  CHECK(progress_bar::line(options, so_far, 51, 30).size() == 30);
  so_far.failure = failed_report().failure;
  CHECK(contains(progress_bar::line(options, so_far, 51, 200), "looking for a smaller run (31)"));
  CHECK(contains(progress_bar::line({}, {}, 1, 200), " 0%"));
}

TEST_CASE("progress is drawn at a terminal, and nowhere else") {
  const sandbox box;
  auto options = box.invocation({"sim", "--seeds", "1-20"});
  options.environment["TERM"] = "xterm";
  options.terminal = true;
  child watched{options};
  CHECK(watched.expect("[--"));
  CHECK(watched.wait() == 0);
  CHECK(box.run_plainly({"sim", "--seeds", "1-3"}).err.empty());
}

TEST_CASE("a process that dies in a world says in which, and dies of the same") {
  const auto aborted = dying_in_a_world([] { std::abort(); });
  CHECK(aborted.signal == SIGABRT);
  CHECK(contains(aborted.said, "died in the world of seed 4130001\n"));
#ifndef __SANITIZE_ADDRESS__ // which ends a process whose stack has overflowed by itself
  const auto overflowed = dying_in_a_world([] { static_cast<void>(deeper(1)); });
  CHECK(overflowed.signal == SIGSEGV);
  CHECK(contains(overflowed.said, "died in the world of seed 4130001\n"));
#endif
}

} // namespace sim_test
