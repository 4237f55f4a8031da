#include "subjects.hpp"
#include "workload.hpp"

#include <fermata/actors/sim/coverage.hpp>
#include <fermata/actors/sim/people.hpp>
#include <fermata/actors/sim/world.hpp>

#include <array>

namespace fermata::bench {

namespace {

/// A quick host runs a call in up to half a minute, and its sessions stay in memory; a slow one
/// takes up to half an hour, and each resume activates its session anew. Worlds of `fermata sim` do
/// more for each resume: people, models, queries, refused commands.
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

struct rates {
  std::vector<double> resumes; ///< Per second of processor time.
  std::vector<double> hours;   ///< Of virtual time, likewise.
};

void play(const world_kind& how, std::uint64_t seed, std::size_t sessions, std::size_t subtasks,
          rates& out) {
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
  const auto hours = std::chrono::duration<double, std::ratio<3600>>(in.now() - first).count();
  out.resumes.push_back(static_cast<double>(seen.resumes()) / took);
  out.hours.push_back(hours / took);
}

std::vector<measurement> run_simulation(const context& in) {
  const auto sessions = in.sessions_or(20);
  const auto subtasks = in.subtasks != 0 ? in.subtasks : in.brief ? 5 : 20;
  std::array<rates, kinds.size()> of;
  for (std::size_t round = 0; round < in.rounds; ++round)
    for (std::size_t i = 0; i < kinds.size(); ++i)
      play(kinds[i], round + 1, sessions, subtasks, of[i]);
  std::vector<measurement> lines;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    lines.push_back(measurement{kinds[i].name, "resumes/s", of[i].resumes}.against(
        of[i].resumes, of[0].resumes, kinds[0].name));
    lines.push_back({"  virtual hours", "per s", of[i].hours});
  }
  return lines;
}

} // namespace

const subject simulation{"simulation", "Simulated resumes, and hours, per second of one processor.",
                         run_simulation};

} // namespace fermata::bench
