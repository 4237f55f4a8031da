#pragma once

#include "support.hpp"

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/detail/directory.hpp>
#include <fermata/actors/detail/node.hpp>
#include <fermata/actors/sim/detail/simulated_process.hpp>
#include <fermata/actors/sim/random.hpp>
#include <fermata/storage/memory_store.hpp>
#include <fermata/storage/session_slots.hpp>

#include <caf/actor_registry.hpp>
#include <caf/local_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Two runtimes over one store, and a test that says which of them a slot of sessions lives on.
namespace fermata::test {

/// A node's opening of the store, which refuses what it says it does.
class node_store final : public store {
public:
  explicit node_store(std::shared_ptr<memory_store> shared) : shared_{std::move(shared)} {}

  std::set<session_id> stale; ///< The commits of these get `conflict`.
  bool is_dead = false;       ///< Nothing is written any more.

  std::vector<commit_outcome> write(std::span<const commit> commits) override {
    std::vector<commit> rest;
    for (const auto& one : commits)
      if (!is_refused(one))
        rest.push_back(one);
    auto stored = shared_->write(rest);
    std::vector<commit_outcome> outcomes;
    auto next = stored.begin();
    for (const auto& one : commits) {
      if (is_refused(one))
        outcomes.emplace_back().error = make_error(errc::conflict, "another node owns it");
      else
        outcomes.push_back(std::move(*next++));
    }
    return outcomes;
  }
  result<reclaim_outcome> reclaim(std::size_t limit) override {
    if (is_dead)
      return make_error(errc::io_error, "the node is dead");
    return shared_->reclaim(limit);
  }
  result<std::optional<session_anchor>> find(const session_id& session) override {
    return shared_->find(session);
  }
  result<std::unique_ptr<view>> read() override { return shared_->read(); }

private:
  [[nodiscard]] bool is_refused(const commit& one) const {
    return is_dead || stale.contains(one.session);
  }

  std::shared_ptr<memory_store> shared_;
};

/// What somebody asked, and the answer when there is one.
using asked = std::shared_ptr<std::optional<result<receipt>>>;

/// One of the runtimes.
struct home {
  std::set<std::uint32_t> slots;   ///< Those that live here.
  bool is_certain = true;          ///< What `may_begin_effect` says.
  int stale_commits = 0;           ///< How often it was told of one.
  bool pool_runs = true;           ///< False: blocking functions wait.
  std::vector<std::string> passed; ///< The sessions of what the forwarder got.
  std::vector<fermata::detail::delivery_ptr> kept;
  caf::actor onward; ///< Who gets what the forwarder gets; null: it is kept.
  std::shared_ptr<node_store> opening;
  std::shared_ptr<sim::detail::simulated_pool> pool;
  fermata::detail::services_ptr shared;
  fermata::detail::node actors;
  caf::actor forwarder;

  home() = default;
  [[nodiscard]] bool lives_here(const session_id& session) const {
    return slots.contains(slot_of(session));
  }
  [[nodiscard]] std::uint32_t residents() const { return shared->resident; }
  /// Runs in hand, forgotten ones included.
  [[nodiscard]] std::size_t runs() const { return shared->workers.calls().size(); }
};

/// Hands on what is for sessions that live elsewhere, and back what is for sessions that live here.
inline caf::behavior forwarding(caf::event_based_actor* self, home* of) {
  return {
      [=](fermata::detail::delivery_ptr& message) {
        message->take_promise_over([self] { return self->make_response_promise(); });
        of->passed.push_back(message->session.str());
        if (of->onward)
          fermata::detail::hand_on(self, of->onward, std::move(message));
        else
          of->kept.push_back(std::move(message));
      },
      [=](follow_chunks& what) { self->delegate(of->onward, std::move(what)); },
      [](unfollow_chunks&) {},
  };
}

class two_homes {
public:
  /// All slots live on `a`.
  explicit two_homes(setup_function setup, limits bounds = {}) {
    configure(config_);
    config_.set("scheduler.policy", caf::atom("testing"));
    config_.set("logger.verbosity", caf::atom("quiet"));
    system_ = std::make_unique<caf::actor_system>(config_);
    scheduler_ = &dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
    for (std::uint32_t slot = 0; slot < session_slots; ++slot)
      a.slots.insert(slot);
    start(a, setup, bounds);
    start(b, setup, bounds);
    run();
  }
  two_homes(const two_homes&) = delete;
  two_homes& operator=(const two_homes&) = delete;
  ~two_homes() {
    held.clear();
    order.reset();
    stop(a);
    stop(b);
    CHECK(coro::live_frames() == 0);
    CHECK(system_->registry().running() == 0);
  }

