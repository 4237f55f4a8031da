#include <fermata/actors/sim/detail/stage.hpp>

#include <algorithm>

namespace fermata::sim::detail {

namespace {

/// How long bytes take on a slow link, at most.
constexpr milliseconds slowest_link{5'000};

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
    if (at.frozen_until > elapsed) // a frozen process gets the signal when it thaws
      return at_time(at.frozen_until, [this, &at, one, life = at.life] {
        if (!faults_stopped && at.life == life)
          strike(at, one);
      });
    hits(at, one);
    stop(at);
    return bring_up_after(at, one.duration);
  case fault_kind::freeze:
    hits(at, one);
    at.frozen_until = std::max(at.frozen_until, until);
    if (is_cluster())
      links.freeze(at.name);
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
    hits(at, one);
    return clock->set(clock->now() + one.duration);
  case fault_kind::clock_back:
    hits(at, one);
    return clock->set(clock->now() - one.duration);
  case fault_kind::partition:
  case fault_kind::slow_link:
  case fault_kind::drop_connections:
    return strike_links(at, one, until);
  default:
    return;
  }
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
  for (auto& one : nodes) {
    one->store->disarm();
    one->store->fail_writes({});
    one->slow_until = one->tools_hang_until = one->slow_commits_until = milliseconds{0};
    one->next_turn = milliseconds{0};
    one->commit_due.reset();
    one->frozen_until = one->cut_until = one->slow_link_until = milliseconds{0};
    if (one->process && one->lag.count() > 0)
      thaw(*one);
    if (is_cluster())
      delay_links(*one, milliseconds{0});
    bring_up(*one);
  }
  links.repair();
}

} // namespace fermata::sim::detail
