// A real process with a runtime is killed with SIGKILL at many different moments: by the events
// seen and after random spins, and just before and just after its commits. Each next process
// continues on what it finds. The files that are left must agree: what was acknowledged over the
// pipe, the journal, and the effects of tools in the world.

#include "support.hpp"

#include <fermata/messages/events.hpp>
#include <fermata/storage/verify_store.hpp>

#include <fermata_catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <map>
#include <random>
#include <set>
#include <sstream>

namespace process_kill_test {

using namespace fermata;
using namespace fermata::test;

namespace {

/// A runtime in a process of its own, which tells what it does, a line of JSON each.
class victim {
public:
  explicit victim(std::vector<std::string> words) {
    words.insert(words.begin(), FERMATA_RUNTIME_VICTIM);
    std::vector<char*> argv;
    for (auto& word : words)
      argv.push_back(word.data());
    argv.push_back(nullptr);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      throw std::runtime_error{"pipe2"};
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::execv(argv.front(), argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
    if (pid_ < 0)
      throw std::runtime_error{"fork"};
  }
  victim(const victim&) = delete;
  victim& operator=(const victim&) = delete;
  ~victim() {
    kill();
    wait();
    ::close(output_);
  }

  /// The next line; nothing when the process has ended.
  std::optional<json> read() {
    for (;;) {
      if (const auto end = text_.find('\n'); end != std::string::npos) {
        auto line = parse_json(std::string_view{text_}.substr(0, end)).value();
        text_.erase(0, end + 1);
        return line;
      }
      pollfd watched{output_, POLLIN, 0};
      if (::poll(&watched, 1, static_cast<int>(patience.count())) != 1)
        throw std::runtime_error{"the victim says nothing"};
      std::array<char, 4096> chunk;
      const auto size = ::read(output_, chunk.data(), chunk.size());
      if (size <= 0)
        return std::nullopt; // half a line was not said
      text_.append(chunk.data(), static_cast<std::size_t>(size));
    }
  }

  void kill() {
    if (pid_ > 0)
      ::kill(pid_, SIGKILL);
  }

  /// The exit status; 128 and more: the signal that ended it.
  int wait() {
    if (pid_ > 0) {
      int status = 0;
      ::waitpid(pid_, &status, 0);
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      pid_ = -1;
    }
    return status_;
  }

private:
  pid_t pid_ = -1;
  int output_ = -1;
  int status_ = 0;
  std::string text_;
};

void spin(std::uint64_t rounds) {
  for (std::uint64_t i = 0; i < rounds; ++i)
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// What is wrong with an acknowledged command's event; empty: nothing.
std::string check_acknowledged(const json& line, const std::vector<event>& events) {
  const auto number = line.at("event").get<std::uint64_t>();
  const auto body = from_json<command>(line.at("command")).value();
  if (number == 0 || number > events.size())
    return "event " + std::to_string(number) + " is lost";
  const auto& fact = events[number - 1].body;
  bool right = false;
  if (std::holds_alternative<propose_plan>(body)) {
    right = std::holds_alternative<session_created>(fact);
  } else if (const auto* plan = std::get_if<decide_plan>(&body)) {
    const auto* is = std::get_if<plan_decided>(&fact);
    right = is && is->revision == plan->revision && is->verdict == plan->verdict;
  } else if (const auto* decision = std::get_if<decide_call>(&body)) {
    const auto* is = std::get_if<call_decided>(&fact);
    right = is && is->call == decision->call.number() && is->verdict == decision->verdict;
  } else if (const auto* answer = std::get_if<tool_result>(&body)) {
    const auto* is = std::get_if<call_answered>(&fact);
    right = is && is->call == answer->call.number() && is->answer.content == answer->content;
  } else if (const auto* outcome = std::get_if<resolve_outcome>(&body)) {
    const auto* is = std::get_if<outcome_resolved>(&fact);
    right = is && is->call == outcome->call.number() && is->resolution == outcome->resolution;
  }
  return right ? "" : to_text(line) + " became " + to_text(to_json(events[number - 1]));
}

/// How often each call left its effect, by the number in its idempotency key.
std::map<std::uint64_t, int> count_effects(const std::string& text, const std::string& session) {
  std::map<std::uint64_t, int> effects;
  std::map<std::uint64_t, std::string> keys;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    const auto call = call_id::parse(line.substr(line.find('/') + 1)).value();
    if (call.session().str() != session)
      continue;
    ++effects[call.number()];
    CHECK(keys.emplace(call.number(), line).first->second == line); // each run has the call's key
  }
  return effects;
}

void check_story(const std::vector<event>& events, const std::map<std::uint64_t, int>& effects) {
  std::map<std::uint64_t, int> claims;
  std::map<std::uint64_t, int> asked_reruns;
  std::map<std::uint64_t, int> own_reruns;
  std::map<std::uint64_t, int> answers;
  std::set<std::uint64_t> idempotent;
  for (const auto& one : events) {
    if (const auto* proposed = std::get_if<call_proposed>(&one.body);
        proposed && proposed->idempotent)
      idempotent.insert(proposed->call);
    if (const auto* claimed = std::get_if<call_claimed>(&one.body))
      ++claims[claimed->call];
    if (const auto* answered = std::get_if<call_answered>(&one.body))
      ++answers[answered->call];
    if (const auto* resolved = std::get_if<outcome_resolved>(&one.body)) {
      CHECK((resolved->by == "idempotent" || resolved->by == "a person"));
      ++(resolved->by == "idempotent" ? own_reruns : asked_reruns)[resolved->call];
    }
  }
  CHECK(answers.size() == 6);
  for (const auto& [call, count] : answers)
    CHECK(count == 1);
  CHECK(effects.size() == 5); // all but the client tool's
  for (const auto& [call, count] : effects) {
    CAPTURE(call);
    CHECK(claims[call] == 1 + asked_reruns[call] + own_reruns[call]);
    CHECK(count <= claims[call]);
    CHECK((own_reruns[call] == 0 || idempotent.contains(call)));
  }
}

} // namespace

TEST_CASE(
    "P1 P6 P8: killed at any moment, a runtime has kept what it acknowledged, repeats no tool "
    "silently, and every plan ends") {
  constexpr int wanted_kills = 160;
  const std::uint64_t seed = 1'789;
  INFO("seed " << seed);
  std::mt19937_64 random{seed};
  temporary_directory folder;
  const auto store = folder.path() / "store";
  const auto effects_file = folder.path() / "effects";
  int kills = 0;
  int plans = 0;
  for (; kills < wanted_kills; ++plans) {
    const auto name = "s" + std::to_string(plans);
    std::vector<json> acknowledged;
    bool completed = false;
    for (int lives = 0; !completed; ++lives) {
      REQUIRE(lives < 200); // a plan that never ends
      victim process{{"effects", store, effects_file, name, std::to_string(random())}};
      // A life ends at a commit of its own choice, after so many lines and a random while, or with
      // the plan.
      const auto lines = random() % 8;
      const bool spared = random() % 8 == 0;
      const auto keep = [&](const json& line) {
        if (line.contains("command"))
          acknowledged.push_back(line);
        if (line.contains("ended")) {
          CHECK(line.at("ended") == "completed");
          completed = true;
        }
      };
      bool running = true;
      for (std::uint64_t seen = 0; running && (spared || seen < lines); ++seen) {
        const auto line = process.read();
        running = line.has_value();
        if (line)
          keep(*line);
      }
      if (running) {
        spin(random() % 3'000'000);
        process.kill();
      }
      // What it had said before it was killed counts.
      while (const auto line = process.read())
        keep(*line);
      const auto status = process.wait();
      CHECK((status == 128 + SIGKILL || status == 0));
      kills += status == 128 + SIGKILL ? 1 : 0;
    }
    lmdb_options reading;
    reading.access = store_access::read_only;
    const auto left = lmdb_store::open(store, reading).value();
    const auto events = query_events(*left, named(name), 1, 10'000).value();
    for (const auto& line : acknowledged)
      CHECK(check_acknowledged(line, events) == "");
    check_story(events, count_effects(folder.get("effects"), name));
  }
  CHECK(plans > 1);
  const auto report = verify_store(store);
  REQUIRE(report);
  CHECK(report->problems == std::vector<std::string>{});
  WARN(kills << " kills, " << plans << " plans, " << report->events << " events");
}

TEST_CASE("a supervised command is ended when its runtime is killed, before the next one starts") {
  temporary_directory folder;
  const auto pipe = (folder.path() / "pids").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int fd = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC); // both ends, so that opening never waits
  REQUIRE(fd >= 0);
  // A command and a grandchild in a session of its own, both deaf to SIGTERM.
  const auto shell = "trap '' TERM; echo $$ > " + pipe + "; setsid sh -c 'echo $$ > " + pipe
                     + "; while :; do sleep 100; done' & while :; do sleep 100; done";
  const std::vector<std::string> words{"command", folder.path() / "store", folder.path() / "lock",
                                       folder.path(), shell};
  std::vector<std::string> pids;
  {
    victim first{words};
    REQUIRE(first.read());
    while (pids.size() < 2) {
      std::string line;
      for (char c = 0; c != '\n'; line += c) {
        pollfd watched{fd, POLLIN, 0};
        REQUIRE(::poll(&watched, 1, static_cast<int>(patience.count())) == 1);
        REQUIRE(::read(fd, &c, 1) == 1);
      }
      pids.push_back(std::to_string(std::stol(line)));
    }
    for (const auto& pid : pids)
      CHECK(::kill(static_cast<pid_t>(std::stol(pid)), 0) == 0);
    first.kill();
  }
  auto again = words;
  again.insert(again.end(), pids.begin(), pids.end());
  victim second{again};
  const auto started = second.read();
  REQUIRE(started);
  CHECK(started->at("alive") == json::array());
  // Nobody knows what the command did; somebody said that it failed, and so the subtask has.
  std::optional<json> last;
  while (const auto line = second.read())
    last = line;
  REQUIRE(last);
  CHECK(last->value("ended", "") == "needs_attention");
  CHECK(second.wait() == 0);
  ::close(fd);
}

TEST_CASE(
    "P1: on a disk that is full a command fails with disk_full and changes nothing, and works "
    "when there is room") {
  temporary_directory folder;
  victim process{{"disk-full", folder.path()}};
  std::vector<json> lines;
  while (const auto line = process.read())
    lines.push_back(*line);
  CHECK(process.wait() == 0);
  REQUIRE_FALSE(lines.empty());
  if (lines.front().contains("unsupported")) {
    WARN("SKIPPED: no file system can be mounted here: " << lines.front().dump());
    return;
  }
  std::size_t refused = 0;
  for (const auto& line : lines) {
    if (!line.contains("refused"))
      continue;
    ++refused;
    INFO(line.dump());
    CHECK(line.at("refused") == "disk_full");
    CHECK(line.at("unchanged") == true);
  }
  CHECK(refused == 3);
  CHECK(lines.back().value("ended", "") == "completed");
}

} // namespace process_kill_test
