#pragma once

#include <fermata/actors/sim/expectation.hpp>
#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

#include <unordered_set>

namespace fermata::sim {

/// Compares what callers are told with what is stored, and with what the reference model expects:
/// a receipt names an event that is stored and that the command can have become (P1), no two
/// commands were both accepted as one event, and the answer is right for a state that the session
/// had between the sending and the answer (P4, P5, P9).
class answer_monitor final : public monitor {
public:
  explicit answer_monitor(ledger_ptr known);

  [[nodiscard]] std::string_view name() const override {
    return "P1 P4: what callers are told is stored, and right";
  }
  void sent(world& in, const sent_command& what) override;
  void answered(world& in, const command_answer& what) override;
  void node_down(world& in, const std::string& node) override;

private:
  /// What was right from a number of events on.
  struct moment {
    std::uint64_t events = 0;
    session_state state = session_state::idle;
    expectation right;
  };
  struct unanswered {
    std::uint64_t number = 0;
    std::string from;
    command body;
    std::vector<moment> moments;
    /// A wall clock was set meanwhile, so it cannot be told which timers had fired.
    bool clock_was_set = false;
    std::uint32_t life = 1; ///< Of the session that it was said to.
  };
  struct acknowledged_events {
    std::uint32_t life = 0;
    std::unordered_set<std::uint64_t> numbers;
  };

  void look(const known_session& at);
  void notice_clock(const world& in);
  [[nodiscard]] std::optional<unanswered> take(const command_answer& what);
  void judge_error(world& in, const known_session* at, const unanswered& asked,
                   const command_answer& what);
  void judge_receipt(world& in, const known_session& at, const unanswered& asked,
                     const command_answer& what);
  void judge_accepted(world& in, const known_session& at, const unanswered& asked,
                      const command_answer& what);

  ledger_ptr known_;
  /// By session, in the order of sending.
  std::unordered_map<session_id, std::vector<unanswered>> unanswered_;
  /// The events that were acknowledged to a command as what it became, by session.
  std::unordered_map<session_id, acknowledged_events> acknowledged_;
  std::vector<std::chrono::milliseconds> clock_offsets_; ///< By the places of the nodes.
};

} // namespace fermata::sim
