#include <fermata/actors/runtime.hpp>

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/detail/directory.hpp>
#include <fermata/actors/detail/journal.hpp>
#include <fermata/actors/detail/runtime_implementation.hpp>
#include <fermata/actors/system_seams.hpp>
#include <fermata/messages/digest.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/logger.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <cassert>
#include <mutex>
#include <stdexcept>

namespace fermata {

namespace detail {

void complete(runtime_options& options) {
  if (!options.store)
    throw std::invalid_argument("runtime_options::store is null; a runtime needs a store");
  if (!options.clock)
    options.clock = system_clock();
  if (!options.random)
    options.random = system_random();
  if (!options.pool)
    options.pool = thread_pool(options.limits.blocking_threads);
  if (options.limits.commands_at_once == 0)
    throw std::invalid_argument("limits::commands_at_once is 1 or more");
  if (options.retention.delete_finished_after
      && options.retention.delete_finished_after->count() < 0)
    throw std::invalid_argument("retention::delete_finished_after is 0 milliseconds or more");
  if (options.clock_check_interval.count() < 1)
    throw std::invalid_argument("runtime_options::clock_check_interval is 1 millisecond or more");
}

node spawn_node(caf::actor_system& system, const services_ptr& shared) {
  // Before there is anybody who does something: the directory fires timers as soon as it is there.
  shared->observe([&](auto& observer) {
    observer.started([weak = std::weak_ptr{shared}]() -> std::optional<runtime_load> {
      const auto running = weak.lock();
      return running ? std::optional{running->load()} : std::nullopt;
    });
  });
  node made;
  made.journal = shared->options.journal_thread ? system.spawn<caf::detached>(journal, shared)
                                                : system.spawn(journal, shared);
  made.directory = system.spawn(directory_actor, shared, made.journal);
  return made;
}

} // namespace detail

void configure(caf::actor_system_config& config) {
  config.add_message_types<caf::id_block::fermata>();
  config.add_error_category(
      error_category, [](std::uint8_t code, caf::atom_value category, const caf::message& context) {
        const caf::error error{code, category, context};
        return std::string{name_of(code_of(error))} + ": " + message_of(error);
      });
}

runtime::implementation::implementation(caf::actor_system* host, runtime_options options)
    : joined{host} {
  detail::complete(options);
  shared = std::make_shared<detail::services>(std::move(options));
  [[maybe_unused]] const auto error = shared->agents.add(default_agent().str(), script_agent());
  assert(!error);
}

runtime::runtime(runtime_options options)
    : implementation_{std::make_unique<implementation>(nullptr, std::move(options))} {}

runtime::runtime(caf::actor_system& host, runtime_options options)
    : implementation_{std::make_unique<implementation>(&host, std::move(options))} {}

runtime::~runtime() {
  stop();
}

agent_registry& runtime::agents() noexcept {
  return implementation_->shared->agents;
}

tool_registry& runtime::tools() noexcept {
  return implementation_->shared->tools;
}

model_registry& runtime::models() noexcept {
  return implementation_->shared->models;
}

fermata::store& runtime::store() const noexcept {
  return implementation_->shared->store();
}

runtime_load runtime::load() const {
  return implementation_->shared->load();
}

caf::actor runtime::directory() const {
  const std::shared_lock lock{implementation_->gate};
  return implementation_->node.directory;
}

void runtime::start() {
  auto& self = *implementation_;
  const std::unique_lock lock{self.gate};
  assert(!self.started && !self.shared->stopping && "a runtime is started once");
  if (!self.joined) {
    configure(self.config);
    // `stealing` sleeps between polls and answers an idle actor late.
    self.config.set("scheduler.policy", caf::atom("sharing"));
    self.own = std::make_unique<caf::actor_system>(self.config);
  }
  self.node = detail::spawn_node(self.system(), self.shared);
  // This thread now counts as a user of the system's logger, for whose last user the system's end
  // waits; but it may be another thread that stops the runtime.
  if (self.own)
    caf::logger::set_current_actor_system(nullptr);
  self.started = true;
}

void runtime::stop() {
  auto& self = *implementation_;
  detail::node node;
  {
    const std::unique_lock lock{self.gate};
    self.shared->stopping = true;
    self.started = false;
    node = std::exchange(self.node, {});
  }
  self.shared->hub.close();
  if (!node.directory)
    return;
  {
    caf::scoped_actor waiter{self.system()};
    // First the sessions, so that none of them takes a run that was cut short for one that failed.
    waiter->send(node.directory, atoms::stop_atom_v);
    self.shared->workers.stop_all();
    waiter->wait_for(node.directory);
    // The sessions are gone; what they sent to the journal comes before this.
    waiter->send(node.journal, atoms::stop_atom_v);
    waiter->wait_for(node.journal);
  }
  node = {};
  // Waits for tools that run; their outcomes find nobody, as after a crash.
  self.shared->options.pool.reset();
  self.own.reset();
}

session_id runtime::generate_id() {
  return *session_id::parse("s-"
                            + hexadecimal_digits(implementation_->shared->options.random->next()));
}

} // namespace fermata
