#include <fermata/actors/sim/monitors/ownership_monitor.hpp>

#include <fermata/actors/sim/world.hpp>

#include <algorithm>

namespace fermata::sim {

namespace {

/// In so long a lease is renewed once.
constexpr std::chrono::milliseconds renewal(std::chrono::milliseconds lease) {
  return lease / 4;
}

std::string shown(const slot_owner& owner) {
  if (owner.node.empty())
    return "nobody's";
  return "that of " + owner.node.str() + ", epoch " + std::to_string(owner.epoch)
         + (owner.has_lease ? "" : ", without a lease");
}

} // namespace

void ownership_monitor::stored(world& in, const stored_commit& what) {
  if (!in.shares_store())
    return;
  const auto slot = slot_of(what.session);
  if (const auto owner = in.ownership().slots[slot]; owner.node.str() != what.node)
    violate(in, "owned once",
            "session " + what.session.str() + " is stored by " + what.node + ", and its slot "
                + std::to_string(slot) + " is " + shown(owner));
}

void ownership_monitor::slot_changed(world& in, const changed_slot& what) {
  if (what.now.epoch <= what.before.epoch)
    violate(in, "owned once",
            "slot " + std::to_string(what.slot) + " was " + shown(what.before) + ", and becomes "
                + shown(what.now) + ": the epoch has not grown");
  if (what.may_begin_effects && what.now.node != what.before.node)
    violate(in, "owned once",
            "slot " + std::to_string(what.slot) + " was " + shown(what.before) + ", and becomes "
                + shown(what.now) + ", while " + what.before.node.str()
                + " goes by its lease, and begins effects of its sessions");
}

void ownership_monitor::run_began(world& in, const tool_run& run) {
  if (!in.shares_store())
    return;
  watch_clock(in);
  const auto slot = slot_of(run.context.call.session());
  const auto owner = in.ownership().slots[slot];
  // Nobody tells a node that its lease has run out before its time; so others leave it alone.
  const bool may_lack_lease = clock_set_at_ && in.elapsed() - *clock_set_at_ < in.lease();
  if (owner.node.str() != run.node || (!owner.has_lease && !may_lack_lease))
    violate(in, "owned once",
            "run " + std::to_string(run.context.run) + " of " + run.context.call.str() + " ("
                + run.what.name.str() + ") begins on " + run.node + ", and its session's slot "
                + std::to_string(slot) + " is " + shown(owner));
}

void ownership_monitor::node_down(world& in, const std::string&) {
  undisturbed_since_ = in.elapsed();
}

void ownership_monitor::node_up(world& in, const std::string&) {
  undisturbed_since_ = in.elapsed();
}

void ownership_monitor::quiet(world& in) {
  if (!in.shares_store())
    return;
  note_able(in);
  if (looked_at_ && in.elapsed() - *looked_at_ < renewal(in.lease()))
    return;
  looked_at_ = in.elapsed();
  check_slots(in);
}

void ownership_monitor::ended(world& in) {
  if (!in.shares_store())
    return;
  note_able(in);
  check_slots(in);
}

void ownership_monitor::watch_clock(const world& in) {
  const auto ahead = in.store_clock_ahead();
  if (ahead == clock_ahead_)
    return;
  clock_ahead_ = ahead;
  clock_set_at_ = undisturbed_since_ = in.elapsed();
}

void ownership_monitor::note_able(const world& in) {
  watch_clock(in);
  std::set<std::string> able;
  for (const auto& node : in.nodes())
    if (in.is_responsive(node) && in.reaches_store(node))
      able.insert(node);
  if (able == able_)
    return;
  able_ = std::move(able);
  undisturbed_since_ = in.elapsed();
}

void ownership_monitor::check_slots(world& in) {
  const auto table = in.ownership();
  const auto takes = [&](const std::string& node) {
    return std::none_of(table.draining.begin(), table.draining.end(),
                        [&](const node_name& drains) { return drains.str() == node; });
  };
  const bool has_taker = std::any_of(able_.begin(), able_.end(), takes);
  for (std::uint32_t slot = 0; slot < session_slots; ++slot) {
    const auto text = has_taker ? fault_of(in, slot, table.slots[slot]) : std::string{};
    auto& since = wrong_since_[slot];
    if (text.empty()) {
      since.reset();
      continue;
    }
    if (!since)
      since = in.elapsed();
    const auto lasts = in.elapsed() - std::max(*since, undisturbed_since_);
    if (lasts > in.lease() + 2 * renewal(in.lease()) + std::chrono::seconds{1})
      return violate(in, "taken over",
                     "slot " + std::to_string(slot) + " is " + shown(table.slots[slot]) + "; "
                         + text + " for " + std::to_string(lasts.count())
                         + " ms in which no node has broken down or come back");
  }
}

std::string ownership_monitor::fault_of(const world& in, std::uint32_t slot,
                                        const slot_owner& owner) const {
  if (!owner.has_lease)
    return "nobody has taken it over";
  for (const auto& node : able_) {
    const auto is_owner = node == owner.node.str();
    if (in.serves(node, slot) != is_owner)
      return is_owner ? "it has not served it" : node + " has served it";
  }
  return {};
}

} // namespace fermata::sim
