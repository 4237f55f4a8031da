#include <fermata/actors/sim/waking_host.hpp>

#include <fermata/actors/queries.hpp>
#include <fermata/actors/sim/world.hpp>

#include <limits>

namespace fermata::sim {

namespace {

constexpr std::chrono::milliseconds waking_patience{60'000};

} // namespace

void waking_host::node_down(world&, const std::string& node) {
  ++lives_[node];
}

void waking_host::node_up(world& in, const std::string& node) {
  // A copy: faults of the disk are for those in the world.
  const auto left = query_sessions(*in.store(node).clone(), session_state::running,
                                   std::numeric_limits<std::size_t>::max());
  if (!left)
    throw violation{"P1", "the store of " + node + " is not readable: " + message_of(left.error())};
  for (const auto& one : *left)
    wake(in, node, one.session, lives_[node]);
}

void waking_host::wake(world& in, const std::string& node, const session_id& session,
                       std::uint64_t life) {
  in.after(std::chrono::milliseconds{1}, [this, &in, node, session, life] {
    if (lives_[node] != life)
      return;
    in.after(waking_patience, [this, &in, node, session, life, woken = in.wake(session)] {
      if (lives_[node] == life && !woken.accepted())
        wake(in, node, session, life);
    });
  });
}

} // namespace fermata::sim
