#include <fermata/actors/sim/monitors/pause_monitor.hpp>

namespace fermata::sim {

namespace {

/// A directory looks every half of `passivate_after`; a session that was woken without anybody
/// having seen it gets the same time again.
std::chrono::milliseconds patience(const known_node& node) {
  return 2 * node.passivate_after + std::chrono::seconds{1};
}

} // namespace

void pause_monitor::quiet(world& in) {
  bool is_at_rest = known_->running.empty();
  for (const auto& [name, node] : known_->nodes()) {
    is_at_rest = is_at_rest && node.busy_sessions == 0 && in.is_calm(name);
    check_residents(in, name, node);
  }
  if (is_at_rest)
    check_frames(in);
}

void pause_monitor::check_frames(world& in) {
  const auto frames = known_->frames();
  if (frames == 0)
    return;
  // Nodes that connect, or ask each other for something, have some; and actors of the test's own
  // may have coroutines that wait.
  bool is_asked = in.network().under_way() > 0;
  std::size_t sessions = 0;
  for (const auto& name : in.nodes()) {
    for (const auto& peer : in.peers(name))
      is_asked = is_asked || peer.state != contact_state::connected;
    if (const auto load = in.load(name)) {
      sessions += load->resident_sessions;
      is_asked = is_asked || load->commands_under_way > 0;
    }
  }
  if (!is_asked && in.resident_sessions() <= sessions)
    violate(in, "P2",
            "nothing is under way in any session, but there are " + std::to_string(frames)
                + " coroutines");
}

void pause_monitor::check_residents(world& in, const std::string& node, const known_node& known) {
  const auto load = in.load(node);
  const auto since = overstayed_.find(node);
  const bool is_at_rest =
      in.is_calm(node) && known.busy_sessions == 0 && known.active + patience(known) < in.elapsed();
  if (!load || !is_at_rest || load->resident_sessions == 0 || load->commands_under_way > 0
      || load->parked_messages > 0 || load->runs_under_way > 0) {
    if (since != overstayed_.end())
      overstayed_.erase(since);
    return;
  }
  if (since == overstayed_.end())
    overstayed_.emplace(node, in.elapsed());
  else if (since->second + patience(known) < in.elapsed())
    violate(in, "P2",
            node + " has " + std::to_string(load->resident_sessions)
                + " sessions in memory, although nothing has happened on it for "
                + std::to_string((in.elapsed() - known.active).count()) + " ms");
}

} // namespace fermata::sim
