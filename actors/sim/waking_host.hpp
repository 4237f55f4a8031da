#pragma once

#include <fermata/actors/sim/witness.hpp>
#include <fermata/messages/ids.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace fermata::sim {

/// Does for all nodes what a host does when it starts (`session_handle::wake`, as `fermata serve`):
/// wakes the sessions that the process before it left running, since a runtime that starts looks
/// at none. A session that cannot be woken is tried again a minute later, until its process dies.
///
/// A world in which nodes die needs one, or somebody else who addresses such sessions; those that
/// wait for a timer or for somebody need nobody.
class waking_host final : public witness {
public:
  void node_down(world& in, const std::string& node) override;
  void node_up(world& in, const std::string& node) override;

private:
  void wake(world& in, const std::string& node, const session_id& session, std::uint64_t life);

  std::map<std::string, std::uint64_t> lives_; ///< How often each node has died.
};

} // namespace fermata::sim
