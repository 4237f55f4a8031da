#include <fermata/actors/sim/world.hpp>

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/node.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/splitmix.hpp>

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <cassert>
#include <deque>
#include <stdexcept>

namespace fermata::sim {

std::uint64_t seeded_random::next() {
  state_ += 0x9E3779B97F4A7C15u;
  return detail::mixed(state_);
}

namespace {

/// Wall time that passes only when the world says so.
class virtual_clock final : public wall_clock {
public:
  timestamp now() override { return now_; }
  std::chrono::steady_clock::time_point steady() override { return steady_; }
  void pass(std::chrono::milliseconds duration) {
    now_ += duration;
    steady_ += duration;
  }
  void set(timestamp to) { now_ = to; }

private:
  timestamp now_{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};
  std::chrono::steady_clock::time_point steady_;
};

/// Blocking functions, run by the world one at a time, when their turn comes.
class simulated_pool final : public blocking_pool {
public:
  explicit simulated_pool(std::size_t capacity) : capacity_{capacity} {}
  void post(std::function<void()> job) override { jobs.push_back(std::move(job)); }
  [[nodiscard]] std::size_t capacity() const noexcept override { return capacity_; }

  std::deque<std::function<void()>> jobs;

private:
  std::size_t capacity_;
};

} // namespace

/// What dies with the process.
class simulated_process {
public:
  simulated_process(const world_options& options, std::shared_ptr<memory_store> store,
                    std::shared_ptr<virtual_clock> clock, std::shared_ptr<seeded_random> random)
      : pool_{std::make_shared<simulated_pool>(options.limits.blocking_threads)} {
    configure(config_);
    config_.set("scheduler.policy", caf::atom("testing"));
    config_.set("logger.verbosity", caf::atom("quiet"));
    system_ = std::make_unique<caf::actor_system>(config_);
    scheduler_ = &dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
    runtime_options runtime;
    runtime.store = std::move(store);
    runtime.policy = options.policy;
    runtime.limits = options.limits;
    runtime.passivate_after = options.passivate_after;
    runtime.tool_grace = options.tool_grace;
    runtime.journal_thread = false;
    runtime.planner = options.planner;
    runtime.fire_timers = options.fire_timers;
    runtime.clock_check_interval = options.clock_check_interval;
    runtime.on_live = options.on_live;
    runtime.observer = options.observer;
    runtime.clock = std::move(clock);
    runtime.random = std::move(random);
    runtime.pool = pool_;
    shared = std::make_shared<detail::services>(std::move(runtime));
    if (auto error = shared->agents.add(default_agent().str(), script_agent()))
      throw std::logic_error(message_of(error));
    if (options.setup)
      options.setup(shared->agents, shared->tools);
    if (options.setup_models)
      options.setup_models(shared->models);
    node = detail::spawn_node(*system_, shared);
  }

  ~simulated_process() { kill(); }

  simulated_process(const simulated_process&) = delete;
  simulated_process& operator=(const simulated_process&) = delete;

  /// Runs one actor or one blocking function. False: nothing is runnable.
  bool step(seeded_random* random, bool tools_run = true) {
    const auto actors = scheduler_->jobs.size();
    const auto choices = actors + (tools_run ? pool_->jobs.size() : 0);
    if (choices == 0)
      return false;
    const auto chosen = random ? random->below(choices) : 0;
    if (chosen < actors) {
      const auto begin = scheduler_->jobs.begin();
      std::rotate(begin, begin + static_cast<std::ptrdiff_t>(chosen),
                  begin + static_cast<std::ptrdiff_t>(chosen) + 1);
      scheduler_->run_once();
    } else {
      auto job = std::move(pool_->jobs[chosen - actors]);
      pool_->jobs.erase(pool_->jobs.begin() + static_cast<std::ptrdiff_t>(chosen - actors));
      job();
    }
    return true;
  }

  /// Fires what is due after `duration`.
  void pass(std::chrono::milliseconds duration) { scheduler_->advance_time(duration); }

  [[nodiscard]] std::optional<caf::actor_clock::time_point> next_timeout() {
    const auto& schedule = scheduler_->clock().schedule();
    if (schedule.empty())
      return std::nullopt;
    return schedule.begin()->first;
  }
  [[nodiscard]] caf::actor_clock::time_point time() { return scheduler_->clock().now(); }

  void stop() {
    shared->stopping = true;
    caf::anon_send(node.directory, atoms::stop_atom_v);
    shared->workers.stop_all();
    while (step(nullptr))
      continue;
    caf::anon_send(node.journal, atoms::stop_atom_v);
    while (step(nullptr))
      continue;
  }

  [[nodiscard]] caf::actor_system& system() { return *system_; }
  [[nodiscard]] std::size_t actors() { return system_->registry().running(); }

