#include <fermata/actors/runtime.hpp>

#include <fermata/actors/agents/script.hpp>
#include <fermata/actors/detail/directory.hpp>
#include <fermata/actors/detail/journal.hpp>
#include <fermata/actors/detail/node.hpp>
#include <fermata/actors/detail/services.hpp>
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
#include <shared_mutex>
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

// -- runtime
// ----------------------------------------------------------------------------------------------------------

struct runtime::implementation {
  implementation(caf::actor_system* host, runtime_options options) : joined{host} {
    detail::complete(options);
    shared = std::make_shared<detail::services>(std::move(options));
    [[maybe_unused]] const auto error = shared->agents.add(default_agent().str(), script_agent());
    assert(!error);
  }

  caf::actor_system& system() { return joined ? *joined : *own; }

  /// Shared by those who hand a message to the directory, exclusive for `start` and `stop`: what
  /// was handed over comes before the order to stop, and nothing comes after it.
  mutable std::shared_mutex gate;
  caf::actor_system* joined;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> own;
  detail::services_ptr shared;
  detail::node node;
  bool started = false;
};

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

// -- session_handle
// ---------------------------------------------------------------------------------------------------

namespace {

using callback = std::function<void(result<receipt>)>;

std::string_view type_of(const command& body) {
  return name_of(body);
}

std::string_view type_of(const detail::wake&) {
  return "wake";
}

template <class Body>
void post(runtime::implementation& to, const session_id& session, Body body, callback answer) {
  auto message = std::make_shared<detail::delivery>();
  message->answer = detail::reply{std::move(answer), detail::admission{}};
  message->answer.watch(detail::watch_answer(to.shared, session, type_of(body)));
  std::shared_lock lock{to.gate};
  auto refused = to.started
                     ? detail::check_admission(*to.shared)
                     : make_error(errc::shutting_down, "the runtime is not started, or stopped");
  if (refused) {
    lock.unlock(); // the callback may send something itself
    return message->answer(std::move(refused));
  }
  message->session = session;
  message->body = std::move(body);
  message->answer.admit(detail::admission{to.shared->under_way});
  caf::anon_send(to.node.directory, std::move(message));
}

template <class Body>
std::future<result<receipt>> post(runtime::implementation& to, const session_id& session,
                                  Body body) {
  auto promise = std::make_shared<std::promise<result<receipt>>>();
  auto future = promise->get_future();
  post(to, session, std::move(body),
       [promise](result<receipt> answer) { promise->set_value(std::move(answer)); });
  return future;
}

} // namespace

std::future<result<receipt>> session_handle::send(command body) const {
  return post(*runtime_->implementation_, id_, std::move(body));
}

void session_handle::send(command body, callback answer) const {
  post(*runtime_->implementation_, id_, std::move(body), std::move(answer));
}

std::future<result<receipt>> session_handle::wake() const {
  return post(*runtime_->implementation_, id_, detail::wake{});
}

void session_handle::wake(callback answer) const {
  post(*runtime_->implementation_, id_, detail::wake{}, std::move(answer));
}

result<session_status> session_handle::status() const {
  return query_status(runtime_->store(), id_);
}

result<std::optional<session_status>>
session_handle::wait_until_paused(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto& hub = runtime_->implementation_->shared->hub;
  hub.enter(id_);
  const auto leave = std::unique_ptr<const session_id, std::function<void(const session_id*)>>{
      &id_, [&](const session_id* id) { hub.leave(*id); }};
  for (;;) {
    auto now = status();
    if (!now)
      return std::move(now.error());
    if (!is_running(now->state))
      return std::optional{std::move(*now)};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !hub.wait_for(id_, now->events + 1, left))
      return std::optional<session_status>{};
  }
}

// -- event_watch
// -----------------------------------------------------------------------------------------------------

struct event_watch::implementation {
  implementation(detail::services_ptr with, session_id id, std::function<void(std::uint64_t)> tell)
      : shared{std::move(with)}, session{std::move(id)}, observation{shared->hub.observe(
                                                             session, std::move(tell))} {}
  ~implementation() { shared->hub.forget(session, observation); }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  detail::services_ptr shared;
  session_id session;
  std::uint64_t observation;
};

event_watch::event_watch(std::unique_ptr<implementation> made) : implementation_{std::move(made)} {}
event_watch::event_watch() noexcept = default;
event_watch::event_watch(event_watch&&) noexcept = default;
event_watch& event_watch::operator=(event_watch&&) noexcept = default;
event_watch::~event_watch() = default;

event_watch session_handle::watch(std::function<void(std::uint64_t)> committed) const {
  return event_watch{std::make_unique<event_watch::implementation>(
      runtime_->implementation_->shared, id_, std::move(committed))};
}

// -- event_stream
// -----------------------------------------------------------------------------------------------------

struct event_stream::implementation {
  implementation(detail::services_ptr with, session_id id, std::uint64_t first)
      : shared{std::move(with)}, session{std::move(id)}, next{first} {
    shared->hub.enter(session);
  }
  ~implementation() { shared->hub.leave(session); }
  implementation(const implementation&) = delete;
  implementation& operator=(const implementation&) = delete;

  /// Reads the events that are recorded, some at a time.
  caf::error refill() {
    constexpr std::size_t at_once = 256;
    auto anchor = shared->store().find(session);
    if (!anchor)
      return std::move(anchor.error());
    const auto found = *anchor ? (*anchor)->number : 0;
    if (number == 0)
      number = found;
    if (number != found)
      return make_error(errc::unknown_session, "session " + session.str() + " is deleted");
    if (number == 0)
      return caf::none; // there is none yet
    auto more = query_events(shared->store(), session, next, at_once);
    if (!more)
      return std::move(more.error());
    for (auto& one : *more)
      buffer.push_back(std::move(one));
    return caf::none;
  }

  detail::services_ptr shared;
  session_id session;
  session_number number = 0; ///< Of the one that it reads; 0: it was not there yet.
  std::uint64_t next;
  std::deque<event> buffer;
};

event_stream::event_stream(std::unique_ptr<implementation> made)
    : implementation_{std::move(made)} {}
event_stream::event_stream(event_stream&&) noexcept = default;
event_stream& event_stream::operator=(event_stream&&) noexcept = default;
event_stream::~event_stream() = default;

std::uint64_t event_stream::position() const noexcept {
  return implementation_->next;
}

result<std::optional<event>> event_stream::next(std::chrono::milliseconds timeout) {
  auto& self = *implementation_;
  if (self.buffer.empty())
    if (auto error = self.refill())
      return error;
  if (self.buffer.empty()) {
    if (!self.shared->hub.wait_for(self.session, self.next, timeout))
      return std::optional<event>{};
    if (auto error = self.refill())
      return error;
  }
  if (self.buffer.empty())
    return std::optional<event>{};
  auto first = std::move(self.buffer.front());
  self.buffer.pop_front();
  self.next = first.number + 1;
  return std::optional{std::move(first)};
}

event_stream session_handle::follow(std::uint64_t first) const {
  return event_stream{std::make_unique<event_stream::implementation>(
      runtime_->implementation_->shared, id_, std::max<std::uint64_t>(first, 1))};
}

} // namespace fermata
