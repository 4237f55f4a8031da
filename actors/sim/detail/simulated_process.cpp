#include <fermata/actors/sim/detail/simulated_process.hpp>

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/cluster/detail/dialer.hpp>
#include <fermata/actors/cluster/detail/gate.hpp>
#include <fermata/actors/cluster/detail/slot_keeper.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/sim/must.hpp>

#include <caf/abstract_actor.hpp>
#include <caf/actor_registry.hpp>
#include <caf/exit_reason.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <cassert>
#include <exception>
#include <stdexcept>

namespace fermata::sim::detail {

namespace {

/// Says that a run has ended, also where its coroutine is destroyed.
class watched_run {
public:
  watched_run(const run_hooks& hooks, const tool& what, const tool_context& context)
      : hooks_{hooks}, what_{what}, context_{context} {
    hooks_.began(what_, context_);
  }
  watched_run(const watched_run&) = delete;
  watched_run& operator=(const watched_run&) = delete;
  ~watched_run() {
    if (!over_) {
      const bool throws = std::uncaught_exceptions() > 0;
      hooks_.ended(what_, context_, nullptr, !throws);
    }
  }
  /// Null: it failed. Results are lent, since copying one recurses as deep as it is nested.
  void over(const json* content) {
    over_ = true;
    hooks_.ended(what_, context_, content, false);
  }

private:
  const run_hooks& hooks_;
  const tool& what_;
  const tool_context& context_;
  bool over_ = false;
};

/// A tool and who watches it; lives as long as the registry that has the watched one.
struct watched_tool {
  tool inner;
  run_hooks hooks;
  std::shared_ptr<const bool> is_dying;
};
using watched_ptr = std::shared_ptr<const watched_tool>;

coro::task<json> run_watched(watched_ptr watched, caf::event_based_actor* self,
                             const tool_context& context) {
  if (*watched->is_dying)
    throw std::runtime_error{"its process is dead"};
  watched_run run{watched->hooks, watched->inner, context};
  auto content = co_await std::get<coroutine_tool>(watched->inner.run)(self, context);
  run.over(&content);
  co_return std::move(content);
}

tool watch(const tool& what, const run_hooks& hooks, std::shared_ptr<const bool> is_dying) {
  auto made = what;
  auto watched =
      std::make_shared<const watched_tool>(watched_tool{what, hooks, std::move(is_dying)});
  if (std::holds_alternative<blocking_tool>(what.run))
    made.run = blocking_tool{[watched](const tool_context& context) {
      watched_run run{watched->hooks, watched->inner, context};
      auto outcome = std::get<blocking_tool>(watched->inner.run)(context);
      run.over(outcome ? &*outcome : nullptr);
      return outcome;
    }};
  else if (std::holds_alternative<coroutine_tool>(what.run))
    made.run = coroutine_tool{[watched](caf::event_based_actor* self, const tool_context& context) {
      return run_watched(watched, self, context);
    }};
  return made;
}

runtime_options make_options(const node_options& options) {
  runtime_options made;
  made.policy = options.policy;
  made.limits = options.limits;
  made.passivate_after = options.passivate_after;
  made.pack_after = options.pack_after;
  made.retention = options.retention;
  made.tool_grace = options.tool_grace;
  made.journal_thread = false;
  made.planner = options.planner;
  made.fire_timers = options.fire_timers;
  made.clock_check_interval = options.clock_check_interval;
  made.on_live = options.on_live;
  made.observer = options.observer;
  return made;
}

/// A cluster that is at rest does nothing by itself, so that days pass in no time; and a node that
/// is down for hours is tried once a minute.
link_options to_others(const membership& member, const limits& limits,
                       std::shared_ptr<contact_board> board, std::shared_ptr<const slot_map> homes,
                       caf::actor middleman) {
  link_options made;
  made.hello = member.hello;
  made.on_contact = member.on_contact;
  made.timing.idle_heartbeat = std::chrono::milliseconds{0};
  made.timing.longest_retry = std::chrono::minutes{1};
  made.timing.refused_retry = std::chrono::minutes{1};
  made.max_errands = limits.runtime_queue;
  made.dialer = dialer_by(std::move(middleman), std::chrono::milliseconds{0});
  made.board = std::move(board);
  made.homes = std::move(homes);
  made.handover_wait = member.handover_wait;
  return made;
}

} // namespace

simulated_process::simulated_process(const node_options& options,
                                     std::shared_ptr<memory_store> store,
                                     std::shared_ptr<wall_clock> clock,
                                     std::shared_ptr<seeded_random> random, const run_hooks& hooks,
                                     const membership* member)
    : pool_{std::make_shared<simulated_pool>(options.limits.blocking_threads)} {
  configure(config_);
  config_.set("scheduler.policy", caf::atom("testing"));
  config_.set("logger.verbosity", caf::atom("quiet"));
  if (member != nullptr)
    member->prepare(config_);
  system_ = std::make_unique<caf::actor_system>(config_);
  scheduler_ = &dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
  auto made = make_options(options);
  made.store = std::move(store);
  made.clock = std::move(clock);
  made.random = std::move(random);
  made.pool = pool_;
  const auto started_at = made.clock->now();
  if (member != nullptr) {
    if (member->ownership)
      slots = std::make_shared<slot_map>(member->hello.name, member->hello.members, made.clock);
    links =
        system_->spawn(peer_links_actor,
                       to_others(*member, options.limits, board, slots,
                                 caf::actor_cast<caf::actor>(system_->middleman().actor_handle())));
    made.router = slots ? make_router(slots, links) : make_router(member->hello, links);
  }
  shared = std::make_shared<services>(std::move(made));
  must(shared->agents.add(default_agent().str(), script_agent()));
  tool_registry tools;
  if (options.setup)
    options.setup(shared->agents, tools);
  for (const auto& [name, one] : tools.all())
    must(shared->tools.add(watch(one, hooks, is_dying_)));
  if (options.setup_models)
    options.setup_models(shared->models);
  node = spawn_node(*system_, shared);
  if (member != nullptr) {
    gate_options to_us;
    to_us.hello = member->hello;
    to_us.started_at = started_at;
    to_us.links = links;
    to_us.board = board;
    to_us.slots = slots;
    gate = system_->spawn(gate_actor, shared, node.directory, std::move(to_us));
    if (slots)
      keep_slots(*member, shared->options.clock);
  }
  journal_ =
      dynamic_cast<const caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(node.journal));
}

