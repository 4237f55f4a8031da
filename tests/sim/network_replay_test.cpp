#include "deployment.hpp"

#include <temporary_directory.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace network_replay_test {

using namespace fermata;
using namespace fermata::test;

// The same seed is the same run: the trace, which says who got which message when, is compared with
// itself after other worlds in this process and in a fresh one. CAF's identities hold a process id
// and a counter that wraps at 256 systems, and its tables are ordered by them.

namespace {

constexpr std::array<const char*, 3> names = {"desk", "home", "shop"};

propose_plan proposal() {
  auto parsed = parse_plan(R"({"goal": "wait", "subtasks": [{"id": "only"}]})");
  if (!parsed)
    throw std::logic_error(message_of(parsed.error()));
  return propose_plan{std::move(*parsed)};
}

/// Three nodes that talk with each other while their links and they themselves fail.
class workload {
public:
  explicit workload(std::uint64_t seed) : all_{seed}, chance_{seed + 2} {
    all_.start("desk");
    all_.start("home", std::make_shared<memory_store>());
    all_.start("shop");
    for (const auto* from : names)
      for (const auto* to : names)
        if (from != to && chance_.below(2) == 0)
          all_.net.delay(from, to, milliseconds{chance_.below(20)},
                         milliseconds{20 + chance_.below(200)});
  }

  std::vector<std::string> run(int steps) {
    for (int i = 0; i < steps; ++i) {
      act();
      // Sometimes in the middle of what happens.
      for (auto left = chance_.below(40); left > 0; --left)
        if (!all_.step())
          break;
      if (chance_.below(3) == 0)
        all_.advance(milliseconds{chance_.below(400)});
    }
    all_.net.repair();
    for (const auto* name : names)
      if (all_.is_up(name))
        all_.net.freeze(name, false);
    all_.advance(10s);
    all_.note("the steps were " + std::to_string(all_.digest));
    return all_.trace;
  }

  /// True when the trace has one outcome of each request; of those whose asker has died since, at
  /// most one.
  [[nodiscard]] bool is_answered() const {
    return std::all_of(asked_.begin(), asked_.end(), [&](const request& each) {
      const auto outcomes =
          std::count_if(all_.trace.begin(), all_.trace.end(), [&](const std::string& line) {
            const auto at = line.find(' ') + 1;
            return line.compare(at, each.label.size(), each.label) == 0;
          });
      const auto lives = all_.is_up(each.from) && all_.starts.at(each.from) == each.start;
      return lives ? outcomes == 1 : outcomes <= 1;
    });
  }
  [[nodiscard]] deployment& nodes() { return all_; }

private:
  struct request {
    std::string from;
    int start;
    std::string label;
  };

  std::string one() { return names[chance_.below(names.size())]; }

  void ask() {
    const auto from = one();
    const auto to = one();
    if (from == to || !all_.is_up(from))
      return;
    const auto label = from + " to " + to + " #" + std::to_string(asked_.size() + 1) + ":";
    asked_.push_back({from, all_.starts.at(from), label});
    if (to != "home")
      return all_.ask<std::string>(from, to, label, label, 3s);
    const auto session = *session_id::parse("s" + std::to_string(chance_.below(8)));
    all_.ask<receipt>(from, to, label, session_command{session, proposal()}, 3s);
  }

  void act() {
    const auto node = one();
    switch (chance_.below(16)) {
    case 0:
      return all_.is_up(node) ? all_.crash(node) : all_.restart(node);
    case 1:
      return all_.is_up(node) ? all_.stop(node) : all_.restart(node);
    case 2:
      all_.note("partition of " + node);
      return all_.net.partition({node});
    case 3:
      return all_.net.hold(node, one(), chance_.below(2) == 0);
    case 4:
      return all_.net.drop(node, one());
    case 5:
      if (all_.is_up(node))
        all_.net.freeze(node, chance_.below(2) == 0);
      return;
    case 6:
    case 7:
      all_.note("repair");
      return all_.net.repair();
    default:
      return ask();
    }
  }

