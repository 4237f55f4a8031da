#include <fermata/actors/sim/detail/stage.hpp>

#include <fermata/actors/sim/detail/summary.hpp>
#include <fermata/actors/sim/must.hpp>

#include <algorithm>
#include <stdexcept>

namespace fermata::sim::detail {

namespace {

fault_kind kind_of(memory_fault fault) {
  switch (fault) {
  case memory_fault::disk_full:
    return fault_kind::disk_full;
  case memory_fault::lose_ack:
    return fault_kind::lose_ack;
  case memory_fault::crash_before:
    return fault_kind::crash_before;
  case memory_fault::crash_inside:
    return fault_kind::crash_inside;
  case memory_fault::crash_after:
    return fault_kind::crash_after;
  default:
    return fault_kind::failed_commit;
  }
}

} // namespace

simulated_node& stage::node(const std::string& name) {
  for (auto& one : nodes)
    if (one->name == name)
      return *one;
  throw std::logic_error("the world has no node " + name);
}

simulated_node& stage::first() {
  if (nodes.empty())
    throw std::logic_error("the world has no node; add one");
  return *nodes.front();
}

simulated_process& stage::first_process() {
  if (!first().process)
    throw std::logic_error("the node " + first().name + " is down");
  return *first().process;
}

simulated_node& stage::home(const session_id& session) {
  if (common) {
    auto* owner = common->owners[slot_of(session)];
    return owner != nullptr ? *owner : first();
  }
  return is_cluster() ? node(home_of(cluster, session).name.str()) : first();
}

member_list cluster_of(const std::vector<std::string>& nodes) {
  member_list made;
  made.cluster = must(node_name::parse("simulated"));
  for (const auto& name : nodes) {
    auto& member = made.members.emplace_back();
    member.name = must(node_name::parse(name));
    member.host = name;
    member.port = network::port;
  }
  must(check(made));
  return made;
}

void stage::check_empty() const {
  if (!nodes.empty())
    throw std::logic_error("the world has nodes already, and a cluster has all from the beginning");
}

void stage::share(shared_store options, std::shared_ptr<const memory_store> begins_with) {
  auto made = std::make_unique<common_store>();
  made->options = options;
  made->data = begins_with ? begins_with->clone() : std::make_shared<memory_store>();
  seeded_random random{seed, "identity of the shared store"};
  const auto high = random.next();
  made->table = std::make_shared<memory_ownership_table>(
      [from = clock, of = made.get()] { return from->steady() + of->clock_ahead; },
      store_identity{high, random.next()});
  made->table->on_change(
      [this](std::uint32_t slot, const slot_owner& before, const slot_owner& now) {
        const auto* const of = before.node.empty() ? nullptr : &node(before.node.str());
        pending_news.push_back(moved{slot, before, now,
                                     of != nullptr && of->process && of->process->slots
                                         && of->process->slots->may_begin_effects(slot)});
      });
  common = std::move(made);
}

common_store& stage::shared() const {
  if (!common)
    throw std::logic_error("the nodes of this world share no store");
  return *common;
}

milliseconds stage::unreachable_until(const simulated_node& at) const {
  return common ? std::max(at.store_cut_until, common->away_until) : milliseconds{0};
}

simulated_node& stage::add(std::string name, node_options options) {
  if (std::find(names.begin(), names.end(), name) != names.end())
    throw std::logic_error("the world has a node " + name + " already");
  auto added = std::make_unique<simulated_node>();
  added->name = name;
  added->clock = std::make_shared<node_clock>(clock);
  if (common)
    added->store = common->data->beside();
  else
    added->store = options.store ? options.store->clone() : std::make_shared<memory_store>();
  added->options = std::move(options);
  names.push_back(std::move(name));
  return *nodes.emplace_back(std::move(added));
}

node_hello stage::hello_of(const simulated_node& at) {
  node_hello hello;
  hello.software = "simulated";
  hello.name = must(node_name::parse(at.name));
  hello.life = at.life;
  hello.members = cluster;
  hello.shares_store = common != nullptr;
  if (common)
    hello.store = common->table->identity();
  return hello;
}

membership stage::membership_of(const simulated_node& at) {
  membership member;
  member.hello = hello_of(at);
  member.prepare = [this, &at](caf::actor_system_config& config) {
    links.configure(config, at.name);
  };
  member.on_contact = [this, &at](const peer_report& with) {
    note(with.member.name.str() + " is " + enum_name(with.state)
             + (with.reason.empty() ? "" : ": " + with.reason),
         at.name);
  };
  if (!common)
    return member;
  const auto& options = common->options;
  member.ownership =
      must(memory_ownership::join(common->table, member.hello.name, at.store, options.lease));
  member.handover_patience = options.handover_patience;
  member.handover_wait = options.handover_wait;
  member.on_slots = [this, &at](const slot_report& what) { note(summary(what), at.name); };
  return member;
}

void stage::start(simulated_node& at) {
  ++at.life;
  run_hooks hooks;
  hooks.began = [this, &at](const tool& what, const tool_context& context) {
    run_began(at, what, context);
  };
  hooks.ended = [this, &at](const tool& what, const tool_context& context, const json* content,
                            bool cut_off) { run_ended(at, what, context, content, cut_off); };
  const auto member = is_cluster() ? membership_of(at) : membership{};
  at.process = std::make_unique<simulated_process>(at.options, at.store, at.clock, random_of(at),
                                                   hooks, is_cluster() ? &member : nullptr);
  watch_store(at);
  if (!is_cluster())
    return;
  links.join(at.name, at.process->gate);
  at.process->open();
}

std::shared_ptr<seeded_random> stage::random_of(const simulated_node& at) {
  auto& stream = randoms[at.name];
  if (!stream)
    stream = std::make_shared<seeded_random>(seed ^ 0xA5A5A5A5A5A5A5A5u, at.name);
  return stream;
}

void stage::watch_store(simulated_node& at) {
  at.store->on_stored(
      [this, &at](std::span<const commit> commits, std::span<const commit_outcome> outcomes) {
        if (!is_watched())
          return;
        for (std::size_t i = 0; i < commits.size(); ++i)
          if (!outcomes[i].error)
            pending_news.push_back(stored{&at, commits[i]});
      });
  at.store->on_fault(
      [this, &at](memory_fault fault) {
        pending_news.push_back(hit{&at, kind_of(fault), false});
      },
      [this, &at](memory_read_fault fault) {
        pending_news.push_back(hit{&at,
                                   fault == memory_read_fault::io_error ? fault_kind::read_error
                                                                        : fault_kind::flipped_bit,
                                   false});
      });
}

void stage::kill(simulated_node& at) {
  if (!at.process)
    return;
  if (!at.store->crashed())
    at.store->crash();
  ++at.life;
  if (is_cluster())
    links.kill(at.name);
  at.process.reset();
  at.store->restart();
  ++crashes;
  gone(at);
}

void stage::stop(simulated_node& at) {
  if (!at.process)
    return;
  at.process->stop([&] {
    tell_news();
    return !at.store->crashed();
  });
  tell_news(); // of what it held
  if (at.store->crashed())
    return kill(at); // it died while it stopped
  ++at.life;
  if (is_cluster())
    links.leave(at.name);
  at.process.reset();
  gone(at);
}

void stage::gone(simulated_node& at) {
  at.frozen_until = milliseconds{0};
  at.lag = milliseconds{0};
  at.commit_due.reset();
  at.freeze_at_claim.reset();
  at.followed.clear();
  for (auto& [number, one] : std::exchange(at.asked, {}))
    one.lose();
  note("down", at.name);
  for (const auto& one : witnesses)
    one->node_down(self, at.name);
}

void stage::bring_up(simulated_node& at) {
  if (at.process)
    return;
  // A host ends that cannot open its store, and is started again.
  if (const auto reachable = unreachable_until(at); reachable > elapsed)
    return at_time(reachable, [this, &at, dead = at.life] {
      if (at.life == dead)
        bring_up(at);
    });
  if (common)
    update_reach(at); // it may be back at this very moment
  start(at);
  note("up", at.name);
  for (const auto& one : witnesses)
    one->node_up(self, at.name);
}

void stage::bring_up_after(simulated_node& at, milliseconds delay) {
  if (delay.count() == 0)
    bring_up(at);
  else
    at_time(elapsed + delay, [this, &at, dead = at.life] {
      if (at.life == dead) // else somebody has started it in between, and perhaps stopped it again
        bring_up(at);
    });
}

} // namespace fermata::sim::detail
