#include <fermata/actors/sim/detail/stage.hpp>

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

simulated_node& stage::add(std::string name, node_options options) {
  if (std::find(names.begin(), names.end(), name) != names.end())
    throw std::logic_error("the world has a node " + name + " already");
  auto added = std::make_unique<simulated_node>();
  added->name = name;
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
  return hello;
}

void stage::start(simulated_node& at) {
  ++at.life;
  run_hooks hooks;
  hooks.began = [this, &at](const tool& what, const tool_context& context) {
    run_began(at, what, context);
  };
  hooks.ended = [this, &at](const tool& what, const tool_context& context, const json* content,
                            bool cut_off) { run_ended(at, what, context, content, cut_off); };
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
  at.process = std::make_unique<simulated_process>(at.options, at.store, clock, random_of(at),
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
