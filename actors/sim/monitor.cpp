#include <fermata/actors/sim/monitor.hpp>

#include <fermata/actors/sim/monitors/answer_monitor.hpp>
#include <fermata/actors/sim/monitors/bound_monitor.hpp>
#include <fermata/actors/sim/monitors/cluster_monitor.hpp>
#include <fermata/actors/sim/monitors/durability_monitor.hpp>
#include <fermata/actors/sim/monitors/effect_monitor.hpp>
#include <fermata/actors/sim/monitors/journal_monitor.hpp>
#include <fermata/actors/sim/monitors/ownership_monitor.hpp>
#include <fermata/actors/sim/monitors/pause_monitor.hpp>
#include <fermata/actors/sim/monitors/progress_monitor.hpp>
#include <fermata/actors/sim/monitors/state_monitor.hpp>
#include <fermata/actors/sim/world.hpp>

namespace fermata::sim {

violation::violation(std::string promise, std::string text)
    : std::runtime_error{promise + ": " + text}, promise_{std::move(promise)}, text_{std::move(
                                                                                   text)} {}

void monitor::violate(world& of, std::string promise, std::string text) {
  of.report(violation{std::move(promise), std::move(text)});
}

std::vector<std::unique_ptr<monitor>> promise_monitors(const world& of) {
  const auto known = std::make_shared<ledger>(of);
  std::vector<std::unique_ptr<monitor>> all;
  all.push_back(std::make_unique<journal_monitor>(known));
  all.push_back(std::make_unique<cluster_monitor>());
  all.push_back(std::make_unique<ownership_monitor>());
  all.push_back(std::make_unique<durability_monitor>());
  all.push_back(std::make_unique<answer_monitor>(known));
  all.push_back(std::make_unique<state_monitor>(known));
  all.push_back(std::make_unique<effect_monitor>(known));
  all.push_back(std::make_unique<pause_monitor>(known));
  all.push_back(std::make_unique<progress_monitor>(known));
  all.push_back(std::make_unique<bound_monitor>(known));
  return all;
}

} // namespace fermata::sim
