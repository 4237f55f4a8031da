#include <fermata/actors/cluster/detail/slot_keeper.hpp>

#include <fermata/actors/cluster/detail/peer_links.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/send.hpp>

#include <algorithm>

namespace fermata::detail {

namespace {

/// Whatever says that slots may have moved, the store is not asked more often.
constexpr std::chrono::milliseconds least_interval{50};

/// How soon a node that has not begun looks again whether it may.
constexpr std::chrono::milliseconds pause_of_beginner{100};

std::string nothing_to_drain(const std::string& why) {
  return "the node serves nothing: " + why;
}

constexpr auto no_lease = std::chrono::steady_clock::time_point::min();

/// What is certain of a lease: nobody's clock runs so much slower than the store's.
constexpr std::chrono::milliseconds certain_part(std::chrono::milliseconds lease) {
  return lease - lease / 10;
}

} // namespace

slot_keeper::slot_keeper(caf::event_based_actor* self, keeper_options options)
    : self_{self}, options_{std::move(options)}, planner_{options_.ownership->node(),
                                                          options_.handover_patience},
      others_{options_.ownership->lease()} {
  look();
}

void slot_keeper::look() {
  arm(looked_at_ ? std::max(now(), *looked_at_ + least_interval) : now());
}

void slot_keeper::tick() {
  if (!next_round_ || now() < *next_round_)
    return; // an earlier tick took its place
  next_round_.reset();
  round();
  self_->send(options_.links, homes_changed{});
  const auto pause = options_.ownership->lease() / 4;
  arm(*looked_at_ + (has_begun_ ? pause : std::min(pause, pause_of_beginner)));
  // In the past where the look has failed that was for it.
  if (const auto next = others_.next(); next && *next > options_.clock->steady())
    arm(now() + std::chrono::ceil<std::chrono::milliseconds>(*next - options_.clock->steady()));
}

void slot_keeper::arm(time at) {
  if (next_round_ && *next_round_ <= at)
    return;
  next_round_ = at;
  if (at <= now())
    self_->send(self_, atoms::tick_atom_v);
  else
    self_->delayed_send(self_, at - now(), atoms::tick_atom_v);
}

void slot_keeper::round() {
  looked_at_ = now();
  has_begun_ = has_begun_ || may_begin();
  if (has_begun_ && (is_replaced_ || renew()))
    act();
}

bool slot_keeper::may_begin() {
  if (!options_.peers)
    return true;
  // Without a lease of its own, so that those who wait are not taken for those who work.
  const auto table = options_.ownership->look();
  if (!table) {
    failed(table.error());
    return false;
  }
  const auto is_another = [&](const node_name& node) { return node != options_.ownership->node(); };
  if (std::any_of(table->nodes.begin(), table->nodes.end(), is_another)) {
    withheld_.clear();
    return true;
  }
  bool is_settled = true;
  for (const auto& one : options_.peers()) {
    if (one.has_other_store)
      strangers_[one.member.name] = one.reason;
    else if (one.state == contact_state::connected)
      strangers_.erase(one.member.name);
    is_settled = is_settled && one.state != contact_state::connecting;
  }
  if (!strangers_.empty())
    withhold();
  else
    withheld_.clear();
  return strangers_.empty() && is_settled;
}

void slot_keeper::withhold() {
  std::string why;
  for (const auto& [name, reason] : strangers_)
    why += (why.empty() ? "" : "; ") + reason;
  if (why == withheld_)
    return;
  withheld_ = std::move(why);
  report(slot_change::withheld, {}, {}, withheld_);
  end_giving(make_error(errc::not_allowed, nothing_to_drain(withheld_)));
}

bool slot_keeper::renew() {
  const auto lease = options_.ownership->lease();
  const auto asked = options_.clock->steady();
  const auto news = options_.ownership->renew(wish_);
  if (!news) {
    failed(news.error());
    return false;
  }
  if (!news->lost.empty()) {
    depart(set_of(news->lost), {});
    options_.counters->lost += news->lost.size();
    report(slot_change::lost, news->lost);
  }
  // Only now, so that no effect begins for what was lost.
  options_.map->set_lease(asked + certain_part(lease));
  if (!std::exchange(reason_, {}).empty())
    report(slot_change::renewed, {});
  return true;
}

void slot_keeper::act() {
  auto table = options_.ownership->look();
  if (!table)
    return failed(table.error());
  slot_sight sees;
  sees.forsaken = others_.look_at(*table, options_.clock->steady());
  options_.map->show(*table);
  // By a table that came so late that the lease had run out, its slots would all be for others.
  const auto& nodes = table->nodes;
  if (is_replaced_
      || std::find(nodes.begin(), nodes.end(), options_.ownership->node()) == nodes.end())
    return;
  sees.table = std::move(*table);
  sees.acquired = acquired();
  sees.leaving = leaving();
  if (options_.busy)
    sees.busy = options_.busy();
  const auto plan = planner_.next(sees, now());
  // At once: of the slots to be given no run is under way now, which may not be so for long.
  for (const auto& [to, slots] : plan.give)
    depart(set_of(slots), to);
  acquire(plan.acquire);
  if (is_replaced_)
    return;
  arrive();
  check_drain(sees);
}

void slot_keeper::acquire(const std::vector<std::uint32_t>& slots) {
  if (slots.empty())
    return;
  if (const auto got = options_.ownership->acquire(slots); !got)
    failed(got.error());
}

void slot_keeper::arrive() {
  const auto fresh = acquired() & ~leaving() & ~options_.map->served();
  if (fresh.none())
    return;
  options_.map->serve(fresh);
  options_.counters->acquired += fresh.count();
  self_->send(options_.directory, sessions_arrived{listed(fresh)});
  report(slot_change::acquired, listed(fresh));
}

void slot_keeper::depart(const slot_set& slots, node_name to) {
  options_.map->withdraw(slots);
  const auto number = ++last_departure_;
  departures_.emplace(number, departure{slots, std::move(to)});
  self_->send(options_.directory,
              sessions_departed{[keeper = caf::actor_cast<caf::actor>(self_), number] {
                caf::anon_send(keeper, departure_cleared{number});
              }});
}

void slot_keeper::cleared(std::uint64_t which) {
  const auto found = departures_.find(which);
  if (found == departures_.end())
    return;
  const auto gone = std::move(found->second);
  departures_.erase(found);
  if (!gone.to.empty() && !is_replaced_)
    hand_over(listed(gone.slots), gone.to);
  look(); // for what is to be given next, or comes back
}

void slot_keeper::hand_over(const std::vector<std::uint32_t>& slots, const node_name& to) {
  if (const auto error = options_.ownership->move(slots, to)) {
    // Not allowed where either of the two has no lease by now: what is left is looked at anew.
    if (!is(error, errc::not_allowed))
      failed(error);
    return;
  }
  options_.map->show_given(slots, to);
  options_.counters->given += slots.size();
  self_->send(options_.links, slots_offered{to});
  self_->send(options_.links, homes_changed{});
  report(slot_change::given, slots, to);
}

void slot_keeper::drain(drain_order order) {
  if (is_replaced_)
    return tell(order.ended, make_error(errc::store_busy, reason_));
  if (!withheld_.empty())
    return tell(order.ended, make_error(errc::not_allowed, nothing_to_drain(withheld_)));
  wish_ = slot_wish::give;
  options_.map->set_draining(true);
  drains_.push_back(std::move(order));
  look();
}

void slot_keeper::check_drain(const slot_sight& sees) {
  if (wish_ == slot_wish::take)
    return;
  const auto is_own = [&](const slot_owner& slot) {
    return slot.node == options_.ownership->node();
  };
  const auto& slots = sees.table.slots;
  if (!sees.table.takers().empty()) {
    // Of what is moved after the table was looked at, the next look tells.
    if (departures_.empty() && acquired().none()
        && std::none_of(slots.begin(), slots.end(), is_own))
      end_drain({});
    return;
  }
  // Those who had the slots may only be late.
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot)
    if (!slots[slot].node.empty() && !slots[slot].has_lease && !sees.forsaken.test(slot))
      return;
  end_giving(make_error(errc::not_allowed, "no other node takes the slots of node "
                                               + options_.ownership->node().str()
                                               + "; it keeps them, and does not drain"));
}

