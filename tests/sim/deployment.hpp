#pragma once

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/detail/node.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/splitmix.hpp>
#include <fermata/actors/sim/network.hpp>
#include <fermata/actors/sim/world.hpp>
#include <fermata/messages/type_ids.hpp>

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <fermata_catch.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fermata::test {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// The runtimes of these tests run no blocking function.
class no_pool final : public blocking_pool {
public:
  void post(std::function<void()>) override { throw std::logic_error("nothing blocks here"); }
  [[nodiscard]] std::size_t capacity() const noexcept override { return 1; }
};

class fixed_clock final : public wall_clock {
public:
  timestamp now() override {
    return timestamp{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};
  }
};

/// One process: an actor system on the network, with a runtime if it has a store.
class process {
public:
  process(sim::network& network, const std::string& name, std::shared_ptr<memory_store> store,
          sim::network::time_point now) {
    configure(config_);
    config_.set("scheduler.policy", caf::atom("testing"));
    config_.set("logger.verbosity", caf::atom("quiet"));
    network.configure(config_, name);
    system_ = std::make_unique<caf::actor_system>(config_);
    scheduler = &dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
    scheduler->advance_time(now.time_since_epoch());
    if (!store)
      return;
    runtime_options options;
    options.store = std::move(store);
    options.journal_thread = false;
    options.fire_timers = false;
    options.clock = std::make_shared<fixed_clock>();
    options.random = std::make_shared<sim::seeded_random>(1);
    options.pool = std::make_shared<no_pool>();
    shared = std::make_shared<detail::services>(std::move(options));
    if (auto error = shared->agents.add(default_agent().str(), script_agent()))
      throw std::logic_error(message_of(error));
    node = detail::spawn_node(*system_, shared);
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  /// Nothing that an actor does from here on leaves the process.
  ~process() {
    heard.reset();
    for (const auto& actor : {node.directory, node.journal, greeter})
      if (actor)
        caf::anon_send_exit(actor, caf::exit_reason::kill);
    for (const auto& watcher : watchers)
      caf::anon_send_exit(watcher, caf::exit_reason::kill);
    watchers.clear();
    node = {};
    greeter = {};
    while (!scheduler->jobs.empty())
      scheduler->run_once();
    CHECK(system_->registry().running() == 0);
  }

  [[nodiscard]] caf::actor_system& system() { return *system_; }

private:
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;

public:
  caf::scheduler::test_coordinator* scheduler = nullptr;
  detail::services_ptr shared;
  detail::node node;
  std::vector<caf::actor> watchers;
  caf::actor greeter; ///< What a node without a store has for a directory.
  /// Told of answers, while the process lives.
  std::shared_ptr<std::function<void(std::string)>> heard;
};

/// Says `pong`, and notes who asks for what.
inline caf::behavior greeter(caf::event_based_actor*,
                             std::function<void(const std::string&)> note) {
  return {[note](const std::string& what) {
    note("got " + what);
    return "pong " + what;
  }};
}

inline std::string text(const std::string& what) {
  return what;
}
inline std::string text(const receipt& what) {
  return enum_name(what.kind);
}
inline std::string text(const caf::error& error) {
  if (error.category() == error_category)
    return std::string{name_of(code_of(error))};
  if (error.category() == caf::atom("system"))
    return to_string(static_cast<caf::sec>(error.code()));
  if (error.category() == caf::atom("exit"))
    return to_string(static_cast<caf::exit_reason>(error.code()));
  return "CAF's " + std::to_string(error.code());
}

/// Asks, and tells `heard` what came of it, if that is still there.
template <class Answer, class Message>
void asking(caf::event_based_actor* self,
            const std::weak_ptr<std::function<void(std::string)>>& heard, const std::string& label,
            const caf::actor& whom, milliseconds timeout, const Message& message) {
  const auto tell = [heard](std::string what) {
    if (const auto listener = heard.lock())
      (*listener)(std::move(what));
  };
  self->request(whom, timeout, message)
      .then([=](const Answer& answer) { tell(label + " gets " + text(answer)); },
            [=](const caf::error& error) { tell(label + " fails: " + text(error)); });
}

/// Tells `heard` when `whom` is gone.
inline caf::behavior watching(caf::event_based_actor* self,
                              const std::weak_ptr<std::function<void(std::string)>>& heard,
                              const std::string& label, const caf::actor& whom) {
  self->monitor(whom);
  self->set_down_handler([heard, label](const caf::down_msg& down) {
    if (const auto listener = heard.lock())
      (*listener)(label + " is gone: " + text(down.reason));
  });
  return {[](caf::unit_t) {}};
}

/// A few nodes on a network, run by one source of chance, with a trace in words of our own.
class deployment {
public:
  explicit deployment(std::uint64_t seed) : net{seed}, schedule{seed + 1} {}
  ~deployment() {
    for (auto& [name, one] : processes)
      if (one)
        net.leave(name);
  }

  /// Starts a node, with a runtime if it has a store.
  void start(const std::string& name, std::shared_ptr<memory_store> store = nullptr) {
    auto& one = processes[name];
    REQUIRE_FALSE(one);
    ++starts[name];
    one = std::make_unique<process>(net, name, store, now);
    one->heard = std::make_shared<std::function<void(std::string)>>(
        [this](const std::string& what) { note(what); });
    if (!store)
      one->greeter = one->system().spawn(
          greeter, std::function<void(const std::string&)>{
                       [this, name](const std::string& what) { note(name + " " + what); }});
    stores[name] = std::move(store);
    net.join(name, one->shared ? one->node.directory : one->greeter);
  }
  void crash(const std::string& name) {
    note(name + " crashes");
    net.kill(name);
    if (const auto& store = stores.at(name))
      store->crash();
    processes.at(name).reset();
    if (const auto& store = stores.at(name))
      store->restart();
  }
  /// Ends a node in order.
  void stop(const std::string& name) {
    note(name + " stops");
    net.leave(name);
    processes.at(name).reset();
  }
  void restart(const std::string& name) { start(name, stores.at(name)); }

  [[nodiscard]] bool is_up(const std::string& name) const {
    const auto found = processes.find(name);
    return found != processes.end() && found->second;
  }

  /// Connects, asks and notes what became of it, under the label.
  template <class Answer, class Message>
  void ask(const std::string& from, const std::string& to, std::string label, Message message,
           milliseconds timeout = 20s) {
    net.connect(from, to, timeout, [this, from, label, timeout, message](result<caf::actor> found) {
      if (!found)
        return note(label + " is not connected: " + text(found.error()));
      auto& one = *processes.at(from);
      one.system().template spawn<caf::hidden>(
          asking<Answer, Message>, std::weak_ptr<std::function<void(std::string)>>{one.heard},
          label, std::move(*found), timeout, message);
    });
  }

  /// Connects, and sends all of them, one behind the other.
  void send(const std::string& from, const std::string& to, std::vector<std::string> messages) {
    net.connect(from, to, 20s, [messages = std::move(messages)](const result<caf::actor>& found) {
      if (found)
        for (const auto& message : messages)
          caf::anon_send(*found, message);
    });
  }

  /// Connects, and notes when the directory is gone.
  void watch(const std::string& from, const std::string& to, const std::string& label) {
    net.connect(from, to, 20s, [this, from, label](result<caf::actor> found) {
      if (!found)
        return note(label + " is not connected: " + text(found.error()));
      auto& one = *processes.at(from);
      one.watchers.push_back(one.system().spawn<caf::hidden>(
          watching, std::weak_ptr<std::function<void(std::string)>>{one.heard}, label, *found));
    });
  }

  void note(const std::string& what) {
    trace.push_back(
        std::to_string(std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count())
        + " " + what);
  }
  /// One thing happens, somewhere. False: nothing can without the passing of time.
  bool step() {
    const auto deliverable = net.ready(now);
    auto choices = deliverable;
    for (const auto& [name, one] : processes)
      choices += one ? one->scheduler->jobs.size() : 0;
    if (choices == 0)
      return false;
    auto chosen = schedule.below(choices);
    // Two runs that differ in anything that could have happened are not the same.
    digest = detail::mixed(digest + choices * 1'000 + chosen);
    if (chosen < deliverable) {
      net.deliver(chosen);
      return true;
    }
    chosen -= deliverable;
    for (const auto& [name, one] : processes) {
      auto& jobs = one ? one->scheduler->jobs : none;
      if (chosen < jobs.size()) {
        std::rotate(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(chosen),
                    jobs.begin() + static_cast<std::ptrdiff_t>(chosen) + 1);
        one->scheduler->run_once();
        return true;
      }
      chosen -= jobs.size();
    }
    return false;
  }
  void run() {
    while (step())
      continue;
  }
  /// Lets time pass from one thing that is due to the next.
  void advance(milliseconds duration) {
    run();
    const auto end = now + duration;
    while (now < end) {
      auto to = end;
      if (const auto next = net.next())
        to = std::min(to, *next);
      for (const auto& [name, one] : processes)
        if (one && !one->scheduler->clock().schedule().empty())
          to = std::min(to, std::max(one->scheduler->clock().schedule().begin()->first, now + 1ns));
      const auto pass = to - now;
      now = to;
      for (const auto& [name, one] : processes)
        if (one)
          one->scheduler->advance_time(pass);
      run();
    }
  }

  sim::network net;
  sim::seeded_random schedule;
  std::uint64_t digest = 0; ///< Of each step, and of what it was chosen from.
  sim::network::time_point now{};
  std::vector<std::string> trace;
  std::map<std::string, std::unique_ptr<process>> processes;
  std::map<std::string, std::shared_ptr<memory_store>> stores;
  std::map<std::string, int> starts;

private:
  std::deque<caf::resumable*> none;
};

} // namespace fermata::test