void simulated_process::keep_slots(const membership& member, std::shared_ptr<wall_clock> clock) {
  keeper_options options;
  options.ownership = member.ownership;
  options.map = slots;
  options.clock = std::move(clock);
  options.directory = node.directory;
  options.links = links;
  options.busy = [shared = shared] {
    slot_set busy;
    for (const auto& call : shared->workers.calls())
      busy.set(slot_of(call.session()));
    return busy;
  };
  options.handover_patience = member.handover_patience;
  options.on_slots = member.on_slots;
  keeper = system_->spawn(slot_keeper_actor, std::move(options));
}

simulated_process::~simulated_process() {
  // Nobody outside hears what a dying process says, and nothing outside is begun.
  shared->options.observer.reset();
  shared->options.on_live = {};
  *is_dying_ = true;
  pool_->jobs.clear();
  caf::anon_send_exit(node.directory, caf::exit_reason::kill);
  caf::anon_send_exit(node.journal, caf::exit_reason::kill);
  node = {};
  shared->options.router.reset();
  for (auto* one : {&keeper, &gate, &links})
    if (*one)
      caf::anon_send_exit(std::exchange(*one, {}), caf::exit_reason::kill);
  while (ready_actors() > 0)
    run_actor(0);
  // What a worker has posted on its way out; it holds what holds the pool.
  pool_->jobs.clear();
  assert(system_->registry().running() == 0 && "an actor survived its node");
}

void simulated_process::open() {
  open_links own{gate};
  if (keeper) {
    own.directory = node.directory;
    own.keeper = keeper;
  }
  caf::anon_send(links, std::move(own));
}

void simulated_process::run_actor(std::size_t which) {
  auto& jobs = scheduler_->jobs;
  const auto chosen = jobs.begin() + static_cast<std::ptrdiff_t>(which);
  std::rotate(jobs.begin(), chosen, chosen + 1);
  scheduler_->run_once();
}

void simulated_process::run_function(std::size_t which) {
  auto& jobs = pool_->jobs;
  auto job = std::move(jobs[which]);
  jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(which));
  job();
}

std::uint64_t simulated_process::id_of(std::size_t which) const {
  const auto* actor = dynamic_cast<const caf::abstract_actor*>(scheduler_->jobs[which]);
  return actor != nullptr ? actor->id() : 0;
}

std::optional<std::size_t> simulated_process::place_of_journal() const {
  const auto& jobs = scheduler_->jobs;
  const auto found = std::find(jobs.begin(), jobs.end(), journal_);
  if (found == jobs.end())
    return std::nullopt;
  return static_cast<std::size_t>(found - jobs.begin());
}

std::optional<std::chrono::milliseconds> simulated_process::next_timeout() const {
  const auto& schedule = scheduler_->clock().schedule();
  if (schedule.empty())
    return std::nullopt;
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(schedule.begin()->first
                                                               - scheduler_->clock().now()),
                  std::chrono::milliseconds{1});
}

bool simulated_process::run_all(const std::function<bool()>& between) {
  while (ready_actors() > 0 || ready_functions() > 0) {
    ready_actors() > 0 ? run_actor(0) : run_function(0);
    if (!between())
      return false;
  }
  return true;
}

void simulated_process::stop(const std::function<bool()>& between) {
  shared->stopping = true;
  caf::anon_send(node.directory, atoms::stop_atom_v);
  shared->workers.stop_all();
  if (!run_all(between))
    return;
  caf::anon_send(node.journal, atoms::stop_atom_v);
  for (const auto* one : {&keeper, &gate, &links})
    if (*one)
      caf::anon_send(*one, close_down{});
  static_cast<void>(run_all(between));
}

} // namespace fermata::sim::detail
