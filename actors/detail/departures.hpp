#pragma once

#include <caf/actor_addr.hpp>

#include <functional>
#include <list>
#include <set>
#include <utility>

namespace fermata::detail {

/// Who waits until sessions that have another home by now are out of memory. Lives on the
/// directory.
class departures {
public:
  /// Calls `cleared` when all of these actors have ended.
  void add(std::set<caf::actor_addr> leaving, std::function<void()> cleared) {
    if (leaving.empty())
      cleared();
    else
      waiting_.push_back({std::move(leaving), std::move(cleared)});
  }

  void ended(const caf::actor_addr& who) {
    for (auto next = waiting_.begin(); next != waiting_.end();) {
      const auto one = next++;
      if (one->leaving.erase(who) == 0 || !one->leaving.empty())
        continue;
      const auto cleared = std::move(one->cleared);
      waiting_.erase(one);
      cleared();
    }
  }

private:
  struct departure {
    std::set<caf::actor_addr> leaving;
    std::function<void()> cleared;
  };

  std::list<departure> waiting_;
};

} // namespace fermata::detail
