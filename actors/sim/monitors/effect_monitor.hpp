#pragma once

#include <fermata/actors/sim/monitor.hpp>
#include <fermata/actors/sim/monitors/ledger.hpp>

#include <map>

namespace fermata::sim {

/// What tools do is what was claimed, approved and allowed: a run begins once, behind the commit
/// that claims it (P1, P8), with the arguments, the fingerprint and the version that were approved
/// (P9) and the key of its call; what it brings is what is recorded (P4), and of a run that was
/// lost with its process nothing is recorded by itself (P8); nothing that the policy denies is let
/// run, and what it asks for is decided on (P9).
class effect_monitor final : public monitor {
public:
  explicit effect_monitor(ledger_ptr known) : known_{std::move(known)} {}

  [[nodiscard]] std::string_view name() const override {
    return "P8 P9: what runs was claimed and approved, and runs once";
  }
  void stored(world& in, const stored_commit& what) override;
  void run_began(world& in, const tool_run& run) override;
  void run_ended(world& in, const ended_tool_run& run) override;
  void node_down(world& in, const std::string& node) override;

private:
  /// The last run of a call.
  struct last_run {
    std::uint32_t number = 0;
    std::optional<json> result; ///< What it ended with; nothing: an error, or it was cut off.
    std::string node;
    std::uint32_t moves = 0; ///< Of its session, when it began.
    bool lost = false;       ///< Its process has ended, and took with it what was known of the run.
  };

  void check_answer(world& in, const known_session& known, const stored_commit& what,
                    std::size_t at);
  void check_plan(world& in, const stored_commit& what, std::size_t at, const plan_proposed& fact);
  void check_proposal(world& in, const known_session& known, const stored_commit& what,
                      std::size_t at);
  void check_decision(world& in, const known_session& known, const stored_commit& what,
                      std::size_t at);

  ledger_ptr known_;
  std::map<call_id, last_run> runs_; ///< Of calls that have no answer yet, and a few others.
};

} // namespace fermata::sim
