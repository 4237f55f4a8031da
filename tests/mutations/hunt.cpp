#include "hunt.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <system_error>

namespace fermata::test {

namespace {

/// A world takes well under a second of processor time; one that hangs takes no more than this.
constexpr rlim_t processor_seconds = 60;
constexpr rlim_t memory_bytes = rlim_t{4} << 30;

constexpr int nothing_found = 0;
constexpr int something_found = 1;

void limit(int resource, rlim_t most) {
  const rlimit both{most, most};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

std::optional<finding> look(const mutation* planted, std::uint64_t seed, bool shares_store,
                            aim at) {
  const auto options = campaign_of(seed, shares_store);
  if (auto report = sim::run_campaign(options); report.failure)
    return finding{report.failure->promise, report.failure->text};
  if (at == aim::places)
    return std::nullopt;
  if (planted == nullptr || planted->breaks.find("P12") != std::string_view::npos)
    if (auto difference = sim::first_difference(sim::replay_seed(options, seed).seen,
                                                sim::replay_seed(options, seed).seen);
        !difference.empty())
      return finding{"P12", std::move(difference)};
  return std::nullopt;
}

void write_all(int to, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(to, text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// What the process of a seed does. It tells in lines: how often the planted code ran, the places
/// it came to, the promise, and a text of whatever lines.
[[noreturn]] void look_and_tell(const mutation* planted, std::uint64_t seed, bool shares_store,
                                aim at, int to) {
  limit(RLIMIT_CPU, processor_seconds);
  limit(RLIMIT_AS, memory_bytes);
  limit(RLIMIT_CORE, 0);
  if (planted != nullptr)
    select_mutation(planted->name);
  std::optional<finding> found;
  try {
    found = look(planted, seed, shares_store, at);
  } catch (const std::exception& thrown) {
    found = finding{"threw", thrown.what()};
  }
  std::string places;
  for (const auto name : places_reached())
    places.append(name) += ' ';
  write_all(to, std::to_string(times_mutated()) + "\n" + places + "\n"
                    + (found ? found->promise + "\n" + found->text : ""));
  // Without the destructors of a world that may be broken.
  ::_exit(found ? something_found : nothing_found);
}

std::string read_all(int from) {
  std::string text;
  char part[4096];
  for (;;) {
    const auto count = ::read(from, part, sizeof part);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return text;
    text.append(part, static_cast<std::size_t>(count));
  }
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

/// Moves what comes before `separator` out of a text.
std::string take_until(std::string& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  auto part = text.substr(0, end);
  text.erase(0, end + 1);
  return part;
}

finding ended_by(int signal) {
  if (signal == SIGXCPU || signal == SIGKILL)
    return {"hung", "it took more than " + std::to_string(processor_seconds) + " s"};
  return {"died", "signal " + std::to_string(signal)};
}

} // namespace

sim::campaign_options campaign_of(std::uint64_t seed, bool shares_store) {
  sim::campaign_options options;
  options.seeds = {seed, seed};
  options.minimise = false;
  options.share_store = shares_store;
  if (shares_store)
    options.nodes = 3;
  return options;
}

hunted_seed hunt(const mutation* planted, std::uint64_t seed, bool shares_store, aim at) {
  int ends[2];
  if (::pipe(ends) != 0)
    fail("pipe");
  std::fflush(stdout); // or the child has it, too
  const auto child = ::fork();
  if (child < 0)
    fail("fork");
  if (child == 0) {
    ::close(ends[0]);
    look_and_tell(planted, seed, shares_store, at, ends[1]);
  }
  ::close(ends[1]);
  auto told = read_all(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      fail("waitpid");
  if (WIFSIGNALED(status))
    return {ended_by(WTERMSIG(status)), 0};
  hunted_seed outcome;
  auto rest = std::move(told);
  outcome.times_mutated = std::strtoull(take_until(rest, '\n').c_str(), nullptr, 10);
  for (auto places = take_until(rest, '\n'); !places.empty();)
    outcome.reached.insert(take_until(places, ' '));
  if (WEXITSTATUS(status) == something_found) {
    auto promise = take_until(rest, '\n');
    outcome.found = finding{std::move(promise), std::move(rest)};
  } else if (WEXITSTATUS(status) != nothing_found) {
    outcome.found = finding{"died", "status " + std::to_string(WEXITSTATUS(status))};
  }
  return outcome;
}

} // namespace fermata::test