  deployment all_;
  sim::seeded_random chance_;
  std::vector<request> asked_;
};

std::vector<std::string> trace_of(std::uint64_t seed) {
  return workload{seed}.run(60);
}

void check_same(std::uint64_t seed, const std::vector<std::string>& one,
                const std::vector<std::string>& other) {
  if (one == other)
    return;
  const auto [here, there] = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  FAIL_CHECK("seed " << seed << ", line " << here - one.begin() + 1 << ": \""
                     << (here == one.end() ? "" : *here) << "\" and \""
                     << (there == other.end() ? "" : *there) << "\"");
}

constexpr std::uint64_t replayed_seeds = 150;

/// Reads what `[.write_traces]` has written: the traces, each behind an empty line.
std::vector<std::vector<std::string>> read_traces(const std::filesystem::path& from) {
  std::ifstream file{from};
  std::vector<std::vector<std::string>> traces;
  for (std::string line; std::getline(file, line);)
    if (line.empty())
      traces.emplace_back();
    else
      traces.back().push_back(line);
  return traces;
}

} // namespace

TEST_CASE("writes traces for another process", "[.write_traces]") {
  const auto* path = std::getenv("FERMATA_TRACES");
  REQUIRE(path != nullptr);
  std::ofstream file{path};
  for (std::uint64_t seed = 1; seed <= replayed_seeds; ++seed) {
    file << '\n';
    for (const auto& line : trace_of(seed))
      file << line << '\n';
  }
}

TEST_CASE("P12 a network's seed is the same run after 300 other worlds and in a fresh process") {
  std::vector<std::vector<std::string>> traces;
  for (std::uint64_t seed = 1; seed <= replayed_seeds; ++seed)
    traces.push_back(trace_of(seed));
  // Each has made a few systems, so that another number of them lies between the two runs.
  for (std::uint64_t seed = 1; seed <= 300; ++seed)
    static_cast<void>(workload{seed + 10'000}.run(2));
  for (std::uint64_t seed = 1; seed <= replayed_seeds; ++seed)
    check_same(seed, traces[seed - 1], trace_of(seed));

  temporary_directory folder;
  const auto file = folder.path() / "traces";
  const auto command = "FERMATA_TRACES='" + file.string() + "' '"
                       + std::filesystem::read_symlink("/proc/self/exe").string()
                       + "' '[.write_traces]' >/dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  const auto there = read_traces(file);
  REQUIRE(there.size() == replayed_seeds);
  for (std::uint64_t seed = 1; seed <= replayed_seeds; ++seed)
    check_same(seed, traces[seed - 1], there[seed - 1]);
}

TEST_CASE("once the network is repaired, every request has an answer or an error") {
  sim::network_counts sum;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    workload one{seed};
    static_cast<void>(one.run(60));
    CHECK(one.is_answered());
    CHECK(one.nodes().net.under_way() == 0);
    const auto& counts = one.nodes().net.counts();
    sum.accepted += counts.accepted;
    sum.refused += counts.refused;
    sum.broken += counts.broken;
    sum.delivered += counts.delivered;
    sum.delayed += counts.delayed;
    sum.stopped += counts.stopped;
    sum.lost += counts.lost;
  }
  // All of it has been tried, and often.
  for (const auto count :
       {sum.accepted, sum.refused, sum.broken, sum.delivered, sum.delayed, sum.stopped, sum.lost})
    CHECK(count >= 100);
}

TEST_CASE("networks that are gone leave neither memory nor files behind") {
  const auto private_kilobytes = [] {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("RssAnon:"))
        return std::stol(line.substr(line.find_first_of("0123456789")));
    throw std::runtime_error{"there is no RssAnon"};
  };
  const auto files = [] {
    const std::filesystem::directory_iterator open{"/proc/self/fd"};
    return std::distance(begin(open), end(open));
  };
  const auto make = [](std::uint64_t from, std::uint64_t to) {
    for (auto seed = from; seed < to; ++seed)
      static_cast<void>(workload{seed}.run(10));
  };
  make(0, 300);
  const auto files_before = files();
  [[maybe_unused]] const auto before = private_kilobytes();
  make(300, 1'300);
  CHECK(files() == files_before);
#ifndef __SANITIZE_ADDRESS__ // which keeps what was freed
  // A leak of one actor for each network would be a megabyte.
  CHECK(private_kilobytes() - before < 1'000);
#endif
}

} // namespace network_replay_test
