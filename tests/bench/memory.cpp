#include "stored_sessions.hpp"
#include "subjects.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <temporary_directory.hpp>

#include <malloc.h>

#include <array>
#include <deque>
#include <thread>

namespace fermata::bench {

namespace {

runtime_options options_in(const std::string& directory) {
  return options_over(must(lmdb_store::open(directory)));
}

/// Without what the allocator keeps in reserve.
double trimmed_memory() {
  ::malloc_trim(0);
  return own_memory();
}

template <class Condition>
void wait_until(Condition is_met) {
  while (!is_met())
    std::this_thread::sleep_for(1ms);
}

void wake_all(runtime& rt, const std::vector<session_id>& ids) {
  constexpr std::size_t at_once = 64;
  std::deque<std::future<result<receipt>>> sent;
  for (const auto& id : ids) {
    sent.push_back(rt.session(id).wake());
    if (sent.size() < at_once)
      continue;
    must(sent.front().get());
    sent.pop_front();
  }
  for (auto& one : sent)
    must(one.get());
}

/// DIRECTORY PREFIX COUNT UNPACKED: the memory that each further session takes which waits and is
/// resident, where so many that were used last are unpacked.
std::vector<double> resident_bytes(std::span<const std::string> arguments) {
  const auto count = std::stoul(arguments[2]);
  auto options = options_in(arguments[0]);
  options.limits.resident_sessions = static_cast<std::uint32_t>(count);
  options.pack_after = 20ms;
  options.limits.unpacked_sessions = static_cast<std::uint32_t>(std::stoul(arguments[3]));
  const auto unpacked = std::min<std::size_t>(options.limits.unpacked_sessions, count);
  runtime rt{std::move(options)};
  rt.start();
  const auto ids = numbered_ids(arguments[1], count);
  // Where all are unpacked, the first stands for what the runtime takes by itself.
  const auto first = unpacked == count ? 1 : unpacked;
  auto seen = first;
  wake_all(rt, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(seen)});
  const auto before = trimmed_memory();
  // A part at a time: what one has unpacked, the next one uses again.
  for (const auto part = std::max<std::size_t>(count / 100, 1); seen < count;) {
    const auto from = ids.begin() + static_cast<std::ptrdiff_t>(seen);
    seen = std::min(seen + part, count);
    wake_all(rt, {from, ids.begin() + static_cast<std::ptrdiff_t>(seen)});
    wait_until([&] { return rt.load().packed_sessions + unpacked >= seen; });
  }
  expect(rt.load().resident_sessions == count, "all are resident");
  return {(trimmed_memory() - before) / static_cast<double>(count - first)};
}

/// DIRECTORY SESSIONS: the memory of a process over a store: at its start, and each time that so
/// many sessions were resident and have left.
std::vector<double> passivated_bytes(std::span<const std::string> arguments) {
  auto options = options_in(arguments[0]);
  options.passivate_after = 100ms;
  runtime rt{std::move(options)};
  rt.start();
  std::vector<double> memory{trimmed_memory()};
  const auto ids = numbered_ids("small-", std::stoul(arguments[1]));
  for (auto i = 0; i < 2; ++i) {
    wake_all(rt, ids);
    wait_until([&] { return rt.load().resident_sessions == 0; });
    memory.push_back(trimmed_memory());
  }
  return memory;
}

} // namespace

const child_task resident_child{"resident", resident_bytes};
const child_task passivated_child{"passivated", passivated_bytes};

namespace {

std::vector<measurement> run_resident(const context& in) {
  const auto store = paused_sessions(in, in.stored);
  std::vector<measurement> lines;
  const auto add = [&](const std::string& prefix, std::size_t count, std::size_t subtasks,
                       bool packed) {
    const auto unpacked = packed ? count / 100 : count;
    std::vector<double> whole;
    std::vector<double> beyond;
    const auto data = static_cast<double>(template_session{calling_plan(subtasks)}.record_bytes());
    for (std::size_t i = 0; i < in.rounds; ++i) {
      whole.push_back(in_child(resident_child, {store.directory, prefix, std::to_string(count),
                                                std::to_string(unpacked)})[0]);
      beyond.push_back(whole.back() - data);
    }
    const auto what = std::string{packed ? "" : "unpacked: "} + "a session of "
                      + std::to_string(subtasks) + " subtasks";
    const auto reach = packed ? "<= 3 KB" : "3 KB";
    lines.push_back(measurement{what + ", beyond its data", "bytes", beyond}.against(3'000, reach));
    lines.push_back(measurement{"  in all", "bytes", whole}.against(data, "its records' bytes"));
  };
  for (const auto packed : {true, false}) {
    add("small-", std::min<std::size_t>(store.count, 20'000), 1, packed);
    add("cold-", store.special, 10, packed);
  }
  return lines;
}

std::vector<measurement> run_passivated(const context& in) {
  constexpr double megabyte = 1'000'000;
  const auto full = paused_sessions(in, in.stored);
  const test::temporary_directory empty{in.directory};
  const auto visitors = std::min<std::size_t>(full.count, 10'000);
  std::array<std::vector<double>, 3> memory;
  std::vector<double> nothing;
  for (std::size_t i = 0; i < in.rounds; ++i) {
    nothing.push_back(in_child(passivated_child, {empty.path(), "0"})[0] / megabyte);
    const auto got = in_child(passivated_child, {full.directory, std::to_string(visitors)});
    for (std::size_t column = 0; column < memory.size(); ++column)
      memory[column].push_back(got.at(column) / megabyte);
  }
  const auto limit = median(nothing) + 64;
  const auto line = [&](const std::string& what, std::size_t column) {
    return measurement{what, "MB", memory[column]}.against(limit,
                                                           "the empty process + 64 MB; <= 1");
  };
  return {line(std::to_string(full.count) + " paused sessions", 0),
          line("  " + std::to_string(visitors) + " were resident, and left", 1),
          line("  again", 2),
          {"  the empty process", "MB", nothing}};
}

} // namespace

const subject resident{"resident", "Memory (RssAnon) of a session that waits and is in memory.",
                       run_resident};
const subject passivated{"passivated", "Memory (RssAnon) of a process whose sessions are on disk.",
                         run_passivated};

} // namespace fermata::bench
