#pragma once

#include <fermata/actors/sim/monitor.hpp>

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::sim {

/// What several nodes promise together, which is no promise of a session: "owned once", where each
/// has a store of its own, a session is stored on its home, and nowhere else; "connected", nodes
/// that can reach each other do.
class cluster_monitor final : public monitor {
public:
  [[nodiscard]] std::string_view name() const override {
    return "owned once: a session is stored on one node; connected: nodes find each other";
  }
  void stored(world& in, const stored_commit& what) override;
  void quiet(world& in) override;

private:
  /// By node and peer: since when one is not connected with the other, although all nodes are calm.
  std::map<std::pair<std::string, std::string>, std::chrono::milliseconds> apart_;
};

} // namespace fermata::sim
