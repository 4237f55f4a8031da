// What a simulated resume costs: resumes per second of one processor, and hours of virtual time per
// second, of worlds without monitors, with them, and with them and all faults, in turns and in one
// run.
//
// Each session has a plan of K subtasks of one client tool call each; each resume is one commit of
// some 7 events, and leads to the next call. A quick host runs a call in up to half a minute, and
// its sessions stay in memory; a slow one takes up to half an hour, and each resume activates its
// session anew. Worlds of `fermata sim` do more for each resume: people, models, queries, refused
// commands.

#include <fermata/actors/sim/coverage.hpp>
#include <fermata/actors/sim/people.hpp>
#include <fermata/actors/sim/world.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <vector>

using namespace fermata;

namespace {

struct world_kind {
  const char* name;
  bool is_quick;
  bool has_monitors;
  bool has_faults;
};

constexpr std::array kinds{world_kind{"quick host, no monitors", true, false, false},
                           world_kind{"quick host, monitors", true, true, false},
                           world_kind{"slow host, no monitors", false, false, false},
                           world_kind{"slow host, monitors", false, true, false},
                           world_kind{"slow host, monitors, faults", false, true, true}};

struct outcome {
  double resumes_per_second = 0;
  double hours_per_second = 0;
};

template <class T>
T must(result<T> value) {
  if (!value)
    throw std::runtime_error{message_of(value.error())};
  return std::move(*value);
}

/// Of this process, in seconds: a world has one thread.
double processor_time() {
  timespec now{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
    throw std::runtime_error{"the processor's time cannot be read"};
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

plan_spec calling_plan(std::size_t subtasks) {
  auto plan = must(parse_plan(
      R"({"goal": "call on", "tools": {"ask": {"kind": "client"}}, "subtasks": []})"));
  for (std::size_t i = 0; i < subtasks; ++i) {
    subtask_spec subtask;
    subtask.id = must(subtask_id::parse("t" + std::to_string(i)));
    subtask.steps = {json{{"tool", "ask"}, {"arguments", {{"text", std::string(180, 'x')}}}}};
    plan.subtasks.push_back(std::move(subtask));
  }
  return plan;
}

outcome play(const world_kind& how, std::uint64_t seed, std::size_t sessions,
             std::size_t subtasks) {
  using namespace std::chrono_literals;
  using std::chrono::milliseconds;
  const auto began = processor_time();
  sim::world in{seed};
  sim::node_options node;
  node.policy = approval_policy::allow_everything();
  in.add_node("n1", node);
  if (how.has_monitors)
    for (auto& one : sim::promise_monitors(in))
      in.add(std::move(one));
  auto& seen = in.add(std::make_unique<sim::coverage>());
  in.add(std::make_unique<sim::waking_host>());
  sim::host_character host;
  host.most_time = how.is_quick ? milliseconds{30s} : milliseconds{30min};
  in.add(std::make_unique<sim::tool_host>("host", host));
  std::vector<sim::planned_session> planned(sessions);
  for (std::size_t i = 0; i < sessions; ++i) {
    planned[i].id = must(session_id::parse("s" + std::to_string(i + 1)));
    planned[i].plans = {calling_plan(subtasks)};
  }
  in.add(std::make_unique<sim::session_author>("author", std::move(planned))).begin(in);
  if (how.has_faults)
    in.faults(sim::fault_mix{10min}, 24h);
  const auto first = in.now();
  in.run_until([&] { return seen.resumes() >= sessions * subtasks; }, 24h * 30);
  const auto took = processor_time() - began;
  const auto hours =
      std::chrono::duration<double, std::ratio<3600>>(in.now() - first).count();
  return {static_cast<double>(seen.resumes()) / took, hours / took};
}

void show(const char* name, std::vector<double> values, const char* unit) {
  std::sort(values.begin(), values.end());
  std::printf("%-27s | %9.0f %s (%.0f to %.0f)\n", name, values[values.size() / 2], unit,
              values.front(), values.back());
}

void measure(std::size_t rounds, std::size_t sessions, std::size_t subtasks) {
  std::array<std::vector<outcome>, kinds.size()> outcomes;
  for (std::size_t round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < kinds.size(); ++i)
      outcomes[i].push_back(play(kinds[i], round + 1, sessions, subtasks));
  std::printf("%zu sessions of %zu subtasks; per second of one processor, medians of %zu rounds "
              "(least to most)\n\n",
              sessions, subtasks, rounds);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    std::vector<double> resumes;
    std::vector<double> hours;
    for (const auto& one : outcomes[i]) {
      resumes.push_back(one.resumes_per_second);
      hours.push_back(one.hours_per_second);
    }
    show(kinds[i].name, resumes, "resumes");
    show("", hours, "hours");
  }
}

} // namespace

/// fermata_bench_simulation [ROUNDS] [SESSIONS] [SUBTASKS]
int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return static_cast<std::size_t>(std::max(1, argc > index ? std::atoi(argv[index]) : otherwise));
  };
  try {
    measure(argument(1, 9), argument(2, 20), argument(3, 20));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return EXIT_FAILURE;
  }
}