  home a;
  home b;
  std::shared_ptr<memory_store> stored = std::make_shared<memory_store>();
  std::shared_ptr<sim::detail::virtual_clock> clock =
      std::make_shared<sim::detail::virtual_clock>();

  /// Until nobody has anything to do. What goes round in a circle fails.
  void run() {
    for (std::size_t turns = 0; step();)
      if (++turns > 200'000)
        throw std::logic_error{"it goes round in a circle"};
  }

  void advance(std::chrono::milliseconds duration) {
    for (run(); duration.count() > 0; run()) {
      const auto& schedule = scheduler_->clock().schedule();
      auto passing = duration;
      if (!schedule.empty())
        passing = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(
                                 schedule.begin()->first - scheduler_->clock().now()),
                             std::chrono::milliseconds{1}, duration);
      pass(passing);
      duration -= passing;
    }
  }

  asked send(home& to, const session_id& session, decltype(fermata::detail::delivery::body) body) {
    auto answer = std::make_shared<std::optional<result<receipt>>>();
    auto message = std::make_shared<fermata::detail::delivery>();
    message->session = session;
    message->body = std::move(body);
    message->answer =
        fermata::detail::reply{[answer](result<receipt> given) { *answer = std::move(given); },
                               fermata::detail::admission{to.shared->under_way}};
    caf::anon_send(to.actors.directory, std::move(message));
    return answer;
  }

  receipt accept(home& to, command body, std::string_view session = "s1") {
    const auto sent = send(to, sid(session), std::move(body));
    run();
    REQUIRE(*sent);
    INFO(message_of(**sent ? caf::error{} : (*sent)->error()));
    REQUIRE(static_cast<bool>(**sent));
    return ***sent;
  }

  /// The session's slot does not live there any more; how often `cleared` was called is counted.
  void depart(home& from, const session_id& session) {
    from.slots.erase(slot_of(session));
    tell_departed(from);
  }
  void tell_departed(home& at) {
    caf::anon_send(at.actors.directory, fermata::detail::sessions_departed{[this] { ++cleared; }});
  }
  void arrive(home& at, const session_id& session) {
    at.slots.insert(slot_of(session));
    caf::anon_send(at.actors.directory, fermata::detail::sessions_arrived{{slot_of(session)}});
  }
  void move(const session_id& session, home& from, home& to) {
    const auto before = cleared;
    depart(from, session);
    run();
    REQUIRE(cleared == before + 1);
    arrive(to, session);
    run();
  }
  int cleared = 0;
  std::string held; ///< Actors of this name get no turn.
  /// Whose turn it is; nothing: who comes first is served first.
  std::optional<sim::seeded_random> order;

  /// Dies without a word; nothing that it had is ever told.
  void kill(home& one) {
    one.opening->is_dead = true;
    one.pool->jobs.clear();
    caf::anon_send_exit(one.actors.directory, caf::exit_reason::kill);
    caf::anon_send_exit(one.actors.journal, caf::exit_reason::kill);
    one.slots.clear();
    run();
  }

