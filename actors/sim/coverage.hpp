#pragma once

#include <fermata/actors/sim/faults.hpp>
#include <fermata/actors/sim/witness.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/timestamp.hpp>
#include <fermata/storage/session_slots.hpp>

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

/// What a campaign has been through, counted: a test that never reaches a state says nothing of it.
namespace fermata::sim {

/// States that need several things to come together.
enum class rare_state : std::uint8_t {
  open_claim_asked,          ///< A crash cut a run off, and somebody has to say what it did.
  open_claim_rerun,          ///< A crash cut a run off, and its tool is idempotent.
  open_claim_reconciled,     ///< A crash cut a run off, and its tool's hook found out.
  run_ended_after_all,       ///< A run whose outcome was given up told it.
  timer_due_while_down,      ///< A timer fell due while its node was down, and fired later.
  backoff_over_crash,        ///< Something that backed off was tried again by another process.
  pause_over_crash,          ///< A session was paused when its node died, and moved on.
  suspension_over_crash,     ///< A session was suspended when its node died, and resumed.
  crash_during_recovery,     ///< A node died again before a session that ran had gone on.
  reloaded_after_failure,    ///< A commit failed, and its session began again in the same process.
  repeated_over_crash,       ///< A command was said again after a crash, and taken for the first.
  answered_while_suspended,  ///< A call was answered in a suspended session.
  answered_in_parallel,      ///< A call was answered while others of its step were open.
  cancelled_while_running,   ///< A call was cancelled while its tool ran.
  replaced_while_calls_open, ///< A revision was approved while calls of the plan were open.
  decided_by_memory,         ///< A remembered decision decided on a call.
  denied_call,               ///< The policy denied a call.
  edited_call_ran,           ///< A run was claimed for arguments that a person had changed.
  plan_expired,              ///< Nobody decided on a plan in time.
  messages_parked,           ///< There was no room in memory for a session.
  sessions_packed,           ///< Sessions in memory kept their data packed.
  tail_over_crash,           ///< Records were behind the journal when a node died; they went on.
  // Where nodes share a store:
  handed_over,         ///< A session went on at a node that was given it by another one.
  taken_over,          ///< A session went on at a node that took it over from a lost one.
  moved_while_running, ///< A session that was running went on at another node.
};
constexpr std::array<std::string_view, 25> enum_names(rare_state) {
  return {"open_claim_asked",
          "open_claim_rerun",
          "open_claim_reconciled",
          "run_ended_after_all",
          "timer_due_while_down",
          "backoff_over_crash",
          "pause_over_crash",
          "suspension_over_crash",
          "crash_during_recovery",
          "reloaded_after_failure",
          "repeated_over_crash",
          "answered_while_suspended",
          "answered_in_parallel",
          "cancelled_while_running",
          "replaced_while_calls_open",
          "decided_by_memory",
          "denied_call",
          "edited_call_ran",
          "plan_expired",
          "messages_parked",
          "sessions_packed",
          "tail_over_crash",
          "handed_over",
          "taken_over",
          "moved_while_running"};
}

/// Whether there is such a state only where nodes share a store.
[[nodiscard]] constexpr bool needs_shared_store(rare_state state) noexcept {
  return state >= rare_state::handed_over;
}

/// How often each thing happened. What is counted has a name of two parts:
///
///     fault/crash_inside        a fault that hit: there was something to go wrong (`fault_kind`)
///     event/call_backed_off     an event that was committed (messages/events.hpp)
///     state/needs_attention     a session that came to this state (`session_state`)
///     answer/expired            a call's result of this kind (`call_outcome`)
///     receipt/late              a receipt of this kind (`receipt_kind`)
///     refusal/stale_approval    a command that was refused with this error (`errc`)
///     rare/backoff_over_crash   a `rare_state`
class reach_counts {
public:
  void count(fault_kind kind) { ++faults_[static_cast<std::size_t>(kind)]; }
  void count(const event_body& body) { ++events_[body.index()]; }
  void count(session_state state) { ++states_[static_cast<std::size_t>(state)]; }
  void count(call_outcome outcome) { ++answers_[static_cast<std::size_t>(outcome)]; }
  void count(receipt_kind kind) { ++receipts_[static_cast<std::size_t>(kind)]; }
  void count(errc refusal) { ++refusals_[static_cast<std::size_t>(refusal)]; }
  void count(rare_state state) { ++rare_[static_cast<std::size_t>(state)]; }

