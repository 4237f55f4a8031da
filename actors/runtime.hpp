#pragma once

#include <fermata/actors/agent.hpp>
#include <fermata/actors/live.hpp>
#include <fermata/actors/model.hpp>
#include <fermata/actors/observer.hpp>
#include <fermata/actors/policy.hpp>
#include <fermata/actors/queries.hpp>
#include <fermata/actors/retention.hpp>
#include <fermata/actors/seams.hpp>
#include <fermata/actors/tool.hpp>
#include <fermata/messages/chunk.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/limits.hpp>
#include <fermata/storage/store.hpp>

#include <caf/actor.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>

namespace fermata {

namespace detail {
struct session_router;
}

/// What a runtime is made of. Everything but `store` has a default.
struct runtime_options {
  std::shared_ptr<fermata::store>
      store; ///< Shared with the runtime, which is the only one that writes through it.
  approval_policy policy;
  fermata::limits limits;
  /// A session that is not running anything is passivated when no command has come for so long.
  std::chrono::milliseconds passivate_after{60'000};
  /// Where more than `limits::unpacked_sessions` are in memory, one that nobody has addressed for
  /// so long is packed; if it is at work then, as soon as it rests. Packing and unpacking cost as
  /// much as a resume where the plan is small, and are linear in the plan; no session pays for it
  /// more than once in that time.
  std::chrono::milliseconds pack_after{10'000};
  /// True: the journal commits on a thread of its own. False: on the actor system's threads
  /// (simulation).
  bool journal_thread = true;
  fermata::retention retention; ///< What is deleted by itself.
  /// The agent that turns a user's message into a plan while none is live; empty: nobody does.
  agent_name planner;
  /// True: timers fire while the runtime is started. False: a session's timers fire when the
  /// session is addressed, and only then (a program that applies one command and ends).
  bool fire_timers = true;
  /// How long at most until the wall clock is looked at again while a timer is armed: a clock that
  /// is set forward is noticed within it.
  std::chrono::milliseconds clock_check_interval{60'000};
  /// How long a blocking tool may go on after it was told to stop because its time is up.
  std::chrono::milliseconds tool_grace{10'000};
  /// Gets the live updates of all sessions that live here; absent: nobody does. Those of one
  /// session, wherever it lives: `session_handle::listen`. What it throws ends there.
  live_observer on_live;
  std::shared_ptr<runtime_observer> observer; ///< Null: nobody is told what happens.
  std::shared_ptr<wall_clock> clock;          ///< Null: the system's clock.
  std::shared_ptr<random_source> random;      ///< Null: the system's entropy.
  std::shared_ptr<blocking_pool> pool;        ///< Null: `limits.blocking_threads` threads.
  /// Set by `cluster_node`. Null: all sessions live in this runtime.
  std::shared_ptr<const detail::session_router> router;

  runtime_options() = default;
};

/// Registers Fermata's message types and error category. A host that lends its actor system calls
/// it on the configuration before it makes the system.
void configure(caf::actor_system_config& config);

class runtime;

/// Reads a session's events: first those recorded, then each as it is committed, without gap or
/// repetition; from whichever node it lives on. Used by one thread at a time; must not outlive the
/// runtime.
class event_stream {
public:
  event_stream(event_stream&&) noexcept;
  event_stream& operator=(event_stream&&) noexcept;
  ~event_stream();

  /// Waits for the next event. Nothing: none came in time, or the runtime stopped. It has a greater
  /// number than `position` where what was asked for was dropped. Errors: `unknown_session` when
  /// the session that it came from is deleted, also where another one has its id by now; those of
  /// `store`; `node_unavailable`, after which it goes on where it was when asked again. Where nodes
  /// share a store, a session that moves to another one is followed there: the error says then that
  /// no node had it for as long as there was time.
  [[nodiscard]] result<std::optional<event>> next(std::chrono::milliseconds timeout);

  /// The number of the event that `next` gives next.
  [[nodiscard]] std::uint64_t position() const noexcept;

  class implementation;

private:
  friend class session_handle;
  explicit event_stream(std::unique_ptr<implementation>);
  std::unique_ptr<implementation> implementation_;
};

/// Has a function called when a session has committed events, until it is destroyed: for hosts that
/// wait for many sessions with few threads, where `event_stream` takes one for each. Movable.
class event_watch {
public:
  event_watch() noexcept; ///< Watches nothing.
  event_watch(event_watch&&) noexcept;
  event_watch& operator=(event_watch&&) noexcept;
  /// When it returns, the function does not run and is not called any more.
  ~event_watch();

  class implementation;

private:
  friend class session_handle;
  explicit event_watch(std::unique_ptr<implementation>);
  std::unique_ptr<implementation> implementation_;
};

/// Has a function called with a session's live updates, until it is destroyed. Movable.
class live_watch {
public:
  live_watch() noexcept; ///< Listens to nothing.
  live_watch(live_watch&&) noexcept;
  live_watch& operator=(live_watch&&) noexcept;
  /// When it returns, the functions do not run and are not called any more. Not to be called by
  /// them.
  ~live_watch();

  class implementation;

private:
  friend class session_handle;
  explicit live_watch(std::unique_ptr<implementation>);
  std::unique_ptr<implementation> implementation_;
};

/// How a command is sent.
struct send_options {
  /// How long it may wait where the session's node cannot be reached. 0: not at all. Where nodes
  /// share a store, one that believes to have the session, and has it no more, answers
  /// `node_unavailable` at once all the same; nothing was done, and it is safe to send it again.
  std::chrono::milliseconds wait_for_node{0};

  send_options() = default;
  explicit send_options(std::chrono::milliseconds wait) : wait_for_node{wait} {}
};

/// Talks to one session from plain threads, wherever it lives. Copyable; must not outlive the
/// runtime.
///
/// All of it: `node_unavailable` where the session lives on a node of a cluster that cannot be
/// reached, and nothing was done; `timed_out` where that node could not be reached any more when it
/// had the command, which may have been carried out then; it can be sent again, since the same
/// decision, answer or result is a duplicate.
class session_handle {
public:
  [[nodiscard]] const session_id& id() const noexcept { return id_; }

  /// Sends a command. The future has the receipt once the command is durable (P1), or the error; it
  /// is always fulfilled: with `shutting_down` if the runtime stops first. Errors: those of the
  /// command; `unknown_session`, `overloaded`, `disk_full`, `io_error`, `store_corrupt`.
  [[nodiscard]] std::future<result<receipt>> send(command body, send_options how = {}) const;

  /// The same with a callback, called once, on a thread of the runtime; it must not block. What it
  /// throws ends there.
  void send(command body, std::function<void(result<receipt>)> callback,
            send_options how = {}) const;

  /// The last committed state (not in a callback, if on another node). Errors: `unknown_session`.
  [[nodiscard]] result<session_status> status() const;

  /// Waits until the session no longer moves by itself: its state is not `running`. Nothing: not in
  /// time. Errors: those of `event_stream::next`.
  [[nodiscard]] result<std::optional<session_status>>
  wait_until_paused(std::chrono::milliseconds timeout) const;

  /// Wakes the session if it has unfinished work, as after a crash: what its process left running
  /// goes on, or asks.
  [[nodiscard]] std::future<result<receipt>> wake() const;

  /// The same with a callback, as for `send`.
  void wake(std::function<void(result<receipt>)> callback) const;

  /// Streams the session's events from number `first` (counted from 1).
  [[nodiscard]] event_stream follow(std::uint64_t first) const;

  /// Calls `committed` with the number of the session's last event whenever there are more, also
  /// before the session exists; with 0 when it was deleted, or may have been. For a session on
  /// another node, or in a store that nodes share, also once it is known where it stands, and again
  /// when its node was away and is back, or is another one. The events are read with `query_events`
  /// (of a session on another node: with `follow`): who reads after he has begun to watch misses
  /// none. Called on threads of the runtime, for one session one at a time; it must not block, nor
  /// use the runtime. What it throws ends there.
  [[nodiscard]] event_watch watch(std::function<void(std::uint64_t)> committed) const;

  /// Calls `show` with each live update of the session from now on, in the order in which they are
  /// said; also before the session exists. For a session on another node, or in a store that nodes
  /// share, some may be lost: what is said while its node cannot be reached, or before that has
  /// heard that somebody listens, and while the session moves to another node; and what is said
  /// faster than it gets here (`listen_live` says how much may be on its way), of which `lost`
  /// tells how much it was, before the next that is not. All who listen to a session on one node
  /// cost one message for each update. An update is called before `event_stream` gives, and `watch`
  /// tells of, an event behind it, unless it was late. Both are called on threads of the runtime,
  /// one at a time; they must not block, end this, nor use the runtime. What they throw ends there.
  [[nodiscard]] live_watch listen(live_observer show,
                                  std::function<void(std::uint64_t)> lost = {}) const;

private:
  friend class runtime;
  session_handle(runtime& owner, session_id id) : runtime_{&owner}, id_{std::move(id)} {}
  runtime* runtime_;
  session_id id_;
};

/// The embedding entry point: sessions in this process, over one store.
///
/// Life: make it, add agents and tools, `start`, use it, `stop` (the destructor stops too). `stop`
/// refuses new commands with `shutting_down`, tells running tools to stop, waits for the journal's
/// last commit and for the blocking pool, and ends all actors. Nothing is lost: what was
/// acknowledged is durable, and a step or tool that was cut off is found at the next start as after
/// a crash. No future stays unfulfilled.
///
/// Threads: `start` and `stop` by one thread at a time; the rest from any.
class runtime {
public:
  /// With an actor system of its own (scheduler policy `sharing`).
  explicit runtime(runtime_options options);

  /// Joins the host's system, whose configuration went through `configure`. The system must outlive
  /// the runtime.
  runtime(caf::actor_system& host, runtime_options options);

  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;
  ~runtime();

  /// To be filled before `start`. Has the agent `script`.
  [[nodiscard]] agent_registry& agents() noexcept;
  [[nodiscard]] tool_registry& tools() noexcept;
  [[nodiscard]] model_registry& models() noexcept;

  void start();
  void stop();

  [[nodiscard]] session_handle session(session_id id) { return {*this, std::move(id)}; }

  /// The store, for queries about the sessions that live here.
  [[nodiscard]] fermata::store& store() const noexcept;

  /// How full it is. From any thread, before `start` and after `stop` as well.
  [[nodiscard]] runtime_load load() const;

  /// For actors: accepts `session_command` (the answer is a `receipt`), `status_query`
  /// (`session_status`) and `follow_chunks` (`chunk_batch`), or refuses with an error. The only
  /// address that is handed out (P2).
  [[nodiscard]] caf::actor directory() const;

  /// A new random session id, `s-` and 16 hexadecimal digits.
  [[nodiscard]] session_id generate_id();

  struct implementation;

private:
  friend class session_handle;
  friend class cluster_node;
  std::unique_ptr<implementation> implementation_;
};

} // namespace fermata