  [[nodiscard]] std::string state(std::string_view session = "s1") {
    return enum_name(must(query_status(*stored, sid(session))).state);
  }
  [[nodiscard]] call_record call(std::uint64_t number, std::string_view session = "s1") {
    return must(query_call(*stored, cid(number, session)));
  }
  template <class Fact>
  [[nodiscard]] std::vector<Fact> facts(std::string_view session = "s1") {
    std::vector<Fact> found;
    for (auto& one : must(query_events(*stored, sid(session), 1, 10'000)))
      if (auto* fact = std::get_if<Fact>(&one.body))
        found.push_back(std::move(*fact));
    return found;
  }
  [[nodiscard]] caf::actor_system& system() { return *system_; }
  bool step() {
    if (order)
      return step_in_any_order();
    auto& jobs = scheduler_->jobs;
    const auto next = std::find_if_not(jobs.begin(), jobs.end(),
                                       [this](const caf::resumable* job) { return is_held(job); });
    if (next != jobs.end()) {
      std::rotate(jobs.begin(), next, next + 1);
      scheduler_->run_once();
      return true;
    }
    for (auto* one : {&a, &b})
      if (one->pool_runs && run_function(*one))
        return true;
    return false;
  }
  /// Time passes, and nobody has a turn.
  void pass(std::chrono::milliseconds duration) {
    clock->pass(duration);
    scheduler_->advance_time(duration);
  }
  /// Runs the first blocking function that waits.
  bool run_function(home& of) {
    if (!of.pool || of.pool->jobs.empty())
      return false;
    auto job = std::move(of.pool->jobs.front());
    of.pool->jobs.pop_front();
    job();
    return true;
  }

private:
  bool step_in_any_order() {
    auto& jobs = scheduler_->jobs;
    const auto ready = jobs.size() + a.pool->jobs.size() + b.pool->jobs.size();
    if (ready == 0)
      return false;
    const auto chosen = order->below(ready);
    if (chosen >= jobs.size())
      return run_function(chosen - jobs.size() < a.pool->jobs.size() ? a : b);
    const auto next = jobs.begin() + static_cast<std::ptrdiff_t>(chosen);
    std::rotate(jobs.begin(), next, next + 1);
    scheduler_->run_once();
    return true;
  }

  [[nodiscard]] bool is_held(const caf::resumable* job) const {
    const auto* actor = dynamic_cast<const caf::local_actor*>(job);
    return actor != nullptr && held == actor->name();
  }

  void start(home& one, const setup_function& setup, const limits& bounds) {
    auto router = std::make_shared<fermata::detail::session_router>();
    one.forwarder = system_->spawn(forwarding, &one);
    router->forwarder = one.forwarder;
    router->shares_store = true;
    router->is_home_of = [&one](const session_id& session) { return one.lives_here(session); };
    router->may_begin_effect = [&one](const session_id& session) {
      return one.is_certain && one.lives_here(session);
    };
    router->on_stale_commit = [&one] { ++one.stale_commits; };
    one.opening = std::make_shared<node_store>(stored);
    one.pool = std::make_shared<sim::detail::simulated_pool>(bounds.blocking_threads);
    runtime_options options;
    options.store = one.opening;
    options.policy = approval_policy::allow_everything();
    options.limits = bounds;
    options.journal_thread = false;
    options.clock = clock;
    options.random = std::make_shared<sim::seeded_random>(1);
    options.pool = one.pool;
    options.router = std::move(router);
    one.shared = std::make_shared<fermata::detail::services>(std::move(options));
    must(one.shared->agents.add(default_agent().str(), script_agent()));
    setup(one.shared->agents, one.shared->tools);
    one.actors = fermata::detail::spawn_node(*system_, one.shared);
  }

  void stop(home& one) {
    one.kept.clear();
    one.onward = {};
    one.shared->stopping = true;
    one.pool_runs = true;
    caf::anon_send(one.actors.directory, atoms::stop_atom_v);
    one.shared->workers.stop_all();
    run();
    caf::anon_send(one.actors.journal, atoms::stop_atom_v);
    caf::anon_send_exit(one.forwarder, caf::exit_reason::kill);
    run();
    one.actors = {};
    one.forwarder = {};
    one.shared.reset();
    one.pool.reset();
    run();
  }

  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  caf::scheduler::test_coordinator* scheduler_ = nullptr;
};

} // namespace fermata::test
