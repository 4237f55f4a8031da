#include <fermata/actors/sim/detail/stage.hpp>

#include <caf/send.hpp>

#include <algorithm>

namespace fermata::sim::detail {

namespace {

/// How long bytes take on a slow link, at most.
constexpr milliseconds slowest_link{5'000};

/// After so long a node that drains is stopped, whatever it still has.
constexpr milliseconds longest_drain{600'000};

} // namespace

void stage::plan(const fault& one) {
  const auto index = planned++;
  if (left_out.contains(index))
    return;
  auto& at = node(one.node);
  const auto when = std::max(one.at, elapsed);
  at_time(when, [this, &at, one] {
    if (faults_stopped)
      return;
    if (one.turns == 0)
      strike(at, one);
    else
      strikes.emplace(steps + one.turns, std::pair{&at, one});
  });
}

void stage::strike_between_turns() {
  while (!strikes.empty() && strikes.begin()->first <= steps) {
    const auto [at, one] = strikes.extract(strikes.begin()).mapped();
    strike(*at, one);
  }
}

void stage::strike(simulated_node& at, const fault& one) {
  const auto until = elapsed + one.duration;
  if (!at.process)
    return;
  strike_store(at, one, until);
  switch (one.kind) {
  case fault_kind::crash:
    hits(at, one);
    kill(at);
    return bring_up_after(at, one.duration);
  case fault_kind::stop:
    return shut_down(at, one);
  case fault_kind::freeze:
    hits(at, one);
    return freeze(at, one.duration);
  case fault_kind::freeze_claimed:
    at.freeze_at_claim = one.duration;
    return;
  case fault_kind::slow_node:
    hits(at, one);
    at.slow_until = std::max(at.slow_until, until);
    return;
  case fault_kind::slow_commits:
    at.slow_commits_until = std::max(at.slow_commits_until, until);
    return;
  case fault_kind::tools_hang:
    hits(at, one);
    at.tools_hang_until = std::max(at.tools_hang_until, until);
    return wake_at(until);
  case fault_kind::clock_forward:
  case fault_kind::clock_back:
  case fault_kind::clock_offset:
    return strike_clock(at, one);
  case fault_kind::partition:
  case fault_kind::slow_link:
  case fault_kind::drop_connections:
    return strike_links(at, one, until);
  case fault_kind::drain:
  case fault_kind::cut_from_store:
  case fault_kind::store_away:
    return strike_shared(at, one, until);
  case fault_kind::store_clock_forward:
  case fault_kind::store_clock_back:
    return strike_store_clock(at, one);
  default:
    return;
  }
}

void stage::freeze(simulated_node& at, milliseconds duration) {
  at.frozen_until = std::max(at.frozen_until, elapsed + duration);
  if (is_cluster())
    links.freeze(at.name);
}

void stage::shut_down(simulated_node& at, const fault& one) {
  if (at.frozen_until > elapsed) // it gets the signal when it thaws
    return at_time(at.frozen_until, [this, &at, one, life = at.life] {
      if (!faults_stopped && at.life == life)
        shut_down(at, one);
    });
  if (one.kind == fault_kind::stop)
    hits(at, one);
  stop(at);
  bring_up_after(at, one.duration);
}

void stage::strike_shared(simulated_node& at, const fault& one, milliseconds until) {
  if (!common)
    return;
  hits(at, one);
  if (one.kind == fault_kind::drain) {
    const auto shut = [this, &at, one, life = at.life] {
      if (!faults_stopped && at.life == life)
        shut_down(at, one);
    };
    // What comes of it, or does not, is the same to an operator who is in a hurry.
    drain(at, [this, shut](const caf::error&) { at_time(elapsed, shut); });
    return at_time(elapsed + longest_drain, shut);
  }
  const auto all = one.kind == fault_kind::store_away;
  auto& lasts_until = all ? common->away_until : at.store_cut_until;
  lasts_until = std::max(lasts_until, until);
  for (const auto& node : nodes) {
    if (!all && node.get() != &at)
      continue;
    update_reach(*node);
    at_time(until, [this, which = node.get()] { update_reach(*which); });
  }
}

void stage::update_reach(simulated_node& at) {
  at.store->set_reachable(unreachable_until(at) <= elapsed);
}

void stage::drain(simulated_node& at, std::function<void(const caf::error&)> ended) {
  caf::anon_send(at.process->keeper, fermata::detail::drain_order{std::move(ended)});
}

void stage::strike_clock(simulated_node& at, const fault& one) {
  hits(at, one);
  if (one.kind == fault_kind::clock_offset)
    return at.clock->set_offset(one.duration);
  const auto by = one.kind == fault_kind::clock_back ? -one.duration : one.duration;
  if (is_cluster())
    at.clock->set_forward(by);
  else
    clock->set(clock->now() + by); // people live by the clock of the only machine
}

void stage::strike_store_clock(simulated_node& at, const fault& one) {
  if (!common)
    return;
  hits(at, one);
  common->clock_ahead += one.kind == fault_kind::store_clock_back ? -one.duration : one.duration;
}

void stage::strike_links(simulated_node& at, const fault& one, milliseconds until) {
  if (!is_cluster())
    return;
  hits(at, one);
  if (one.kind == fault_kind::partition) {
    at.cut_until = std::max(at.cut_until, until);
    links.partition({at.name});
    at_time(until, [this] { mend_partitions(); });
  } else if (one.kind == fault_kind::slow_link) {
    at.slow_link_until = std::max(at.slow_link_until, until);
    delay_links(at, slowest_link);
    at_time(until, [this, &at] {
      if (at.slow_link_until > elapsed)
        return;
      delay_links(at, milliseconds{0});
      for (const auto& peer : nodes) // their links with this one are theirs, too
        if (peer->slow_link_until > elapsed)
          delay_links(*peer, slowest_link);
    });
  } else {
    for (const auto& peer : nodes)
      if (peer.get() != &at)
        links.drop(at.name, peer->name);
  }
}

void stage::mend_partitions() {
  links.repair();
  for (const auto& one : nodes)
    if (one->cut_until > elapsed)
      links.partition({one->name});
}

void stage::delay_links(const simulated_node& at, milliseconds most) {
  for (const auto& peer : nodes)
    if (peer.get() != &at) {
      links.delay(at.name, peer->name, most / 100, most);
      links.delay(peer->name, at.name, most / 100, most);
    }
}

void stage::strike_store(simulated_node& at, const fault& one, milliseconds until) {
  switch (one.kind) {
  case fault_kind::crash_before:
    return at.store->fail_next(memory_fault::crash_before);
  case fault_kind::crash_inside:
    return at.store->fail_next(memory_fault::crash_inside);
  case fault_kind::crash_after:
    return at.store->fail_next(memory_fault::crash_after);
  case fault_kind::lose_ack:
    return at.store->fail_next(memory_fault::lose_ack);
  case fault_kind::failed_commit:
    return at.store->fail_next(memory_fault::io_error);
  case fault_kind::read_error:
    return at.store->fail_next_read(memory_read_fault::io_error);
  case fault_kind::flipped_bit:
    return at.store->fail_next_read(memory_read_fault::flipped_bit, schedule.next());
  case fault_kind::disk_full:
    at.disk_full_until = std::max(at.disk_full_until, until);
    at.store->fail_writes(memory_fault::disk_full);
    return at_time(until, [this, &at] {
      if (at.disk_full_until <= elapsed)
        at.store->fail_writes({});
    });
  default:
    return;
  }
}

void stage::hits(const simulated_node& at, const fault& one) {
  if (keeps_trace)
    note("fault: " + describe(one), at.name);
  pending_news.push_back(hit{&at, one.kind, true});
}

void stage::wake_at(milliseconds when) {
  at_time(when, [] {});
}

void stage::stop_faults() {
  faults_stopped = true;
  strikes.clear();
  if (common)
    common->away_until = milliseconds{0};
  for (auto& one : nodes) {
    one->store->disarm();
    one->store->fail_writes({});
    one->slow_until = one->tools_hang_until = one->slow_commits_until = milliseconds{0};
    one->next_turn = milliseconds{0};
    one->commit_due.reset();
    one->freeze_at_claim.reset();
    one->frozen_until = one->cut_until = one->slow_link_until = milliseconds{0};
    one->store_cut_until = milliseconds{0};
    if (common)
      update_reach(*one);
    if (one->process && one->lag.count() > 0)
      thaw(*one);
    if (is_cluster())
      delay_links(*one, milliseconds{0});
    bring_up(*one);
  }
  links.repair();
}

} // namespace fermata::sim::detail