  reach_counts& operator+=(const reach_counts& more);
  friend bool operator==(const reach_counts&, const reach_counts&) = default;

  /// All of it. What was never reached is there with 0, except for refusals: most errors are none
  /// that a session's command can get.
  [[nodiscard]] std::map<std::string, std::uint64_t> by_name() const;

private:
  template <class Enum>
  using per = std::array<std::uint64_t, enum_names(Enum{}).size()>;

  per<fault_kind> faults_{};
  std::array<std::uint64_t, std::variant_size_v<event_body>> events_{};
  per<session_state> states_{};
  per<call_outcome> answers_{};
  per<receipt_kind> receipts_{};
  std::array<std::uint64_t, 256> refusals_{}; ///< errc is one byte.
  per<rare_state> rare_{};
};

/// Counts what a world goes through. Cheap: a commit costs a few additions and a look-up by its
/// session.
class coverage final : public witness {
public:
  [[nodiscard]] const reach_counts& counts() const noexcept { return counts_; }

  /// How often a session that was paused moved on: commits of a session that was waiting, awaiting
  /// a plan's decision, planning, in need of attention or suspended before, in which a decision, an
  /// answer, an outcome, a revision, an operator or a timer changed its plan, a subtask or a call.
  /// Messages, deadlines, suspensions, late results and remembered decisions move nothing.
  [[nodiscard]] std::uint64_t resumes() const noexcept { return resumes_; }

  void stored(world& in, const stored_commit& what) override;
  void answered(world& in, const command_answer& what) override;
  void node_down(world& in, const std::string& node) override;
  void node_up(world& in, const std::string& node) override;
  void slot_changed(world& in, const changed_slot& what) override;
  void fault_hit(world& in, const std::string& node, fault_kind kind) override;
  void quiet(world& in) override;

private:
  struct open_call {
    std::uint64_t step = 0; ///< The first call of its step.
    bool is_running = false;
    bool was_edited = false;
  };
  /// What is known of a session.
  struct followed {
    std::string home;
    session_state state = session_state::idle;
    std::uint64_t events = 0;
    std::map<std::uint64_t, open_call> open;
    std::uint64_t step = 0;                ///< The first call of the last step that called.
    std::set<std::uint64_t> calls_waiting; ///< Those that back off.
    std::set<subtask_id> subtasks_waiting; ///< Those that back off.
    std::set<std::uint32_t> replacing;     ///< Revisions that would replace a plan in progress.
    std::optional<timestamp> armed;
    bool has_tail = false; ///< Its records were not written with its last commit.
    // Of its node's last death.
    std::optional<timestamp> down_since; ///< Nothing: its node is up.
    std::uint64_t events_at_death = 0;
    bool has_committed = true; ///< Since its node is up.
    bool backed_off_at_death = false;
    bool paused_at_death = false;
    bool suspended_at_death = false;
    bool was_due_while_down = false;
    bool had_tail_at_death = false;
  };
  class fact_counter;

  void count_move(const session_id& id, const followed& session);

  reach_counts counts_;
  std::uint64_t resumes_ = 0;
  std::map<session_id, followed> sessions_;
  std::bitset<session_slots> handed_over_; ///< Slots that their owner had given to the next one.
  // When last looked at:
  std::set<std::string> parking_; ///< Nodes that had messages parked.
  std::set<std::string> packing_; ///< Nodes that had packed sessions.
};

} // namespace fermata::sim