  detail::services_ptr shared;
  detail::node node;

private:
  /// Nothing that an actor does from here on has an effect: the store has crashed or is replaced,
  /// and answers are ignored.
  void kill() {
    shared->options.observer.reset(); // nobody outside hears what a dying process says
    pool_->jobs.clear();
    caf::anon_send_exit(node.directory, caf::exit_reason::kill);
    caf::anon_send_exit(node.journal, caf::exit_reason::kill);
    node = {};
    while (!scheduler_->jobs.empty())
      scheduler_->run_once();
    assert(system_->registry().running() == 0 && "an actor survived its node");
  }

  caf::actor_system_config config_;
  std::shared_ptr<simulated_pool> pool_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* scheduler_ = nullptr;
};

struct world::implementation {
  implementation(std::uint64_t with_seed, world_options with_options)
      : seed{with_seed}, options{std::move(with_options)}, schedule{with_seed},
        random{std::make_shared<seeded_random>(with_seed ^ 0xA5A5A5A5A5A5A5A5u)},
        clock{std::make_shared<virtual_clock>()}, store{options.store
                                                            ? options.store
                                                            : std::make_shared<memory_store>()} {}

  void start() { process = std::make_unique<simulated_process>(options, store, clock, random); }

  void die() {
    if (!store->crashed())
      store->crash();
    ++generation;
    process.reset();
    store->restart();
    ++crashes;
    start();
  }

  template <class Body>
  ticket post(const session_id& session, Body body, std::string_view type) {
    ticket sent;
    auto message = std::make_shared<detail::delivery>();
    message->session = session;
    message->body = std::move(body);
    // Nobody outside hears what a dying process says.
    message->answer =
        detail::reply{[this, state = sent.state_, mine = generation](result<receipt> answer) {
                        if (mine == generation)
                          state->answer = std::move(answer);
                      },
                      detail::admission{process->shared->under_way}};
    message->answer.watch(detail::watch_answer(process->shared, session, type));
    caf::anon_send(process->node.directory, std::move(message));
    return sent;
  }

  std::uint64_t seed;
  world_options options;
  seeded_random schedule;
  std::shared_ptr<seeded_random> random;
  std::shared_ptr<virtual_clock> clock;
  std::shared_ptr<memory_store> store;
  std::uint64_t generation = 0;
  std::uint64_t crashes = 0;
  bool tools_held = false;
  std::unique_ptr<simulated_process> process;
};

world::world(std::uint64_t seed, world_options options)
    : implementation_{std::make_unique<implementation>(seed, std::move(options))} {
  implementation_->start();
}

world::~world() {
  ++implementation_->generation;
  implementation_->process.reset();
}

std::uint64_t world::seed() const noexcept {
  return implementation_->seed;
}

ticket world::send(const session_id& session, command body) {
  const auto type = name_of(body);
  return implementation_->post(session, std::move(body), type);
}

ticket world::wake(const session_id& session) {
  return implementation_->post(session, detail::wake{}, "wake");
}

void world::run() {
  auto& self = *implementation_;
  while (
      self.process->step(self.options.random_schedule ? &self.schedule : nullptr, !self.tools_held))
    if (self.store->crashed())
      self.die();
}

void world::advance(std::chrono::milliseconds duration) {
  auto& self = *implementation_;
  run();
  // From one timeout to the next, so that what one sets off happens before the next fires.
  for (auto left = duration; left.count() > 0;) {
    auto pass = left;
    if (const auto next = self.process->next_timeout()) {
      const auto until = std::chrono::ceil<std::chrono::milliseconds>(*next - self.process->time());
      pass = std::clamp(until, std::chrono::milliseconds{1}, left);
    }
    self.clock->pass(pass);
    self.process->pass(pass);
    left -= pass;
    run();
  }
}

void world::set_clock(timestamp to) {
  implementation_->clock->set(to);
}

void world::hold_tools(bool held) {
  implementation_->tools_held = held;
}

void world::set_policy(approval_policy policy) {
  implementation_->options.policy = std::move(policy);
}

void world::crash() {
  implementation_->die();
}

void world::restart() {
  auto& self = *implementation_;
  self.process->stop();
  ++self.generation;
  self.process.reset();
  self.start();
}

std::uint64_t world::crashes() const noexcept {
  return implementation_->crashes;
}

timestamp world::now() const {
  return implementation_->clock->now();
}

memory_store& world::store() const noexcept {
  return *implementation_->store;
}

caf::actor_system& world::system() const {
  return implementation_->process->system();
}

caf::actor world::directory() const {
  return implementation_->process->node.directory;
}

std::size_t world::actors() const {
  return implementation_->process->actors();
}

std::size_t world::resident_sessions() const {
  // Besides sessions there are the directory, the tool worker and the journal.
  constexpr std::size_t others = 3;
  return actors() > others ? actors() - others : 0;
}

std::vector<event> world::events(const session_id& session) const {
  auto found = query_events(store(), session, 1, std::numeric_limits<std::size_t>::max());
  return found ? std::move(*found) : std::vector<event>{};
}

} // namespace fermata::sim
