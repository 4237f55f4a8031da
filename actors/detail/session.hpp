#pragma once

#include <fermata/actors/core/boxed.hpp>
#include <fermata/actors/core/packed_session.hpp>
#include <fermata/actors/core/persistence.hpp>
#include <fermata/actors/detail/coordinator.hpp>
#include <fermata/actors/detail/local_messages.hpp>
#include <fermata/actors/detail/services.hpp>
#include <fermata/actors/detail/tool_worker.hpp>

#include <caf/actor.hpp>
#include <caf/stateful_actor.hpp>

#include <list>
#include <memory>
#include <vector>

namespace fermata::detail {

/// Where a session actor finds the others.
struct session_peers {
  caf::actor directory;
  caf::actor journal;
  caf::actor worker;
  std::shared_ptr<std::atomic<std::uint32_t>>
      waiting;                         ///< Counted up by the directory, down by the session.
  std::shared_ptr<const void> present; ///< See `count_presence`; kept as long as the session lives.
  session_peers() = default;
};

/// The shell around the session core: decide, append, apply, publish. The only place where a
/// session's state changes.
///
/// One command at a time. What a command brings about without waiting for anything outside (its
/// events, the steps that follow at once) is one transaction; while the journal writes it, commands
/// queue up. Replies, chunks and tool starts go out when it is committed. If the commit fails, the
/// session ends and the next message activates it from the store: the crash path is the rollback.
class session {
public:
  session(caf::event_based_actor* self, services_ptr shared, session_peers peers, session_id id);
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session();

  /// Loads the session and deals with what its last process left.
  void activate();
  void handle(delivery_ptr message);
  void committed(const commit_outcome& outcome);
  /// Others were used later: packs its data as soon as nothing is under way, if nothing else comes
  /// before.
  void pack_when_idle();
  /// The directory would like this session to leave memory; it does if nothing is under way.
  void leave_if_idle();
  /// The runtime stops, or is not the session's home any more: leaves after the transaction that is
  /// under way.
  void stop();

private:
  /// A transaction that is being put together or written.
  struct transaction {
    core::recorded_events events;
    std::vector<event> observed;   ///< The same, where somebody observes.
    std::vector<event_note> notes; ///< One for each of them.
    std::vector<std::pair<reply, receipt>> replies;
    std::vector<std::uint64_t> claimed;        ///< To start after the commit.
    std::vector<run_finished> ended_runs;      ///< To forget after the commit.
    std::vector<std::uint64_t> cancelled_runs; ///< To stop after the commit.
    transaction() = default;
  };

  /// What a session has in memory that is not packed.
  struct unpacked {
    core::session_data data;
    core::environment environment;
    transaction building;
    explicit unpacked(core::environment in) : environment{std::move(in)} {}
  };

  void pack_if_asked_to();
  /// Before the data is looked at. False: it has to be loaded from the store.
  [[nodiscard]] bool unpack();
  /// Has a session that could not be loaded tried again, if that was tried for its own sake.
  void load_again(const wake& woken);
  /// Has the directory activate it again.
  void try_again(std::chrono::milliseconds delay);
  void fail_to_load(caf::error why);
  void process(delivery_ptr taken);
  void redeliver(delivery_ptr message);
  void run_command(command body, reply answer);
  void take_outcome(const run_finished& finished);
  /// Says to the core what time it is.
  void look_at_clock();
  /// What is due happens before anything else.
  void fire_timers();
  void record(event_body body);
  void record_all(std::vector<event_body> bodies);
  /// Follows the state as far as it goes by itself, then commits.
  void settle();
  void claim_queued();
  /// Lets the tools' hooks look at claims that an earlier process left open.
  void reconcile_claims();
  /// Tells the next session in line that a worker is free, after a while.
  void pass_worker_on(std::chrono::milliseconds delay = {});
  void start_step();
  void step_done(coordinator::step_outcome outcome);
  void take_step(coordinator::step_outcome outcome);
  void record_usage();
  void cancel_stale_step();
  void commit_transaction();
  void start_claimed(const std::vector<std::uint64_t>& calls);
  /// Without what the worker adds.
  [[nodiscard]] std::shared_ptr<run_request> make_run(const call_record& call) const;
  void stop_run_of(std::uint64_t call);
  void tell_alarm_clock();
  /// That there is more, or that the session is, or may be, deleted.
  void tell_followers();
  void answer(reply& to, receipt with);
  /// Says what the session knows, unless it may know of the past alone: where nodes share a store,
  /// no commit would be refused then.
  void refuse(reply& to, caf::error why);
  void process_queue();
  void send_later(decltype(delivery::body) body);
  void leave();
  void fail(const caf::error& why);
  /// The store has refused its commit, as it has another home by now.
  void fail_as_moved();
  [[nodiscard]] bool idle() const;
  // Where it is unpacked.
  [[nodiscard]] core::session_data& data() noexcept { return unpacked_->data; }
  [[nodiscard]] const core::session_data& data() const noexcept { return unpacked_->data; }
  [[nodiscard]] core::environment& environment() noexcept { return unpacked_->environment; }
  [[nodiscard]] transaction& building() noexcept { return unpacked_->building; }
  [[nodiscard]] const transaction& building() const noexcept { return unpacked_->building; }
  [[nodiscard]] call_id id_of(std::uint64_t call) const { return {id_, call}; }

  caf::event_based_actor* self_;
  services_ptr shared_;
  session_peers peers_;
  session_id id_;
  session_number number_ = 0;
  core::boxed<unpacked> unpacked_; ///< Nothing while it is packed.
  core::packed_session packed_;
  caf::error broken_;             ///< Why the session could not be loaded.
  std::list<delivery_ptr> queue_; ///< Mostly empty, where a deque would take 0.6 KB.
  core::boxed<transaction> writing_;
  core::boxed<coordinator::step_outcome>
      finished_step_;                    ///< Came while a transaction was being written.
  std::set<std::uint64_t> unreconciled_; ///< Open claims whose tools' hooks have not looked yet.
  std::optional<timestamp> told_alarm_;  ///< What the alarm clock was told last.
  std::uint64_t jitter_ = 0;             ///< Drawn once; mixed with event numbers.
  bool is_to_be_packed_ = false;
  bool settling_ = false;
  bool activating_ = false; ///< The activation's own transaction is being written.
  bool leaving_ = false;
  bool stopping_ = false;
  coordinator coordinator_; // last: its frames refer to the rest
};

struct session_actor_state {
  static inline const char* name = "fermata.session";
  std::unique_ptr<session> body;
};

caf::behavior session_actor(caf::stateful_actor<session_actor_state>* self, services_ptr shared,
                            session_peers peers, session_id id);

} // namespace fermata::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fermata::detail::session_peers)