void slot_keeper::end_giving(const caf::error& why) {
  wish_ = slot_wish::take;
  options_.map->set_draining(false);
  end_drain(why);
  look(); // which says so to the others
}

void slot_keeper::end_drain(const caf::error& how) {
  for (const auto& order : std::exchange(drains_, {}))
    tell(order.ended, how);
}

void slot_keeper::leave() {
  options_.map->set_lease(no_lease);
  options_.map->withdraw(~slot_set{});
  // Where that fails the lease runs out.
  static_cast<void>(options_.ownership->leave());
  end_drain(make_error(errc::shutting_down, "the node is stopping"));
  self_->quit();
}

void slot_keeper::failed(const caf::error& why) {
  if (is(why, errc::store_busy))
    return replaced(why);
  auto reason = message_of(why);
  if (reason == reason_)
    return;
  reason_ = std::move(reason);
  report(slot_change::not_renewed, {}, {}, reason_);
}

void slot_keeper::replaced(const caf::error& why) {
  if (std::exchange(is_replaced_, true))
    return;
  reason_ = message_of(why);
  options_.map->set_lease(no_lease);
  depart(options_.map->served(), {});
  report(slot_change::replaced, {}, {}, reason_);
  end_drain(why);
}

void slot_keeper::report(slot_change change, std::vector<std::uint32_t> slots, node_name to,
                         std::string reason) {
  if (!options_.on_slots)
    return;
  slot_report made;
  made.change = change;
  made.slots = std::move(slots);
  made.to = std::move(to);
  made.reason = std::move(reason);
  made.served = options_.map->served().count();
  tell(options_.on_slots, made);
}

slot_set slot_keeper::acquired() const {
  return set_of(options_.ownership->acquired());
}

slot_set slot_keeper::leaving() const {
  slot_set slots;
  for (const auto& [number, one] : departures_)
    slots |= one.slots;
  return slots;
}

caf::behavior slot_keeper_actor(caf::stateful_actor<slot_keeper_state>* self,
                                keeper_options options) {
  const auto map = options.map;
  const auto directory = options.directory;
  self->state.body = std::make_unique<slot_keeper>(self, std::move(options));
  auto* body = self->state.body.get();
  // A node that answers nothing is to have a successor.
  self->set_down_handler([body](const caf::down_msg&) { body->leave(); });
  self->monitor(directory);
  // However it ends: nobody else would ever say that sessions have left.
  self->attach_functor([map, directory] {
    map->set_lease(no_lease);
    map->withdraw(~slot_set{});
    caf::anon_send(directory, sessions_departed{[] {}});
  });
  return {
      [body](look_at_slots) { body->look(); },
      [body](atoms::tick_atom) { body->tick(); },
      [body](departure_cleared what) { body->cleared(what.departure); },
      [body](drain_order& order) { body->drain(std::move(order)); },
      [body](close_down) { body->leave(); },
  };
}

} // namespace fermata::detail
