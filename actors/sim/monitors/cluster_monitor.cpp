#include <fermata/actors/sim/monitors/cluster_monitor.hpp>

#include <fermata/actors/sim/world.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

/// Longer than all intervals in which a node tries another one again.
constexpr std::chrono::minutes longest_search{5};

} // namespace

void cluster_monitor::stored(world& in, const stored_commit& what) {
  if (in.shares_store())
    return; // that is for the ownership_monitor
  if (const auto& home = in.home(what.session); what.node != home)
    violate(in, "owned once",
            "session " + what.session.str() + " is stored on " + what.node + ", and lives on "
                + home);
}

void cluster_monitor::quiet(world& in) {
  const auto& nodes = in.nodes();
  if (!std::all_of(nodes.begin(), nodes.end(), [&](const auto& one) { return in.is_calm(one); }))
    return apart_.clear();
  for (const auto& node : nodes)
    for (const auto& peer : in.peers(node)) {
      const std::pair both{node, peer.member.name.str()};
      if (peer.state == contact_state::connected)
        apart_.erase(both);
      else if (in.elapsed() - apart_.emplace(both, in.elapsed()).first->second > longest_search)
        violate(in, "connected",
                "nothing keeps " + node + " from " + both.second + ", which is "
                    + enum_name(peer.state) + ": " + peer.reason);
    }
}

} // namespace fermata::sim
